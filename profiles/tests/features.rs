//! Features in which kernels differ: each witness is treated as written, by the model with and without its feature, and
//! by the running kernel.

use ebpfkit_abi::Feature;
use ebpfkit_abi::kernel::{Bundled, FeatureSet};
use ebpfkit_kernel::{Kernel, machine};
use ebpfkit_object::btf::Kind;
use ebpfkit_object::{Btf, Object, Target};
use ebpfkit_profiles::record::record;
use ebpfkit_profiles::{Expectation, Profile, Shown, Witness, witness, witnesses};
use ebpfkit_verifier::KernelModel;
use std::sync::Arc;

/// bpf(2); without it, says that a test was skipped.
fn or_skip(test: &str) -> Option<Kernel> {
    Kernel::open().map_err(|e| skipped(1, &format!("{test}: {e}"))).ok()
}

/// Says that so many tests did not run; not by a macro, whose text the test harness would keep to itself.
fn skipped(count: usize, why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped {count}: {why}");
}

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
        return skipped(1, "features_decide: no types of the running kernel");
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
fn bundled_kernels_treat_witnesses_as_they_have() {
    let mut wrong = Vec::new();
    for profile in Profile::all() {
        for witness in witnesses() {
            let object = witness.object().unwrap_or_else(|e| panic!("{e}"));
            let prepared = profile.prepare(object).unwrap_or_else(|e| panic!("{e}"));
            // Not every kernel has what a witness is made of.
            let Some(shown) = witness.judge(&profile.model(), &prepared) else { continue };
            let (has, read) = (profile.features.has(witness.feature), witness.read_off(&shown));
            // Older kernels may lack something else that a witness is made of.
            if read != Some(has) && (read.is_some() || has) {
                let log = Shown { log: String::new(), ..shown };
                wrong.push(format!("{:?}, which {} has: {has}; shown {log:?}", witness.feature, profile.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn recorded_kernels_are_what_they_were() {
    let Some(_) = or_skip("recorded_kernels_are_what_they_were") else { return };
    let recording = record().unwrap_or_else(|e| panic!("{e}"));
    let file = recording.profile.to_file().expect("a recorded kernel");
    let read = Profile::read(&file).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((read.features, read.version, &read.release), {
        let p = &recording.profile;
        (p.features, p.version, &p.release)
    });
    let (Some(own), Some(back)) = (machine::btf(), read.btf()) else {
        return skipped(1, "recorded_kernels_are_what_they_were: no types of the running kernel");
    };
    for name in ["task_struct", "sk_buff", "bpf_map"] {
        let find = |btf: &Btf| btf.find(name, Kind::Struct).and_then(|id| btf.size_of(id));
        assert_eq!(find(&own), find(&back), "{name}");
    }
    // What is in a file decides nothing but what is read of it.
    for cut in [0, 10, file.len() / 2, file.len() - 1] {
        assert!(Profile::read(&file[..cut]).is_err());
    }
}

#[test]
fn the_running_kernel_treats_witnesses_as_written() {
    let Some(kernel) = or_skip("the_running_kernel_treats_witnesses_as_written") else { return };
    let version = machine::version();
    let Some(profile) = Bundled::ALL.iter().find(|k| version.is_some_and(|v| k.version.same_series(v))) else {
        return skipped(1, "the_running_kernel_treats_witnesses_as_written: no such kernel is modelled");
    };
    let mut wrong = Vec::new();
    for witness in witnesses() {
        let target = |object: &Object| machine::target(object.needs(), profile.version.code(), machine::btf);
        let prepared = witness.prepare(target).unwrap_or_else(|e| panic!("{e}"));
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
        (Feature::IndirectJumps, "assembly has no tables of jumps"),
        (Feature::KptrTagNames, "assembly has no type tags"),
        (Feature::Explanations, "older kernels end with the same line, for another reason"),
        (Feature::SyscallsWithoutInjection, "kernels that can inject errors take the program, too"),
        (Feature::StructsFirst, "needs objects of the kernel in a state that only a long program reaches"),
        (Feature::RefcountsAtStart, "needs allocated objects that are counted"),
        (Feature::ElementIdentities, "needs a lock in a value, and callbacks over elements"),
        (Feature::ArenaInstructions, "needs an arena, which a loader makes"),
        (Feature::ArenaTypes, "assembly has no type tags"),
        (Feature::KptrsOfBorrowed, "assembly has no type tags"),
        (Feature::PercpuKptrs, "assembly has no type tags"),
        (
            Feature::ExactLoopChecks,
            "a loop whose states differ where it does not matter takes all instructions there are",
        ),
        (Feature::Fsession, "loaders need to know its sections"),
        (Feature::TracingMulti, "loaders need to know its sections"),
        (Feature::SleepableTracepoints, "loaders need to know its sections"),
        (Feature::ShortKfuncNames, "needs functions that only kernels with it have"),
        (Feature::DropsInTracing, "needs allocated objects with kernel pointers"),
        (Feature::BoundedObjects, "needs allocated objects with a last array of any length"),
        (Feature::SleepableDeviceHooks, "not every kernel has the hooks"),
        (Feature::SleepableAttributeHooks, "not every kernel has the hooks"),
        (Feature::StructArguments, "not every kernel has a function with such an argument"),
        (Feature::AtomicHooksDoNotSleep, "kernels without SleepableHooks refuse the program, too"),
        (Feature::OpaquePointerArguments, "not every kernel has a function with such an argument"),
        (Feature::SocketStorageInTracing, "a helper that a type of programs came to have"),
        (Feature::SockoptsOfAddresses, "a helper that a type of programs came to have"),
        (Feature::NetnsCookiesOfSockets, "a helper that a type of programs came to have"),
        (Feature::NumbersFromTextEverywhere, "a helper that a type of programs came to have"),
        (Feature::SockoptsOfOptions, "a helper that a type of programs came to have"),
        (Feature::SocketCookiesOfChoices, "a helper that a type of programs came to have"),
        (Feature::SocketCookiesInTracing, "a helper that a type of programs came to have"),
        (Feature::SpinLocksInTracing, "a helper that a type of programs came to have"),
        (Feature::IntegerPointerArguments, "not every kernel has a function with such an argument"),
        (Feature::ConstantPointerArguments, "not every kernel has a function with such an argument"),
        (Feature::TrustedArguments, "needs objects of the kernel in a state that only a long program reaches"),
        (Feature::MoreKfuncsUnderLock, "needs objects of the kernel in a state that only a long program reaches"),
        (Feature::ArenaWithoutSleep, "needs objects of the kernel in a state that only a long program reaches"),
        (Feature::SleepByContext, "needs objects of the kernel in a state that only a long program reaches"),
        (Feature::RcuWithoutPreemption, "needs objects of the kernel in a state that only a long program reaches"),
        (Feature::ObjectsBelowTheFrame, "needs objects of the kernel in a state that only a long program reaches"),
        (Feature::FramesOfMovedPointers, "needs objects of the kernel in a state that only a long program reaches"),
        (Feature::NoWritesByCalls, "needs objects of the kernel in a state that only a long program reaches"),
        (Feature::OneReferenceTwice, "needs objects of the kernel in a state that only a long program reaches"),
        (Feature::ClonesKeepReference, "needs objects of the kernel in a state that only a long program reaches"),
        (Feature::VariableZeroFills, "kernels without ZeroSpills take the program, too"),
        (Feature::StackArguments, "assembly has no r11, and they are not modelled"),
        (Feature::PercpuGlobals, "assembly names values of ordinary arrays only"),
        (Feature::OwnedNodesInTrees, "assembly has no type tags"),
        (Feature::UntrustedMemory, "needs objects of the kernel in a state that only a long program reaches"),
        (Feature::SockoptsOfIterators, "a helper that a type of programs came to have"),
        (Feature::PacketsUntightened, "older kernels take or reject such programs for other reasons"),
        (Feature::CastsForked, "needs a socket that was looked up"),
        (Feature::KernelFunctions, "kernels without it have no function to call"),
        (Feature::PrivateStacks, "whether a stack is private depends on the JIT, too"),
        (Feature::VisitedMapsVary, "the place where the maps meet takes a long program"),
        (Feature::GlobalsByContext, "needs work queues"),
        (Feature::PreciseNulls, "needs states to be saved everywhere"),
        (Feature::NestedReferences, "needs files"),
        (Feature::TailCallsByFunction, "kernels without NoTailCallsInCallbacks take the program, too"),
        (Feature::TrustedResults, "needs objects of the kernel in a state that only a long program reaches"),
        (Feature::NoLocksInTreeCallbacks, "needs a tree, and locks in values"),
        (Feature::LoopCountIsNumber, "kernels without PrecisionAcrossCalls say other things"),
        (Feature::SockoptsOfNewSockets, "a helper that a type of programs came to have"),
        (Feature::FunctionAddresses, "needs objects of the kernel in a state that only a long program reaches"),
    ];
    for &feature in Feature::ALL.iter().filter(|f| f.is_decisive()) {
        let (name, excuse) = (feature.name(), WITHOUT.iter().find(|(f, _)| *f == feature));
        match (witness(feature), excuse) {
            (None, None) => panic!(
                "the row of {name} in abi/src/kernel/features.rs says that verdicts or messages differ: write a program \
                 that shows it as profiles/witnesses/{name}.s, or say in this test why no program can"
            ),
            (Some(_), Some(_)) => panic!("{name} has a witness: take its reason out of this test"),
            _ => {}
        }
    }
}
