//! `maps`: random operations on maps of every type, in the kernel and here.

use anyhow::{Result, anyhow, bail};
use ebpfkit_abi::MapType;
use ebpfkit_kernel::Kernel;
use ebpfkit_testsuite::map_ops::{Comparison, Counts};
use std::time::Instant;

/// Arguments of `maps`.
#[derive(clap::Args)]
pub struct Args {
    /// Operations that are compared
    #[arg(short, long, default_value_t = 20_000)]
    count: u64,
    /// First seed; the others follow
    #[arg(short, long, default_value_t = 1)]
    seed: u64,
    /// Maps of this type only
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    map_type: Option<String>,
    /// Print the counts so far to standard error, so often; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    progress: u64,
}

/// Maps of one seed.
const CASES: u32 = 32;

/// Compares and counts; a difference ends it, made as short as it can be.
pub fn run(args: &Args) -> Result<()> {
    let only = match &args.map_type {
        Some(name) => Some(
            MapType::ALL
                .iter()
                .copied()
                .find(|t| t.to_string() == *name)
                .ok_or_else(|| anyhow!("no map type '{name}'"))?,
        ),
        None => None,
    };
    let comparison = Comparison::new(Kernel::open()?).map_err(anyhow::Error::msg)?;
    let mut counts = Counts::default();
    let (mut seed, mut last) = (args.seed, Instant::now());
    while counts.operations < args.count {
        if let Err(difference) = comparison.compare(seed, CASES, only, &mut counts) {
            println!("seed {seed}: {difference}");
            bail!("a difference after {} operations", counts.operations);
        }
        seed += 1;
        if args.progress > 0 && last.elapsed().as_secs() >= args.progress {
            last = Instant::now();
            eprintln!("next seed {seed}: {} operations", counts.operations);
        }
    }
    let maps: Vec<String> = counts.maps.iter().map(|(name, n)| format!("{name}={n}")).collect();
    println!(
        "operations={} maps={} refused={} differences=0",
        counts.operations,
        counts.maps.values().sum::<u64>(),
        counts.refused
    );
    println!("{}", maps.join(" "));
    Ok(())
}
