//! Features in which kernels differ: each witness is treated as written, by the model with and without its feature, and
//! by the running kernel.

use ebpfkit_abi::Feature;
use ebpfkit_abi::kernel::{Bundled, FeatureSet};
use ebpfkit_kernel::machine;
use ebpfkit_object::Target;
use ebpfkit_profiles::{Expectation, Shown, Witness, witness, witnesses};
use ebpfkit_testsuite::running;
use ebpfkit_verifier::KernelModel;
use std::sync::Arc;

#[test]
fn witness_files_are_understood() {
    let errors: Vec<String> = Witness::check_all().iter().map(ToString::to_string).collect();
    assert!(errors.is_empty(), "profiles/witnesses:\n{}", errors.join("\n"));
    for witness in witnesses() {
        assert_ne!(witness.with, witness.without, "{:?}: both sides are the same", witness.feature);
        if let Err(e) = witness.object() {
            panic!("{e}");
        }
    }
}

/// What the model shows with a set of features and the types of the running kernel.
fn judge(witness: &Witness, features: FeatureSet) -> Option<Shown> {
    let version = witness.feature.since().max(Bundled::DEFAULT.version);
    let model = KernelModel::new(version, Arc::new(machine::btf)).with_features(features);
    let target = |_: &_| Target { vmlinux: machine::btf(), version_code: version.code(), ..Target::default() };
    let prepared = witness.prepare(target).unwrap_or_else(|e| panic!("{e}"));
    witness.judge(&model, &prepared)
}

#[test]
fn features_decide() {
    if machine::btf().is_none() {
        return running::skipped(1, "features_decide: no types of the running kernel");
    }
    let mut wrong = Vec::new();
    for witness in witnesses() {
        let feature = witness.feature;
        let base = FeatureSet::of(feature.since());
        let mut expect = |what: &str, features, expected: &Expectation| {
            let shown = judge(witness, features);
            if !shown.as_ref().is_some_and(|s| expected.is_met(s)) {
                wrong.push(format!("{feature:?} {what}: expected {expected:?}\n    shown {shown:?}"));
            }
        };
        expect("with", base.with(feature), &witness.with);
        expect("without", base.without(feature), &witness.without);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_running_kernel_treats_witnesses_as_written() {
    let Some(kernel) = running::or_skip("the_running_kernel_treats_witnesses_as_written") else { return };
    let Some(profile) = Bundled::ALL.iter().find(|k| k.version.same_series(running::version())) else {
        return running::skipped(1, "the_running_kernel_treats_witnesses_as_written: no such kernel is modelled");
    };
    let mut wrong = Vec::new();
    for witness in witnesses() {
        let prepared = running::prepare(witness.object().unwrap_or_else(|e| panic!("{e}"))).expect("resolved");
        let Some(shown) = witness.ask(kernel, &prepared) else { continue };
        let has = profile.features().has(witness.feature);
        if witness.read_off(&shown) != Some(has) {
            wrong.push(format!("{:?}, which {} has: {has}; shown {shown:?}", witness.feature, profile.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn decisive_features_have_witnesses() {
    // Those that no program can show alone, each with the reason.
    const WITHOUT: &[(Feature, &str)] = &[
        (Feature::KptrTagNames, "assembly has no type tags"),
        (
            Feature::ExactLoopChecks,
            "a loop whose states differ where it does not matter takes all instructions there are",
        ),
    ];
    for &feature in Feature::ALL.iter().filter(|f| f.is_decisive()) {
        let excused = WITHOUT.iter().any(|(f, _)| *f == feature);
        assert!(witness(feature).is_some() != excused, "{feature:?}: profiles/witnesses/{}.s", feature.name());
    }
}
