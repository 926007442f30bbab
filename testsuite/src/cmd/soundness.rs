//! `soundness`: random accepted programs run on random packets; every step must lie in what the verifier foresaw.

use super::{ConstructArgs, SeedArgs};
use anyhow::Result;
use ebpfkit_testsuite::containment::{Outcome, UNWATCHED, check};
use ebpfkit_testsuite::engines::Input;
use ebpfkit_testsuite::generate::{self, Config, Seeded, Source};
use ebpfkit_testsuite::running;

/// Arguments of `soundness`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    seeds: SeedArgs,
    /// Packets for each program
    #[arg(long, default_value_t = 4)]
    packets: usize,
    #[command(flatten)]
    constructs: ConstructArgs,
    /// Chance in 1000 that a statement ignores what is known
    #[arg(long, default_value_t = 10)]
    mistakes: u32,
    /// Statements of a program, at most
    #[arg(long, default_value_t = 20)]
    statements: u32,
}

/// Checks and prints counts; exits with 1 when something was not foreseen.
pub fn run(args: &Args) -> Result<()> {
    let model = running::model();
    let config = Config { statements: args.statements, mistakes: args.mistakes, ..args.constructs.config(&model) };
    let config = Config { constructs: config.constructs.minus(UNWATCHED), ..config };
    let (mut contained, mut skipped, mut violations, mut steps) = (0u64, 0u64, 0u64, 0u64);
    for seed in args.seeds.all() {
        let mut source = Seeded(seed);
        let prepared = generate::program(&mut source, &config);
        match check(&model, &prepared, &inputs(&mut source, args.packets)) {
            Outcome::Skipped => skipped += 1,
            Outcome::Contained(n) => {
                contained += 1;
                steps += n;
            }
            Outcome::Violation(what) => {
                violations += 1;
                println!("seed {seed}: {what}");
            }
        }
    }
    println!(
        "programs={} contained={contained} skipped={skipped} violations={violations} steps={steps}",
        args.seeds.count
    );
    if violations > 0 {
        std::process::exit(1);
    }
    Ok(())
}

fn inputs(source: &mut impl Source, count: usize) -> Vec<Input> {
    (0..count).map(|_| Input::random(source)).collect()
}
