//! The programs that `bench` times give the same in every engine, in the running kernel and as native code.

use ebpfkit_testsuite::bench::programs::{PLAIN, REAL, open};
use ebpfkit_testsuite::bench::{Engine, measure, scale};

/// What the programs return on the packet of the bench, or on their context.
const RESULTS: [(&str, u32); 12] = [
    ("alu", 0x27451db2),
    ("balancer", 3),
    ("calls", 0x188),
    ("csum", 0xe40d),
    ("empty", 2),
    ("fnv", 0x4aa12955),
    ("maps", 0),
    ("muldiv", 0x715884a3),
    ("parse", 4),
    ("sieve", 0x56),
    ("siphash", 0x903ea456),
    ("tracer", 1),
];

#[test]
fn engines_return_the_same() {
    let (mut skipped, mut wrong) = (0, Vec::new());
    for name in PLAIN.into_iter().chain(REAL) {
        let Some(case) = open(name).expect("a program") else {
            skipped += 1;
            continue;
        };
        // An error when two engines differ.
        let found = measure(&case, 0).unwrap_or_else(|e| panic!("{e:#}"));
        match RESULTS.iter().find(|(n, _)| *n == name) {
            Some((_, want)) if found.result != *want => wrong.push((name, found.result)),
            _ => {}
        }
        skipped += usize::from(found.absent.contains_key(&Engine::Kernel));
    }
    if skipped > 0 {
        ebpfkit_testsuite::running::skipped(skipped, "programs: no bpf(2), or packages that are not installed");
    }
    assert!(wrong.is_empty(), "{wrong:x?}");
}

#[test]
fn programs_to_compile_have_the_size_that_they_say() {
    for insns in scale::SIZES {
        let (prepared, plain) = scale::program(insns).expect("a program");
        assert_eq!(prepared.object.programs[0].insns.len(), insns);
        assert_eq!(plain.code.len(), insns * 8);
    }
}
