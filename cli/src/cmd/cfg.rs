//! `cfg`: control flow as DOT.

use crate::cmd::{Selection, open};
use crate::end::End;
use crate::{files, out};
use anyhow::{Context, Result};
use ebpfkit_explain::cfg::{Program, dot};
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `cfg`.
#[derive(clap::Args)]
pub struct Args {
    /// Object file, or assembly text; `-` reads standard input
    file: PathBuf,
    #[command(flatten)]
    selection: Selection,
}

/// Prints one digraph of all programs, each in a box with its functions.
pub fn run(args: &Args) -> Result<End> {
    let object = open(&args.file)?;
    let picked = args.selection.pick(&object).with_context(|| files::name(&args.file))?;
    let programs: Vec<Program<'_>> = picked
        .iter()
        .map(|&index| {
            let program = &object.programs[index];
            let functions = ebpfkit_asm::functions(&object, index);
            Program {
                title: super::head(program),
                insns: &program.insns,
                functions: functions.into_iter().map(|f| (f.name, f.lines)).collect(),
            }
        })
        .collect();
    out::results().write_all(dot(&object.name, &programs).as_bytes()).context(out::STDOUT)?;
    Ok(End::Good)
}
