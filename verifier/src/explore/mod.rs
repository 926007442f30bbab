//! The walk: paths, pending branches, explored states, pruning, precision, exits.

use crate::{Env, Step, Stop};

/// Tables of the walk.
#[derive(Debug, Default)]
pub struct Walk {}

#[allow(unused_variables)]
impl Env<'_> {
    /// Pushes a copy of the current state as a pending branch at `insn`; the closure finishes the copy
    /// (`push_stack`). Rejects when too many are pending.
    pub fn push_branch(
        &mut self,
        insn: usize,
        prev_insn: usize,
        speculative: bool,
        finish: impl FnOnce(&mut Self, &mut crate::VerifierState),
    ) -> Step {
        Err(Stop::unsupported("branches"))
    }

    /// Marks a register of the current frame precise, and all that it came from (`mark_chain_precision`).
    pub fn mark_chain_precision(&mut self, reg: u8) -> Step {
        Ok(())
    }

    /// Adds to the history of the current state (`push_jmp_history`).
    pub fn push_history(&mut self, stack_access: Option<(u8, u8)>, linked_regs: u64) -> Step {
        Ok(())
    }
}
