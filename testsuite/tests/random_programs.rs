//! Random programs: the generator keeps its promise, and the verifier gives the running kernel's verdicts.

use ebpfkit_kernel::{LogLevel, Session};
use ebpfkit_testsuite::against_kernel::message;
use ebpfkit_testsuite::generate::{Bytes, Config, Seeded, program};
use ebpfkit_testsuite::running;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};

const CAREFUL: Config = Config { statements: 30, mistakes: 0, functions: 2, ..Config::DEFAULT };

#[test]
fn careful_programs_are_accepted() {
    let model = KernelModel::standard();
    for seed in 0..200 {
        let prepared = program(&mut Seeded(seed), &CAREFUL);
        let report = verify(&model, &prepared.object, 0, Options::default(), &mut Silent);
        let accepted = matches!(report.verdict, Verdict::Accepted(_));
        assert!(accepted, "seed {seed}: {:?}\n{}", report.verdict, ebpfkit_testsuite::text_of(&prepared));
    }
}

#[test]
fn the_same_choices_give_the_same_program() {
    let insns = |seed| program(&mut Seeded(seed), &CAREFUL).object.programs[0].insns.clone();
    assert_eq!(insns(7), insns(7));
    assert_ne!(insns(7), insns(8));
    let from_bytes = |b: &[u8]| program(&mut Bytes(b), &CAREFUL).object.programs[0].insns.clone();
    assert_ne!(from_bytes(&[3; 40]), from_bytes(&[4; 40]));
    assert!(!from_bytes(&[]).is_empty());
}

#[test]
fn verdicts_are_the_kernels() {
    let Some(kernel) = running::or_skip("verdicts_are_the_kernels") else { return };
    let model = KernelModel::standard();
    let mut differences = Vec::new();
    for seed in 1000..1200 {
        let prepared =
            program(&mut Seeded(seed), &Config { statements: 25, mistakes: 12, functions: 2, ..Config::DEFAULT });
        let ours = message(&model, &prepared, 0).unwrap_or_else(|what| format!("unsupported: {what}"));
        let loaded = Session::new(kernel, &prepared).and_then(|s| s.load(0, LogLevel::FAILING_PATH));
        let loaded = loaded.expect("maps and instructions are well formed");
        let theirs = if loaded.program.is_ok() { String::new() } else { loaded.summary().message };
        if ours != theirs {
            differences.push(format!("seed {seed}: ours {ours:?}, the kernel's {theirs:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
