//! `check-kernel`: the running kernel's verdict beside ours, program by program.

use crate::cmd::{Selection, load};
use crate::host::{Host, KernelArgs};
use crate::judge::{Judged, ProgramResult, duration, judge};
use crate::{End, paint};
use anyhow::Result;
use ebpfkit_abi::Errno;
use ebpfkit_kernel::{Kernel, KernelError, LogLevel, Session, load_failure};
use ebpfkit_object::Prepared;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{Options, Owners, Verdict};
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `check-kernel`.
#[derive(clap::Args)]
pub struct Args {
    /// Object files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// One JSON object for each file
    #[arg(short, long)]
    json: bool,
}

/// One file's comparison; documented in `docs/json.md`.
#[derive(Serialize)]
struct FileResult {
    object: String,
    programs: Vec<Comparison>,
}

/// One program, judged twice.
#[derive(Serialize)]
struct Comparison {
    #[serde(flatten)]
    ours: ProgramResult,
    kernel: KernelResult,
    /// `same`, `differs` or `undecided`.
    outcome: &'static str,
}

/// The kernel's side.
#[derive(Default, Serialize)]
struct KernelResult {
    /// `accepted`, `rejected` or `unloadable`.
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    insns_processed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_ns: Option<u64>,
    /// Refused for want of a right before the verifier looked at it.
    #[serde(skip)]
    forbidden: bool,
}

/// Compares every file; a difference counts as bad, a program that only one side can judge as unsupported.
pub fn run(args: &Args) -> Result<End> {
    let kernel = match Kernel::open() {
        Ok(kernel) => kernel,
        Err(e) => {
            anstream::eprintln!("{} {e}", paint::error("error:"));
            return Ok(End::Unsupported);
        }
    };
    let host = KernelArgs::default().host()?;
    let (mut worst, mut counts) = (End::Good, [0usize; 3]);
    for path in &args.files {
        let prepared = match load(path, &host) {
            Ok(prepared) => prepared,
            Err(e) => {
                anstream::eprintln!("{} {e:#}", paint::error("error:"));
                worst = worst.max(End::Usage);
                continue;
            }
        };
        let session = match Session::new(kernel, &prepared) {
            Ok(session) => session,
            Err(e) => {
                anstream::eprintln!("{} {}: {e}", paint::error("error:"), path.display());
                worst = worst.max(End::Unsupported);
                continue;
            }
        };
        let (mut programs, mut owners) = (Vec::new(), Owners::default());
        for index in args.selection.pick(&prepared.object)? {
            let comparison = compare(&host, &prepared, &session, index, &mut owners);
            let (slot, end) = match comparison.outcome {
                "same" => (0, End::Good),
                "differs" => (1, End::Bad),
                _ => (2, End::Unsupported),
            };
            counts[slot] += 1;
            worst = worst.max(end);
            if !args.json {
                show(&comparison);
            }
            programs.push(comparison);
        }
        if args.json {
            let line = serde_json::to_string(&FileResult { object: prepared.object.name.clone(), programs })?;
            anstream::println!("{line}");
        }
    }
    if !args.json {
        anstream::println!("{} same, {} different, {} undecided", counts[0], counts[1], counts[2]);
    }
    Ok(if counts[1] > 0 { End::Bad } else { worst })
}

fn compare(host: &Host, prepared: &Prepared, session: &Session<'_>, index: usize, owners: &mut Owners) -> Comparison {
    let Judged { result: ours, report } = judge(host, prepared, index, Options::default(), owners, &mut Silent);
    let silent = matches!(report.map(|r| r.verdict), Some(Verdict::Rejected(r)) if r.reason.is_silent());
    let kernel = ask(session, index);
    let outcome = match (ours.verdict, kernel.verdict) {
        ("unsupported", _) => "undecided",
        // A kernel may forbid a kind of program altogether; that says nothing of the program.
        (_, "unloadable") if kernel.forbidden => "undecided",
        // Neither verifier saw it.
        ("unloadable", "unloadable") => "same",
        (a, b) if a != b => "differs",
        ("rejected", _) if silent && kernel.message.as_deref() == Some("") => "same",
        ("rejected", _) if ours.message.as_deref().map(str::trim) != kernel.message.as_deref().map(str::trim) => {
            "differs"
        }
        _ => "same",
    };
    Comparison { ours, kernel, outcome }
}

/// The kernel's verdict. Figures come from a second load without a log, whose time is the verifier's own.
fn ask(session: &Session<'_>, index: usize) -> KernelResult {
    let unloadable = |why: String| KernelResult { verdict: "unloadable", message: Some(why), ..Default::default() };
    let timed = match session.load(index, LogLevel::STATS) {
        Ok(result) => result,
        Err(KernelError::Unloadable(why)) => return unloadable(why),
        Err(e) => return unloadable(e.to_string()),
    };
    let figures = timed.summary();
    let mut result = KernelResult {
        verdict: "accepted",
        message: None,
        insns_processed: figures.insns_processed,
        verification_ns: figures.verification_us.map(|us| us * 1000),
        forbidden: false,
    };
    if let Err(errno) = timed.program {
        let message = match session.load(index, LogLevel::FAILING_PATH) {
            Ok(with_log) => with_log.summary().message,
            Err(e) => return unloadable(e.to_string()),
        };
        // Without a log the program was refused before the verifier looked at it.
        if message.is_empty() && figures.insns_processed.is_none() {
            return KernelResult { forbidden: errno == Errno::EPERM.0, ..unloadable(load_failure(errno)) };
        }
        result.verdict = "rejected";
        result.message = Some(message);
    }
    result
}

fn show(c: &Comparison) {
    let head = format!("{} ({})", c.ours.name, c.ours.section);
    let said = |verdict: &str, message: Option<&str>| match message {
        Some(m) if !m.is_empty() => format!("{verdict}: {m}"),
        _ => verdict.to_owned(),
    };
    let ours = said(c.ours.verdict, c.ours.message.as_deref());
    let kernel = said(c.kernel.verdict, c.kernel.message.as_deref());
    if c.outcome != "same" {
        let word = if c.outcome == "differs" { paint::error("differs") } else { paint::warning("undecided") };
        anstream::println!("{word} {head}\n  ebpfkit: {ours}\n  kernel:  {kernel}");
        return;
    }
    let work = match c.kernel.insns_processed {
        Some(n) if n == c.ours.insns_processed => format!("; {n} instructions processed"),
        Some(n) => format!("; {} instructions processed, the kernel {n}", c.ours.insns_processed),
        None => String::new(),
    };
    let time = c.kernel.verification_ns.filter(|_| c.ours.verification_ns != 0).map_or_else(String::new, |ns| {
        format!(" in {}, the kernel in {}", duration(c.ours.verification_ns), duration(ns))
    });
    anstream::println!("{} {head}: {kernel}{work}{time}", paint::good("same"));
}
