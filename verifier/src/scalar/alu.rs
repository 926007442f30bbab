//! Arithmetic instructions.

use crate::{Env, Step, Stop};
use ebpfkit_isa::Insn;

impl Env<'_> {
    /// Verifies one ALU or ALU64 instruction and updates the destination.
    pub fn check_alu_op(&mut self, insn: Insn) -> Step {
        let _ = insn;
        Err(Stop::unsupported("arithmetic"))
    }
}
