//! eBPF as text: assembler and disassembler, in two syntaxes.
#![deny(missing_docs)]

mod error;
mod near;
mod pseudo_c;
mod text;
mod unit;

pub use error::{AsmError, Errors};
pub use pseudo_c::pseudo_c;
pub use text::Syntax;

use ebpfkit_isa::{DecodeError, Insn, decode};

/// Assembles a text into instructions, in the order of the text.
///
/// Maps and variables have no place there; functions of the kernel need their BTF id. The error has everything that
/// is wrong with the text.
pub fn assemble_insns(text: &str, syntax: Syntax) -> Result<Vec<Insn>, Errors> {
    unit::Unit::read(text, syntax).insns("")
}

/// Disassembles a program: each instruction's slot and its text, or why the slot is none.
///
/// A slot that is no instruction takes one line, and the next slot is tried.
pub fn disassemble(insns: &[Insn]) -> Vec<(usize, Result<String, DecodeError>)> {
    let mut lines = Vec::new();
    let mut at = 0;
    while at < insns.len() {
        let decoded = decode(insns, at);
        let slots = decoded.as_ref().map_or(1, |(_, n)| *n);
        lines.push((at, decoded.map(|(op, _)| pseudo_c(op))));
        at += slots;
    }
    lines
}
