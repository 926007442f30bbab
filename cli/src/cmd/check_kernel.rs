//! `check-kernel`: the running kernel's verdict beside ours, program by program.

use crate::cmd::verify::unreadable;
use crate::cmd::{Labels, Selection, TypeArgs, head, load};
use crate::end::{End, Failure};
use crate::host::{Host, KernelArgs};
use crate::judge::{FileResult, ProgramResult, duration, judge};
use crate::out::{self, note, say};
use crate::{files, paint};
use anyhow::{Context, Result};
use ebpfkit_explain::judge::{Outcome, Status};
use ebpfkit_kernel::{Answer, Judgement, Kernel, KernelError, Session};
use ebpfkit_object::Prepared;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{Options, Owners};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `check-kernel`.
#[derive(clap::Args)]
pub struct Args {
    /// Object files, or assembly text; `-` reads standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    types: TypeArgs,
    /// One JSON object for each file
    #[arg(short, long)]
    json: bool,
}

/// One program, judged by both.
#[derive(Serialize)]
struct Comparison {
    #[serde(flatten)]
    ours: ProgramResult,
    kernel: KernelResult,
    outcome: Agreement,
}

/// Whether both say the same.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Agreement {
    Same,
    /// Another verdict or another message.
    Differs,
    /// One of the two has nothing to say of the program.
    Undecided,
}

/// The kernel's side.
#[derive(Serialize)]
struct KernelResult {
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    insns_processed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_ns: Option<u64>,
}

impl From<Judgement> for KernelResult {
    fn from(j: Judgement) -> Self {
        Self {
            verdict: status(&j.answer).name(),
            message: j.answer.message(),
            insns_processed: j.insns_processed,
            verification_ns: j.verification_ns,
        }
    }
}

fn status(answer: &Answer) -> Status {
    match answer {
        Answer::Accepted => Status::Accepted,
        Answer::Rejected(_) => Status::Rejected,
        Answer::Refused { .. } | Answer::Unloadable(_) => Status::Unloadable,
    }
}

/// Programs by agreement.
#[derive(Default)]
struct Counts {
    same: usize,
    differs: usize,
    undecided: usize,
}

/// Compares every file; a difference counts as bad, a program that only one side can judge as unsupported.
pub fn run(args: &Args) -> Result<End> {
    files::check(&args.files.iter().map(|f| Some(f.as_path())).collect::<Vec<_>>(), &[])?;
    let kernel = Kernel::open().map_err(Failure::unsupported)?;
    let host = KernelArgs::default().host()?;
    let labels = Labels::new(&args.files);
    let (mut worst, mut counts) = (End::Good, Counts::default());
    for path in &args.files {
        let programs = load(path, &host, &args.types, &args.selection).and_then(|prepared| {
            let picked = args.selection.pick(&prepared.object).with_context(|| files::name(path))?;
            Ok((prepared, picked))
        });
        let end = match programs {
            Ok((prepared, picked)) => {
                file(args, (&host, kernel), (path, &labels.of(path)), &prepared, &picked, &mut counts)?
            }
            Err(e) => unreadable(path, e, args.json)?,
        };
        worst = worst.max(end);
    }
    if !args.json {
        say!("{} same, {} different, {} undecided", counts.same, counts.differs, counts.undecided)?;
    }
    Ok(if counts.differs > 0 { End::Bad } else { worst })
}

fn file(
    args: &Args,
    (host, kernel): (&Host, Kernel),
    (path, label): (&Path, &str),
    prepared: &Prepared,
    picked: &[usize],
    counts: &mut Counts,
) -> Result<End> {
    // What the kernel has against the whole object it has against each of its programs.
    let session = Session::new(kernel, prepared);
    let mut worst = End::Good;
    let (mut programs, mut owners) = (Vec::new(), Owners::default());
    for &index in picked {
        let comparison = compare(host, prepared, &session, index, &mut owners);
        let (count, end) = match comparison.outcome {
            Agreement::Same => (&mut counts.same, End::Good),
            Agreement::Differs => (&mut counts.differs, End::Bad),
            Agreement::Undecided => (&mut counts.undecided, End::Unsupported),
        };
        *count += 1;
        worst = worst.max(end);
        if args.json {
            programs.push(comparison);
        } else {
            show(&comparison, &format!("{label}{}", head(&prepared.object.programs[index])))?;
        }
    }
    if args.json {
        out::json(&FileResult::of(path, prepared, programs))?;
    } else if picked.is_empty() {
        note!("{}: no programs", files::name(path));
    }
    Ok(worst)
}

fn compare(
    host: &Host,
    prepared: &Prepared,
    session: &std::result::Result<Session<'_>, KernelError>,
    index: usize,
    owners: &mut Owners,
) -> Comparison {
    let timed = judge(host, prepared, index, Options::default(), owners, &mut Silent);
    let kernel = match session {
        Ok(session) => session.judge(index),
        Err(e) => Judgement::unloadable(e),
    };
    let outcome = match (&timed.judged.outcome, &kernel.answer) {
        (Outcome::Unsupported { .. }, _) => Agreement::Undecided,
        // A kernel may forbid a kind of program altogether; that says nothing of the program.
        (_, answer) if answer.is_forbidden() => Agreement::Undecided,
        (Outcome::Rejected { rejection, .. }, Answer::Rejected(other))
            if rejection.reason.is_silent() && other.is_empty() =>
        {
            Agreement::Same
        }
        (Outcome::Rejected { message, .. }, Answer::Rejected(other)) if message.trim() != other.trim() => {
            Agreement::Differs
        }
        (_, answer) if timed.judged.status() != status(answer) => Agreement::Differs,
        _ => Agreement::Same,
    };
    Comparison { ours: timed.result(&prepared.object.programs[index]), kernel: kernel.into(), outcome }
}

fn show(c: &Comparison, head: &str) -> Result<()> {
    let said = |verdict: &str, message: Option<&str>| match message {
        Some(m) if !m.is_empty() => format!("{verdict}: {m}"),
        _ => verdict.to_owned(),
    };
    let ours = said(c.ours.verdict.name(), c.ours.message.as_deref());
    let kernel = said(c.kernel.verdict, c.kernel.message.as_deref());
    if c.outcome != Agreement::Same {
        let word = if c.outcome == Agreement::Differs { paint::error("differs") } else { paint::warning("undecided") };
        return say!("{word} {head}\n  ebpfkit: {ours}\n  kernel:  {kernel}");
    }
    let work = match c.kernel.insns_processed {
        Some(n) if n == c.ours.insns_processed => format!("; {n} instructions processed"),
        Some(n) => format!("; {} instructions processed, the kernel {n}", c.ours.insns_processed),
        None => String::new(),
    };
    let time = c.kernel.verification_ns.filter(|_| c.ours.verification_ns != 0).map_or_else(String::new, |ns| {
        format!(" in {}, the kernel in {}", duration(c.ours.verification_ns), duration(ns))
    });
    say!("{} {head}: {kernel}{work}{time}", paint::good("same"))
}
