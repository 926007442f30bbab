//! What is kept by instruction.

use crate::domain::{RegExtra, RegType};

/// What is kept by instruction (`bpf_insn_aux_data`).
#[derive(Clone, Debug, Default)]
pub struct InsnAux {
    /// Verified at least once.
    pub seen: bool,
    /// States are compared here.
    pub prune_point: bool,
    /// States are always compared and kept here.
    pub force_checkpoint: bool,
    /// A jump or call target worth an entry in the history.
    pub jmp_point: bool,
    /// A call that runs a callback.
    pub calls_callback: bool,
    /// Registers that may be read before they are written, as a bit mask (bit n for rn).
    pub live_regs_before: u16,
    /// Strongly connected component of the control-flow graph; zero for none.
    pub scc: u32,
    /// Kind of the pointer that this load or store goes through, so that two paths agree (`ptr_type`).
    pub ptr_type: Option<RegType>,
    /// For arithmetic: whether it was on a pointer into an arena, once that is known.
    pub arena: Option<bool>,
    /// For a 64-bit immediate: what it makes.
    pub ld_imm: Option<(RegType, RegExtra, u32)>,
    /// Speculation must stop before this instruction.
    pub nospec: bool,
    /// Speculation must stop after this instruction.
    pub nospec_result: bool,
    /// How the operand of pointer arithmetic is masked against speculation (`alu_state`); zero when it is not.
    pub alu_sanitize: u8,
    /// How far the masked offset may reach; with `alu_sanitize`.
    pub alu_limit: u32,
    /// Map of a tail call, by index plus one (`map_ptr_state`); `SEVERAL_MAPS` when paths differ. Noted without
    /// privileges only.
    pub map_ptr: u32,
    /// The stack access of a `bpf_fastcall` pattern.
    pub fastcall_pattern: bool,
    /// Spills and fills around the call that the pattern covers.
    pub fastcall_spills: u8,
    /// A `bpf_loop` call that has been seen with flags, so that it is not made a plain loop.
    pub loop_not_inline: bool,
}
