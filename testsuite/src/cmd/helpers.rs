//! `helpers`: every helper and kernel function, called from unverified programs with arguments of every kind.

use super::SeedArgs;
use anyhow::{Result, bail};
use ebpfkit_testsuite::helpers::{self, watch};
use std::process::Command;

/// Arguments of `helpers`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    seeds: SeedArgs,
    /// Print the program of the first seed and run it in this process
    #[arg(long)]
    show: bool,
    /// Run in this process and report on standard output, for the process that watches
    #[arg(long, hide = true)]
    work: bool,
}

/// Failures that are printed in full.
const MOST: usize = 5;

/// Runs and counts; failures are printed with their seeds and end the command with an error.
pub fn run(args: &Args) -> Result<()> {
    if args.work {
        return Ok(watch::work(args.seeds.seed, args.seeds.count)?);
    }
    if args.show {
        println!("{}", helpers::text_of_seed(args.seeds.seed));
        println!("{:?}", helpers::of_seed(args.seeds.seed));
        return Ok(());
    }
    let this = std::env::current_exe()?;
    let outcome = watch::watch(args.seeds.seed, args.seeds.count, |seed, count| {
        let mut command = Command::new(&this);
        command.args(["helpers", "--work", "--seed", &seed.to_string(), "--count", &count.to_string()]);
        command
    })?;
    for (seed, text) in outcome.failures.iter().take(MOST) {
        println!("helpers, seed {seed}: {text}");
    }
    let [ended, stopped, endless, refused] = outcome.counts;
    let failures = outcome.failures.len();
    println!("helpers: ended={ended} stopped={stopped} endless={endless} refused={refused} failures={failures}");
    if failures > 0 {
        bail!("{failures} failures");
    }
    Ok(())
}
