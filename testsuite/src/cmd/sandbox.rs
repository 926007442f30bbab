//! `sandbox`: unverified programs in both engines that check every access.

use super::SeedArgs;
use anyhow::{Result, bail};
use ebpfkit_testsuite::sandbox::{self, Tried};
use ebpfkit_verifier::KernelModel;
use std::collections::BTreeMap;

/// Arguments of `sandbox`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    seeds: SeedArgs,
    /// Random programs that are run after the accesses outside
    #[arg(short, long, default_value_t = 1000)]
    random: u64,
}

/// Failures that are printed in full.
const MOST: u64 = 5;

/// Runs and counts; failures are printed with their seeds and end the command with an error.
pub fn run(args: &Args) -> Result<()> {
    let model = KernelModel::standard();
    let mut all_failures = 0u64;
    for (name, count, what) in [
        ("attempts", args.seeds.count, sandbox::attempt as fn(&KernelModel, u64) -> Result<Tried, String>),
        ("random", args.random, sandbox::random),
    ] {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let (mut seed, mut done, mut failures) = (args.seeds.seed, 0, 0u64);
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
