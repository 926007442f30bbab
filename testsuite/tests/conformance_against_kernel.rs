//! The conformance cases on the running kernel: both halves of `r0` must be what the files say.
//!
//! Cases that the kernel's verifier refuses are passed over. Without bpf(2) nothing is tested, and that is said.

use ebpfkit_abi::ProgType;
use ebpfkit_isa::Insn;
use ebpfkit_kernel::{LoadParams, TestRun};
use ebpfkit_testsuite::conformance::{Case, Expected, cases};
use ebpfkit_testsuite::running;

/// The case as a function that an XDP program calls with the packet in `r1` and its length in `r2`; the program
/// returns the lower or the upper half of the result.
fn wrapped(case: &Case, upper: bool) -> Vec<Insn> {
    let len = case.mem.len() as i32;
    let mut p = vec![
        Insn::new(0x61, 2, 1, 4, 0),
        Insn::new(0x61, 1, 1, 0, 0),
        Insn::new(0xbf, 3, 1, 0, 0),
        Insn::new(0x07, 3, 0, 0, len),
        Insn::new(0xbd, 3, 2, 2, 0),
        Insn::new(0xb7, 0, 0, 0, 0),
        Insn::new(0x95, 0, 0, 0, 0),
        Insn::new(0xb7, 2, 0, 0, len),
        Insn::new(0x85, 0, 1, 0, 2),
        Insn::new(0x77, 0, 0, 0, if upper { 32 } else { 0 }),
        Insn::new(0x95, 0, 0, 0, 0),
    ];
    p.extend_from_slice(&case.insns);
    p
}

#[test]
fn the_kernel_agrees() {
    let Some(kernel) = running::or_skip("the_kernel_agrees") else { return };
    let (mut ran, mut refused, mut wrong) = (0, 0, Vec::new());
    for case in cases().expect("cases") {
        let Expected::Result(want) = case.expected else { continue };
        for upper in [false, true] {
            let insns = wrapped(&case, upper);
            let params = LoadParams {
                prog_type: ProgType::Xdp,
                insns: &insns,
                license: "GPL",
                name: "case",
                ..Default::default()
            };
            let Ok(program) = kernel.load_program(&params).expect("a load").program else {
                refused += 1;
                continue;
            };
            let mut data = case.mem.clone();
            data.resize(64, 0);
            let result = kernel.test_run(&program, &TestRun { data: &data, ..Default::default() }).expect("a run");
            ran += 1;
            let half = if upper { (want >> 32) as u32 } else { want as u32 };
            if result.retval != half {
                wrong.push(format!("{}: the kernel gives {:#x}, expected {half:#x}", case.name, result.retval));
            }
        }
    }
    println!("{ran} runs, {refused} programs refused by the verifier");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran > 500, "only {ran} runs");
}
