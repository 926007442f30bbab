//! What `verify` says of many programs: as it goes, and at the end.

use crate::cmd::short_name;
use crate::files;
use crate::judge::Timed;
use crate::out::{self, say};
use anyhow::Result;
use ebpfkit_explain::Diagnosis;
use ebpfkit_explain::judge::Status;
use ebpfkit_explain::report::{Counts, Finding, github, sarif};
use ebpfkit_object::Program;
use std::path::Path;

/// A form that other programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForTools {
    /// A document at the end.
    Sarif,
    /// Annotations as they come.
    Github,
}

/// What has come of programs so far.
#[derive(Debug, Default)]
pub struct Report {
    form: Option<ForTools>,
    counts: Counts,
    findings: Vec<Finding>,
}

impl Report {
    /// Begins one, in a form for other programs or for people.
    pub fn new(form: Option<ForTools>) -> Self {
        Self { form, ..Self::default() }
    }

    /// Whether findings go to other programs instead of people.
    pub fn is_for_machines(&self) -> bool {
        self.form.is_some()
    }

    /// A file was looked at; `error` where it could not be read.
    pub fn file(&mut self, path: &Path, error: Option<&anyhow::Error>) -> Result<()> {
        self.counts.files += 1;
        let Some(error) = error else { return Ok(()) };
        self.counts.unreadable += 1;
        let message = out::text_of(error);
        self.add(Finding { object: files::name(path), message, ..Finding::default() })
    }

    /// A program was judged.
    pub fn program(
        &mut self,
        path: &Path,
        program: &Program,
        timed: &Timed,
        diagnosis: Option<Diagnosis>,
    ) -> Result<()> {
        self.finding(path, program, timed.judged.status(), timed.judged.message().unwrap_or_default(), diagnosis)
    }

    /// Something came of a program.
    pub fn finding(
        &mut self,
        path: &Path,
        program: &Program,
        status: Status,
        message: String,
        diagnosis: Option<Diagnosis>,
    ) -> Result<()> {
        self.counts.add(status);
        let diagnosis = diagnosis.map(|d| with_path(d, path));
        self.add(Finding {
            object: files::name(path),
            program: Some(program.name.clone()),
            status: Some(status),
            message,
            diagnosis,
        })
    }

    fn add(&mut self, finding: Finding) -> Result<()> {
        match self.form {
            Some(ForTools::Sarif) => self.findings.push(finding),
            Some(ForTools::Github) => {
                if let Some(line) = github::annotation(&finding, &relative) {
                    say!("{line}")?;
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Prints what comes at the end: a document, or how many programs came to what, where that is not plain to see.
    pub fn end(&self) -> Result<()> {
        match self.form {
            Some(ForTools::Sarif) => out::json(&sarif::document(&self.findings, &relative)),
            Some(ForTools::Github) => say!("{}", self.counts),
            None if self.counts.files > 1 || self.counts.programs() > 1 => say!("{}", self.counts),
            None => Ok(()),
        }
    }
}

/// Names a text by its path where a diagnosis has its name alone.
fn with_path(mut diagnosis: Diagnosis, path: &Path) -> Diagnosis {
    let name = short_name(path);
    let spans = std::iter::once(&mut diagnosis.primary).chain(&mut diagnosis.secondary).map(|s| &mut s.file);
    let edits = diagnosis.suggestions.iter_mut().flat_map(|s| &mut s.source).map(|e| &mut e.file);
    for file in spans.chain(edits).filter(|f| **f == name) {
        *file = files::name(path);
    }
    diagnosis
}

/// A path without the current folder in front: services look for files in the repository, compilers may write whole paths.
fn relative(path: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    match Path::new(path).strip_prefix(&here) {
        Ok(rest) if !rest.as_os_str().is_empty() => rest.to_string_lossy().into_owned(),
        _ => path.strip_prefix("./").unwrap_or(path).to_owned(),
    }
}
