//! Jumps through tables, with the answers of a 7.3 kernel.

use ebpfkit_abi::kernel::KernelVersion;
use ebpfkit_abi::{MapType, ProgType};
use ebpfkit_isa::Insn;
use ebpfkit_object::{Map, MapInit, Object, Program};
use ebpfkit_verifier::{KernelModel, Options, Verdict, observer::Silent, verify};
use std::sync::Arc;

type Slot = (u8, u8, u8, i16, i32);

/// `r0 = table`, the map's value.
const TABLE: [Slot; 2] = [(0x18, 0, 2, 0, 0), (0, 0, 0, 0, 0)];
const LOAD: Slot = (0x79, 0, 0, 0, 0);
const GOTOX: Slot = (0x0d, 0, 0, 0, 0);
const ENDS: [Slot; 4] = [(0xb7, 0, 0, 0, 0), (0x95, 0, 0, 0, 0), (0xb7, 0, 0, 0, 1), (0x95, 0, 0, 0, 0)];

/// Instructions processed, the message, or what is unsupported, of a program that begins with the table's address and
/// ends with what the two entries of the table lead to.
fn answer_by(version: KernelVersion, middle: &[Slot], targets: Vec<u32>) -> String {
    let slots = TABLE.iter().chain(middle).chain(&ENDS);
    let insns = slots.map(|i| Insn::new(i.0, i.1, i.2, i.3, i.4)).collect();
    let program = Program { name: "f".into(), prog_type: ProgType::SocketFilter, insns, ..Program::default() };
    let map = Map {
        name: ".jumptables".into(),
        map_type: MapType::InsnArray,
        key_size: 4,
        value_size: 16,
        max_entries: targets.len() as u32,
        init: MapInit::Jumps(targets),
        frozen: true,
        ..Map::default()
    };
    let object = Object { programs: vec![program], maps: vec![map], ..Object::default() };
    let model = KernelModel::new(version, Arc::new(|| None));
    let report = verify(&model, &object, 0, Options::default(), &mut Silent);
    match report.verdict {
        Verdict::Accepted(_) => format!("accepted after {}", report.insns_processed),
        Verdict::Rejected(r) => r.reason.to_string().lines().last().unwrap_or_default().to_owned(),
        Verdict::Unsupported { what, .. } => format!("unsupported: {what}"),
    }
}

fn answer(middle: &[Slot]) -> String {
    let first = 2 + middle.len() as u32;
    answer_by(KernelVersion::new(7, 3, 0), middle, vec![first, first + 2])
}

#[test]
fn tables_are_followed() {
    let add = |n| (0x07, 0, 0, 0, n);
    assert_eq!(answer(&[add(8), LOAD, GOTOX]), "accepted after 6");
    assert_eq!(answer(&[add(16), (0x17, 0, 0, 0, 8), LOAD, GOTOX]), "accepted after 7");
    // A spill and a fill between load and jump.
    assert_eq!(answer(&[LOAD, (0x7b, 10, 0, -8, 0), (0x79, 0, 10, -8, 0), GOTOX]), "accepted after 7");
    // An index that is not known: both entries.
    let bounded = [(0x61, 2, 1, 0, 0), (0x57, 2, 0, 0, 1), (0x67, 2, 0, 0, 3), (0x0f, 0, 2, 0, 0), LOAD, GOTOX];
    assert_eq!(answer(&bounded), "accepted after 11");
}

#[test]
fn what_is_wrong_is_said() {
    let add = |n| (0x07, 0, 0, 0, n);
    let reserved = "BPF_JA|BPF_X uses reserved fields";
    for jump in [(0x0d, 0, 1, 0, 0), (0x0d, 0, 0, 1, 0), (0x0d, 0, 0, 0, 1)] {
        assert_eq!(answer(&[LOAD, jump]), reserved);
    }
    assert_eq!(answer(&[LOAD, (0xb7, 1, 0, 0, 1), (0x0d, 1, 0, 0, 0)]), "R1 has type scalar, expected PTR_TO_INSN");
    assert_eq!(answer(&[(0x61, 0, 0, 0, 0), GOTOX]), "Invalid read of 4 bytes from insn_array");
    assert_eq!(answer(&[add(1), LOAD, GOTOX]), "misaligned value access off 1+0 size 8");
    assert_eq!(answer(&[add(16), LOAD, GOTOX]), "R0 min value is outside of the allowed memory range");
    assert_eq!(
        answer(&[(0xb7, 1, 0, 0, 0), (0x7b, 0, 1, 8, 0), LOAD, GOTOX]),
        "write into map forbidden, value_size=16 off=8 size=8"
    );
}

#[test]
fn tables_lead_to_instructions_of_the_function() {
    let version = KernelVersion::new(7, 3, 0);
    assert_eq!(answer_by(version, &[LOAD, GOTOX], vec![4, 99]), "Failed to properly initialize insn array");
    assert_eq!(answer_by(version, &[LOAD, GOTOX], vec![4, 1]), "Failed to properly initialize insn array");
    // Nothing leads to the last instructions.
    assert_eq!(answer_by(version, &[LOAD, GOTOX], vec![4, 4]), "unreachable insn 6");
}

#[test]
fn older_kernels_have_no_such_jumps() {
    let answer = |major, minor| answer_by(KernelVersion::new(major, minor, 0), &[LOAD, GOTOX], vec![4, 6]);
    assert_eq!(answer(6, 18), "unknown opcode 0d");
    assert!(answer(7, 0).starts_with("unsupported"), "{}", answer(7, 0));
}
