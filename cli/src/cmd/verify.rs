//! `verify`: the kernel's verdict on each program, with a diagnosis of each rejection.

use crate::cmd::{Selection, load};
use crate::host::{Host, KernelArgs};
use crate::judge::{Judged, ProgramResult, diagnose, duration, judge};
use crate::{End, paint};
use anyhow::Result;
use ebpfkit_object::Prepared;
use ebpfkit_verifier::log::KernelLog;
use ebpfkit_verifier::observer::{Observer, Silent};
use ebpfkit_verifier::{Options, Owners, Report, Verdict};
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `verify`.
#[derive(clap::Args)]
pub struct Args {
    /// Object files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    kernel: KernelArgs,
    /// Print the kernel's log: 1 the failing path, 2 every path; add 4 for statistics
    #[arg(short, long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=6))]
    log_level: u8,
    /// One JSON object for each file
    #[arg(short, long)]
    json: bool,
    /// Apply the rules for a user without capabilities
    #[arg(long)]
    unprivileged: bool,
    /// Reject what is not aligned even where the machine allows it
    #[arg(long)]
    strict_alignment: bool,
}

/// One file's results; documented in `docs/json.md`.
#[derive(Serialize)]
struct FileResult {
    object: String,
    programs: Vec<ProgramResult>,
}

/// Verifies every file; the worst end counts.
pub fn run(args: &Args) -> Result<End> {
    let host = args.kernel.host()?;
    let mut worst = End::Good;
    for path in &args.files {
        let end = match load(path, &host) {
            Ok(prepared) => file(args, &host, &prepared)?,
            Err(e) => {
                anstream::eprintln!("{} {e:#}", paint::error("error:"));
                End::Usage
            }
        };
        worst = worst.max(end);
    }
    Ok(worst)
}

fn file(args: &Args, host: &Host, prepared: &Prepared) -> Result<End> {
    let mut worst = End::Good;
    let (mut results, mut owners) = (Vec::new(), Owners::default());
    for index in args.selection.pick(&prepared.object)? {
        // What a loader loads only when it is asked to is judged on its own.
        let mut alone = Owners::default();
        let owners = if prepared.object.programs[index].autoload { &mut owners } else { &mut alone };
        let (result, end) = program(args, host, prepared, index, owners);
        worst = worst.max(end);
        results.push(result);
    }
    if args.json {
        let line = serde_json::to_string(&FileResult { object: prepared.object.name.clone(), programs: results })?;
        anstream::println!("{line}");
    } else if results.is_empty() {
        anstream::eprintln!("{}: no programs", prepared.object.name);
    }
    Ok(worst)
}

/// Verifies one program; prints it unless JSON is wanted.
fn program(args: &Args, host: &Host, prepared: &Prepared, index: usize, owners: &mut Owners) -> (ProgramResult, End) {
    let options =
        Options { privileged: !args.unprivileged, strict_alignment: args.strict_alignment, ..Options::default() };
    let mut log = KernelLog { level: args.log_level, ..KernelLog::default() };
    let observer: &mut dyn Observer = if args.log_level == 0 { &mut Silent } else { &mut log };
    let Judged { result, report } = judge(host, prepared, index, options, owners, observer);
    let end = end_of(result.verdict);
    if !args.json {
        anstream::print!("{}", log.text);
        show(host, options, &result, report.as_ref(), prepared, index);
    }
    (result, end)
}

/// How a verdict counts for the exit code.
fn end_of(verdict: &str) -> End {
    match verdict {
        "accepted" => End::Good,
        "unsupported" => End::Unsupported,
        _ => End::Bad,
    }
}

/// Prints one program's result for people.
fn show(
    host: &Host,
    options: Options,
    result: &ProgramResult,
    report: Option<&Report>,
    prepared: &Prepared,
    index: usize,
) {
    let head = format!("{} ({})", result.name, result.section);
    let message = result.message.as_deref().unwrap_or_default();
    let Some(report) = report else {
        anstream::println!("{} {head}: {message}", paint::error("unloadable"));
        return;
    };
    match &report.verdict {
        Verdict::Accepted(_) => {
            anstream::println!(
                "{} {head}: {} instructions processed, {} states, {}",
                paint::good("accepted"),
                result.insns_processed,
                result.states,
                duration(result.verification_ns)
            );
        }
        Verdict::Rejected(r) => {
            anstream::println!("{} {head}", paint::error("rejected"));
            anstream::println!("{}", diagnose(host, prepared, index, options, result, r));
        }
        Verdict::Unsupported { .. } => {
            let at = result.insn.unwrap_or_default();
            anstream::println!("{} {head}: {message} (instruction {at})", paint::warning("unsupported"));
        }
    }
}
