//! The entry points of memory access: one check for each kind of instruction, and for helper buffers.

use super::Access;
use crate::{Env, Step, Stop};
use ebpfkit_isa::Insn;

#[allow(unused_variables)]
impl Env<'_> {
    /// Verifies `LDX` (plain and sign-extending).
    pub fn check_load(&mut self, insn: Insn) -> Step {
        Err(Stop::unsupported("load"))
    }

    /// Verifies `ST` and plain `STX`.
    pub fn check_store(&mut self, insn: Insn) -> Step {
        Err(Stop::unsupported("store"))
    }

    /// Verifies an atomic instruction, load-acquire and store-release included.
    pub fn check_atomic(&mut self, insn: Insn) -> Step {
        Err(Stop::unsupported("atomic"))
    }

    /// Verifies legacy `LD_ABS` and `LD_IND`.
    pub fn check_ld_abs(&mut self, insn: Insn) -> Step {
        Err(Stop::unsupported("legacy packet load"))
    }

    /// Checks an access of `size` bytes at `off` from register `reg`. A read sets `value_reg` (if given) to what is
    /// read; a write takes its value from there (`check_mem_access`).
    #[allow(clippy::too_many_arguments)]
    pub fn check_mem_access(
        &mut self,
        insn_idx: usize,
        reg: u8,
        off: i32,
        size: u32,
        access: Access,
        value_reg: Option<u8>,
        strict_alignment_once: bool,
        sign_extend: bool,
    ) -> Step {
        Err(Stop::unsupported("memory access"))
    }

    /// Checks a buffer of `size` bytes that a call reads or writes through register `reg`
    /// (`check_helper_mem_access`). `raw_mode` is set for an uninitialised output buffer; see [`RawBuffer`].
    pub fn check_helper_mem_access(
        &mut self,
        reg: u8,
        size: i32,
        access: Access,
        zero_size_allowed: bool,
        raw: Option<&mut RawBuffer>,
    ) -> Step {
        Err(Stop::unsupported("helper buffer"))
    }

    /// Checks a buffer at register `mem` whose size is in register `size_reg` (`check_mem_size_reg`).
    pub fn check_mem_size_reg(
        &mut self,
        mem: u8,
        size_reg: u8,
        access: Access,
        zero_size_allowed: bool,
        raw: Option<&mut RawBuffer>,
    ) -> Step {
        Err(Stop::unsupported("helper buffer"))
    }
}

/// An output buffer that need not be initialised: the call marks it as written once all arguments are checked
/// (`raw_mode` in the kernel's `bpf_call_arg_meta`).
#[derive(Clone, Copy, Debug, Default)]
pub struct RawBuffer {
    /// Register that points to it.
    pub reg: u8,
    /// Bytes; zero when not on the stack.
    pub access_size: i32,
}
