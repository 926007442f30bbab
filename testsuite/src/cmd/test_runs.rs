//! `test-runs`: programs of every type on random packets and contexts, in the kernel's test-run and in ours.

use super::ConstructArgs;
use anyhow::{Result, bail};
use ebpfkit_kernel::Kernel;
use ebpfkit_testsuite::generate::Config;
use ebpfkit_testsuite::running;
use ebpfkit_testsuite::test_runs::{Comparison, Counts};
use std::time::Instant;

/// Arguments of `test-runs`.
#[derive(clap::Args)]
pub struct Args {
    /// Runs that are compared
    #[arg(short, long, default_value_t = 5_000)]
    count: u64,
    /// First seed; the others follow
    #[arg(short, long, default_value_t = 1)]
    seed: u64,
    /// Inputs that each program runs on
    #[arg(long, default_value_t = 16)]
    inputs: u32,
    /// Programs of these types only, and no random ones
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Go on after a difference, up to so many
    #[arg(long, default_value_t = 1)]
    differences: u64,
    #[command(flatten)]
    constructs: ConstructArgs,
    /// Print the counts so far to standard error, so often; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    progress: u64,
}

/// Compares and counts; a difference is printed as short as it can be made, and ends the command with an error.
pub fn run(args: &Args) -> Result<()> {
    let model = running::model();
    let config = Config { mistakes: 0, ..args.constructs.config(&model) };
    let comparison = Comparison::new(Kernel::open()?, model, config);
    let only: Vec<&str> = args.types.iter().map(String::as_str).collect();
    let mut counts = Counts::default();
    let (mut seed, mut last, mut differences) = (args.seed, Instant::now(), 0);
    while counts.total() < args.count {
        if let Err(difference) = comparison.compare(seed, args.inputs, &only, &mut counts) {
            println!("seed {seed}: {difference}");
            differences += 1;
            if differences >= args.differences {
                break;
            }
        }
        seed += 1;
        if args.progress > 0 && last.elapsed().as_secs() >= args.progress {
            last = Instant::now();
            eprintln!("next seed {seed}: {} runs", counts.total());
        }
    }
    let Counts { runs, refused, programs, left_out } = &counts;
    println!(
        "runs={} refused={refused} programs={programs} left_out={left_out} differences={differences}",
        counts.total()
    );
    println!("{}", runs.iter().map(|(kind, n)| format!("{kind}={n}")).collect::<Vec<_>>().join(" "));
    if differences > 0 {
        bail!("{differences} differences");
    }
    Ok(())
}
