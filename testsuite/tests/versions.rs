//! Rules that some kernel versions have and others lack: a program for each feature, judged for both sides of it.

use ebpfkit_abi::{Feature, KernelVersion};
use ebpfkit_kernel::machine;
use ebpfkit_testsuite::shrink;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
use std::sync::Arc;

/// For each feature a program that only kernels with it take, and the code of the rejection by others.
fn program(feature: Feature) -> (&'static str, &'static str) {
    match feature {
        Feature::GlobalCallsInPreemptOff => (
            ".license \"GPL\"
            .kfunc void bpf_preempt_disable(void)
            .kfunc void bpf_preempt_enable(void)
            .section tc
            .func int calls(struct __sk_buff *ctx)
                call bpf_preempt_disable
                call other
                call bpf_preempt_enable
                r0 = 0
                exit
            .section .text
            .func global int other(void)
                r0 = 0
                exit
            ",
            "EBPF0403",
        ),
        _ => panic!("testsuite/tests/versions.rs has no program for {feature:?}: add one"),
    }
}

/// A version right before another.
fn before(version: KernelVersion) -> KernelVersion {
    match version.minor {
        0 => KernelVersion::new(version.major - 1, u16::MAX, 0),
        minor => KernelVersion::new(version.major, minor - 1, 0),
    }
}

#[test]
fn features_decide() {
    if machine::btf().is_none() {
        println!("1 skipped: features_decide: no types of the running kernel");
        return;
    }
    for &feature in Feature::ALL {
        let (text, code) = program(feature);
        let prepared = shrink::assemble("feature.s", text).unwrap_or_else(|| panic!("{feature:?} does not assemble"));
        let judge = |version| {
            let model = KernelModel::new(version, Arc::new(machine::btf));
            verify(&model, &prepared.object, 0, Options::default(), &mut Silent).verdict
        };
        let with = judge(feature.since());
        assert!(matches!(with, Verdict::Accepted(_)), "{feature:?}, {}: {with:?}", feature.since());
        let version = before(feature.since());
        match judge(version) {
            Verdict::Rejected(r) => assert_eq!(r.reason.code(), code, "{feature:?}, {version}"),
            without => panic!("{feature:?}, {version}: {without:?}"),
        }
    }
}
