//! Whole programs of nothing but arithmetic and jumps, with the answers of a 6.18 kernel.

use ebpfkit_abi::ProgType;
use ebpfkit_isa::Insn;
use ebpfkit_object::{Object, Program};
use ebpfkit_verifier::{KernelModel, Options, Verdict, observer::Silent, verify};

const EXIT: (u8, u8, u8, i16, i32) = (0x95, 0, 0, 0, 0);
const R0: (u8, u8, u8, i16, i32) = (0xb7, 0, 0, 0, 0);

/// `accepted`, the message, or what is unsupported.
fn answer(insns: &[(u8, u8, u8, i16, i32)]) -> String {
    let insns = insns.iter().map(|i| Insn::new(i.0, i.1, i.2, i.3, i.4)).collect();
    let program = Program { name: "f".into(), prog_type: ProgType::SocketFilter, insns, ..Program::default() };
    let object = Object { programs: vec![program], ..Object::default() };
    let report = verify(&KernelModel::standard(), &object, 0, Options::default(), &mut Silent);
    match report.verdict {
        Verdict::Accepted(_) => "accepted".into(),
        Verdict::Rejected(r) => r.reason.to_string(),
        Verdict::Unsupported { what, .. } => format!("unsupported: {what}"),
    }
}

#[test]
fn arithmetic_is_judged_as_by_the_kernel() {
    assert_eq!(answer(&[R0, EXIT]), "accepted");
    assert_eq!(answer(&[(0xbc, 2, 1, 0, 0), R0, EXIT]), "accepted");
    assert_eq!(answer(&[(0x87, 1, 0, 0, 0), R0, EXIT]), "accepted");
    assert_eq!(answer(&[R0, (0x1f, 0, 1, 0, 0), EXIT]), "R0 tried to subtract pointer from scalar");
    assert_eq!(
        answer(&[(0xbf, 2, 10, 0, 0), (0x17, 2, 0, 0, 8), R0, EXIT]),
        "R2 subtraction from stack pointer prohibited"
    );
    assert_eq!(answer(&[(0x27, 1, 0, 0, 8), R0, EXIT]), "R1 pointer arithmetic with *= operator prohibited");
    assert_eq!(answer(&[(0x04, 1, 0, 0, 8), R0, EXIT]), "R1 32-bit pointer arithmetic prohibited");
    assert_eq!(answer(&[(0x67, 1, 0, 0, 64), R0, EXIT]), "invalid shift 64");
    assert_eq!(answer(&[(0x37, 0, 0, 0, 0), R0, EXIT]), "R0 !read_ok");
}

#[test]
fn jumps_on_known_numbers_leave_dead_code_alone() {
    // The branch that would read r2 is never taken.
    assert_eq!(answer(&[R0, (0x15, 0, 0, 1, 0), (0xbf, 0, 2, 0, 0), EXIT]), "accepted");
    assert_eq!(answer(&[R0, (0x55, 0, 0, 1, 0), (0xbf, 0, 2, 0, 0), EXIT]), "R2 !read_ok");
}
