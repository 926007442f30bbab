//! The instruction set, engine by engine.

use ebpfkit_isa::table::{Operation, ROWS};
use ebpfkit_isa::{CallKind, Op, decode, row};
use ebpfkit_jit::{Jit, Options, Tier, compile_with};
use ebpfkit_testsuite::conformance::{cases, run_all};
use ebpfkit_vm::{Engine, Interpreter, Program};
use std::collections::HashSet;
use std::sync::Arc;

#[test]
fn interpreter() {
    let count = run_all(&|_| Ok(Box::new(Interpreter))).unwrap_or_else(|e| panic!("{e}"));
    assert!(count > 300, "{count} cases");
}

/// The sandboxed JIT, with its intermediate form checked.
fn jit(tier: Tier) -> impl Fn(&Arc<Program>) -> Result<Box<dyn Engine>, String> {
    move |program| {
        let options = Options { tier: Some(tier), verify_ir: true };
        compile_with(program, true, options).map_err(|e| e.to_string())?;
        Ok(Box::new(Jit))
    }
}

#[test]
fn native_code() {
    run_all(&jit(Tier::Optimizing)).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn baseline_native_code() {
    run_all(&jit(Tier::Baseline)).unwrap_or_else(|e| panic!("{e}"));
}

/// Every instruction that needs no map, kernel type, socket buffer or table of jumps stands in some case.
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
    let elsewhere = |k: Operation| match k {
        Operation::LoadImm64(kind) => kind != 0,
        Operation::LoadAbs(_)
        | Operation::LoadInd(_)
        | Operation::AddrSpaceCast
        | Operation::GotoX
        | Operation::CallHelper
        | Operation::CallKfunc => true,
        _ => false,
    };
    let missing: Vec<_> =
        ROWS.iter().filter(|r| !elsewhere(r.kind) && !seen.contains(&std::ptr::from_ref(*r))).map(|r| r.kind).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}
