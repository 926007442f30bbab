//! The interpreter on hand-written slots: memory checks, calls, contexts.

use ebpfkit_abi::ProgType;
use ebpfkit_isa::Insn;
use ebpfkit_object::Btf;
use ebpfkit_vm::{Fault, FaultKind, Loader, Run, World, interp};
use std::sync::Arc;

const EXIT: Insn = Insn::new(0x95, 0, 0, 0, 0);

fn run(insns: &[Insn]) -> Result<u64, Fault> {
    let program = Loader::new(insns).load().expect("loads");
    interp::run(&mut Run::new(&program, World::default()))
}

#[test]
fn arithmetic() {
    assert_eq!(run(&[Insn::new(0xb7, 0, 0, 0, -1), Insn::new(0x77, 0, 0, 0, 60), EXIT]), Ok(15));
    assert_eq!(run(&[Insn::new(0xb4, 0, 0, 0, -1), EXIT]), Ok(0xffff_ffff));
}

#[test]
fn stack_bounds() {
    let good = [Insn::new(0x7a, 10, 0, -8, 7), Insn::new(0x79, 0, 10, -8, 0), EXIT];
    assert_eq!(run(&good), Ok(7));
    let below = [Insn::new(0x7a, 10, 0, -520, 7), Insn::new(0xb7, 0, 0, 0, 0), EXIT];
    let fault = run(&below).expect_err("outside the frame");
    assert_eq!(fault.insn, Some(0));
    assert!(fault.to_string().contains("offset -8 of the stack, which has 512 bytes"), "{fault}");
    let null = [Insn::new(0xb7, 1, 0, 0, 0), Insn::new(0x79, 0, 1, 0, 0), EXIT];
    assert!(matches!(run(&null).expect_err("null").kind, FaultKind::BadAccess { address: 0, .. }));
}

#[test]
fn endless_loops_end() {
    let program = Loader::new(&[Insn::new(0x05, 0, 0, -1, 0)]).load().expect("loads");
    let mut run = Run::new(&program, World::default());
    run.set_budget(1000);
    assert_eq!(interp::run(&mut run).expect_err("endless").kind, FaultKind::Budget(1000));
}

#[test]
fn recursion_ends() {
    let insns = [Insn::new(0x85, 0, 1, 0, -1), EXIT];
    assert_eq!(run(&insns).expect_err("recursion").kind, FaultKind::CallDepth(8));
}

#[test]
fn running_past_the_end_is_a_fault() {
    assert!(run(&[Insn::new(0xb7, 0, 0, 0, 0)]).is_err());
}

#[test]
fn calls_keep_saved_registers() {
    // r6 = 5; call f; r0 += r6; exit; f: r6 = 100; r0 = 1; exit
    let insns = [
        Insn::new(0xb7, 6, 0, 0, 5),
        Insn::new(0x85, 0, 1, 0, 2),
        Insn::new(0x0f, 0, 6, 0, 0),
        EXIT,
        Insn::new(0xb7, 6, 0, 0, 100),
        Insn::new(0xb7, 0, 0, 0, 1),
        EXIT,
    ];
    assert_eq!(run(&insns), Ok(6));
}

#[test]
fn xdp_context_gives_pointers_from_u32_fields() {
    // r2 = ctx->data; r3 = ctx->data_end; r0 = r3 - r2; r1 = first byte; r0 += r1
    let insns = [
        Insn::new(0x61, 2, 1, 0, 0),
        Insn::new(0x61, 3, 1, 4, 0),
        Insn::new(0xbf, 0, 3, 0, 0),
        Insn::new(0x1f, 0, 2, 0, 0),
        Insn::new(0x71, 1, 2, 0, 0),
        Insn::new(0x0f, 0, 1, 0, 0),
        EXIT,
    ];
    let program = Loader::new(&insns).prog_type(ProgType::Xdp).load().expect("loads");
    let mut run = Run::new(&program, World::default());
    run.set_packet(&[100, 2, 3]);
    assert_eq!(interp::run(&mut run), Ok(103));
}

#[test]
fn context_rules_are_kept() {
    // *(u32 *)(r1 + 12) = 0 is no write that xdp programs have; a byte of `data` is no load.
    for bad in [Insn::new(0x62, 1, 0, 12, 0), Insn::new(0x71, 0, 1, 0, 0)] {
        let program = Loader::new(&[bad, EXIT]).prog_type(ProgType::Xdp).load().expect("loads");
        let fault = interp::run(&mut Run::new(&program, World::default())).expect_err("refused");
        assert!(matches!(fault.kind, FaultKind::BadContextAccess { layout: "xdp_md", .. }), "{fault}");
    }
    // tc: cb[1] written as two bytes, read back as part of eight.
    let insns = [Insn::new(0x6a, 1, 0, 54, 0x1234), Insn::new(0x79, 0, 1, 48, 0), Insn::new(0x77, 0, 0, 0, 48), EXIT];
    let program = Loader::new(&insns).prog_type(ProgType::SchedCls).load().expect("loads");
    let mut run = Run::new(&program, World::default());
    assert_eq!(interp::run(&mut run), Ok(0x1234));
    assert_eq!(run.ctx().to_struct()[54..56], [0x34, 0x12]);
}

#[test]
fn packet_loads_may_count_from_headers_that_were_taken_away() {
    // A socket filter's test-run sees what follows the link header.
    let load = |offset: i32| {
        let insns = [Insn::new(0xbf, 6, 1, 0, 0), Insn::new(0x30, 0, 0, 0, offset), EXIT];
        let program = Loader::new(&insns).prog_type(ProgType::SocketFilter).load().expect("loads");
        let mut run = Run::new(&program, World::default());
        let packet: Vec<u8> = (100..140).collect();
        ebpfkit_vm::input::set_input(&mut run, Some(&packet), &[]).expect("a packet");
        interp::run(&mut run).expect("runs")
    };
    assert_eq!(load(3), 117);
    assert_eq!(load(-0x10_0000 + 3), 117);
    assert_eq!(load(-0x20_0000 + 3), 103);
    assert_eq!(load(-0x20_0000 + 39), 139);
    assert_eq!(load(-0x20_0000 + 40), 0);
}

#[test]
fn packet_loads_give_host_order_or_end_the_program() {
    let insns = [Insn::new(0x28, 0, 0, 0, 1), EXIT];
    let program = Loader::new(&insns).prog_type(ProgType::SocketFilter).load().expect("loads");
    let mut run = Run::new(&program, World::default());
    run.set_packet(&[1, 2, 3]);
    assert_eq!(interp::run(&mut run), Ok(0x0203));
    run.set_packet(&[1, 2]);
    assert_eq!(interp::run(&mut run), Ok(0));
}

#[test]
fn the_frame_pointer_is_read_only() {
    for insn in [Insn::new(0xb7, 10, 0, 0, 0), Insn::new(0x79, 10, 10, -8, 0), Insn::new(0xdb, 1, 10, 0, 1)] {
        let mut run = Run::new(&Loader::new(&[insn, EXIT]).load().expect("loads"), World::default());
        let fault = interp::run(&mut run).expect_err("it is reached");
        assert_eq!(fault.to_string(), "insn 0: frame pointer is read only");
        // jump over it
        let over = [Insn::new(0x05, 0, 0, 1, 0), insn, EXIT];
        let mut run = Run::new(&Loader::new(&over).load().expect("loads"), World::default());
        assert_eq!(interp::run(&mut run), Ok(0));
    }
}

#[test]
fn frames_start_with_zeros_in_every_run() {
    // f1(); r0 = f2(); exit; f1: *(u64 *)(r10 - 8) = 7; r0 = 0; exit; f2: r0 = *(u64 *)(r10 - 8); exit
    let direct = [
        Insn::new(0x85, 0, 1, 0, 2),
        Insn::new(0x85, 0, 1, 0, 4),
        EXIT,
        Insn::new(0x7a, 10, 0, -8, 7),
        Insn::new(0xb7, 0, 0, 0, 0),
        EXIT,
        Insn::new(0x79, 0, 10, -8, 0),
        EXIT,
    ];
    // The same through copies of r10, and further down.
    let copied = [
        Insn::new(0x85, 0, 1, 0, 2),
        Insn::new(0x85, 0, 1, 0, 5),
        EXIT,
        Insn::new(0xbf, 1, 10, 0, 0),
        Insn::new(0x7a, 1, 0, -512, 7),
        Insn::new(0xb7, 0, 0, 0, 0),
        EXIT,
        Insn::new(0xbf, 1, 10, 0, 0),
        Insn::new(0x79, 0, 1, -512, 0),
        EXIT,
    ];
    for insns in [&direct[..], &copied] {
        let program = Loader::new(insns).load().expect("loads");
        let mut run = Run::new(&program, World::default());
        for _ in 0..3 {
            assert_eq!(interp::run(&mut run), Ok(0));
        }
    }
}

#[test]
fn runs_after_faults_begin_anew() {
    // A function gets the packet's first byte and loads from that address, unless it is zero.
    let insns = [
        Insn::new(0x61, 2, 1, 0, 0),
        Insn::new(0x71, 1, 2, 0, 0),
        Insn::new(0x85, 0, 1, 0, 1),
        EXIT,
        Insn::new(0xb7, 0, 0, 0, 5),
        Insn::new(0x15, 1, 0, 1, 0),
        Insn::new(0x79, 0, 1, 0, 0),
        EXIT,
    ];
    let program = Loader::new(&insns).prog_type(ProgType::Xdp).load().expect("loads");
    let mut run = Run::new(&program, World::default());
    for (first, good) in [(0, true), (0, true), (1, false), (0, true), (1, false), (1, false), (0, true)] {
        run.set_packet(&[first, 0]);
        for _ in 0..2 {
            let result = interp::run(&mut run);
            assert_eq!(result.as_ref().ok(), good.then_some(&5));
            assert_eq!(result.err().and_then(|f| f.insn), (!good).then_some(6));
        }
        assert_eq!(run.budget() - run.left(), 4, "the function has four instructions");
    }
}

#[test]
fn calls_of_what_is_not_there_stop_only_who_reaches_them() {
    let missing = Insn::new(0x85, 0, 0, 0, 195_896_080);
    let behind = |first| run(&[first, Insn::new(0x05, 0, 0, 1, 0), missing, EXIT]);
    assert_eq!(behind(Insn::new(0xb7, 0, 0, 0, 5)), Ok(5));
    let fault = run(&[Insn::new(0xb7, 0, 0, 0, 5), missing, EXIT]).expect_err("nothing to call");
    assert_eq!(fault.to_string(), "insn 1: not supported yet: helper 195896080, which does not exist");
    let program = ebpfkit_object::Program {
        insns: vec![missing, EXIT],
        poison: vec![(0, "failed to resolve CO-RE relocation".into())],
        ..Default::default()
    };
    let program = Loader::program(&program).load().expect("loads");
    let fault = interp::run(&mut Run::new(&program, World::default())).expect_err("poisoned");
    assert_eq!(fault.kind, FaultKind::Unavailable("failed to resolve CO-RE relocation".into()));
}

/// Types of a kernel: `int`, and a variable of that type.
fn types_of_a_kernel() -> Btf {
    const INT: u32 = 1 << 24;
    const VAR: u32 = 14 << 24;
    let strings = b"\0int\0number\0";
    let types: [u32; 8] = [1, INT, 4, 32, 5, VAR, 1, 1];
    let len = 4 * types.len() as u32;
    let words = [24, 0, len, len, strings.len() as u32].into_iter().chain(types);
    let mut bytes = [0xeb9fu16.to_ne_bytes(), [1, 0]].concat();
    bytes.extend(words.flat_map(u32::to_ne_bytes));
    bytes.extend(strings);
    Btf::parse(bytes).expect("they are well formed")
}

#[test]
fn variables_of_the_kernel_read_as_zero_and_cannot_be_written() {
    let address = [Insn::new(0x18, 1, 3, 0, 2), Insn::new(0, 0, 0, 0, 0)];
    let load = [address[0], address[1], Insn::new(0x61, 0, 1, 0, 0), EXIT];
    let store = [address[0], address[1], Insn::new(0x62, 1, 0, 0, 1), EXIT];
    let run = |insns: &[Insn]| {
        let loader = Loader::new(insns).kernel_types(|| Some(Arc::new(types_of_a_kernel())));
        interp::run(&mut Run::new(&loader.load().expect("loads"), World::default()))
    };
    assert_eq!(run(&load), Ok(0));
    let fault = run(&store).expect_err("it is read-only").to_string();
    assert!(fault.contains("a variable of the kernel"), "{fault}");
    let error = Loader::new(&load).load().expect_err("there are no types").to_string();
    assert_eq!(error, "insn 0: not supported yet: the kernel variable of BTF id 2");
}
