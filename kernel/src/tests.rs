//! Against the running kernel; each test reports itself as skipped where there is none.

use super::*;
use ebpfkit_abi::{MapType, ProgType};
use ebpfkit_isa::Insn;
use std::io::Write;

fn kernel(test: &str) -> Option<Kernel> {
    match Kernel::open() {
        Ok(k) => Some(k),
        Err(e) => {
            // Not by a macro, whose text the test harness would keep to itself.
            let _ = writeln!(std::io::stderr(), "skipped 1: {test}: {e}");
            None
        }
    }
}

const RETURN_2: [Insn; 2] = [Insn::new(0xb7, 0, 0, 0, 2), Insn::new(0x95, 0, 0, 0, 0)];

#[test]
fn maps_hold_what_was_put_in() {
    let Some(kernel) = kernel("maps_hold_what_was_put_in") else { return };
    let params = MapParams {
        map_type: MapType::Hash,
        key_size: 4,
        value_size: 8,
        max_entries: 4,
        name: "numbers",
        ..MapParams::default()
    };
    let map = kernel.create_map(&params).expect("a plain hash map");
    assert_eq!(map.lookup(&[1; 4]), Ok(None));
    map.update(&[1; 4], &[7; 8], 0).expect("room for one");
    assert_eq!(map.lookup(&[1; 4]), Ok(Some(vec![7; 8])));
    assert_eq!(map.entries(), Ok(vec![(vec![1; 4], vec![7; 8])]));
    assert_eq!(map.delete(&[1; 4]), Ok(true));
    assert_eq!(map.delete(&[1; 4]), Ok(false));
    let wrong = KernelError::Size { what: "a key", found: 3, expected: 4 };
    assert_eq!(map.lookup(&[1; 3]), Err(wrong));
}

#[test]
fn a_program_loads_and_runs() {
    let Some(kernel) = kernel("a_program_loads_and_runs") else { return };
    let params =
        LoadParams { prog_type: ProgType::Xdp, insns: &RETURN_2, license: "GPL", name: "pass", ..Default::default() };
    let program = kernel.load_program(&params).expect("small").program.expect("it returns a number");
    let run = TestRun { data: &[0xaa; 64], repeat: 1, wants_output: true, ..TestRun::default() };
    let result = kernel.test_run(&program, &run).expect("a frame of 64 bytes");
    assert_eq!((result.retval, result.data), (2, vec![0xaa; 64]));
}

#[test]
fn a_rejection_is_a_result() {
    let Some(kernel) = kernel("a_rejection_is_a_result") else { return };
    let params = LoadParams {
        prog_type: ProgType::Xdp,
        insns: &RETURN_2[1..],
        license: "GPL",
        log_level: LogLevel::FAILING_PATH.and(LogLevel::STATS),
        ..Default::default()
    };
    let result = kernel.load_program(&params).expect("small");
    assert_eq!(result.program.as_ref().err(), Some(&libc::EACCES));
    let summary = result.summary();
    assert_eq!((summary.message.as_str(), summary.insns_processed), ("R0 !read_ok", Some(1)));
    assert!(summary.verification_us.is_some());
}

#[test]
fn broken_types_come_with_the_log() {
    let Some(kernel) = kernel("broken_types_come_with_the_log") else { return };
    match kernel.load_btf(&[1, 2, 3]) {
        Err(KernelError::Btf { log, .. }) => assert!(log.contains("hdr"), "{log}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_of_a_log_is_read() {
    let log = "0: R1=ctx() R10=fp0\n; a @ b.c:1\nR0 !read_ok\nverification time 56 usec\nstack depth 0\n\
        processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 3 peak_states 0 mark_read 0\n";
    let want = log::Summary {
        message: "R0 !read_ok".into(),
        insns_processed: Some(1),
        total_states: Some(3),
        verification_us: Some(56),
    };
    assert_eq!(log::summary(log), want);
    assert_eq!(log::summary(""), log::Summary::default());
}

#[test]
fn programs_that_run_once_and_packets_that_grow() {
    let Some(kernel) = kernel("programs_that_run_once_and_packets_that_grow") else { return };
    let load = |prog_type, insns, flags| {
        let params = LoadParams { prog_type, insns, flags, license: "GPL", ..Default::default() };
        kernel.load_program(&params).expect("small").program.expect("nothing is wrong with it")
    };
    // The kernel refuses a count of runs, and an output, for these.
    let sleepable = ebpfkit_object::ProgramFlags::SLEEPABLE;
    for (kind, flags) in [(ProgType::Syscall, sleepable), (ProgType::RawTracepoint, 0)] {
        let input = TestRun::of(kind, None, &[], 1);
        let result = kernel.test_run(&load(kind, &RETURN_2, flags), &input);
        assert_eq!(result.map(|r| r.retval), Ok(2), "{kind}");
    }
    // r2 = 9000; r3 = 0; call bpf_skb_change_tail; r0 = 0; exit
    let grow = [
        Insn::new(0xb7, 2, 0, 0, 9000),
        Insn::new(0xb7, 3, 0, 0, 0),
        Insn::new(0x85, 0, 0, 0, 38),
        Insn::new(0xb7, 0, 0, 0, 0),
        Insn::new(0x95, 0, 0, 0, 0),
    ];
    let input = TestRun::of(ProgType::SchedCls, Some(&[0; 60]), &[], 1);
    let result = kernel.test_run(&load(ProgType::SchedCls, &grow, 0), &input);
    assert_eq!(result.map(|r| r.data.len()), Ok(9000));
}
