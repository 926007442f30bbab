//! What crosses crates: tests that are an input file beside its expected output, and the means to compare them.
#![deny(missing_docs)]
#![deny(unsafe_code)]

pub mod against_kernel;
pub mod arguments;
pub mod bench;
pub mod conformance;
pub mod containment;
pub mod engines;
pub mod fuzzing;
pub mod generate;
pub mod helpers;
pub mod logs;
pub mod map_ops;
pub mod out_of_bounds;
pub mod packets;
pub mod running;
pub mod sandbox;
pub mod shrink;
pub mod test_runs;

use ebpfkit_object::Prepared;
use std::path::{Path, PathBuf};

/// Set this variable to write expected files anew instead of comparing with them.
pub const BLESS: &str = "EBPFKIT_BLESS";

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// Files with this extension directly in the folders of `dir`, sorted.
pub fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = |d: &Path| {
        std::fs::read_dir(d).map(|e| e.filter_map(Result::ok).map(|e| e.path()).collect::<Vec<_>>()).unwrap_or_default()
    };
    let mut found: Vec<PathBuf> = entries(dir)
        .iter()
        .filter(|p| p.is_dir())
        .flat_map(|d| entries(d))
        .filter(|p| p.extension().is_some_and(|e| e == extension))
        .collect();
    found.sort();
    found
}

/// Compares `actual` with the file at `path`, or writes it when blessing. The error shows both texts.
pub fn compare(path: &Path, actual: &str) -> Result<(), String> {
    if std::env::var_os(BLESS).is_some() {
        return std::fs::write(path, actual).map_err(|e| format!("{}: {e}", path.display()));
    }
    let expected =
        std::fs::read_to_string(path).map_err(|e| format!("{}: {e}; {BLESS}=1 writes it", path.display()))?;
    if expected == actual {
        return Ok(());
    }
    let diff = similar::TextDiff::from_lines(expected.as_str(), actual);
    Err(format!("{} differs ({BLESS}=1 accepts):\n{}", path.display(), diff.unified_diff()))
}

/// A program as text with instruction numbers, for reports.
pub fn text_of(prepared: &Prepared) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for (at, line) in ebpfkit_asm::disassemble(&prepared.object.programs[0].insns) {
        let _ = match line {
            Ok(text) => writeln!(out, "{at:4}: {text}"),
            Err(e) => writeln!(out, "{at:4}: {e}"),
        };
    }
    out
}

/// The programs of `docs/embedding.md`.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
mod embedding {}
