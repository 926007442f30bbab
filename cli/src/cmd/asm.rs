//! `ebpfkit asm`: pseudo-C text to instructions.

use crate::End;
use anyhow::{Context, Result};
use ebpfkit_isa::{Endian, Insn};
use std::io::Write;
use std::path::PathBuf;

/// How instructions are written.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// Bytes
    Raw,
    /// Hexadecimal text, a line an instruction slot
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

impl From<SyntaxArg> for ebpfkit_asm::Syntax {
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
    /// Text file
    file: PathBuf,
    /// Where to write; standard output when missing
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Hex)]
    format: Format,
    /// Syntax of the text
    #[arg(long, value_enum, default_value_t = SyntaxArg::Auto)]
    syntax: SyntaxArg,
}

/// Assembles one file.
pub fn run(args: &Args) -> Result<End> {
    let path = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).with_context(|| path.clone())?;
    let insns = match ebpfkit_asm::assemble_insns(&text, args.syntax.into()) {
        Ok(insns) => insns,
        Err(errors) => {
            for e in errors.list {
                anstream::eprintln!("{path}:{e}");
            }
            return Ok(End::Usage);
        }
    };
    let raw = Insn::write_all(&insns, Endian::Little);
    let bytes = match args.format {
        Format::Raw => raw,
        Format::Hex => {
            let line = |c: &[u8]| c.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ") + "\n";
            raw.chunks(Insn::SIZE).map(line).collect::<String>().into_bytes()
        }
    };
    match &args.output {
        Some(out) => std::fs::write(out, bytes).with_context(|| out.display().to_string())?,
        None => std::io::stdout().lock().write_all(&bytes)?,
    }
    Ok(End::Good)
}
