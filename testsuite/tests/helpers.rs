//! Every helper and kernel function, called from unverified programs with arguments of every kind.

use ebpfkit_testsuite::helpers;

#[test]
fn calls_end_in_answers_and_faults() {
    for seed in 0..4000 {
        if let Err(text) = helpers::of_seed(seed) {
            panic!("seed {seed}: {text}\n{}", helpers::text_of_seed(seed));
        }
    }
}

#[test]
fn every_callee_gives_an_answer_now_and_then() {
    // What ends every program that calls it, and what works on connections, which only a kernel's types give.
    const ENDS: &[&str] = &[
        "bpf_throw",
        "bpf_ct_insert_entry",
        "bpf_ct_set_timeout",
        "bpf_ct_change_timeout",
        "bpf_ct_set_status",
        "bpf_ct_change_status",
        "bpf_ct_set_nat_info",
    ];
    let reach = helpers::reach(0..40_000);
    let never: Vec<_> = reach
        .iter()
        .filter(|(name, (_, answers))| *answers == 0 && !ENDS.contains(name))
        .map(|(name, _)| name)
        .collect();
    assert!(never.is_empty(), "calls of these all end in faults: {never:?}");
}
