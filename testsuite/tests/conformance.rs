//! The instruction set, engine by engine.

use ebpfkit_isa::table::{Kind, ROWS};
use ebpfkit_isa::{CallKind, Op, decode, row};
use ebpfkit_testsuite::conformance::{cases, run_all};
use ebpfkit_vm::Interpreter;
use std::collections::HashSet;

#[test]
fn interpreter() {
    let count = run_all(&|_| Ok(Box::new(Interpreter))).unwrap_or_else(|e| panic!("{e}"));
    assert!(count > 300, "{count} cases");
}

/// Every instruction that needs no map, kernel type or socket buffer stands in some case.
#[test]
fn cases_cover_the_instruction_set() {
    let mut seen = HashSet::new();
    for case in cases().expect("cases") {
        let mut at = 0;
        while at < case.insns.len() {
            let (op, slots) = decode(&case.insns, at).expect("assembled");
            if !matches!(op, Op::Call(CallKind::Helper(_))) {
                seen.insert(std::ptr::from_ref(row(case.insns[at], at).expect("a row")));
            }
            at += slots;
        }
    }
    let elsewhere = |k: Kind| match k {
        Kind::LoadImm64(kind) => kind != 0,
        Kind::LoadAbs(_) | Kind::LoadInd(_) | Kind::AddrSpaceCast | Kind::CallHelper | Kind::CallKfunc => true,
        _ => false,
    };
    let missing: Vec<_> =
        ROWS.iter().filter(|r| !elsewhere(r.kind) && !seen.contains(&std::ptr::from_ref(*r))).map(|r| r.kind).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}
