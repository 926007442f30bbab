//! The kernel's log text: an observer that keeps it, and the printing of states and instructions.

pub mod insn;
pub mod state;
mod trace;

pub use insn::{insn_text, plain_insn_text};
pub use state::Scratched;

use crate::observer::Observer;
use std::fmt::Arguments;

/// Keeps the text of the kernel's log.
#[derive(Clone, Debug, Default)]
pub struct KernelLog {
    /// Level, 1 or 2; with 4 added, time aside, the kernel's statistics.
    pub level: u8,
    /// Text so far.
    pub text: String,
}

impl Observer for KernelLog {
    fn log_level(&self) -> u8 {
        self.level
    }

    fn text(&mut self, text: Arguments<'_>) {
        use std::fmt::Write;
        let _ = self.text.write_fmt(text);
    }

    fn position(&self) -> usize {
        self.text.len()
    }

    fn rewind(&mut self, position: usize) {
        self.text.truncate(position);
    }
}

impl crate::Env<'_> {
    /// Prints one instruction in the kernel's form, and a line end.
    pub fn log_insn(&mut self, at: usize) {
        let insn = self.insns()[at];
        let name = |i: ebpfkit_isa::Insn| {
            if i.src == ebpfkit_isa::opcode::pseudo::KFUNC_CALL {
                return self.kernel().btf().map(|b| b.name(i.imm as u32).to_owned());
            }
            let row = u32::try_from(i.imm).ok().filter(|_| i.src == 0).and_then(ebpfkit_abi::helpers::find);
            row.map(|r| r.name.to_owned())
        };
        let text = insn_text(insn, self.insns().get(at + 1).copied(), &name);
        self.verbose(format_args!("{text}\n"));
    }
}
