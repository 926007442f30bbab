//! Programs that users without capabilities may not load, beside what others may.

use ebpfkit_abi::ProgType;
use ebpfkit_isa::Insn;
use ebpfkit_object::{Object, Program};
use ebpfkit_verifier::{KernelModel, Options, Verdict, observer::Silent, verify};

type Fields = (u8, u8, u8, i16, i32);

const EXIT: Fields = (0x95, 0, 0, 0, 0);
const R0: Fields = (0xb7, 0, 0, 0, 0);

/// `accepted`, the message, or what is unsupported.
fn answer(prog_type: ProgType, insns: &[Fields], privileged: bool) -> String {
    let insns = insns.iter().map(|i| Insn::new(i.0, i.1, i.2, i.3, i.4)).collect();
    let program = Program { name: "f".into(), prog_type, insns, ..Program::default() };
    let object = Object { programs: vec![program], ..Object::default() };
    let options = Options { privileged, ..Options::default() };
    match verify(&KernelModel::standard(), &object, 0, options, &mut Silent).verdict {
        Verdict::Accepted(_) => "accepted".into(),
        Verdict::Rejected(r) => r.reason.to_string(),
        Verdict::Unsupported { what, .. } => format!("unsupported: {what}"),
    }
}

/// Accepted with privileges, and what is said without.
fn without(insns: &[Fields]) -> String {
    assert_eq!(answer(ProgType::SocketFilter, insns, true), "accepted");
    answer(ProgType::SocketFilter, insns, false)
}

#[test]
fn addresses_stay_in_the_kernel() {
    assert_eq!(without(&[(0xbf, 0, 1, 0, 0), EXIT]), "R0 leaks addr as return value");
    assert_eq!(without(&[R0, (0x2d, 1, 10, 0, 0), EXIT]), "R10 pointer comparison prohibited");
    let spill = (0x7b, 10, 1, -8, 0);
    assert_eq!(without(&[spill, (0x62, 10, 0, -8, 0), R0, EXIT]), "attempt to corrupt spilled pointer on stack");
    assert_eq!(without(&[spill, (0x7b, 10, 1, -8, 0), R0, EXIT]), "accepted");
}

#[test]
fn the_stack_is_read_after_it_was_written() {
    assert_eq!(without(&[(0x79, 0, 10, -8, 0), R0, EXIT]), "invalid read from stack R10 off=-8 size=8");
    // Deeper stack does not make the rest readable.
    let deep = (0x7a, 10, 0, -16, 0);
    assert_eq!(without(&[deep, (0x79, 0, 10, -8, 0), R0, EXIT]), "invalid read from stack off -8+0 size 8");
    assert_eq!(without(&[deep, (0x79, 0, 10, -16, 0), R0, EXIT]), "accepted");
}

#[test]
fn barriers_end_speculative_paths() {
    // Speculation runs into r2, which holds nothing.
    assert_eq!(without(&[R0, (0x15, 0, 0, 1, 0), (0xbf, 0, 2, 0, 0), EXIT]), "accepted");
}

#[test]
fn programs_are_short_and_few_types_are_offered() {
    let long = |n: usize| [vec![R0; n - 1], vec![EXIT]].concat();
    assert_eq!(without(&long(4096)), "accepted");
    assert_eq!(without(&long(4097)), "4097 instructions, and without CAP_BPF at most 4096 are allowed");
    assert_eq!(answer(ProgType::Xdp, &[R0, EXIT], false), "programs of type xdp need CAP_BPF");
    assert_eq!(answer(ProgType::CgroupSkb, &[R0, EXIT], false), "accepted");
    // The second function is a call away.
    let call = [(0x85, 0, 1, 0, 1), EXIT, R0, EXIT];
    let said = "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN";
    assert_eq!(without(&call), said);
    let loops = [(0xb7, 2, 0, 0, 0), R0, (0x07, 2, 0, 0, 1), (0xa5, 2, 0, -2, 4), EXIT];
    assert_eq!(without(&loops), "back-edge from insn 3 to 2");
}
