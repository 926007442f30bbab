//! `cfg`: control flow as DOT.

use crate::End;
use crate::cmd::{Selection, load};
use crate::host::KernelArgs;
use anyhow::Result;
use ebpfkit_isa::{Insn, decode};
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `cfg`.
#[derive(clap::Args)]
pub struct Args {
    /// Object file
    file: PathBuf,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    kernel: KernelArgs,
}

/// Prints one digraph for each program.
pub fn run(args: &Args) -> Result<End> {
    let host = args.kernel.host()?;
    let prepared = load(&args.file, &host)?;
    let text = |insns: &[Insn], at: usize| match decode(insns, at) {
        Ok((op, _)) => ebpfkit_asm::pseudo_c(op),
        Err(e) => e.to_string(),
    };
    let mut out = std::io::stdout().lock();
    for i in args.selection.pick(&prepared.object)? {
        let program = &prepared.object.programs[i];
        out.write_all(ebpfkit_explain::cfg::dot(&program.name, &program.insns, &text).as_bytes())?;
    }
    Ok(End::Good)
}
