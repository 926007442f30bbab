//! `bench`: the programs of `bench/` in every engine, in turns, against the running kernel.

use anyhow::{Context, Result};
use ebpfkit_jit::{Jit, Options, compile_with};
use ebpfkit_kernel::{Kernel, LogLevel, Session, TestRun};
use ebpfkit_object::{Object, Prepared, Target};
use ebpfkit_testsuite::engines::{Which, verified};
use ebpfkit_verifier::KernelModel;
use ebpfkit_vm::{Engine, Instance, Interpreter, Run, World, input};
use std::time::Instant;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Rounds; each engine runs a batch in each, and the best counts
    #[arg(short, long, default_value_t = 40)]
    rounds: u32,
    /// Only programs with this in their names
    #[arg(short, long, default_value = "")]
    filter: String,
    /// Print compile times only
    #[arg(long)]
    compile_only: bool,
}

/// The programs, with those of the mean first.
const PROGRAMS: [&str; 10] = ["alu", "muldiv", "sieve", "csum", "fnv", "siphash", "parse", "empty", "calls", "maps"];
/// How many of them the mean is of.
const IN_MEAN: usize = 7;
/// Nanoseconds that a batch takes, about.
const BATCH_NS: f64 = 1_000_000.0;

/// An Ethernet frame of 1500 bytes with a TCP segment for port 443.
fn packet() -> Vec<u8> {
    let mut p: Vec<u8> = (0..1500u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    p[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
    p[20..24].copy_from_slice(&[0, 0, 64, 6]);
    p[34..38].copy_from_slice(&[0x30, 0x39, 1, 187]);
    p[46..48].copy_from_slice(&[0x50, 0x10]);
    p
}

/// Something that runs a program some times and says how long that took, in nanoseconds.
type Batch<'a> = Box<dyn FnMut(u32) -> Result<f64> + 'a>;

/// A program made ready in one engine.
struct Ready<'a> {
    name: String,
    batch: Batch<'a>,
    count: u32,
    best: f64,
}

impl<'a> Ready<'a> {
    fn new(name: impl Into<String>, mut batch: Batch<'a>) -> Result<Self> {
        let mut count = 1;
        loop {
            let ns = batch(count)?;
            if ns >= BATCH_NS / 2.0 || count > 1 << 20 {
                let count = (f64::from(count) * BATCH_NS / ns.max(1.0)).clamp(1.0, 1e6) as u32;
                return Ok(Self { name: name.into(), batch, count, best: f64::INFINITY });
            }
            count *= 2;
        }
    }
}

fn ours<'a>(which: Which, model: &KernelModel, prepared: &Prepared, data: &[u8]) -> Result<(Ready<'a>, f64)> {
    let proof = verified(model, prepared).map_err(anyhow::Error::msg)?;
    let mut instance = Instance::new(&prepared.object, model, 1);
    // What is sandboxed knows nothing of the verifier.
    let known = (which != Which::JitSandboxed).then_some(&proof);
    let program = instance.load(&prepared.object, 0, known, &|_, _| None)?;
    let start = Instant::now();
    if let Some(tier) = which.tier() {
        compile_with(&program, which.is_checked(), Options { tier: Some(tier), verify_ir: false })?;
    }
    let per_insn = start.elapsed().as_nanos() as f64 / program.insns().len() as f64;
    let mut run = Run::new(&program, World::default());
    run.set_checked(which.is_checked());
    input::set_input(&mut run, Some(data), &[])?;
    let jit = which.tier().is_some();
    let batch: Batch = Box::new(move |count| {
        let _ = &instance;
        let start = Instant::now();
        for _ in 0..count {
            std::hint::black_box(if jit { Jit.run(&mut run) } else { Interpreter.run(&mut run) }?);
        }
        Ok(start.elapsed().as_nanos() as f64)
    });
    Ok((Ready::new(format!("{which:?}"), batch)?, per_insn))
}

fn theirs<'a>(kernel: Kernel, prepared: &'a Prepared, data: &'a [u8]) -> Result<Ready<'a>> {
    let session = Session::new(kernel, prepared)?;
    let program = session.load(0, LogLevel::NONE)?.program.map_err(|e| anyhow::anyhow!("errno {e}"))?;
    let batch: Batch = Box::new(move |count| {
        let _ = &session;
        let input = TestRun { data, repeat: count, ..TestRun::default() };
        Ok(f64::from(kernel.test_run(&program, &input)?.duration_ns) * f64::from(count))
    });
    Ready::new("kernel", batch)
}

/// Prints ratios to the running kernel; without one, nanoseconds.
pub fn run(args: &Args) -> Result<()> {
    let model = KernelModel::newest();
    let kernel = Kernel::open().ok();
    let data = packet();
    let mut logs: Vec<(String, f64)> = Vec::new();
    for (number, name) in PROGRAMS.iter().enumerate().filter(|(_, n)| n.contains(&args.filter)) {
        let path = ebpfkit_testsuite::root().join("testsuite/bench").join(format!("{name}.o"));
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let prepared = Object::open(name, &bytes)?.prepare(&Target::default())?;
        let mut all = Vec::new();
        if let Some(kernel) = kernel {
            all.push(theirs(kernel, &prepared, &data)?);
        }
        let mut compile = Vec::new();
        for which in Which::ALL {
            let (ready, per_insn) = ours(which, &model, &prepared, &data)?;
            if which.tier().is_some() {
                compile.push(format!("{which:?} {:.2}", per_insn / 1000.0));
            }
            all.push(ready);
        }
        if args.compile_only {
            println!("{name}: compile µs/insn: {}", compile.join(", "));
            continue;
        }
        for _ in 0..args.rounds {
            for r in &mut all {
                let ns = (r.batch)(r.count)? / f64::from(r.count);
                r.best = r.best.min(ns);
            }
        }
        let base = all[0].best;
        let cells: Vec<String> =
            all.iter().map(|r| format!("{} {:.2} ({:.1} ns)", r.name, r.best / base, r.best)).collect();
        println!("{name}: {}; compile µs/insn: {}", cells.join(", "), compile.join(", "));
        if number < IN_MEAN {
            for r in &all {
                match logs.iter_mut().find(|(n, _)| *n == r.name) {
                    Some((_, sum)) => *sum += (r.best / base).ln(),
                    None => logs.push((r.name.clone(), (r.best / base).ln())),
                }
            }
        }
    }
    let count = PROGRAMS[..IN_MEAN].iter().filter(|n| n.contains(&args.filter)).count().max(1);
    let means: Vec<String> = logs.iter().map(|(n, sum)| format!("{n} {:.3}", (sum / count as f64).exp())).collect();
    println!("geometric mean of {count}: {}", means.join(", "));
    Ok(())
}
