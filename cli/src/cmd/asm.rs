//! `ebpfkit asm`: text to an object or to bare instructions.

use super::short_name;
use crate::end::End;
use crate::files;
use crate::out::note;
use anyhow::{Result, bail};
use ebpfkit_asm::{Syntax, bytes};
use ebpfkit_isa::{Endian, Insn};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

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
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to write; `-` is standard output, as it is without this option
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
    files::check(&[Some(&args.file)], &[args.output.as_deref()])?;
    let text = files::read_text(&args.file)?;
    let name = short_name(&args.file);
    let to_file = args.output.as_ref().is_some_and(|o| !files::is_standard(o));
    let format = args.format.unwrap_or(if to_file { Format::Elf } else { Format::Hex });
    let syntax = args.syntax.into();
    let insns = || {
        ebpfkit_asm::assemble_insns(&text, syntax).map_err(|mut errors| {
            errors.name.clone_from(&name);
            errors
        })
    };
    let written = match format {
        Format::Elf => ebpfkit_asm::assemble_elf(&name, &text, syntax),
        Format::Raw => insns().map(|insns| Insn::write_all(&insns, Endian::Little)),
        Format::Hex => {
            insns().map(|insns| insns.chunks(1).flat_map(|slot| (bytes(slot) + "\n").into_bytes()).collect())
        }
    };
    let written = match written {
        Ok(written) => written,
        Err(errors) => {
            note!("{errors}");
            return Ok(End::Usage);
        }
    };
    let output = args.output.as_deref().unwrap_or(Path::new("-"));
    if matches!(format, Format::Elf | Format::Raw) && files::is_standard(output) && std::io::stdout().is_terminal() {
        bail!("bytes are not written to a terminal; give -o FILE");
    }
    files::write(output, &written)?;
    Ok(End::Good)
}
