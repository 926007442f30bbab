//! One program judged by the verifier, in the form that commands print.

use crate::host::Host;
use ebpfkit_explain::{diagnosis, source};
use ebpfkit_object::Prepared;
use ebpfkit_verifier::log::KernelLog;
use ebpfkit_verifier::{Observer, Options, Owners, Rejection, Report, Verdict};
use serde::Serialize;
use std::time::Instant;

/// A result and what it was made from.
pub struct Judged {
    /// What is printed.
    pub result: ProgramResult,
    /// The verifier's report; none for a program that does not reach a verifier.
    pub report: Option<Report>,
}

/// One program's result.
#[derive(Serialize)]
pub struct ProgramResult {
    pub name: String,
    pub section: String,
    #[serde(rename = "type")]
    pub program_type: String,
    pub verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insn: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceResult>,
    pub insns_processed: u64,
    pub states: u64,
    pub verification_ns: u64,
}

/// A place in the source.
#[derive(Serialize)]
pub struct SourceResult {
    pub file: String,
    pub line: u32,
    pub text: String,
}

/// Judges one program of a prepared object, which would be loaded after those that `owners` has admitted.
pub fn judge(
    host: &Host,
    prepared: &Prepared,
    index: usize,
    options: Options,
    owners: &mut Owners,
    observer: &mut dyn Observer,
) -> Judged {
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
        result.message = Some(why);
        return Judged { result, report: None };
    }
    let (start, read_before) = (Instant::now(), host.reading_ns());
    let mut report = ebpfkit_verifier::verify(&host.model, &prepared.object, index, options, observer);
    owners.admit(&prepared.object, &mut report);
    let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    result.verification_ns = elapsed.saturating_sub(host.reading_ns() - read_before).max(1);
    result.insns_processed = report.insns_processed;
    result.states = report.total_states;
    fill(&mut result, &report, prepared, index);
    Judged { result, report: Some(report) }
}

/// Moves the verdict into the result.
fn fill(result: &mut ProgramResult, report: &Report, prepared: &Prepared, index: usize) {
    let program = &prepared.object.programs[index];
    match &report.verdict {
        Verdict::Accepted(_) => result.verdict = "accepted",
        Verdict::Rejected(r) => {
            result.verdict = "rejected";
            result.code = Some(r.reason.code());
            let poison = program.poison.iter().find(|(at, _)| *at == r.insn).map(|(_, text)| text.clone());
            let text = poison.unwrap_or_else(|| r.reason.to_string());
            result.message = text.trim_end().lines().last().map(str::to_owned);
            result.insn = Some(r.insn);
            let line = prepared.object.btf.as_deref().and_then(|btf| source::line_of(program, btf, r.insn));
            result.source = line.map(|l| SourceResult { file: l.file, line: l.line, text: l.text.trim().to_owned() });
        }
        Verdict::Unsupported { what, at } => {
            result.verdict = "unsupported";
            result.message = Some(format!("not modelled yet: {what}"));
            result.insn = Some(*at);
        }
    }
}

/// Nanoseconds in a unit that people read.
pub fn duration(ns: u64) -> String {
    match ns {
        0..10_000 => format!("{ns} ns"),
        10_000..10_000_000 => format!("{} µs", ns / 1_000),
        _ => format!("{} ms", ns / 1_000_000),
    }
}

/// Steps up to which a rejected program is walked again for the log of its failing path.
const EXPLAINED_STEPS: u64 = 200_000;

/// The diagnosis of a rejection, as text. The program is walked once more for the path that leads there.
pub fn diagnose(
    host: &Host,
    prepared: &Prepared,
    index: usize,
    options: Options,
    result: &ProgramResult,
    rejection: &Rejection,
) -> String {
    let mut log = KernelLog { level: 1, ..KernelLog::default() };
    if result.insns_processed <= EXPLAINED_STEPS {
        ebpfkit_verifier::verify(&host.model, &prepared.object, index, options, &mut log);
    }
    diagnosis::render(&prepared.object, index, rejection, result.message.as_deref(), Some(&log.text))
}
