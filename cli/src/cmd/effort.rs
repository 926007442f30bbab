//! `verify --profile`: where a verification's instructions go.

use crate::cmd::out_text::{flame_graph, put};
use crate::files::{self, is_standard};
use anyhow::{Context, Result, bail};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use ebpfkit_explain::effort::{self, Effort, Sort};
use std::path::PathBuf;

/// Options of what is recorded of verifications.
#[derive(clap::Args)]
pub struct EffortArgs {
    /// Show where the instructions go that the verifier processes, by function, loop and line, or write it to a file:
    /// flame graph (.svg), folded stacks (.folded), CSV (.csv), JSON (.json), otherwise text
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    profile: Option<PathBuf>,
    /// Show what changed against a profile that was written as JSON before
    #[arg(long, value_name = "FILE", requires = "profile")]
    compare: Option<PathBuf>,
    /// Rows of each table
    #[arg(long, value_name = "N", default_value_t = 15, requires = "profile")]
    top: usize,
    /// By what lines are sorted
    #[arg(long, value_parser = sorts(), default_value = "processed", requires = "profile")]
    sort: Sort,
}

/// Reads an order of lines by its name.
fn sorts() -> impl TypedValueParser<Value = Sort> {
    PossibleValuesParser::new(Sort::ALL.map(|(_, name, help)| PossibleValue::new(name).help(help)))
        .map(|name| Sort::named(&name).unwrap_or_default())
}

impl EffortArgs {
    /// Whether anything is to be recorded.
    pub fn is_requested(&self) -> bool {
        self.profile.is_some()
    }

    /// Refuses what has no effect.
    pub fn check(&self, json: bool) -> Result<()> {
        if json && self.profile.as_deref().is_some_and(is_standard) {
            bail!("--profile prints text, which does not go with JSON; give it a file: --profile=FILE");
        }
        Ok(())
    }

    /// Writes what was recorded.
    pub fn write(&self, efforts: &[Effort]) -> Result<()> {
        let Some(path) = &self.profile else { return Ok(()) };
        let text = match path.extension().and_then(|e| e.to_str()).unwrap_or_default() {
            "json" => serde_json::to_vec_pretty(efforts)?,
            "csv" => effort::csv(efforts).into_bytes(),
            "folded" => effort::folded(efforts).into_bytes(),
            "svg" => flame_graph("Instructions processed by the verifier", &effort::folded(efforts))?,
            _ => {
                let tables: Vec<String> = efforts.iter().map(|e| effort::table(e, self.top, self.sort)).collect();
                tables.join("\n").into_bytes()
            }
        };
        put(path, &text)?;
        let Some(base) = &self.compare else { return Ok(()) };
        let before: Vec<Effort> = serde_json::from_slice(&files::read(base)?)
            .with_context(|| format!("{}: expected what --profile=FILE.json wrote", files::name(base)))?;
        put("-".as_ref(), effort::compare(&before, efforts, self.top).as_bytes())
    }
}
