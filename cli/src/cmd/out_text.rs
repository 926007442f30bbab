//! Texts and pictures that go to a file or follow the results on standard output.

use crate::files::{self, is_standard};
use crate::out;
use anyhow::{Context, Result};
use std::io::Write;
use std::path::Path;

/// Writes a text to its file, or after the results.
pub fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    if !is_standard(path) {
        return files::write(path, bytes);
    }
    let mut out = out::results();
    out.write_all(b"\n").and_then(|()| out.write_all(bytes)).context(out::STDOUT)
}

/// A flame graph of folded stacks that count instructions.
pub fn flame_graph(title: &str, folded: &str) -> Result<Vec<u8>> {
    let mut options = inferno::flamegraph::Options::default();
    options.title = title.into();
    options.count_name = "instructions".into();
    let mut svg = Vec::new();
    inferno::flamegraph::from_lines(&mut options, folded.lines(), &mut svg).context("there is nothing to draw")?;
    Ok(svg)
}
