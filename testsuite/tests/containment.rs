//! Steps of accepted programs lie in what the verifier foresaw, also when anything but a fuzzer chooses the programs.

use ebpfkit_testsuite::containment::{Outcome, UNWATCHED, check};
use ebpfkit_testsuite::engines::Input;
use ebpfkit_testsuite::generate::{self, Config, Seeded, Source};
use ebpfkit_testsuite::{fuzzing, shrink};
use ebpfkit_verifier::KernelModel;

fn outcome(text: &str) -> Outcome {
    let prepared = shrink::assemble("containment.s", text).expect("it assembles");
    check(&KernelModel::standard(), &prepared, &[Input::random(&mut Seeded(1))])
}

#[test]
fn random_programs_do_what_was_foreseen() {
    let config = Config { statements: 20, mistakes: 10, ..Config::DEFAULT };
    let config = Config { constructs: config.constructs.minus(UNWATCHED), ..config };
    let mut compared = 0;
    for seed in 0..120 {
        let mut source = Seeded(seed);
        let prepared = generate::program(&mut source, &config);
        let inputs: Vec<Input> = (0..2).map(|_| Input::random(&mut source)).collect();
        match check(&KernelModel::standard(), &prepared, &inputs) {
            Outcome::Contained(steps) => compared += steps,
            Outcome::Skipped => {}
            Outcome::Violation(what) => panic!("seed {seed}: {what}"),
        }
    }
    assert!(compared > 1_000, "{compared} steps");
}

/// As a fuzzer would choose: what the programs reach through maps in maps is watched by nobody.
#[test]
fn the_target_holds_for_any_bytes() {
    for seed in 0..60 {
        let mut source = Seeded(seed);
        let bytes: Vec<u8> = (0..600).map(|_| source.below(256) as u8).collect();
        fuzzing::contained(&bytes);
    }
}

/// Paths that meet again and again are few for the verifier, and far too many to record each one: no comparison, instead of
/// one that takes hours.
#[test]
fn programs_of_too_many_paths_are_left_out() {
    let branches = |count: usize| {
        let branch = |n| format!("    r0 = *(u32 *)(r1 + 0)\n    if r0 != {n} goto +0\n");
        format!("{}    r0 = 0\n    exit\n", (0..count).map(branch).collect::<String>())
    };
    assert!(matches!(outcome(&branches(4)), Outcome::Contained(10)), "{:?}", outcome(&branches(4)));
    assert_eq!(outcome(&branches(40)), Outcome::Skipped);
}
