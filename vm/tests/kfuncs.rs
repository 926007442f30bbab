//! Kernel functions that look at what the world does not have, and what helpers make of it.

use ebpfkit_isa::Insn;
use ebpfkit_vm::{Errno, Event, Loader, Run, World, interp};

const fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn::new(code, dst, src, off, imm)
}

/// Words that go to the stack, the first one `words.len() * 8` bytes below the frame pointer.
fn on_stack(words: &[u64]) -> Vec<Insn> {
    let mut code = Vec::new();
    for (i, word) in words.iter().enumerate() {
        let at = (i as i16 - words.len() as i16) * 8;
        code.push(insn(0x18, 1, 0, 0, *word as i32));
        code.push(insn(0, 0, 0, 0, (*word >> 32) as i32));
        code.push(insn(0x7b, 10, 1, at, 0));
    }
    code
}

/// `reg = r10 + offset`
fn frame(reg: u8, offset: i32) -> [Insn; 2] {
    [insn(0xbf, reg, 10, 0, 0), insn(0x07, reg, 0, 0, offset)]
}

fn number(reg: u8, value: i32) -> Insn {
    insn(0xb7, reg, 0, 0, value)
}

/// Runs code that calls a kernel function as number 1.
fn run(code: &[Insn], kfunc: &str) -> (u64, Vec<Event>) {
    let program = Loader::new(code).load_with(&|_, _| Some(kfunc.to_owned())).expect("loads");
    let mut run = Run::new(&program, World::default());
    let r0 = interp::run(&mut run).expect("no fault");
    (r0, run.take_events())
}

/// The error that a lookup of a connection leaves in its options.
fn lookup_error(tuple_size: i32, opts: [u64; 2], opts_size: i32) -> Errno {
    let mut code = on_stack(&[0, 0, 0, 0, 0, opts[0], opts[1]]);
    code.extend(frame(2, -56));
    code.push(number(3, tuple_size));
    code.extend(frame(4, -16));
    code.push(number(5, opts_size));
    code.extend([insn(0x85, 0, 2, 0, 1), insn(0x61, 0, 10, -12, 0), insn(0x95, 0, 0, 0, 0)]);
    let (error, _) = run(&code, "bpf_skb_ct_lookup");
    Errno(-(error as i32))
}

#[test]
fn connections_are_looked_up_in_vain() {
    // Network namespace -1, protocol TCP.
    let good = [0xffff_ffff, 6];
    assert_eq!(lookup_error(12, good, 16), Errno::ENOENT);
    assert_eq!(lookup_error(36, good, 12), Errno::ENOENT);
    assert_eq!(lookup_error(13, good, 16), Errno::EAFNOSUPPORT);
    assert_eq!(lookup_error(12, good, 14), Errno::EINVAL);
    assert_eq!(lookup_error(12, [0xffff_fffe, 6], 16), Errno::EINVAL);
    assert_eq!(lookup_error(12, [3, 6], 16), Errno::ENONET);
    assert_eq!(lookup_error(12, [0xffff_ffff, 1], 16), Errno::EPROTO);
    assert_eq!(lookup_error(12, [0xffff_ffff, 6 | 1 << 40], 16), Errno::EINVAL, "reserved bytes");
}

#[test]
fn streams_get_lines() {
    let print = |stream: i32| {
        let mut code = on_stack(&[42, u64::from_le_bytes(*b"n %d\n\0\0\0")]);
        code.push(number(1, stream));
        code.extend(frame(2, -8));
        code.extend(frame(3, -16));
        code.extend([number(4, 8), number(5, 0), insn(0x85, 0, 2, 0, 1), insn(0x95, 0, 0, 0, 0)]);
        run(&code, "bpf_stream_vprintk")
    };
    assert_eq!(print(2), (0, vec![Event::Stream { stream: 2, text: "n 42\n".into() }]));
    let (r0, events) = print(3);
    assert_eq!((r0 as i32, events), (-Errno::ENOENT.0, vec![]));
}

#[test]
fn the_path_of_a_file_is_the_worlds() {
    // r1 = 0; r2 = r10 - 8; r3 = size; call; exit
    let code = |call: Insn, size: i32| {
        let mut code = vec![insn(0x7a, 10, 0, -8, 0), number(1, 0)];
        code.extend(frame(2, -8));
        code.extend([number(3, size), call, insn(0x95, 0, 0, 0, 0)]);
        code
    };
    let helper = insn(0x85, 0, 0, 0, ebpfkit_abi::helpers::id::D_PATH as i32);
    let kfunc = insn(0x85, 0, 2, 0, 1);
    for (call, nothing) in [(helper, 0), (kfunc, Errno::EINVAL.ret())] {
        let result = |size| run(&code(call, size), "bpf_path_d_path").0;
        assert_eq!([result(8), result(2), result(1), result(0)], [2, 2, Errno::ENAMETOOLONG.ret(), nothing]);
    }
}
