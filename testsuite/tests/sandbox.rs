//! Unverified programs cannot leave their memory, and both checked engines say so in the same words.

use ebpfkit_jit::Jit;
use ebpfkit_testsuite::sandbox::{Tried, attempt, random};
use ebpfkit_testsuite::shrink;
use ebpfkit_verifier::KernelModel;
use ebpfkit_vm::{Engine, Instance, Interpreter, Run, World};

#[test]
fn accesses_outside_are_faults() {
    let model = KernelModel::standard();
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
    let model = KernelModel::standard();
    let mut stopped = 0;
    for seed in 0..600 {
        match random(&model, seed) {
            Ok(tried) => stopped += u32::from(tried == Tried::Stopped),
            Err(text) => panic!("seed {seed}: {text}"),
        }
    }
    assert!(stopped > 20, "only {stopped} programs ended with a fault");
}

/// Looks up two elements, in an array or in a per-CPU array, unless the packet already has an address; then loads from
/// near the first one. Packet: first key, second key, distance plus 64, whether to look up, address.
const ELEMENTS: &str = r#"
.license "GPL"
.map table KIND key_size=4 value_size=12 max_entries=4
.section "xdp"
.func start
    w6 = *(u32 *)(r1 + 0)
    w1 = *(u8 *)(r6 + 3)
    if w1 == 0 goto found
    w1 = *(u8 *)(r6 + 0)
    *(u32 *)(r10 - 4) = w1
    r2 = r10
    r2 += -4
    r1 = table ll
    call bpf_map_lookup_elem
    *(u64 *)(r6 + 8) = r0
    w1 = *(u8 *)(r6 + 1)
    *(u32 *)(r10 - 8) = w1
    r2 = r10
    r2 += -8
    r1 = table ll
    call bpf_map_lookup_elem
    if r0 == 0 goto found
    r1 = 7
    *(u32 *)(r0 + 8) = r1
found:
    r7 = *(u64 *)(r6 + 8)
    w8 = *(u8 *)(r6 + 2)
    r7 += r8
    r0 = *(u32 *)(r7 - 64)
    exit
"#;

/// What a fault says, less addresses.
fn without_addresses(text: String) -> String {
    let mut parts = text.split("0x");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
}

#[test]
fn elements_of_arrays_are_there_for_the_run_that_looked_them_up() {
    let model = KernelModel::standard();
    for kind in ["array", "percpu_array"] {
        let prepared = shrink::assemble("elements", &ELEMENTS.replace("KIND", kind)).expect("assembles");
        let location = |engine: &dyn Engine| {
            let mut instance = Instance::new(&prepared.object, &model, 3);
            let program = instance.load(&prepared.object, 0, None, &|_, _| None).expect("loads");
            let mut run = Run::new(&program, World { cpu: 1, cpus: 3, ..World::default() });
            let mut results = Vec::new();
            let mut go = |packet: &[u8]| {
                run.set_packet(packet);
                let result = engine.run(&mut run).map_err(|f| f.to_string());
                let address = run.packet().bytes()[8..16].try_into().map(u64::from_ne_bytes).expect("eight bytes");
                (result, address)
            };
            for (first, second, distance) in (0..125).map(|n| (n / 25, n / 5 % 5, n % 5 * 4)) {
                for distance in [64 + distance, 64 - distance, 64 + 16 + distance] {
                    let mut packet = [0; 64];
                    packet[..4].copy_from_slice(&[first, second, distance, 1]);
                    let (result, address) = go(&packet);
                    results.push(result.map_err(without_addresses));
                    // The next run was not given the element.
                    packet[2..4].copy_from_slice(&[64, 0]);
                    packet[8..16].copy_from_slice(&address.to_ne_bytes());
                    let (stale, _) = go(&packet);
                    assert!(stale.is_err(), "{kind} {first} {second}: an element of the run before");
                }
            }
            results
        };
        let (interpreted, native) = (location(&Interpreter), location(&Jit));
        assert!(interpreted.iter().any(Result::is_ok) && interpreted.iter().any(Result::is_err));
        for (n, (a, b)) in interpreted.iter().zip(&native).enumerate() {
            assert_eq!(a, b, "{kind}, attempt {n}");
        }
    }
}
