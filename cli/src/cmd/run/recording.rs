//! What a run executed, written as coverage (`--coverage`) or as a profile (`--profile`).

use super::Args;
use super::engine::EngineKind;
use super::load::Loaded;
use crate::cmd::out_text::{flame_graph, put};
use crate::files::is_standard;
use anyhow::{Result, bail};
use ebpfkit_explain::{coverage, profile};
use ebpfkit_object::{Object, Program};
use ebpfkit_vm::Run;
use ebpfkit_vm::counts::{Counter, Counts};
use std::path::{Path, PathBuf};

/// Rows of a profile's tables.
const TOP: usize = 20;

/// Options of what is recorded.
#[derive(clap::Args)]
pub struct RecordingArgs {
    /// Show how often each line, branch and instruction was executed, or write it to a file: lcov (.info), Cobertura
    /// (.xml), otherwise text
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

    /// A counter for any number of runs, if anything is to be recorded.
    pub fn counter(&self) -> Option<Counter> {
        (self.coverage.is_some() || self.profile.is_some()).then(Counter::default)
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
        let coverage = coverage_of(object, &programs, &counts);
        let text = match extension(path) {
            "info" | "lcov" => coverage::lcov(&coverage),
            "xml" => coverage::cobertura(&coverage),
            _ => coverage::text(&coverage, &|file| source(&args.file, file)),
        };
        put(path, text.as_bytes())?;
    }
    if let Some(path) = &args.recording.profile {
        let profile = profile_of(object, &programs, &counts);
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

/// The text of a source file, where the compiler named it or beside the object.
fn source(object: &Path, file: &str) -> Option<String> {
    let beside = object.parent().map(|folder| folder.join(file));
    std::iter::once(PathBuf::from(file)).chain(beside).find_map(|path| std::fs::read_to_string(path).ok())
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}

fn coverage_of(object: &Object, programs: &[&Program], counts: &Counts) -> coverage::Coverage {
    let executed: Vec<_> = programs
        .iter()
        .map(|program| {
            let counts = counts.programs.iter().find(|c| c.name == program.name);
            coverage::Executed {
                program,
                executed: counts.map_or(&[], |c| &c.executed),
                jumped: counts.map_or(&[], |c| &c.jumped),
            }
        })
        .collect();
    coverage::Coverage::of(object, &executed)
}

fn profile_of(object: &Object, programs: &[&Program], counts: &Counts) -> profile::Profile {
    // The programs in the order of the counts, by which the calls name them.
    let executed: Option<Vec<_>> = counts
        .programs
        .iter()
        .map(|c| {
            let program = programs.iter().find(|p| p.name == c.name)?;
            Some(profile::Executed { program, executed: &c.executed, time_ns: &c.time_ns })
        })
        .collect();
    let calls: Vec<_> = counts
        .calls
        .iter()
        .map(|c| profile::Call { caller: c.caller, program: c.program, function: c.function, insns: c.insns })
        .collect();
    profile::Profile::of(object, &executed.unwrap_or_default(), &calls)
}
