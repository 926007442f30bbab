//! `outside`: accesses outside of a program's memory, in the engines that stop them.

use anyhow::{Result, bail};
use ebpfkit_testsuite::generate::Seeded;
use ebpfkit_testsuite::outside::{Tried, try_nonsense, try_one};

/// Arguments of `outside`.
#[derive(clap::Args)]
pub struct Args {
    /// Tries of either kind
    #[arg(short, long, default_value_t = 10_000)]
    count: u64,
    /// First seed; the others follow
    #[arg(short, long, default_value_t = 1)]
    seed: u64,
}

/// Tries and counts; the last line is for machines. A difference ends the command with an error.
pub fn run(args: &Args) -> Result<()> {
    let (mut inside, mut stopped, mut named, mut elsewhere) = (0, 0, 0, 0);
    let (mut ended, mut faulted, mut unloadable, mut bad) = (0, 0, 0, 0u64);
    for seed in args.seed..args.seed + args.count {
        match try_one(&mut Seeded(seed)) {
            Ok(Tried::Inside) => inside += 1,
            Ok(Tried::Elsewhere) => elsewhere += 1,
            Ok(Tried::Stopped { named: has_name }) => {
                stopped += 1;
                named += u64::from(has_name);
            }
            Err(e) => {
                bad += 1;
                println!("seed {seed}: {e}");
            }
        }
        match try_nonsense(&mut Seeded(seed)) {
            Ok(None) => unloadable += 1,
            Ok(Some(true)) => ended += 1,
            Ok(Some(false)) => faulted += 1,
            Err(e) => {
                bad += 1;
                println!("seed {seed}, nonsense: {e}");
            }
        }
    }
    println!("{stopped} accesses outside were stopped, of {named} the region is named");
    println!("{elsewhere} met other memory of the program, {inside} programs stayed inside");
    println!("{ended} senseless programs ended, {faulted} faulted, {unloadable} cannot be loaded");
    println!("tries={} stopped={stopped} differences={bad}", 2 * args.count);
    if bad > 0 {
        bail!("{bad} differences");
    }
    Ok(())
}
