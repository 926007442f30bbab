//! `ebpfkit disasm`: an object's programs as text.

use super::asm::SyntaxArg;
use super::{Selection, open};
use crate::end::End;
use crate::{files, out};
use anyhow::{Context, Result};
use ebpfkit_asm::Style;
use std::io::Write;
use std::path::PathBuf;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Object file, or assembly text; `-` reads standard input
    file: PathBuf,
    #[command(flatten)]
    selection: Selection,
    /// Syntax of the instructions; auto is pseudo-c
    #[arg(long, value_enum, default_value_t = SyntaxArg::PseudoC)]
    syntax: SyntaxArg,
    /// Show source lines above their instructions
    #[arg(short = 'S', long)]
    source: bool,
    /// Show the bytes of each instruction before it
    #[arg(short = 'x', long)]
    bytes: bool,
}

/// Prints the programs; without a selection also everything else of the object, so that `asm` reads it back.
pub fn run(args: &Args) -> Result<End> {
    let object = open(&args.file)?;
    let (syntax, declarations) = (args.syntax.into(), args.selection.is_all());
    let style = Style { syntax, source: args.source, bytes: args.bytes, declarations };
    let picked = args.selection.pick(&object).with_context(|| files::name(&args.file))?;
    let text = ebpfkit_asm::listing(&object, &picked, style);
    out::results().write_all(text.as_bytes()).context(out::STDOUT)?;
    Ok(End::Good)
}
