//! `sandbox`: unverified programs in both engines that check every access.

use anyhow::{Result, bail};
use ebpfkit_testsuite::sandbox::{self, Tried};
use ebpfkit_verifier::KernelModel;
use std::collections::BTreeMap;

/// Arguments of `sandbox`.
#[derive(clap::Args)]
pub struct Args {
    /// Accesses outside that are tried
    #[arg(short, long, default_value_t = 10_000)]
    count: u64,
    /// Random programs that are run after that
    #[arg(short, long, default_value_t = 10_000)]
    random: u64,
    /// First seed; the others follow
    #[arg(short, long, default_value_t = 1)]
    seed: u64,
}

/// Failures that are printed in full.
const MOST: u64 = 5;

/// Runs and counts; failures are printed with their seeds and end the command with an error.
pub fn run(args: &Args) -> Result<()> {
    let model = KernelModel::standard();
    let mut all_failures = 0u64;
    for (name, count, what) in [
        ("attempts", args.count, sandbox::attempt as fn(&KernelModel, u64) -> Result<Tried, String>),
        ("random", args.random, sandbox::random),
    ] {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let (mut seed, mut done, mut failures) = (args.seed, 0, 0u64);
        while done < count {
            match what(&model, seed) {
                Ok(tried) => {
                    *counts.entry(format!("{tried:?}").to_lowercase()).or_default() += 1;
                    done += u64::from(!matches!(tried, Tried::Inside | Tried::Refused | Tried::Unsteady));
                }
                Err(text) => {
                    failures += 1;
                    done += 1;
                    if failures <= MOST {
                        println!("{name}, seed {seed}: {text}");
                    }
                }
            }
            seed += 1;
        }
        let counts: Vec<String> = counts.iter().map(|(what, n)| format!("{what}={n}")).collect();
        println!("{name}: {} failures={failures}", counts.join(" "));
        all_failures += failures;
    }
    if all_failures > 0 {
        bail!("{all_failures} failures");
    }
    Ok(())
}
