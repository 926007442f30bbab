//! `ebpfkit disasm`: an object's programs as text.

use super::Selection;
use crate::End;
use anyhow::{Context, Result};
use ebpfkit_object::Object;
use std::io::Write;
use std::path::PathBuf;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Object file
    file: PathBuf,
    #[command(flatten)]
    selection: Selection,
}

/// Prints each program, a line an instruction.
pub fn run(args: &Args) -> Result<End> {
    let path = args.file.display().to_string();
    let bytes = std::fs::read(&args.file).with_context(|| path.clone())?;
    let object = Object::open(&path, &bytes).with_context(|| path.clone())?;
    let mut out = std::io::stdout().lock();
    let mut end = End::Good;
    for index in args.selection.pick(&object)? {
        let program = &object.programs[index];
        writeln!(out, "{}: # {}", program.name, program.section)?;
        for (at, line) in ebpfkit_asm::disassemble(&program.insns) {
            let text = line.unwrap_or_else(|e| {
                end = End::Usage;
                format!("# {e}")
            });
            writeln!(out, "{at:8}: {text}")?;
        }
    }
    Ok(end)
}
