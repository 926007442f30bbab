//! `engines`: random accepted programs, run in every engine and in the running kernel.

use anyhow::{Result, bail};
use ebpfkit_kernel::Kernel;
use ebpfkit_testsuite::engines::{Which, difference, kernel_errs, kernel_outcome, outcome, verified};
use ebpfkit_testsuite::generate::{self, Config, Seeded, Source};
use ebpfkit_verifier::KernelModel;

/// Arguments of `engines`.
#[derive(clap::Args)]
pub struct Args {
    /// Programs that are accepted and run
    #[arg(short, long, default_value_t = 10_000)]
    count: u64,
    /// First seed; the others follow
    #[arg(short, long, default_value_t = 1)]
    seed: u64,
    /// Statements of a program, at most
    #[arg(long, default_value_t = 60)]
    statements: u32,
    /// Leave the running kernel out
    #[arg(long)]
    no_kernel: bool,
    /// Print the program of the first difference
    #[arg(short, long)]
    print: bool,
}

/// A packet that depends on the seed.
fn packet(seed: u64) -> Vec<u8> {
    let mut source = Seeded(seed ^ 0x5eed);
    let len = 14 + source.below(120) as usize;
    (0..len).map(|_| source.below(256) as u8).collect()
}

/// Runs and counts; differences are printed with their seeds and end the command with an error.
pub fn run(args: &Args) -> Result<()> {
    let config = Config { statements: args.statements, careless: 0, ..Config::default() };
    let model = KernelModel::newest();
    let kernel = if args.no_kernel { None } else { Kernel::open().ok() };
    let (mut ran, mut refused, mut different, mut in_kernel) = (0u64, 0u64, 0u64, 0u64);
    let mut seed = args.seed;
    while ran < args.count {
        let prepared = generate::program(&mut Seeded(seed), &config);
        let input = packet(seed);
        let current = seed;
        seed += 1;
        let Ok(proof) = verified(&model, &prepared) else {
            refused += 1;
            if refused > args.count {
                bail!("{refused} programs were refused and {ran} ran");
            }
            continue;
        };
        ran += 1;
        let first = outcome(Which::ALL[0], &model, &prepared, &proof, &input).map_err(anyhow::Error::msg)?;
        let mut report = |what: &str, text: String| {
            different += 1;
            println!("seed {current}: {what}: {text}");
            if args.print && different == 1 {
                println!("{}", ebpfkit_testsuite::text_of(&prepared));
            }
        };
        if let Err(fault) = &first.result {
            report("the checked interpreter", fault.clone());
        }
        for which in &Which::ALL[1..] {
            let other = outcome(*which, &model, &prepared, &proof, &input);
            let found = other.map_or_else(Some, |o| difference(&first, &o, false));
            if let Some(text) = found {
                report(&format!("{which:?}"), text);
            }
        }
        if let Some(kernel) = kernel.filter(|_| !kernel_errs(&model, &prepared, &proof)) {
            let theirs = kernel_outcome(kernel, &prepared, &input);
            in_kernel += 1;
            if let Some(text) = theirs.map_or_else(Some, |o| difference(&first, &o, true)) {
                report("the kernel", text);
            }
        }
    }
    println!("programs={ran} refused={refused} in_kernel={in_kernel} differences={different}");
    if different > 0 {
        bail!("{different} differences");
    }
    Ok(())
}
