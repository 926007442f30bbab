//! Test-runs of every program type give the same in the kernel and here. Skipped without bpf(2).

use ebpfkit_testsuite::generate::Config;
use ebpfkit_testsuite::running;
use ebpfkit_testsuite::test_runs::{Comparison, Counts, KINDS};
use std::collections::BTreeSet;

/// Runs of each program type.
const RUNS: u64 = 160;

#[test]
fn every_type() {
    let Some(kernel) = running::or_skip("test-runs of every type") else { return };
    let comparison = Comparison::new(kernel, running::model(), Config { mistakes: 0, ..Config::default() });
    let names: BTreeSet<String> = KINDS.iter().map(|(kind, _)| kind.to_string()).collect();
    for name in &names {
        let (mut counts, mut seed) = (Counts::default(), 1);
        while counts.total() < RUNS {
            if let Err(difference) = comparison.compare(seed, 8, &[name], &mut counts) {
                panic!("seed {seed}: {difference}");
            }
            seed += 1;
        }
        assert!(counts.refused < counts.total(), "{name}: all inputs are refused");
    }
}
