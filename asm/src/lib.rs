//! eBPF as text: assembler and disassembler, in two syntaxes.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod error;
mod print;
mod text;
mod unit;

pub use error::{AsmError, Errors};
pub use print::{FunctionText, Style, bytes, disassemble, functions, instruction, listing, mnemonic, pseudo_c};
pub use text::Syntax;

use ebpfkit_isa::Insn;
use ebpfkit_object::Object;

/// Assembles a text into instructions, in the order of the text.
///
/// Maps and variables have no place there; functions of the kernel need their BTF id. The error has everything that
/// is wrong with the text.
pub fn assemble_insns(text: &str, syntax: Syntax) -> Result<Vec<Insn>, Errors> {
    unit::Unit::read(text, syntax).insns("")
}

/// Assembles a text into a relocatable object that libbpf opens: programs, maps, variables, their types, and the lines
/// of the text as line information. `name` stands for the text in messages and in the line information.
pub fn assemble_elf(name: &str, text: &str, syntax: Syntax) -> Result<Vec<u8>, Errors> {
    unit::Unit::read(text, syntax).elf(name)
}

/// Assembles a text into an [`Object`], as if it had been written to a file and opened.
pub fn assemble_object(name: &str, text: &str) -> Result<Object, Errors> {
    let file = assemble_elf(name, text, Syntax::Auto)?;
    Object::open(name, &file).map_err(|e| Errors::whole(name, e.to_string()))
}
