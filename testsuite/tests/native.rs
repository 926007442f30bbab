//! `testsuite/native/NAME.s`: programs whose first line says what they give. Native code of every kind, the interpreter
//! and the running kernel agree on it: calls back, tail calls, functions of the kernel, arenas.

use ebpfkit_jit::{Jit, Options, compile_with};
use ebpfkit_kernel::{Kernel, LogLevel, Session, TestRun};
use ebpfkit_object::Prepared;
use ebpfkit_testsuite::engines::Which;
use ebpfkit_testsuite::{root, running, shrink};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Verdict, Verified, verify};
use ebpfkit_vm::{Engine, Instance, Interpreter, Run, World, input};
use std::path::PathBuf;

/// A frame that every program takes.
const FRAME: [u8; 64] = [0; 64];

struct Case {
    name: String,
    gives: u64,
    prepared: Prepared,
}

/// The programs; those that need the kernel's types are left out, and counted, where there are none.
fn cases(model: &KernelModel) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut skipped = 0;
    let folder = std::fs::read_dir(root().join("testsuite/native")).expect("the folder is there");
    let mut files: Vec<PathBuf> = folder.filter_map(Result::ok).map(|e| e.path()).collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).expect("the file can be read");
        if text.contains(".kfunc") && model.btf().is_none() {
            skipped += 1;
            continue;
        }
        let first = text.lines().next().and_then(|l| l.strip_prefix("// gives "));
        let gives = first.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{name} does not say what it gives"));
        let prepared = shrink::assemble(&name, &text).unwrap_or_else(|| panic!("{name} does not assemble"));
        cases.push(Case { name, gives, prepared });
    }
    assert!(!cases.is_empty());
    if skipped > 0 {
        running::skipped(skipped, "programs: no types of a running kernel");
    }
    cases
}

fn verified(case: &Case, model: &KernelModel) -> Vec<Verified> {
    let one =
        |n| match verify(model, &case.prepared.object, n, ebpfkit_verifier::Options::to_run(), &mut Silent).verdict {
            Verdict::Accepted(v) => v,
            Verdict::Rejected(r) => panic!("{}: {}", case.name, r.reason),
            Verdict::Unsupported { what, .. } => panic!("{}: unsupported: {what}", case.name),
        };
    (0..case.prepared.object.programs.len()).map(one).collect()
}

/// What the first program gives, time after time.
fn results(which: Which, case: &Case, model: &KernelModel, proofs: &[Verified]) -> Vec<Result<u64, String>> {
    let name_of = |id, index| model.kfunc_name(id, index);
    let mut instance = Instance::new(&case.prepared.object, model, 1);
    let mut programs = Vec::new();
    for (n, proof) in proofs.iter().enumerate() {
        let program =
            instance.load(&case.prepared.object, n, Some(proof), &name_of).expect("the program can be loaded");
        if let Some(tier) = which.tier() {
            let options = Options { tier: Some(tier), verify_ir: true };
            compile_with(&program, which.is_checked(), options).expect("the program can be compiled");
        }
        programs.push(program);
    }
    let mut run = Run::new(&programs[0], World::default());
    run.set_checked(which.is_checked());
    let packet = input::takes_packet(programs[0].prog_type()).then_some(&FRAME[..]);
    input::set_input(&mut run, packet, &[]).expect("the packet is one");
    let once = |_| {
        for map in instance.maps().iter().flatten().filter(|m| ["count", "numbers"].contains(&&*m.info().name)) {
            for key in 0u32..map.info().max_entries {
                map.update(&key.to_ne_bytes(), &[0; 8], 0, 0).expect("the element is there");
            }
        }
        let result = if which.tier().is_some() { Jit.run(&mut run) } else { Interpreter.run(&mut run) };
        result.map_err(|f| f.to_string())
    };
    (0..3).map(once).collect()
}

#[test]
fn every_engine_gives_what_the_program_says() {
    let model = running::model();
    for case in cases(&model) {
        let proofs = verified(&case, &model);
        for which in Which::ALL {
            let results = results(which, &case, &model, &proofs);
            assert_eq!(results, vec![Ok(case.gives); 3], "{} in {which:?}", case.name);
        }
    }
}

/// What the running kernel gives.
fn kernels(kernel: Kernel, case: &Case) -> u32 {
    let session = Session::new(kernel, &case.prepared).expect("the maps are well formed");
    let load = |n| session.load(n, LogLevel::NONE).expect("the instructions are well formed").program;
    let programs: Vec<_> = (0..case.prepared.object.programs.len())
        .map(|n| load(n).unwrap_or_else(|errno| panic!("{}: errno {errno}", case.name)))
        .collect();
    session.fill_prog_arrays(|n| programs.get(n)).expect("slots take programs");
    let data: &[u8] = if input::takes_packet(case.prepared.object.programs[0].prog_type) { &FRAME } else { &[] };
    let repeat = if data.is_empty() { 0 } else { 1 };
    let input = TestRun { data, repeat, ..TestRun::default() };
    kernel.test_run(&programs[0], &input).unwrap_or_else(|e| panic!("{}: {e}", case.name)).retval
}

#[test]
fn the_running_kernel_gives_the_same() {
    let Some(kernel) = running::or_skip("the_running_kernel_gives_the_same") else { return };
    for case in cases(&running::model()) {
        assert_eq!(u64::from(kernels(kernel, &case)), case.gives, "{}", case.name);
    }
}
