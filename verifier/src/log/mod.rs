//! The kernel's log text: an observer that keeps it, and the printing of states and instructions.

pub mod insn;
pub mod state;

pub use insn::insn_text;
pub use state::Scratched;

use crate::observer::Observer;
use std::fmt::Arguments;

/// Keeps the text of the kernel's log.
#[derive(Clone, Debug, Default)]
pub struct KernelLog {
    /// Level, 1 or 2.
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
    /// Prints one instruction and a line end.
    pub fn log_insn(&mut self, at: usize) {
        let insn = self.insns[at];
        self.verbose(format_args!("{insn:?}\n"));
    }
}
