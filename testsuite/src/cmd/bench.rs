//! `bench`: the programs of `bench/` in every engine, in turns, against the running kernel.

use anyhow::{Context, Result};
use ebpfkit_testsuite::bench::programs::{PLAIN, REAL, open};
use ebpfkit_testsuite::bench::table::Report;
use ebpfkit_testsuite::bench::{Engine, capture, measure, plot, scale};
use std::path::PathBuf;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Rounds; each engine runs a batch in each, and the best counts
    #[arg(short, long, default_value_t = 40)]
    iterations: u32,
    /// Only programs with this in their names
    #[arg(short, long, default_value = "")]
    filter: String,
    /// Compile times and memory only
    #[arg(long)]
    compile_only: bool,
    /// No compile times and memory
    #[arg(long, conflicts_with = "compile_only")]
    run_only: bool,
    /// Also go through this capture, as `captures --large` writes it, with the `ebpfkit` beside this program
    #[arg(long, value_name = "FILE")]
    packets: Option<PathBuf>,
    /// Draw the ratios
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Ratios alone, as the documentation shows them
    #[arg(long, conflicts_with = "json")]
    ratios: bool,
    /// JSON
    #[arg(short, long)]
    json: bool,
    /// Number of an engine and instructions: what one compilation takes in this process
    #[arg(long, hide = true)]
    memory_of: Option<String>,
}

/// Rounds for compile times.
const COMPILE_ITERATIONS: u32 = 5;

/// Prints ratios to the running kernel; without one, to our native code.
pub fn run(args: &Args) -> Result<()> {
    if let Some(of) = &args.memory_of {
        let (number, insns) = of.split_once(':').context("--memory-of: expected NUMBER:INSTRUCTIONS")?;
        let engine = Engine::ALL.get(number.parse::<usize>()?).context("no such engine")?;
        return scale::memory_here(*engine, insns.parse()?);
    }
    let mut report = Report::default();
    let names = PLAIN.into_iter().chain(REAL).filter(|n| n.contains(&args.filter) && !args.compile_only);
    for name in names {
        match open(name)? {
            Some(case) => report.figures.push(measure(&case, args.iterations)?),
            None => report.skipped.push(name),
        }
    }
    if !args.run_only {
        report.compile = scale::times(COMPILE_ITERATIONS)?;
        report.memory = scale::memory(scale::SIZES[1])?;
    }
    if let Some(path) = &args.packets {
        report.capture = capture::measure(path, args.iterations.min(10))?;
    }
    if let Some(path) = &args.svg {
        std::fs::write(path, plot::svg(&report)).with_context(|| path.display().to_string())?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report.json())?);
    } else {
        print!("{}", report.markdown(!args.ratios));
    }
    Ok(())
}
