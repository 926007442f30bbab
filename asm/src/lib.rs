//! eBPF instructions as pseudo-C text: assembler and disassembler.
#![deny(missing_docs)]

mod parse;
mod pseudo_c;

pub use parse::{AsmError, assemble};
pub use pseudo_c::pseudo_c;

use ebpfkit_isa::{DecodeError, Insn, decode};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_objdumps() {
        let p = [
            Insn::new(0xb4, 1, 0, 0, -1),
            Insn::new(0x63, 10, 1, -8, 0),
            Insn::new(0x18, 1, 0, 0, 0),
            Insn::default(),
            Insn::new(0x5d, 0, 1, 0x1b, 0),
            Insn::new(0xff, 0, 0, 0, 0),
            Insn::new(0x95, 0, 0, 0, 0),
        ];
        let text: Vec<String> = disassemble(&p).into_iter().map(|(_, l)| l.unwrap_or_else(|e| e.to_string())).collect();
        let expected = [
            "w1 = -0x1",
            "*(u32 *)(r10 - 0x8) = w1",
            "r1 = 0x0 ll",
            "if r0 != r1 goto +0x1b",
            "insn 5: unknown opcode 0xff",
            "exit",
        ];
        assert_eq!(text, expected);
    }
}
