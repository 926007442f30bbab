//! Time of verification: the examples, random programs, and the kernel's scale programs where they are at hand.
//!
//! `EBPFKIT_OBJECTS=DIR` names a folder with objects of the kernel's selftests (`pyperf100.bpf.o`, ...).

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ebpfkit_kernel::machine;
use ebpfkit_object::{Object, Prepared};
use ebpfkit_testsuite::generate::{Config, Seeded, program};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, verify};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Programs on which a verifier spends its time.
const SCALE: [&str; 10] = [
    "strobemeta",
    "pyperf100",
    "pyperf180",
    "pyperf600_nounroll",
    "verif_scale1",
    "verif_scale2",
    "verif_scale3",
    "loop1",
    "loop3",
    "core_kern",
];

fn open(path: &Path) -> Option<Prepared> {
    let object = Object::open(&path.file_name()?.to_string_lossy(), &std::fs::read(path).ok()?).ok()?;
    let target = machine::target(object.needs(), 0, machine::btf);
    object.prepare(&target).ok()
}

fn bench(c: &mut Criterion) {
    let model = KernelModel::new(ebpfkit_abi::KernelVersion::DEFAULT, Arc::new(machine::btf));
    let judge = |prepared: &Prepared| {
        for index in 0..prepared.object.programs.len() {
            if prepared.unloadable[index].is_none() {
                verify(&model, &prepared.object, index, Options::default(), &mut Silent);
            }
        }
    };
    let mut group = c.benchmark_group("examples");
    for path in ebpfkit_testsuite::files(&ebpfkit_testsuite::root().join("examples"), "o") {
        let Some(prepared) = open(&path) else { continue };
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(|| judge(&prepared)));
    }
    group.finish();

    let programs: Vec<_> = (0..100).map(|seed| program(&mut Seeded(seed), &Config::default())).collect();
    c.bench_function("random/100", |b| b.iter(|| programs.iter().for_each(judge)));

    let Some(dir) = std::env::var_os("EBPFKIT_OBJECTS") else {
        return eprintln!("skipped the scale programs: EBPFKIT_OBJECTS is not set");
    };
    let mut group = c.benchmark_group("scale");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    for name in SCALE {
        let Some(prepared) = open(&Path::new(&dir).join(format!("{name}.bpf.o"))) else {
            eprintln!("skipped {name}: no such object");
            continue;
        };
        group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(|| judge(&prepared)));
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
