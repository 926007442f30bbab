//! `testsuite/endless/NAME.s`: programs that never end, or not for hours. Every engine that takes them stops them when
//! their budget is used up, whatever their loops look like, and with checks all engines stop at the same instruction with
//! the same rest.

use ebpfkit_isa::decode;
use ebpfkit_jit::{Jit, Options, compile_with};
use ebpfkit_object::Prepared;
use ebpfkit_testsuite::engines::Which;
use ebpfkit_testsuite::{root, running, shrink};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Verdict, Verified, verify};
use ebpfkit_vm::watch::Watcher;
use ebpfkit_vm::{Engine, FaultKind, Instance, Interpreter, Run, World, input};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const BUDGET: u64 = 100_000;

struct Case {
    name: String,
    prepared: Prepared,
    /// What the verifier says of those that it takes.
    proof: Option<Verified>,
}

fn cases(model: &KernelModel) -> Vec<Case> {
    let folder = std::fs::read_dir(root().join("testsuite/endless")).expect("the folder is there");
    let mut cases = Vec::new();
    for file in folder.map_while(Result::ok) {
        let name = file.file_name().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(file.path()).expect("the file can be read");
        if text.contains(".kfunc") && model.btf().is_none() {
            println!("1 skipped: {name}: no types of a running kernel");
            continue;
        }
        let prepared = shrink::assemble(&name, &text).unwrap_or_else(|| panic!("{name} does not assemble"));
        let verdict = verify(model, &prepared.object, 0, ebpfkit_verifier::Options::to_run(), &mut Silent).verdict;
        let proof = match verdict {
            Verdict::Accepted(proof) => Some(proof),
            _ => None,
        };
        assert_eq!(proof.is_some(), text.contains("The verifier takes it."), "{name}");
        cases.push(Case { name, prepared, proof });
    }
    assert!(!cases.is_empty());
    cases
}

/// Sets a run up and lets an engine go.
fn run(
    case: &Case,
    which: Which,
    model: &KernelModel,
    set: impl FnOnce(&mut Run),
) -> (Result<u64, ebpfkit_vm::Fault>, u64) {
    let name_of = |id, index| model.kfunc_name(id, index);
    let mut instance = Instance::new(&case.prepared.object, model, 1);
    let proof = case.proof.as_ref().filter(|_| !which.is_checked());
    let program = instance.load(&case.prepared.object, 0, proof, &name_of).expect("the program can be loaded");
    let mut run = Run::new(&program, World::default());
    run.set_checked(which.is_checked());
    input::set_input(&mut run, Some(&[0; 64]), &[]).expect("the packet is one");
    set(&mut run);
    let result = match which.tier() {
        Some(tier) => {
            let options = Options { tier: Some(tier), verify_ir: true };
            compile_with(&program, which.is_checked(), options).expect("the program can be compiled");
            Jit.run(&mut run)
        }
        None => Interpreter.run(&mut run),
    };
    (result, run.left())
}

#[test]
fn budgets_end_them() {
    let model = running::model();
    for case in cases(&model) {
        for which in Which::ALL.into_iter().filter(|w| w.is_checked() || case.proof.is_some()) {
            let (result, _) = run(&case, which, &model, |r| r.set_budget(BUDGET));
            let fault = result.expect_err(&case.name);
            assert!(matches!(fault.kind, FaultKind::Budget(BUDGET)), "{}, {which:?}: {fault}", case.name);
        }
    }
}

#[test]
fn engines_stop_at_the_same_instruction() {
    let model = running::model();
    for case in cases(&model) {
        for budget in (0..24).chain([1000, 1001, 54_321]) {
            let [interpreter, native] = [Which::InterpreterChecked, Which::JitSandboxed]
                .map(|which| run(&case, which, &model, |r| r.set_budget(budget)));
            assert_eq!(interpreter, native, "{} with {budget}", case.name);
        }
    }
}

#[test]
fn they_stop_in_time_and_from_outside() {
    let model = running::model();
    for case in cases(&model) {
        for which in Which::ALL.into_iter().filter(|w| w.is_checked() || case.proof.is_some()) {
            let soon = Some(Instant::now() + Duration::from_millis(10));
            let (result, _) = run(&case, which, &model, |r| {
                r.set_budget(u64::MAX);
                r.set_deadline(soon);
            });
            // Recursion may end before.
            let kind = result.expect_err(&case.name).kind.clone();
            assert!(matches!(kind, FaultKind::TimedOut | FaultKind::CallDepth(_)), "{}, {which:?}: {kind}", case.name);
            let (result, _) = run(&case, which, &model, |r| {
                r.set_budget(u64::MAX);
                let handle = r.stop_handle();
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(5));
                    handle.stop();
                });
            });
            let kind = result.expect_err(&case.name).kind.clone();
            assert!(matches!(kind, FaultKind::Stopped | FaultKind::CallDepth(_)), "{}, {which:?}: {kind}", case.name);
        }
    }
}

/// A budget of so many instructions lets a program execute no more of them, but for one pass through its main function.
#[test]
fn what_is_executed_is_paid_for() {
    let model = running::model();
    for case in cases(&model) {
        let mut instance = Instance::new(&case.prepared.object, &model, 1);
        let Ok(program) = instance.load(&case.prepared.object, 0, None, &|_, _| None) else { continue };
        let mut run = Run::new(&program, World::default());
        input::set_input(&mut run, Some(&[0; 64]), &[]).expect("the packet is one");
        let count = Arc::new(AtomicU64::new(0));
        let counter = count.clone();
        run.set_watcher(Some(Watcher::new(move |_, _, _| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })));
        run.set_budget(1000);
        let _ = Interpreter.run(&mut run);
        let insns = program.insns();
        let mut length = 0;
        let mut at = 0;
        while let Ok((_, slots)) = decode(insns, at) {
            (at, length) = (at + slots, length + 1);
        }
        let executed = count.load(Ordering::Relaxed);
        assert!(executed <= 1000 + length, "{}: {executed} instructions", case.name);
    }
}
