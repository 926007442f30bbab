//! Unverified programs cannot leave their memory, and both checked engines say so in the same words.

use ebpfkit_testsuite::sandbox::{Tried, attempt, random};
use ebpfkit_verifier::KernelModel;

#[test]
fn accesses_outside_are_faults() {
    let model = KernelModel::newest();
    let mut stopped = 0;
    for seed in 0..1000 {
        match attempt(&model, seed) {
            Ok(tried) => stopped += u32::from(tried == Tried::Stopped),
            Err(text) => panic!("seed {seed}: {text}"),
        }
    }
    assert!(stopped > 800, "only {stopped} accesses were outside");
}

#[test]
fn random_programs_give_the_same() {
    let model = KernelModel::newest();
    let mut stopped = 0;
    for seed in 0..600 {
        match random(&model, seed) {
            Ok(tried) => stopped += u32::from(tried == Tried::Stopped),
            Err(text) => panic!("seed {seed}: {text}"),
        }
    }
    assert!(stopped > 20, "only {stopped} programs ended with a fault");
}
