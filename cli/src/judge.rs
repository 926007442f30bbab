//! One program judged by the verifier, in the form that commands print.

use crate::files;
use crate::host::Host;
use ebpfkit_explain::Diagnosis;
use ebpfkit_explain::judge::{Judged, Outcome, Status};
use ebpfkit_explain::source::SourceLine;
use ebpfkit_explain::trace::{Recorder, Trace};
use ebpfkit_object::{Prepared, Program};
use ebpfkit_verifier::{Observer, Options, Owners};
use serde::{Serialize, Serializer};
use std::path::Path;
use std::time::Instant;

/// One file's results, `P` for each program; documented in `docs/json.md`.
#[derive(Serialize)]
pub struct FileResult<P> {
    object: String,
    /// What libbpf 1.x has against the object, where it does not open it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    libbpf: Vec<String>,
    programs: Vec<P>,
}

impl<P> FileResult<P> {
    /// Of an object that was read from `path`.
    pub fn of(path: &Path, prepared: &Prepared, programs: Vec<P>) -> Self {
        Self { object: files::name(path), libbpf: prepared.object.libbpf_refusals.clone(), programs }
    }
}

/// One program's result; documented in `docs/json.md`.
#[derive(Serialize)]
pub struct ProgramResult {
    pub name: String,
    pub section: String,
    #[serde(rename = "type")]
    pub program_type: String,
    #[serde(serialize_with = "status")]
    pub verdict: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insn: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    pub insns_processed: u64,
    pub states: u64,
    pub verification_ns: u64,
}

fn status<S: Serializer>(status: &Status, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(status.name())
}

/// A place in the source.
#[derive(Serialize)]
pub struct SourceResult {
    pub file: String,
    pub line: u32,
    pub text: String,
}

impl From<&SourceLine> for SourceResult {
    fn from(line: &SourceLine) -> Self {
        Self { file: line.file.clone(), line: line.line, text: line.text.trim().to_owned() }
    }
}

/// A verdict and how long it took.
pub struct Timed {
    /// The verdict.
    pub judged: Judged,
    /// Nanoseconds of the verification alone.
    pub ns: u64,
}

/// Judges one program of a prepared object, which would be loaded after those that `owners` has admitted.
pub fn judge(
    host: &Host,
    prepared: &Prepared,
    index: usize,
    options: Options,
    owners: &mut Owners,
    observer: &mut dyn Observer,
) -> Timed {
    if let Some(judged) = Judged::unloadable(prepared, index) {
        return Timed { judged, ns: 0 };
    }
    let (start, read_before) = (Instant::now(), host.reading_ns());
    let mut report = ebpfkit_verifier::verify(&host.model, &prepared.object, index, options, observer);
    owners.admit(&prepared.object, &mut report);
    let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let ns = elapsed.saturating_sub(host.reading_ns() - read_before).max(1);
    Timed { judged: Judged::of(prepared, index, report), ns }
}

/// The same, with the path that leads to a rejection, unless that takes long.
pub fn judge_recorded(
    host: &Host,
    prepared: &Prepared,
    index: usize,
    options: Options,
    owners: &mut Owners,
) -> (Timed, Option<Trace>) {
    let mut recorder = Recorder::of_short_walks();
    let timed = judge(host, prepared, index, options, owners, &mut recorder);
    (timed, recorder.into_trace())
}

impl Timed {
    /// The verdict for JSON.
    pub fn result(&self, program: &Program) -> ProgramResult {
        let (code, source) = match &self.judged.outcome {
            Outcome::Rejected { rejection, line, .. } => {
                (Some(rejection.reason.code()), line.as_ref().map(SourceResult::from))
            }
            _ => (None, None),
        };
        ProgramResult {
            name: program.name.clone(),
            section: program.section.clone(),
            program_type: program.prog_type.to_string(),
            verdict: self.judged.status(),
            code,
            message: self.judged.message(),
            insn: self.judged.insn(),
            source,
            diagnosis: None,
            notes: Vec::new(),
            insns_processed: self.judged.insns_processed,
            states: self.judged.states,
            verification_ns: self.ns,
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
