//! Random accepted programs give the same in every engine, and in the running kernel.

use ebpfkit_kernel::Kernel;
use ebpfkit_testsuite::engines::{Input, Which, difference, kernel_outcome, outcome, verified_all};
use ebpfkit_testsuite::generate::{Config, Seeded, program};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};

#[test]
fn engines_agree() {
    let model = KernelModel::standard();
    let kernel = Kernel::open().map_err(|e| eprintln!("the kernel is left out: {e}")).ok();
    let config = Config { statements: 50, mistakes: 0, functions: 2, ..Config::DEFAULT };
    let mut ran = 0;
    for seed in 0..150 {
        let mut source = Seeded(seed);
        let prepared = program(&mut source, &config);
        let input = Input::random(&mut source);
        let Ok(proofs) = verified_all(&model, &prepared) else { continue };
        ran += 1;
        let all = Which::ALL.map(|w| (w, outcome(w, &model, &prepared, &proofs, &input).expect("runs")));
        let (_, first) = &all[0];
        assert!(first.result.is_ok(), "seed {seed}: {:?}", first.result);
        for (which, other) in &all[1..] {
            assert_eq!(difference(first, other, false), None, "seed {seed}: {which:?}");
        }
        if let Some(kernel) = kernel {
            let theirs = kernel_outcome(kernel, &prepared, &input).expect("the kernel runs it");
            assert_eq!(difference(first, &theirs, true), None, "seed {seed}: the kernel");
        }
    }
    assert!(ran > 100, "only {ran} programs were accepted");
}

/// What spares the second verification says so rightly.
#[test]
fn where_soundness_did_not_matter_the_kernel_reaches_the_same() {
    let model = KernelModel::standard();
    let config = Config { statements: 60, mistakes: 0, functions: 2, ..Config::DEFAULT };
    let mut compared = 0;
    for seed in 0..300 {
        let prepared = program(&mut Seeded(seed), &config);
        let Ok(proofs) = verified_all(&model, &prepared) else { continue };
        let verdict = verify(&model, &prepared.object, 0, Options::default(), &mut Silent).verdict;
        let Verdict::Accepted(kernels) = verdict else { continue };
        if !proofs[0].facts().soundness_mattered {
            compared += 1;
            assert_eq!(kernels.facts().reached, proofs[0].facts().reached, "seed {seed}");
        }
    }
    assert!(compared > 100, "only {compared} programs");
}
