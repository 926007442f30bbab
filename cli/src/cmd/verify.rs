//! `verify`: the kernel's verdict on each program, with a diagnosis of each rejection.

use crate::cmd::{Selection, load};
use crate::host::{Host, KernelArgs};
use crate::{End, paint};
use anyhow::Result;
use ebpfkit_explain::{diagnosis, source};
use ebpfkit_object::Prepared;
use ebpfkit_verifier::log::KernelLog;
use ebpfkit_verifier::observer::{Observer, Silent};
use ebpfkit_verifier::{Options, Report, Verdict};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

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
    /// Print the kernel's log: 1 the failing path, 2 every path
    #[arg(short, long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
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

/// One program's result.
#[derive(Serialize)]
struct ProgramResult {
    name: String,
    section: String,
    #[serde(rename = "type")]
    program_type: String,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    insn: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SourceResult>,
    insns_processed: u64,
    states: u64,
    verification_ns: u64,
}

/// A place in the source.
#[derive(Serialize)]
struct SourceResult {
    file: String,
    line: u32,
    text: String,
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
    let mut results = Vec::new();
    for index in args.selection.pick(&prepared.object)? {
        let (result, end) = program(args, host, prepared, index);
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
fn program(args: &Args, host: &Host, prepared: &Prepared, index: usize) -> (ProgramResult, End) {
    let program = &prepared.object.programs[index];
    let mut result = ProgramResult {
        name: program.name.clone(),
        section: program.section.clone(),
        program_type: program.prog_type.to_string(),
        verdict: "unloadable",
        code: None,
        message: None,
        insn: None,
        source: None,
        insns_processed: 0,
        states: 0,
        verification_ns: 0,
    };
    if let Some(why) = prepared.unloadable.get(index).cloned().flatten() {
        if !args.json {
            anstream::println!("{} {} ({}): {why}", paint::error("unloadable"), program.name, program.section);
        }
        result.message = Some(why);
        return (result, End::Bad);
    }
    let options = Options { privileged: !args.unprivileged, strict_alignment: args.strict_alignment };
    let mut log = KernelLog { level: args.log_level, ..KernelLog::default() };
    let observer: &mut dyn Observer = if args.log_level == 0 { &mut Silent } else { &mut log };
    let start = Instant::now();
    let report = ebpfkit_verifier::verify(&host.model, &prepared.object, index, options, observer);
    result.verification_ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1);
    result.insns_processed = report.insns_processed;
    result.states = report.total_states;
    if !args.json {
        anstream::print!("{}", log.text);
    }
    let end = fill(&mut result, &report, prepared, index);
    if !args.json {
        show(&result, &report, prepared, index);
    }
    (result, end)
}

/// Moves the verdict into the result.
fn fill(result: &mut ProgramResult, report: &Report, prepared: &Prepared, index: usize) -> End {
    let program = &prepared.object.programs[index];
    match &report.verdict {
        Verdict::Accepted(_) => {
            result.verdict = "accepted";
            End::Good
        }
        Verdict::Rejected(r) => {
            result.verdict = "rejected";
            result.code = Some(r.reason.code());
            let poison = program.poison.iter().find(|(at, _)| *at == r.insn).map(|(_, text)| text.clone());
            let text = poison.unwrap_or_else(|| r.reason.to_string());
            result.message = text.trim_end().lines().last().map(str::to_owned);
            result.insn = Some(r.insn);
            let line = prepared.object.btf.as_deref().and_then(|btf| source::line_of(program, btf, r.insn));
            result.source = line.map(|l| SourceResult { file: l.file, line: l.line, text: l.text.trim().to_owned() });
            End::Bad
        }
        Verdict::Unsupported { what, at } => {
            result.verdict = "unsupported";
            result.message = Some(format!("not modelled yet: {what}"));
            result.insn = Some(*at);
            End::Unsupported
        }
    }
}

/// Prints one program's result for people.
fn show(result: &ProgramResult, report: &Report, prepared: &Prepared, index: usize) {
    let head = format!("{} ({})", result.name, result.section);
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
            anstream::println!("{}", diagnosis::render(&prepared.object, index, r, result.message.as_deref()));
        }
        Verdict::Unsupported { .. } => {
            let message = result.message.as_deref().unwrap_or_default();
            let at = result.insn.unwrap_or_default();
            anstream::println!("{} {head}: {message} (instruction {at})", paint::warning("unsupported"));
        }
    }
}

/// Nanoseconds in a unit that people read.
fn duration(ns: u64) -> String {
    match ns {
        0..10_000 => format!("{ns} ns"),
        10_000..10_000_000 => format!("{} µs", ns / 1_000),
        _ => format!("{} ms", ns / 1_000_000),
    }
}
