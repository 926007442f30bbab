//! What `BPF_PROG_TEST_RUN` makes of packets and contexts that it is given, in the kernel and here: the context that
//! programs see, what comes back, and what is refused. Skipped without bpf(2).

use ebpfkit_abi::ctx::{Context, context_of};
use ebpfkit_abi::{AttachType, MapType, ProgType};
use ebpfkit_isa::Insn;
use ebpfkit_jit::Jit;
use ebpfkit_kernel::{Kernel, KernelError, LoadParams, LogLevel, MapParams, TestRun};
use ebpfkit_object::record::Record;
use ebpfkit_object::{Map as Def, Object, Program};
use ebpfkit_testsuite::running;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
use ebpfkit_vm::{Engine, Interpreter, Loader, Run, World, input, maps};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

/// Bytes of the map value that programs write what they see to.
const RESULTS: u32 = 512;
/// Bytes of the packet that programs look at.
const SEEN: i16 = 16;

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn::new(code, dst, src, off, imm)
}

/// A program that writes every number of its context, and the first bytes of packet and metadata, to the map's value.
fn program(kind: ProgType, map: i32) -> Vec<Insn> {
    let mut code = vec![insn(0xbf, 6, 1, 0, 0), insn(0x18, 7, 2, 0, map), insn(0, 0, 0, 0, 0)];
    let mut at = 0;
    let Some(Context::Fields { layout, hidden, .. }) = context_of(kind) else { panic!("{kind} has no fields") };
    let mut pointers = [None; 3];
    for f in layout.fields {
        use ebpfkit_abi::ctx::FieldKind as K;
        match f.kind {
            K::PacketData => pointers[0] = Some(f.offset as i16),
            K::PacketEnd => pointers[1] = Some(f.offset as i16),
            K::PacketMeta => pointers[2] = Some(f.offset as i16),
            _ => {}
        }
        // Only devmap programs have it.
        if f.kind != K::Number || hidden.contains(&f.name) || f.name == "egress_ifindex" {
            continue;
        }
        for i in 0..f.count {
            let load = match f.size {
                8 => 0x79,
                4 => 0x61,
                2 => 0x69,
                _ => 0x71,
            };
            code.push(insn(load, 1, 6, (f.offset + i * f.size) as i16, 0));
            code.push(insn(0x7b, 7, 1, at, 0));
            at += 8;
        }
    }
    // Bytes behind a packet pointer, as far as they are there.
    let copy = |start: i16, end: i16, at: i16, code: &mut Vec<Insn>| {
        code.push(insn(0x61, 2, 6, start, 0));
        code.push(insn(0x61, 3, 6, end, 0));
        for i in 0..SEEN {
            code.push(insn(0xbf, 4, 2, 0, 0));
            code.push(insn(0x07, 4, 0, 0, i32::from(i) + 1));
            code.push(insn(0x2d, 4, 3, 2, 0));
            code.push(insn(0x71, 5, 2, i, 0));
            code.push(insn(0x73, 7, 5, at + i, 0));
        }
    };
    let visible =
        |at: Option<i16>| at.filter(|o| !hidden.iter().any(|h| layout.at(*o as u16).is_some_and(|f| f.name == *h)));
    if let (Some(data), Some(end)) = (visible(pointers[0]), visible(pointers[1])) {
        copy(data, end, at, &mut code);
        if let Some(meta) = visible(pointers[2]) {
            copy(meta, data, at + SEEN, &mut code);
        }
    }
    code.extend([insn(0xb7, 0, 0, 0, 1), insn(0x95, 0, 0, 0, 0)]);
    code
}

/// What the program saw, its result, the packet and the context afterwards; or an error number.
type Outcome = Result<(Vec<u8>, u32, Vec<u8>, Vec<u8>), i32>;

struct Theirs {
    kernel: Kernel,
    map: ebpfkit_kernel::KernelMap,
    program: ebpfkit_kernel::LoadedProgram,
}

impl Theirs {
    fn new(kernel: Kernel, kind: ProgType, attach: AttachType) -> Self {
        let params = MapParams {
            map_type: MapType::Array,
            key_size: 4,
            value_size: RESULTS,
            max_entries: 1,
            ..MapParams::default()
        };
        let map = kernel.create_map(&params).expect("a map");
        let insns = program(kind, map.as_fd().as_raw_fd());
        let load = LoadParams {
            prog_type: kind,
            attach_type: attach,
            insns: &insns,
            license: "GPL",
            log_level: LogLevel::FAILING_PATH,
            ..LoadParams::default()
        };
        let loaded = kernel.load_program(&load).expect("bpf(2)");
        let program = loaded.program.unwrap_or_else(|_| panic!("{kind}: {}", loaded.log));
        Self { kernel, map, program }
    }

    fn run(&self, packet: &[u8], ctx: &[u8]) -> Outcome {
        self.map.update(&[0; 4], &[0; RESULTS as usize], 0).expect("cleared");
        let input = TestRun { data: packet, ctx, wants_output: true, ..TestRun::default() };
        match self.kernel.test_run(&self.program, &input) {
            Ok(out) => {
                let seen = self.map.lookup(&[0; 4]).expect("a map").expect("a value");
                Ok((seen, out.retval, out.data, out.ctx))
            }
            Err(KernelError::Call { errno, .. }) => Err(errno),
            Err(e) => panic!("{e}"),
        }
    }
}

fn ours(kind: ProgType, attach: AttachType, packet: &[u8], ctx: &[u8], engine: &dyn Engine) -> Outcome {
    let map = Def {
        name: "results".into(),
        map_type: MapType::Array,
        key_size: 4,
        value_size: RESULTS,
        max_entries: 1,
        ..Def::default()
    };
    let program = Program {
        name: "p".into(),
        prog_type: kind,
        attach_type: attach,
        insns: program(kind, 0),
        autoload: true,
        ..Program::default()
    };
    let object = Object { license: "GPL".into(), programs: vec![program], maps: vec![map], ..Object::default() };
    let map = Arc::new(maps::create(&object.maps[0], &Record::default(), 1).expect("a map"));
    let report = verify(&KernelModel::standard(), &object, 0, Options::default(), &mut Silent);
    let Verdict::Accepted(verified) = report.verdict else { panic!("{kind}: not accepted") };
    let program = Loader::verified(&verified).map(map.clone()).load().expect("loads");
    let mut run = Run::new(&program, World::default());
    if let Err(e) = input::set_input(&mut run, Some(packet), ctx) {
        return Err(e.errno().0);
    }
    let retval = engine.run(&mut run).expect("no fault") as u32;
    let mut seen = vec![0; RESULTS as usize];
    map.user_lookup(&[0; 4], &mut seen, 0).expect("a value");
    let (packet, ctx) = input::output(&run, ctx);
    Ok((seen, retval, packet, ctx))
}

fn frame(len: usize, ethertype: u16) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..len).map(|i| i as u8).collect();
    for (i, byte) in ethertype.to_be_bytes().into_iter().enumerate() {
        if let Some(to) = frame.get_mut(12 + i) {
            *to = byte;
        }
    }
    frame
}

fn word(size: usize, at: usize, value: u32) -> Vec<u8> {
    let mut ctx = vec![0; size];
    ctx[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    ctx
}

fn compare(test: &str, kind: ProgType, attach: AttachType, inputs: Vec<(String, Vec<u8>, Vec<u8>)>) {
    let Some(kernel) = running::or_skip(test) else { return };
    let theirs = Theirs::new(kernel, kind, attach);
    let mut different = Vec::new();
    for (name, packet, ctx) in inputs {
        let want = theirs.run(&packet, &ctx);
        for (engine, how) in [(&Interpreter as &dyn Engine, "interpreter"), (&Jit, "native")] {
            let got = ours(kind, attach, &packet, &ctx, engine);
            if got != want {
                different.push(format!("{kind} {name}, {how}:\n  ours   {}\n  kernel {}", show(&got), show(&want)));
            }
        }
    }
    // The first ones tell enough.
    let most = different.len().min(20);
    assert!(different.is_empty(), "{} different\n{}", different.len(), different[..most].join("\n"));
}

fn show(outcome: &Outcome) -> String {
    match outcome {
        Err(errno) => format!("error {errno}"),
        Ok((seen, retval, packet, ctx)) => {
            let words: Vec<String> = seen
                .chunks(8)
                .enumerate()
                .filter(|(_, w)| **w != [0; 8])
                .map(|(i, w)| format!("{i}={:x}", u64::from_ne_bytes(w.try_into().expect("eight bytes"))))
                .collect();
            let ctx_words: Vec<String> = ctx
                .chunks(4)
                .enumerate()
                .filter(|(_, w)| w.iter().any(|b| *b != 0))
                .map(|(i, w)| format!("{}={w:x?}", i * 4))
                .collect();
            let start = &packet[..packet.len().min(20)];
            let ctx_words = format!("{} {}", ctx.len(), ctx_words.join(" "));
            format!("r0={retval} seen [{}] packet {} {start:x?} ctx [{ctx_words}]", words.join(" "), packet.len())
        }
    }
}

fn skb_inputs() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    const SIZE: usize = 192;
    let packet = frame(64, 0x0800);
    let mut inputs = Vec::new();
    for len in [0, 1, 13, 14, 20, 33, 34, 60, 1514, 3000, 3500, 3776, 5000] {
        for kind in [0x0800, 0x86dd, 0x0806, 0x100] {
            inputs.push((format!("{len} bytes {kind:#x}"), frame(len, kind), vec![]));
            inputs.push((format!("{len} bytes {kind:#x} and zeros"), frame(len, kind), vec![0; SIZE]));
        }
    }
    for size in [1, 8, 180, 184, 200, 4096, 5000] {
        inputs.push((format!("context of {size} zeros"), packet.clone(), vec![0; size]));
        inputs.push((format!("context of {size} ending in one"), packet.clone(), {
            let mut ctx = vec![0; size];
            ctx[size - 1] = 1;
            ctx
        }));
    }
    for at in (0..SIZE).step_by(4) {
        for value in [1, 63, 64, 65, 255, 65535, 65536, 65537, u32::MAX] {
            inputs.push((format!("{value} at {at}"), packet.clone(), word(SIZE, at, value)));
        }
    }
    inputs
}

fn xdp_inputs() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    const SIZE: usize = 24;
    let mut inputs = Vec::new();
    for len in [0, 1, 13, 14, 20, 64, 1514, 3000, 3520, 3521, 4096, 9000, 73152, 73153] {
        inputs.push((format!("{len} bytes"), frame(len, 0x800), vec![]));
        inputs.push((format!("{len} bytes and zeros"), frame(len, 0x800), vec![0; SIZE]));
        for data in [0u32, 4, 7, 8, 36, 212, 216, 220, 252, 256, 300] {
            for end in [len as u32, len as u32 + 1, (len as u32).saturating_sub(1), data, data + 14, 0] {
                let mut ctx = word(SIZE, 0, data);
                ctx[4..8].copy_from_slice(&end.to_ne_bytes());
                inputs.push((format!("{len} bytes, data {data}, end {end}"), frame(len, 0x800), ctx));
            }
        }
    }
    for at in (8..SIZE).step_by(4) {
        for value in [1, 64, u32::MAX] {
            let mut ctx = word(SIZE, at, value);
            ctx[4..8].copy_from_slice(&64u32.to_ne_bytes());
            inputs.push((format!("{value} at {at}"), frame(64, 0x800), ctx));
        }
    }
    for (ifindex, queue) in [(1u32, 0u32), (1, 1), (99, 0)] {
        let mut ctx = word(SIZE, 12, ifindex);
        ctx[16..20].copy_from_slice(&queue.to_ne_bytes());
        ctx[4..8].copy_from_slice(&64u32.to_ne_bytes());
        inputs.push((format!("device {ifindex} queue {queue}"), frame(64, 0x800), ctx));
    }
    inputs
}

#[test]
fn classifiers() {
    compare("classifiers", ProgType::SchedCls, AttachType(0), skb_inputs());
}

#[test]
fn socket_filters() {
    compare("socket_filters", ProgType::SocketFilter, AttachType(0), skb_inputs());
}

#[test]
fn cgroup_skb() {
    compare("cgroup_skb", ProgType::CgroupSkb, AttachType::CgroupInetEgress, skb_inputs());
}

#[test]
fn light_weight_tunnels() {
    compare("light_weight_tunnels", ProgType::LwtXmit, AttachType(0), skb_inputs());
}

#[test]
fn xdp() {
    compare("xdp", ProgType::Xdp, AttachType(0), xdp_inputs());
}
