//! Programs that call helpers and keep all that these give: results, what they wrote, fields of the context.

use crate::generate::Source;
use ebpfkit_abi::ctx::{Context, FieldKind, context_of};
use ebpfkit_abi::{AttachType, MapType, ProgType, helper_id};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, X, alu, class, jmp, pseudo};
use ebpfkit_object::{Map, Object, Prepared, Program};

/// An argument of a helper.
#[derive(Clone, Copy, Debug)]
enum Arg {
    Ctx,
    /// A number; sign-extended.
    Num(i32),
    /// The buffer on the stack, from a byte of it on.
    Buf(u8),
    Null,
    /// The map of results.
    Map,
}

/// A part of a program.
#[derive(Clone, Debug)]
pub enum Part {
    /// A call.
    Call(Call),
    /// A number of the context is kept: offset and bytes.
    Field(i16, u8),
    /// A number of the context is set: offset, bytes, value.
    SetField(i16, u8, i32),
    /// Bytes of the packet are kept, as far as they are there: offsets of start and end in the context, first byte.
    Packet(i16, i16, i16),
    /// A byte of the packet is set, if it is there.
    SetPacket(i16, i16, i16, i32),
}

/// A call of a helper.
#[derive(Clone, Debug)]
pub struct Call {
    helper: &'static str,
    args: Vec<Arg>,
}

/// Bytes of the buffer, which starts so far below the frame pointer.
const BUF: i32 = 64;
/// Numbers that one run can keep.
const RESULTS: i16 = 256;
/// Bytes of the packet that one part looks at.
const SEEN: i16 = 8;

/// Puts instructions together. Results go to the map value that r7 points to; r6 is the context.
struct Code {
    insns: Vec<Insn>,
    results: i16,
}

impl Code {
    fn push(&mut self, code: u8, dst: u8, src: u8, off: i16, imm: i32) {
        self.insns.push(Insn { code, dst, src, off, imm });
    }

    fn mov(&mut self, dst: u8, src: u8) {
        self.push(class::ALU64 | alu::MOV | X, dst, src, 0, 0);
    }

    fn add(&mut self, dst: u8, imm: i32) {
        self.push(class::ALU64 | alu::ADD, dst, 0, 0, imm);
    }

    fn number(&mut self, dst: u8, imm: i32) {
        self.push(class::ALU64 | alu::MOV, dst, 0, 0, imm);
    }

    fn load(&mut self, bytes: u8, dst: u8, src: u8, off: i16) {
        self.push(class::LDX | opcode::mode::MEM | size_bits(bytes), dst, src, off, 0);
    }

    fn store(&mut self, bytes: u8, dst: u8, src: u8, off: i16) {
        self.push(class::STX | opcode::mode::MEM | size_bits(bytes), dst, src, off, 0);
    }

    fn map(&mut self, dst: u8, how: u8) {
        self.push(opcode::LD_IMM64, dst, how, 0, 0);
        self.push(0, 0, 0, 0, 0);
    }

    fn has_room(&self, numbers: i16) -> bool {
        self.results + numbers * 8 <= RESULTS * 8
    }

    /// Keeps a register.
    fn keep(&mut self, reg: u8) {
        self.store(8, 7, reg, self.results);
        self.results += 8;
    }

    fn begin(&mut self) {
        self.mov(6, 1);
        self.map(7, pseudo::MAP_VALUE);
        for i in 0..BUF / 8 {
            self.push(opcode::LD_IMM64, 1, 0, 0, 0x0102_0304i32.wrapping_mul(2 * i + 1));
            self.push(0, 0, 0, 0, 0x7155_8293i32.wrapping_mul(i + 3));
            self.store(8, 10, 1, (i * 8 - BUF) as i16);
        }
    }

    fn call(&mut self, call: &Call) {
        for (i, arg) in call.args.iter().enumerate() {
            let reg = i as u8 + 1;
            match *arg {
                Arg::Ctx => self.mov(reg, 6),
                Arg::Num(n) => self.number(reg, n),
                Arg::Null => self.number(reg, 0),
                Arg::Map => self.map(reg, pseudo::MAP_FD),
                Arg::Buf(at) => {
                    self.mov(reg, 10);
                    self.add(reg, i32::from(at) - BUF);
                }
            }
        }
        self.push(opcode::CALL, 0, 0, 0, helper_id(call.helper).map_or(0, |id| id as i32));
        self.keep(0);
        // The buffer may have been written to.
        if call.args.iter().any(|a| matches!(a, Arg::Buf(_))) {
            for i in 0..BUF / 8 {
                self.load(8, 1, 10, (i * 8 - BUF) as i16);
                self.keep(1);
            }
        }
    }

    /// Jumps over `len` instructions unless the packet has the byte behind r2; r4 points behind it.
    fn beyond(&mut self, data: i16, end: i16, at: i16, len: i16) {
        self.load(4, 2, 6, data);
        self.load(4, 3, 6, end);
        self.mov(4, 2);
        self.add(4, i32::from(at) + 1);
        self.push(class::JMP | jmp::JGT | X, 4, 3, len, 0);
    }

    fn part(&mut self, part: &Part) {
        match *part {
            Part::Call(ref call) => self.call(call),
            Part::Field(at, bytes) => {
                self.load(bytes, 1, 6, at);
                self.keep(1);
            }
            Part::SetField(at, bytes, value) => {
                self.number(1, value);
                self.store(bytes, 6, 1, at);
            }
            Part::Packet(data, end, first) => {
                for i in 0..SEEN {
                    self.beyond(data, end, first + i, 2);
                    self.load(1, 5, 2, first + i);
                    self.store(1, 7, 5, self.results + i);
                }
                self.results += SEEN;
            }
            Part::SetPacket(data, end, at, value) => {
                self.beyond(data, end, at, 1);
                self.push(class::ST | opcode::mode::MEM | opcode::size::B, 2, 0, at, value);
            }
        }
    }
}

fn size_bits(bytes: u8) -> u8 {
    match bytes {
        1 => opcode::size::B,
        2 => opcode::size::H,
        4 => opcode::size::W,
        _ => opcode::size::DW,
    }
}

/// A whole program: its parts, and the result.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Type.
    pub kind: ProgType,
    /// Where it would be attached.
    pub attach: AttachType,
    /// What it does.
    pub parts: Vec<Part>,
    /// What it returns.
    pub result: i32,
}

impl Recipe {
    /// The object.
    pub fn build(&self) -> Prepared {
        let mut code = Code { insns: Vec::new(), results: 0 };
        code.begin();
        for part in &self.parts {
            if code.has_room(1 + BUF as i16 / 8) {
                code.part(part);
            }
        }
        code.number(0, self.result);
        code.push(opcode::EXIT, 0, 0, 0, 0);
        let program = Program {
            name: "calls".into(),
            prog_type: self.kind,
            attach_type: self.attach,
            flags: match self.kind {
                ProgType::Syscall => ebpfkit_object::ProgramFlags(ebpfkit_object::ProgramFlags::SLEEPABLE),
                _ => Default::default(),
            },
            insns: code.insns,
            autoload: true,
            ..Program::default()
        };
        let map = Map {
            name: "results".into(),
            map_type: MapType::Array,
            key_size: 4,
            value_size: RESULTS as u32 * 8,
            max_entries: 1,
            ..Map::default()
        };
        let object = Object {
            name: "calls".into(),
            license: "GPL".into(),
            programs: vec![program],
            maps: vec![map],
            ..Object::default()
        };
        Prepared { object, unloadable: vec![None] }
    }
}

fn small(source: &mut impl Source) -> i32 {
    match source.below(6) {
        0 => 80 + source.below(220) as i32,
        1 => source.pick(&[-1, 0xffff, 0x10000, i32::MAX, i32::MIN]),
        _ => source.below(80) as i32,
    }
}

fn flag_bits(source: &mut impl Source, bits: u32) -> i32 {
    match source.below(7) {
        0..=2 => 0,
        3..=5 => 1 << source.below(bits),
        _ => source.below(1 << bits) as i32,
    }
}

fn skb_call(source: &mut impl Source, kind: ProgType) -> Call {
    use Arg::{Buf, Ctx, Map, Null, Num};
    let len = source.pick(&[1i32, 2, 4, 7, 16, 32]);
    let at = small(source);
    // What only programs of the link layer may call comes last.
    let choices = if matches!(kind, ProgType::SchedCls | ProgType::SchedAct) { 26 } else { 6 };
    let (helper, args): (&'static str, Vec<Arg>) = match source.below(choices) {
        0 | 1 => ("skb_load_bytes", vec![Ctx, Num(at), Buf(8), Num(len)]),
        2 => {
            let start = source.below(3) as i32;
            match kind {
                ProgType::SchedCls | ProgType::SchedAct | ProgType::SocketFilter | ProgType::CgroupSkb => {
                    ("skb_load_bytes_relative", vec![Ctx, Num(at), Buf(8), Num(len), Num(start)])
                }
                _ => ("skb_load_bytes", vec![Ctx, Num(at), Buf(8), Num(len)]),
            }
        }
        3 => ("get_smp_processor_id", vec![]),
        4 => ("get_numa_node_id", vec![]),
        5 => ("map_delete_elem", vec![Map, Buf(0)]),
        6 => {
            let flags = flag_bits(source, 3);
            ("skb_store_bytes", vec![Ctx, Num(at), Buf(3), Num(len), Num(flags)])
        }
        7 => ("skb_pull_data", vec![Ctx, Num(at)]),
        8 => {
            let (a, b) = (source.bits() as i32, source.bits() as i32);
            let f = source.pick(&[0, 2, 4, 4, 2, 3, 0x10]);
            let a = if f == 0 && b & 1 == 0 { 0 } else { a };
            ("l3_csum_replace", vec![Ctx, Num(at), Num(a), Num(b), Num(f)])
        }
        9 => {
            let (a, b) = (source.bits() as i32, source.bits() as i32);
            let f = source.pick(&[0, 2, 4, 0x12, 0x14, 0x24, 0x64, 0x62, 0x84, 0x100]);
            let a = if f == 0 && b & 1 == 0 { 0 } else { a };
            ("l4_csum_replace", vec![Ctx, Num(at), Num(a), Num(b), Num(f)])
        }
        10 => {
            let (a, b, seed) = (source.below(9) as i32, source.below(9) as i32, source.bits() as i32);
            let side = |n: i32, at| if n == 0 { Null } else { Buf(at) };
            ("csum_diff", vec![side(a, 0), Num(a * 4), side(b, 28), Num(b * 4), Num(seed)])
        }
        11 => ("csum_update", vec![Ctx, Num(source.bits() as i32)]),
        12 => ("csum_level", vec![Ctx, Num(source.below(5) as i32)]),
        13 => {
            let kind = source.pick(&[0x0081i32, 0xa888, 0x0008, 0]);
            ("skb_vlan_push", vec![Ctx, Num(kind), Num(source.below(65536) as i32)])
        }
        14 => ("skb_vlan_pop", vec![Ctx]),
        15 => {
            let to = source.pick(&[0x0008i32, 0xdd86, 0x0081]);
            ("skb_change_proto", vec![Ctx, Num(to), Num(flag_bits(source, 1))])
        }
        16 => ("skb_change_type", vec![Ctx, Num(source.below(6) as i32)]),
        17 => ("skb_ecn_set_ce", vec![Ctx]),
        18 | 19 => {
            let by = match source.below(8) {
                0 => 4095,
                1 => -4096,
                _ => source.below(120) as i32 - 60,
            };
            let mode = source.below(3) as i32;
            ("skb_adjust_room", vec![Ctx, Num(by), Num(mode), Num(flag_bits(source, 9))])
        }
        20 => ("skb_change_tail", vec![Ctx, Num(at), Num(flag_bits(source, 1))]),
        21 => ("skb_change_head", vec![Ctx, Num(source.below(64) as i32), Num(flag_bits(source, 1))]),
        22 => {
            let size = source.pick(&[44i32, 28, 24, 22, 8, 30]);
            ("skb_set_tunnel_key", vec![Ctx, Buf(0), Num(size), Num(flag_bits(source, 6))])
        }
        23 => {
            let size = source.pick(&[44i32, 28, 24, 22, 8, 30]);
            ("skb_get_tunnel_key", vec![Ctx, Buf(0), Num(size), Num(source.pick(&[0, 1, 2, 16, 17]))])
        }
        24 => {
            let size = source.pick(&[4i32, 8, 7, 20]);
            (source.pick(&["skb_set_tunnel_opt", "skb_get_tunnel_opt"]), vec![Ctx, Buf(8), Num(size)])
        }
        _ => {
            let device = source.pick(&[0i32, 1, 77]);
            let by = source.below(140_000) as i32 - 70_000;
            ("check_mtu", vec![Ctx, Num(device), Buf(4), Num(by), Num(flag_bits(source, 2))])
        }
    };
    Call { helper, args }
}

fn xdp_call(source: &mut impl Source) -> Call {
    use Arg::{Buf, Ctx, Num};
    let len = source.pick(&[1i32, 2, 7, 16, 32]);
    let at = small(source);
    let by = match source.below(5) {
        0 => source.below(600) as i32 - 300,
        1 => source.pick(&[-4000, 4000]),
        2 => (source.below(40) as i32 - 20) * 4,
        _ => source.below(128) as i32 - 64,
    };
    let (helper, args): (&'static str, Vec<Arg>) = match source.below(8) {
        0 => ("xdp_adjust_head", vec![Ctx, Num(by)]),
        1 => ("xdp_adjust_meta", vec![Ctx, Num(by)]),
        2 => ("xdp_adjust_tail", vec![Ctx, Num(by)]),
        3 => ("xdp_get_buff_len", vec![Ctx]),
        4 => ("xdp_load_bytes", vec![Ctx, Num(at), Buf(9), Num(len)]),
        5 => ("xdp_store_bytes", vec![Ctx, Num(at), Buf(9), Num(len)]),
        6 => {
            let device = source.pick(&[0i32, 1, 77]);
            let by = source.below(140_000) as i32 - 70_000;
            ("check_mtu", vec![Ctx, Num(device), Buf(4), Num(by), Num(flag_bits(source, 1))])
        }
        _ => {
            let (a, b, seed) = (1 + source.below(8) as i32, 1 + source.below(8) as i32, source.bits() as i32);
            ("csum_diff", vec![Buf(0), Num(a * 4), Buf(28), Num(b * 4), Num(seed)])
        }
    };
    Call { helper, args }
}

fn plain_call(source: &mut impl Source) -> Call {
    let (helper, args): (&'static str, Vec<Arg>) = match source.below(3) {
        0 => ("map_delete_elem", vec![Arg::Map, Arg::Buf(0)]),
        1 => ("get_numa_node_id", vec![]),
        _ => ("get_smp_processor_id", vec![]),
    };
    Call { helper, args }
}

/// The kinds of programs that a test-run takes without attaching them anywhere.
pub const KINDS: &[(ProgType, AttachType)] = &[
    (ProgType::Xdp, AttachType(0)),
    (ProgType::SchedCls, AttachType(0)),
    (ProgType::SchedAct, AttachType(0)),
    (ProgType::SocketFilter, AttachType(0)),
    (ProgType::CgroupSkb, AttachType::CgroupInetIngress),
    (ProgType::CgroupSkb, AttachType::CgroupInetEgress),
    (ProgType::LwtIn, AttachType(0)),
    (ProgType::LwtOut, AttachType(0)),
    (ProgType::LwtXmit, AttachType(0)),
    (ProgType::FlowDissector, AttachType::FlowDissector),
    (ProgType::SkLookup, AttachType::SkLookup),
    (ProgType::RawTracepoint, AttachType(0)),
    (ProgType::Syscall, AttachType(0)),
];

/// Offset and bytes of a field.
type Span = (i16, u8);

/// Fields of a context that programs may read, where packets start and end, and the fields that may be written.
fn fields(kind: ProgType) -> (Vec<Span>, Option<(i16, i16)>, Vec<Span>) {
    let Some(Context::Fields { layout, hidden, writable }) = context_of(kind) else {
        return ((0..12).map(|n| (n * 8, 8)).collect(), None, Vec::new());
    };
    let visible = |f: &&ebpfkit_abi::ctx::Field| !hidden.contains(&f.name) && f.name != "egress_ifindex";
    let each = |f: &ebpfkit_abi::ctx::Field| -> Vec<(i16, u8)> {
        (0..f.count).map(|i| ((f.offset + i * f.size) as i16, f.size as u8)).collect()
    };
    let numbers = layout.fields.iter().filter(visible).filter(|f| f.kind == FieldKind::Number);
    let may_write = numbers.clone().filter(|f| writable.contains(&f.name)).flat_map(each).collect();
    let find = |kind| layout.fields.iter().filter(visible).find(|f| f.kind == kind).map(|f| f.offset as i16);
    let packet = find(FieldKind::PacketData).zip(find(FieldKind::PacketEnd));
    (numbers.flat_map(each).collect(), packet, may_write)
}

/// A random program of a kind.
pub fn recipe(source: &mut impl Source, (kind, attach): (ProgType, AttachType)) -> Recipe {
    let (readable, packet, writable) = fields(kind);
    let has_packet = ebpfkit_vm::input::takes_packet(kind);
    let mut parts = Vec::new();
    if source.chance(300) {
        // Everything that there is to see.
        parts.extend(readable.iter().map(|&(at, bytes)| Part::Field(at, bytes)));
        parts.extend(packet.map(|(data, end)| Part::Packet(data, end, 0)));
    }
    for _ in 0..1 + source.below(8) {
        parts.push(match source.below(10) {
            0 | 1 if !readable.is_empty() => {
                let (at, bytes) = source.pick(&readable);
                Part::Field(at, bytes)
            }
            2 if !writable.is_empty() => {
                let (at, bytes) = source.pick(&writable);
                Part::SetField(at, bytes, source.number() as i32)
            }
            3 | 4 if packet.is_some() => {
                let (data, end) = packet.unwrap_or_default();
                Part::Packet(data, end, source.below(80) as i16)
            }
            5 if packet.is_some()
                && matches!(kind, ProgType::Xdp | ProgType::SchedCls | ProgType::SchedAct | ProgType::LwtXmit) =>
            {
                let (data, end) = packet.unwrap_or_default();
                Part::SetPacket(data, end, source.below(60) as i16, source.below(256) as i32)
            }
            _ if kind == ProgType::Xdp => Part::Call(xdp_call(source)),
            _ if has_packet => Part::Call(skb_call(source, kind)),
            _ => Part::Call(plain_call(source)),
        });
        if has_packet && kind != ProgType::Xdp && kind != ProgType::FlowDissector && source.chance(400) {
            // len, pkt_type, protocol, vlan_present, vlan_tci, vlan_proto
            parts.extend([0, 4, 16, 20, 24, 28].map(|at| Part::Field(at, 4)));
        }
    }
    let result = match kind {
        ProgType::CgroupSkb | ProgType::SkLookup => source.below(2) as i32,
        ProgType::FlowDissector => source.pick(&[0, 2, 129]),
        _ => source.pick(&[0, 1, 2, 3, 4, 7, 128, -1, 1000]),
    };
    Recipe { kind, attach, parts, result }
}
