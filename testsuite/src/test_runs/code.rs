//! Programs put together of parts, each of which keeps all that it gives in a map.

use super::structs::{Span, Structs};
use ebpfkit_abi::test_run::OPERATIONS;
use ebpfkit_abi::{AttachType, MapType, ProgType, helper_id};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, X, alu, class, jmp, pseudo};
use ebpfkit_object::{Map, Object, Prepared, Program, ProgramFlags};

/// An argument of a function.
#[derive(Clone, Copy, Debug)]
pub enum Arg {
    /// The context, or what stands for it: of netfilter programs the packet.
    Ctx,
    /// A number; sign-extended.
    Num(i32),
    /// The buffer on the stack, from a byte of it on.
    Buf(u8),
    /// The null pointer.
    Null,
    /// The map of results.
    Map,
    /// The dynptr on the stack.
    Dynptr,
    /// The connection at hand.
    Connection,
    /// An address that no other connection has.
    Address,
}

/// A call of a helper or a function of the kernel's.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name; those of the kernel's functions begin with `bpf_`.
    pub function: &'static str,
    /// What it is given.
    pub args: Vec<Arg>,
}

/// What a netfilter program's context leads to.
#[derive(Clone, Copy, Debug)]
pub enum Via {
    /// The state of the hook.
    State,
    /// The packet.
    Packet,
    /// The device that the hook knows of.
    Device,
}

/// A part of a program.
#[derive(Clone, Debug)]
pub enum Part {
    /// A call.
    Call(Call),
    /// Text in the buffer, ended by a zero: first byte.
    Text(u8, &'static str),
    /// A number of the context is kept: offset and bytes.
    Field(i16, u8),
    /// A number of the context is set: offset, bytes, value, and whether the instruction has the value itself.
    SetField(i16, u8, i32, bool),
    /// Bytes of the packet are kept, as far as they are there: offsets of start and end in the context, first byte.
    Packet(i16, i16, i16),
    /// A byte of the packet is set, if it is there.
    SetPacket(i16, i16, i16, i32),
    /// A number of a struct of the kernel's is kept.
    Member(Via, Span),
    /// Bytes of a packet of the kernel's are kept, if they are there: first byte.
    Payload(i16),
    /// A dynptr of the packet, and calls that work on it: its function, flags.
    Dynptr(&'static str, i32, Vec<Call>),
    /// The state that a method's first argument leads to is kept and then set.
    State(Option<i32>),
    /// A connection is made.
    Connection(Box<Connection>),
}

/// A connection: what is asked for, and what is done with it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Program type by which the functions are called: `skb` or `xdp`.
    pub of: &'static str,
    /// Bytes of the tuple, protocol, network namespace.
    pub tuple: (i32, u8, i32),
    /// Bytes of the options, zone, directions of the zone, what is behind them.
    pub options: (i32, u16, u8, u8),
    /// Calls before it is there.
    pub before: Vec<Call>,
    /// Its mark.
    pub mark: Option<i32>,
    /// Calls when it is there.
    pub behind: Vec<Call>,
    /// It is made once more.
    pub repeated: bool,
    /// Lookups: what answers it, zone, directions of the zone; and calls for what was found.
    pub lookups: Vec<(bool, u16, u8, Vec<Call>)>,
}

/// Bytes of the buffer, which starts so far below the frame pointer.
const BUF: i32 = 64;
/// Where the dynptr is, below the frame pointer.
const DYNPTR: i32 = 80;
/// Numbers that one run can keep.
const RESULTS: i16 = 256;
/// The last of them are no results: a number that no other program has had, which each connection counts up, and behind
/// it an address of as many bytes as one of IPv6 has.
pub const NONCE: usize = (RESULTS as usize - 3) * 8;
/// Bytes of the packet that one part looks at.
const SEEN: i16 = 8;
/// Where the options of connections stand in the buffer, behind the tuple.
const OPTIONS: u8 = 40;

/// Puts instructions together. Results go to the map value that r7 points to; r6 is the context, r8 a connection.
struct Code<'s> {
    insns: Vec<Insn>,
    results: i16,
    kind: ProgType,
    structs: &'s Structs,
}

impl Code<'_> {
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

    fn constant(&mut self, bytes: u8, dst: u8, off: i16, imm: i32) {
        self.push(class::ST | opcode::mode::MEM | size_bits(bytes), dst, 0, off, imm);
    }

    fn map(&mut self, dst: u8, how: u8) {
        self.push(opcode::LD_IMM64, dst, how, 0, 0);
        self.push(0, 0, 0, 0, 0);
    }

    /// Bytes of the buffer are set.
    fn buffer(&mut self, bytes: u8, at: u8, imm: i32) {
        self.constant(bytes, 10, i16::from(at) - BUF as i16, imm);
    }

    fn has_room(&self, numbers: i16) -> bool {
        self.results + numbers * 8 <= NONCE as i16
    }

    /// Keeps a register.
    fn keep(&mut self, reg: u8) {
        if self.has_room(1) {
            self.store(8, 7, reg, self.results);
            self.results += 8;
        }
    }

    /// Keeps words of the buffer.
    fn keep_buffer(&mut self, words: std::ops::Range<i32>) {
        for i in words {
            self.load(8, 1, 10, (i * 8 - BUF) as i16);
            self.keep(1);
        }
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

    /// Calls a function, whose result is kept by those that know what it is.
    fn invoke(&mut self, function: &str, args: &[Arg]) {
        for (i, arg) in args.iter().enumerate() {
            let reg = i as u8 + 1;
            match *arg {
                Arg::Ctx if self.kind == ProgType::Netfilter => self.load(8, reg, 6, 8),
                Arg::Ctx => self.mov(reg, 6),
                Arg::Num(n) => self.number(reg, n),
                Arg::Null => self.number(reg, 0),
                Arg::Map => self.map(reg, pseudo::MAP_FD),
                Arg::Buf(at) => {
                    self.mov(reg, 10);
                    self.add(reg, i32::from(at) - BUF);
                }
                Arg::Dynptr => {
                    self.mov(reg, 10);
                    self.add(reg, -DYNPTR);
                }
                Arg::Connection => self.mov(reg, 8),
                Arg::Address => {
                    self.mov(reg, 7);
                    self.add(reg, NONCE as i32 + 4);
                }
            }
        }
        match helper_id(function) {
            Some(id) => self.push(opcode::CALL, 0, 0, 0, id as i32),
            None => {
                let id = self.structs.kfunc(function).unwrap_or(0);
                self.push(opcode::CALL, 0, pseudo::KFUNC_CALL, 0, id);
            }
        }
    }

    fn call(&mut self, call: &Call) {
        self.invoke(call.function, &call.args);
        if call.function.starts_with("bpf_dynptr_is_") {
            // Of a truth value one byte says anything.
            self.push(class::ALU64 | alu::AND, 0, 0, 0, 0xff);
        }
        self.keep(0);
        // The buffer may have been written to.
        if call.args.iter().any(|a| matches!(a, Arg::Buf(_))) {
            self.keep_buffer(0..BUF / 8);
        }
    }

    /// A jump over what follows, as far as [`Code::here`] says.
    fn jump(&mut self, operation: u8, dst: u8, imm: i32) -> usize {
        self.push(class::JMP | operation, dst, 0, 0, imm);
        self.insns.len() - 1
    }

    fn here(&mut self, jump: usize) {
        self.insns[jump].off = (self.insns.len() - jump - 1) as i16;
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
        match part {
            Part::Call(call) => self.call(call),
            Part::Text(at, text) => {
                for (i, byte) in text.bytes().chain([0]).enumerate() {
                    self.buffer(1, at + i as u8, byte.into());
                }
            }
            &Part::Field(at, bytes) => {
                self.load(bytes, 1, 6, at);
                self.keep(1);
            }
            &Part::SetField(at, bytes, value, true) => self.constant(bytes, 6, at, value),
            &Part::SetField(at, bytes, value, false) => {
                self.number(1, value);
                self.store(bytes, 6, 1, at);
            }
            &Part::Packet(data, end, first) => {
                for i in 0..SEEN {
                    self.beyond(data, end, first + i, 2);
                    self.load(1, 5, 2, first + i);
                    self.store(1, 7, 5, self.results + i);
                }
                self.results += SEEN;
            }
            &Part::SetPacket(data, end, at, value) => {
                self.beyond(data, end, at, 1);
                self.constant(1, 2, at, value);
            }
            &Part::Member(via, (at, bytes)) => {
                let offset = if matches!(via, Via::Packet) { 8 } else { 0 };
                self.load(8, 1, 6, offset);
                if matches!(via, Via::Device) {
                    self.load(8, 1, 1, self.structs.state_device);
                }
                self.load(bytes, 1, 1, at);
                self.keep(1);
            }
            &Part::Payload(at) => {
                let len = self.structs.skb.first().map_or(0, |s| s.0);
                self.load(8, 3, 6, 8);
                self.load(4, 1, 3, len);
                let short = self.jump(jmp::JLT, 1, i32::from(at + SEEN));
                self.load(8, 3, 3, self.structs.skb_data);
                self.add(3, at.into());
                self.number(2, SEEN.into());
                self.mov(1, 10);
                self.add(1, -BUF);
                let id = helper_id("probe_read_kernel").unwrap_or(0);
                self.push(opcode::CALL, 0, 0, 0, id as i32);
                self.keep(0);
                self.keep_buffer(0..1);
                self.here(short);
            }
            Part::Dynptr(function, flags, calls) => {
                self.invoke(function, &[Arg::Ctx, Arg::Num(*flags), Arg::Dynptr]);
                self.keep(0);
                calls.iter().for_each(|call| self.call(call));
            }
            &Part::State(set) => {
                self.load(8, 1, 6, 0);
                let none = self.jump(jmp::JEQ, 1, 0);
                self.load(4, 2, 1, 0);
                self.keep(2);
                if let Some(value) = set {
                    self.constant(4, 1, 0, value);
                }
                self.here(none);
            }
            Part::Connection(connection) => self.connection(connection),
        }
    }

    /// The ends of a connection and the options, in the buffer.
    fn tuple(&mut self, c: &Connection, reply: bool, (zone, directions): (u16, u8)) {
        let (len, protocol, netns) = c.tuple;
        for i in (0..BUF as u8).step_by(8) {
            self.buffer(8, i, 0);
        }
        let address = if len == 36 { 16 } else { 4 };
        let (first, second) = if reply { (address, 0) } else { (0, address) };
        // A number that nobody has used yet.
        self.load(4, 1, 7, NONCE as i16);
        self.store(4, 10, 1, i16::from(first) - BUF as i16);
        self.buffer(4, second, 0x0a01_00c0);
        let ports = if reply { [0x3500, 0x5000] } else { [0x5000, 0x3500] };
        self.buffer(2, 2 * address, ports[0]);
        self.buffer(2, 2 * address + 2, ports[1]);
        self.buffer(4, OPTIONS, netns);
        self.buffer(1, OPTIONS + 8, protocol.into());
        self.buffer(2, OPTIONS + 10, zone.into());
        self.buffer(1, OPTIONS + 12, directions.into());
        self.buffer(1, OPTIONS + 13, c.options.3.into());
    }

    /// Keeps what the options hold, and whether there is a connection; jumps where there is none.
    fn found(&mut self) -> usize {
        self.mov(8, 0);
        self.keep_buffer(i32::from(OPTIONS) / 8..BUF / 8 - 1);
        let none = self.jump(jmp::JEQ, 8, 0);
        self.number(1, 1);
        self.keep(1);
        none
    }

    /// Keeps numbers of the connection: its time before it is there, as long as that is how long it lives.
    fn members(&mut self, is_new: bool) {
        let structs = self.structs;
        let numbers = if is_new { 3 } else { 2 };
        let tuples = if is_new { structs.tuples.as_slice() } else { &[] };
        for &(at, bytes) in structs.connection.iter().take(numbers).chain(tuples) {
            self.load(bytes, 1, 8, at);
            self.keep(1);
        }
    }

    fn connection(&mut self, c: &Connection) {
        self.load(4, 1, 7, NONCE as i16);
        self.add(1, 1);
        self.store(4, 7, 1, NONCE as i16);
        self.push(class::ALU64 | alu::XOR, 1, 0, 0, 0x5a5a_5a5a);
        self.store(4, 7, 1, NONCE as i16 + 4);
        let (alloc, lookup) = match c.of {
            "xdp" => ("bpf_xdp_ct_alloc", "bpf_xdp_ct_lookup"),
            _ => ("bpf_skb_ct_alloc", "bpf_skb_ct_lookup"),
        };
        let asked = [Arg::Ctx, Arg::Buf(0), Arg::Num(c.tuple.0), Arg::Buf(OPTIONS), Arg::Num(c.options.0)];
        for _ in 0..if c.repeated { 2 } else { 1 } {
            self.tuple(c, false, (c.options.1, c.options.2));
            self.invoke(alloc, &asked);
            let none = self.found();
            if let (Some(mark), Some((at, 4))) = (c.mark, self.structs.connection.first().copied()) {
                self.number(1, mark);
                self.store(4, 8, 1, at);
            }
            c.before.iter().for_each(|call| self.quietly(call));
            self.members(true);
            self.invoke("bpf_ct_insert_entry", &[Arg::Connection]);
            self.mov(8, 0);
            let refused = self.jump(jmp::JEQ, 8, 0);
            self.number(1, 2);
            self.keep(1);
            c.behind.iter().for_each(|call| self.quietly(call));
            self.members(false);
            self.invoke("bpf_ct_release", &[Arg::Connection]);
            self.here(refused);
            self.here(none);
        }
        for (reply, zone, directions, calls) in &c.lookups {
            self.tuple(c, *reply, (*zone, *directions));
            self.invoke(lookup, &asked);
            let none = self.found();
            self.members(false);
            calls.iter().for_each(|call| self.quietly(call));
            self.invoke("bpf_ct_release", &[Arg::Connection]);
            self.here(none);
        }
    }

    /// A call whose buffer is not kept; what it gives is, where that is a number.
    fn quietly(&mut self, call: &Call) {
        self.invoke(call.function, &call.args);
        if call.function != "bpf_ct_set_timeout" {
            self.keep(0);
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
    /// Where it would be attached; of struct_ops programs, which method it is.
    pub attach: AttachType,
    /// What it does.
    pub parts: Vec<Part>,
    /// What it returns.
    pub result: i32,
}

/// The method of it that may sleep.
const SLEEPABLE: AttachType = AttachType(2);

impl Recipe {
    /// The object.
    pub fn build(&self, structs: &Structs) -> Prepared {
        let mut code = Code { insns: Vec::new(), results: 0, kind: self.kind, structs };
        code.begin();
        for part in &self.parts {
            if code.has_room(1 + BUF as i16 / 8) {
                code.part(part);
            }
        }
        code.number(0, self.result);
        code.push(opcode::EXIT, 0, 0, 0, 0);
        let sleeps = self.kind == ProgType::Syscall || self.kind == ProgType::StructOps && self.attach == SLEEPABLE;
        let operations = self.kind == ProgType::StructOps;
        let program = Program {
            name: "calls".into(),
            prog_type: self.kind,
            attach_type: self.attach,
            attach_btf_id: operations.then(|| structs.find(OPERATIONS)).flatten().unwrap_or(0),
            flags: if sleeps { ProgramFlags(ProgramFlags::SLEEPABLE) } else { ProgramFlags::default() },
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
