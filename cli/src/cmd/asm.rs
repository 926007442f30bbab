//! `ebpfkit asm`: text to an object or to bare instructions.

use super::{read_text, text_name};
use crate::End;
use anyhow::{Context, Result};
use ebpfkit_asm::Syntax;
use ebpfkit_isa::{Endian, Insn};
use std::io::Write;
use std::path::PathBuf;

/// What is written.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// An object file, as a compiler makes it
    Elf,
    /// The instructions' bytes
    Raw,
    /// The instructions as hexadecimal text, a line a slot
    Hex,
}

/// How the text is written.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum SyntaxArg {
    /// Whichever fits the text
    Auto,
    /// r0 = *(u32 *)(r1 + 4)
    PseudoC,
    /// ldxw r0, [r1+4]
    Mnemonic,
}

impl From<SyntaxArg> for Syntax {
    fn from(arg: SyntaxArg) -> Self {
        match arg {
            SyntaxArg::Auto => Self::Auto,
            SyntaxArg::PseudoC => Self::PseudoC,
            SyntaxArg::Mnemonic => Self::Mnemonic,
        }
    }
}

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Text file; `-` reads standard input
    file: PathBuf,
    /// Where to write; standard output when missing
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to write; elf into a file, hex to standard output
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Syntax of the text
    #[arg(long, value_enum, default_value_t = SyntaxArg::Auto)]
    syntax: SyntaxArg,
}

/// Assembles one file.
pub fn run(args: &Args) -> Result<End> {
    let text = read_text(&args.file)?;
    let name = text_name(&args.file);
    let format = args.format.unwrap_or(if args.output.is_some() { Format::Elf } else { Format::Hex });
    let syntax = args.syntax.into();
    let insns = || {
        ebpfkit_asm::assemble_insns(&text, syntax).map_err(|mut errors| {
            errors.name.clone_from(&name);
            errors
        })
    };
    let bytes = match format {
        Format::Elf => ebpfkit_asm::assemble_elf(&name, &text, syntax),
        Format::Raw => insns().map(|insns| Insn::write_all(&insns, Endian::Little)),
        Format::Hex => insns().map(|insns| hex(&insns).into_bytes()),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(errors) => {
            anstream::eprintln!("{errors}");
            return Ok(End::Usage);
        }
    };
    match &args.output {
        Some(out) => std::fs::write(out, bytes).with_context(|| out.display().to_string())?,
        None => std::io::stdout().lock().write_all(&bytes)?,
    }
    Ok(End::Good)
}

/// A line for each slot, bytes apart.
fn hex(insns: &[Insn]) -> String {
    let line = |i: &Insn| i.to_bytes(Endian::Little).map(|b| format!("{b:02x}")).join(" ") + "\n";
    insns.iter().map(line).collect()
}
