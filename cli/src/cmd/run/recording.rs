//! What a run executed, written as coverage (`--coverage`) or as a profile (`--profile`).

use super::Args;
use super::engine::EngineKind;
use super::load::Loaded;
use crate::cmd::cfg as graph;
use crate::cmd::out_text::{flame_graph, put};
use crate::files::{self, is_standard};
use anyhow::{Result, bail};
use ebpfkit_explain::coverage::{self, Coverage};
use ebpfkit_explain::profile::Profile;
use ebpfkit_object::{Object, Program};
use ebpfkit_vm::Run;
use ebpfkit_vm::counts::Counter;
use std::path::{Path, PathBuf};

/// Rows of a profile's tables.
const TOP: usize = 20;

/// Options of what is recorded.
#[derive(clap::Args)]
pub struct RecordingArgs {
    /// Show how often each line, branch and instruction was executed, or write it to a file: lcov (.info), Cobertura
    /// (.xml), a picture of the control flow (.svg), counts for `ebpfkit cfg --coverage` (.json), otherwise text
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    coverage: Option<PathBuf>,
    /// Show which lines and functions executed most instructions, or write it to a file: flame graph (.svg), folded
    /// stacks (.folded), JSON (.json), otherwise text
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    profile: Option<PathBuf>,
}

impl RecordingArgs {
    /// The files that are written.
    pub fn outputs(&self) -> [Option<&Path>; 2] {
        // What goes to standard output follows the results there.
        [&self.coverage, &self.profile].map(|p| p.as_deref().filter(|p| !is_standard(p)))
    }

    /// Refuses what has no effect.
    pub fn check(&self, engine: EngineKind, json: bool) -> Result<()> {
        for (option, file) in [("--coverage", &self.coverage), ("--profile", &self.profile)] {
            let Some(file) = file else { continue };
            if engine != EngineKind::Interp {
                bail!("{option} counts what the interpreter executes; leave out --engine");
            }
            if json && is_standard(file) {
                bail!("{option} prints text, which does not go with JSON; give it a file: {option}=FILE");
            }
        }
        Ok(())
    }

    /// Whether anything is wanted.
    pub fn is_asked(&self) -> bool {
        self.coverage.is_some() || self.profile.is_some()
    }

    /// A counter for any number of runs, if anything is to be recorded.
    pub fn counter(&self) -> Option<Counter> {
        self.is_asked().then(Counter::default)
    }

    /// Starts to record a run, if anything is wanted.
    pub fn start(&self, run: &mut Run) -> Option<Counter> {
        let counter = self.counter()?;
        run.set_watcher(Some(counter.watcher()));
        Some(counter)
    }
}

/// Writes what was recorded of a loaded program and those it calls as tails.
pub fn write(args: &Args, object: &Object, loaded: &Loaded, counter: Option<Counter>) -> Result<()> {
    let own = object.programs.iter().filter(|p| p.name == loaded.program.name());
    let targets = loaded.instance.tail_call_targets().filter_map(|n| object.programs.get(n));
    write_programs(args, object, own.chain(targets).collect(), counter)
}

/// Writes what was recorded of several programs.
pub fn write_programs(
    args: &Args,
    object: &Object,
    mut programs: Vec<&Program>,
    counter: Option<Counter>,
) -> Result<()> {
    let Some(counter) = counter else { return Ok(()) };
    let counts = counter.counts();
    // A program may be in its own prog array.
    let mut names = std::collections::HashSet::new();
    programs.retain(|p| names.insert(p.name.as_str()));
    if let Some(path) = &args.recording.coverage {
        let executed = || graph::Executed::of(&programs, &counts);
        let text = match extension(path) {
            "json" => serde_json::to_string(&executed())?,
            "svg" => graph::picture(object, &programs, Some(&executed())),
            _ => {
                let mut coverage = Coverage::of(object, &programs, &counts);
                coverage.rename(&|name| files::found_beside(&args.file, name));
                coverage_text(path, &coverage, &args.file)
            }
        };
        put(path, text.as_bytes())?;
    }
    if let Some(path) = &args.recording.profile {
        let profile = Profile::of(object, &counts);
        let text = match extension(path) {
            "folded" => profile.folded().into_bytes(),
            "json" => serde_json::to_vec_pretty(&profile)?,
            "svg" => flame_graph("Instructions executed", &profile.folded())?,
            _ => profile.table(TOP).into_bytes(),
        };
        put(path, &text)?;
    }
    Ok(())
}

/// Coverage in the form that a file's name asks for.
pub fn coverage_text(path: &Path, coverage: &Coverage, object: &Path) -> String {
    match extension(path) {
        "info" | "lcov" => coverage::lcov(coverage),
        "xml" => coverage::cobertura(coverage),
        _ => coverage::text(coverage, &|file| files::source_of(object, file)),
    }
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}
