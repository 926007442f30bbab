//! Conditional jumps and what they prove.

use crate::{Env, Step, Stop};
use ebpfkit_isa::Insn;

impl Env<'_> {
    /// Verifies a conditional jump: decides it or pushes the other way with [`Env::push_branch`], refines both
    /// sides, and sets [`Env::insn_idx`] to the slot to go on from.
    pub fn check_cond_jmp_op(&mut self, insn: Insn) -> Step {
        let _ = insn;
        Err(Stop::unsupported("conditional jump"))
    }
}
