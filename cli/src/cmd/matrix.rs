//! `verify --kernel` with several kernels: programs by kernels, each different rejection once, and what makes the
//! answers differ.

use crate::cmd::kernel::{SourceResult, trust};
use crate::cmd::report::Report;
use crate::cmd::{Selection, TypeArgs, head, open};
use crate::end::End;
use crate::out::{self, note, say};
use crate::{files, paint};
use anyhow::{Context, Result, bail};
use ebpfkit_explain::Diagnosis;
use ebpfkit_explain::files::Sources;
use ebpfkit_explain::judge::{Asked, Status};
use ebpfkit_object::{Object, Prepared, Program};
use ebpfkit_profiles::Profile;
use ebpfkit_profiles::flips::{self, Cause, Flip};
use ebpfkit_profiles::matrix::{self, Column, Summary};
use ebpfkit_verifier::{KernelModel, Options};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// The form in which a matrix is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON object for each file.
    Json,
    /// A line for each program and kernel.
    Csv,
    /// For services: each different reason once, with its kernels.
    Machine,
}

/// One file's matrix; documented in `docs/json.md`.
#[derive(Serialize)]
struct MatrixResult<'a> {
    object: String,
    kernels: Vec<KernelResult<'a>>,
    programs: Vec<RowResult<'a>>,
}

/// A kernel that was asked.
#[derive(Serialize)]
struct KernelResult<'a> {
    name: &'a str,
    version: String,
    trust: &'static str,
}

/// One program's answers.
#[derive(Serialize)]
struct RowResult<'a> {
    name: &'a str,
    section: &'a str,
    #[serde(rename = "type")]
    program_type: String,
    kernels: Vec<CellResult<'a>>,
    flips: Vec<FlipResult<'a>>,
}

/// One kernel's answer.
#[derive(Serialize)]
struct CellResult<'a> {
    kernel: &'a str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    insn: Option<usize>,
    insns_processed: u64,
    states: u64,
}

/// Two neighbours that answer differently.
#[derive(Serialize)]
struct FlipResult<'a> {
    older: &'a str,
    newer: &'a str,
    before: &'static str,
    after: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    causes: Vec<CauseResult>,
}

/// What makes them differ.
#[derive(Serialize)]
struct CauseResult {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SourceResult>,
}

/// Judges one file for several kernels and prints the answers.
pub fn file(
    path: &Path,
    kernels: &[Arc<Profile>],
    types: &TypeArgs,
    selection: &Selection,
    options: Options,
    form: Form,
    report: &mut Report,
) -> Result<End> {
    let mut object = open(path)?;
    types.apply(&mut object, selection)?;
    let picked = |object: &Object| selection.pick(object).unwrap_or_default();
    let columns = matrix::judge(&object, picked, kernels, options);
    let Some(prepared) = columns.iter().find_map(|c| c.prepared.as_ref().ok()) else {
        match columns.into_iter().find_map(|c| c.prepared.err()) {
            Some(why) => bail!("{}: {why}", files::name(path)),
            None => bail!("{}: no kernel was asked", files::name(path)),
        }
    };
    let programs = &prepared.object.programs;
    let rows = selection.pick(&prepared.object).with_context(|| files::name(path))?;
    let sources = Sources::new(|name| files::source_of(path, name));
    let shown = Shown { path, columns: &columns, programs, rows: &rows, options, sources };
    match form {
        Form::Text => shown.text()?,
        Form::Json => shown.json()?,
        Form::Csv => shown.csv()?,
        Form::Machine => shown.findings(report)?,
    }
    Ok(columns.iter().flat_map(|c| c.answers.iter().flatten()).map(|a| End::of(a.status())).max().unwrap_or(End::Good))
}

struct Shown<'a> {
    path: &'a Path,
    columns: &'a [Column],
    programs: &'a [Program],
    rows: &'a [usize],
    options: Options,
    sources: Sources<'a>,
}

impl Shown<'_> {
    fn summary(&self, column: &Column, row: usize) -> Option<Summary> {
        column.answer(row).map(Summary::of)
    }

    fn text(&self) -> Result<()> {
        if self.rows.is_empty() {
            note!("{}: no programs", files::name(self.path));
            return Ok(());
        }
        self.table()?;
        for &row in self.rows {
            self.rejections(row)?;
        }
        for &row in self.rows {
            for flip in flips::find(self.columns, row, self.options) {
                self.flip(&flip)?;
            }
        }
        Ok(())
    }

    /// Programs by kernels.
    fn table(&self) -> Result<()> {
        let heads: Vec<String> = self.rows.iter().map(|&row| head(&self.programs[row])).collect();
        let title = files::name(self.path);
        let first = heads.iter().chain([&title]).map(|h| h.chars().count()).max().unwrap_or(0);
        let cells: Vec<Vec<(String, Status)>> = self
            .columns
            .iter()
            .map(|c| self.rows.iter().map(|&row| cell(self.summary(c, row).as_ref())).collect())
            .collect();
        let widths: Vec<usize> = self
            .columns
            .iter()
            .zip(&cells)
            .map(|(c, cells)| cells.iter().map(|(text, _)| text.len()).chain([c.kernel.name.len()]).max().unwrap_or(0))
            .collect();
        let mut line = format!("{title:first$}");
        for (column, width) in self.columns.iter().zip(&widths) {
            line += &format!("  {:width$}", column.kernel.name);
        }
        say!("{}", line.trim_end())?;
        for (at, name) in heads.iter().enumerate() {
            let mut line = format!("{name:first$}");
            for (cells, width) in cells.iter().zip(&widths) {
                let (text, status) = &cells[at];
                line += &format!("  {}{:pad$}", paint::verdict(*status, text), "", pad = width - text.len());
            }
            say!("{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Each different reason once, with the kernels that give it; the first of them stands for all.
    fn reasons(&self, row: usize) -> Vec<(&Column, Summary, String)> {
        let mut found: Vec<(&Column, Summary, String)> = Vec::new();
        for column in self.columns {
            let Some(summary) = self.summary(column, row).filter(|s| s.status != Status::Accepted) else { continue };
            match found.iter_mut().find(|(_, known, _)| *known == summary) {
                Some((_, _, kernels)) => *kernels += &format!(", {}", column.kernel.name),
                None => found.push((column, summary, column.kernel.name.clone())),
            }
        }
        found
    }

    fn asked<'k>(&'k self, kernel: &'k KernelModel, prepared: &'k Prepared, program: usize) -> Asked<'k> {
        Asked { kernel, prepared, program, options: self.options, sources: &self.sources }
    }

    fn rejections(&self, row: usize) -> Result<()> {
        for (column, summary, kernels) in self.reasons(row) {
            let (name, word) = (head(&self.programs[row]), summary.status.name());
            say!("")?;
            let (Ok(prepared), Some(judged), Status::Rejected) = (&column.prepared, column.answer(row), summary.status)
            else {
                let message = summary.message.as_deref().unwrap_or_default();
                say!("{} {name} for {kernels}: {message}", paint::verdict(summary.status, word))?;
                continue;
            };
            say!("{} {name} by {kernels}", paint::verdict(summary.status, word))?;
            let kernel = &column.kernel.model();
            if let Some(text) = judged.diagnosis(&self.asked(kernel, prepared, row)) {
                say!("{text}")?;
            }
        }
        Ok(())
    }

    fn findings(&self, report: &mut Report) -> Result<()> {
        for &row in self.rows {
            for (column, summary, kernels) in self.reasons(row) {
                let diagnose = || {
                    let (Ok(prepared), Some(judged)) = (&column.prepared, column.answer(row)) else { return None };
                    let kernel = &column.kernel.model();
                    let diagnosis = judged.diagnose(&self.asked(kernel, prepared, row), None)?;
                    Some(Diagnosis { headline: format!("{} (Linux {kernels})", diagnosis.headline), ..diagnosis })
                };
                let message = summary.message.as_deref().unwrap_or_default();
                report.finding(
                    self.path,
                    &self.programs[row],
                    summary.status,
                    format!("{message} (Linux {kernels})"),
                    diagnose(),
                )?;
            }
        }
        Ok(())
    }

    fn flip(&self, flip: &Flip) -> Result<()> {
        // A row says from when on it is so, even between two kernels that were asked.
        let newer = &self.columns[flip.older + 1].kernel;
        let from = flip.since.map_or_else(|| newer.name.clone(), |v| v.series());
        let name = head(&self.programs[flip.program]);
        let (before, after) = (flip.before.status.name(), flip.after.status.name());
        let why = match &flip.causes[..] {
            [] => "no row of the features explains it".to_owned(),
            [one] => cause_text(*one, flip),
            several => {
                let parts: Vec<String> = several.iter().map(|c| cause_text(*c, flip)).collect();
                format!("\n  {}", parts.join("\n  "))
            }
        };
        say!("")?;
        say!("{} {name}: {before} before {from}, {after} from then on: {why}", paint::warning("why"))
    }

    fn json(&self) -> Result<()> {
        let rows = self.rows.iter().map(|&row| {
            let program = &self.programs[row];
            let cell = |c: &'_ Column| -> Option<CellResult<'_>> {
                let judged = c.answer(row)?;
                let Summary { status, code, message } = Summary::of(judged);
                Some(CellResult {
                    kernel: "",
                    verdict: status.name(),
                    code,
                    message,
                    insn: judged.insn(),
                    insns_processed: judged.insns_processed,
                    states: judged.states,
                })
            };
            let kernels =
                self.columns.iter().filter_map(|c| Some(CellResult { kernel: &c.kernel.name, ..cell(c)? })).collect();
            let flips = flips::find(self.columns, row, self.options).into_iter().map(|flip| FlipResult {
                older: &self.columns[flip.older].kernel.name,
                newer: &self.columns[flip.older + 1].kernel.name,
                before: flip.before.status.name(),
                after: flip.after.status.name(),
                since: flip.since.map(|v| v.series()),
                causes: flip.causes.iter().map(|c| cause_result(*c)).collect(),
            });
            RowResult {
                name: &program.name,
                section: &program.section,
                program_type: program.prog_type.to_string(),
                kernels,
                flips: flips.collect(),
            }
        });
        let kernels = self.columns.iter().map(|c| KernelResult {
            name: &c.kernel.name,
            version: c.kernel.version.to_string(),
            trust: trust(&c.kernel),
        });
        out::json(&MatrixResult {
            object: files::name(self.path),
            kernels: kernels.collect(),
            programs: rows.collect(),
        })
    }

    fn csv(&self) -> Result<()> {
        for &row in self.rows {
            for column in self.columns {
                let Some(summary) = self.summary(column, row) else { continue };
                let program = &self.programs[row];
                let fields = [
                    files::name(self.path),
                    program.name.clone(),
                    program.section.clone(),
                    column.kernel.name.clone(),
                    summary.status.name().to_owned(),
                    summary.code.unwrap_or_default().to_owned(),
                    summary.message.unwrap_or_default(),
                ];
                say!("{}", fields.map(|f| quoted(&f)).join(","))?;
            }
        }
        Ok(())
    }
}

/// The first line of a table of comma-separated values.
pub const CSV_HEAD: &str = "file,program,section,kernel,verdict,code,message";

/// A field of comma-separated values (RFC 4180).
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// What stands in the table: the code of a rejection, otherwise a word.
fn cell(summary: Option<&Summary>) -> (String, Status) {
    match summary {
        Some(s) => (
            s.code.map_or_else(
                || if s.status == Status::Accepted { "ok" } else { s.status.name() }.into(),
                str::to_owned,
            ),
            s.status,
        ),
        None => ("-".into(), Status::Unsupported),
    }
}

fn cause_text(cause: Cause, flip: &Flip) -> String {
    let message = flip.refusal().message.as_deref().unwrap_or_default();
    match cause {
        Cause::Feature(f) => format!("{} ({})", f.what().trim().trim_end_matches('.'), f.source()),
        Cause::Version => format!("what the older kernel does not have yet: {message}"),
        Cause::Types => format!("the kernels' types differ: {message}"),
    }
}

fn cause_result(cause: Cause) -> CauseResult {
    let (kind, feature) = match cause {
        Cause::Feature(f) => ("feature", Some(f)),
        Cause::Version => ("version", None),
        Cause::Types => ("types", None),
    };
    CauseResult {
        kind,
        feature: feature.map(|f| f.name()),
        since: feature.map(|f| f.since().series()),
        what: feature.map(|f| f.what().trim()),
        source: feature.map(|f| f.source().into()),
    }
}
