//! `engines`: random accepted programs, run in every engine and in the running kernel.

use super::{ConstructArgs, SeedArgs};
use anyhow::{Result, bail};
use ebpfkit_kernel::Kernel;
use ebpfkit_object::Prepared;
use ebpfkit_testsuite::engines::{Input, Which, difference, kernel_errs, kernel_outcome, outcome, verified_all};
use ebpfkit_testsuite::generate::{self, Config, Seeded};
use ebpfkit_testsuite::running;
use ebpfkit_verifier::KernelModel;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Arguments of `engines`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    seeds: SeedArgs,
    /// Statements of a program, at most
    #[arg(long, default_value_t = 60)]
    statements: u32,
    #[command(flatten)]
    constructs: ConstructArgs,
    /// Leave the running kernel out
    #[arg(long)]
    no_kernel: bool,
    /// Print the program of the first difference
    #[arg(short, long)]
    print: bool,
    /// Print the counts so far to standard error, so often; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    progress: u64,
}

/// What is counted, for the last line. Counts of runs with seeds of their own can be added up.
#[derive(Default)]
struct Counts {
    /// Generated.
    programs: u64,
    /// Accepted by the verifier and run in all engines here.
    accepted: u64,
    /// Refused by the verifier.
    refused: u64,
    /// Run in the kernel.
    in_kernel: u64,
    /// Left out there, because [`kernel_errs`].
    kernel_errs: u64,
    differences: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { programs, accepted, refused, in_kernel, kernel_errs, differences } = self;
        write!(f, "programs={programs} accepted={accepted} refused={refused} in_kernel={in_kernel} ")?;
        write!(f, "kernel_errs={kernel_errs} differences={differences}")
    }
}

/// Where programs are run, and what became of them.
struct Everywhere<'a> {
    args: &'a Args,
    model: KernelModel,
    kernel: Option<Kernel>,
    counts: Counts,
}

impl Everywhere<'_> {
    /// Runs the program of a seed; what differs is added to `found`.
    fn compare(&mut self, seed: u64, prepared: &Prepared, found: &mut Vec<String>) -> Result<(), String> {
        let Ok(proofs) = verified_all(&self.model, prepared) else {
            self.counts.refused += 1;
            return Ok(());
        };
        self.counts.accepted += 1;
        let input = Input::random(&mut Seeded(seed ^ 0x5eed));
        let first = outcome(Which::ALL[0], &self.model, prepared, &proofs, &input)?;
        if let Err(fault) = &first.result {
            found.push(format!("the checked interpreter: {fault}"));
        }
        for which in &Which::ALL[1..] {
            let other = outcome(*which, &self.model, prepared, &proofs, &input);
            let different = other.map_or_else(Some, |o| difference(&first, &o, false));
            found.extend(different.map(|text| format!("{which:?}: {text}")));
        }
        let Some(kernel) = self.kernel else { return Ok(()) };
        if kernel_errs(&self.model, prepared, &proofs) {
            self.counts.kernel_errs += 1;
            return Ok(());
        }
        self.counts.in_kernel += 1;
        let theirs = kernel_outcome(kernel, prepared, &input);
        let different = theirs.map_or_else(Some, |o| difference(&first, &o, true));
        found.extend(different.map(|text| format!("the kernel: {text}")));
        Ok(())
    }

    /// The same, where a failure or a panic is a difference; prints what there is.
    fn run(&mut self, seed: u64, config: &Config) {
        self.counts.programs += 1;
        let prepared = generate::program(&mut Seeded(seed), config);
        let mut found = Vec::new();
        let ended = catch_unwind(AssertUnwindSafe(|| self.compare(seed, &prepared, &mut found)));
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => found.push(failure),
            Err(_) => found.push("a panic".to_owned()),
        }
        for text in found {
            self.counts.differences += 1;
            println!("seed {seed}: {text}");
            if self.args.print && self.counts.differences == 1 {
                println!("{}", ebpfkit_testsuite::text_of(&prepared));
            }
        }
    }
}

/// Runs and counts; differences are printed with their seeds and end the command with an error, after all programs ran.
pub fn run(args: &Args) -> Result<()> {
    let model = running::model();
    let config = Config { statements: args.statements, mistakes: 0, ..args.constructs.config(&model) };
    let kernel = if args.no_kernel { None } else { Kernel::open().ok() };
    let mut all = Everywhere { args, model, kernel, counts: Counts::default() };
    let mut seed = args.seeds.seed;
    let mut last = Instant::now();
    while all.counts.accepted < args.seeds.count {
        all.run(seed, &config);
        seed += 1;
        if all.counts.refused > args.seeds.count {
            bail!("most programs are refused: {}", all.counts);
        }
        if args.progress > 0 && last.elapsed().as_secs() >= args.progress {
            last = Instant::now();
            eprintln!("next seed {seed}: {}", all.counts);
        }
    }
    println!("{}", all.counts);
    if all.counts.differences > 0 {
        bail!("{} differences", all.counts.differences);
    }
    Ok(())
}
