//! Calls: helpers, kfuncs, subprograms, callbacks, and the resources they acquire.

use crate::state::VerifierState;
use crate::{Env, Step, Stop};
use ebpfkit_isa::Insn;

/// Tables that belong to calls: kfunc descriptors and the like.
#[derive(Clone, Debug, Default)]
pub struct Calls {}

#[allow(unused_variables)]
impl Env<'_> {
    /// Verifies a `call` of any kind and sets [`Env::insn_idx`] to the slot to go on from (the next one, or the
    /// first of a subprogram).
    pub fn check_call(&mut self, insn: Insn) -> Step {
        Err(Stop::unsupported("call"))
    }

    /// Leaves the current frame for its caller at `exit`; sets [`Env::insn_idx`] (`prepare_func_exit`).
    pub fn prepare_func_exit(&mut self) -> Step {
        Err(Stop::unsupported("return from a subprogram"))
    }

    /// Rejects when something acquired would be left behind by `place` (`check_resource_leak`).
    pub fn check_resource_leak(&mut self, exception_exit: bool, check_lock: bool, place: &str) -> Step {
        Ok(())
    }

    /// Whether the map may be used by this program (`check_map_prog_compatibility`).
    pub fn check_map_prog_compatibility(&mut self, map: u32) -> Step {
        Ok(())
    }

    /// Before the walk: finds the kfuncs that are called and checks that each may be (`add_kfunc_call`).
    pub fn add_kfunc_call(&mut self, func_id: u32, btf_index: i16) -> Step {
        Err(Stop::unsupported("kfunc"))
    }

    /// Whether a call at this slot runs a callback synchronously (`is_sync_callback_calling_insn`).
    pub fn is_callback_call(&self, insn: Insn) -> bool {
        false
    }

    /// Whether a call at this slot is `bpf_iter_*_next` (`is_iter_next_kfunc`).
    pub fn is_iter_next(&self, insn: Insn) -> bool {
        false
    }

    /// A write to stack bytes `[off, off+size)` of frame `frame` touches a dynptr, iterator or interrupt-flag slot:
    /// rejects or destroys it (`destroy_if_dynptr_stack_slot`). `slot` is the slot's index.
    pub fn destroy_if_dynptr_stack_slot(&mut self, frame: usize, slot: usize) -> Step {
        Ok(())
    }

    /// Forgets packet pointers after packet data changed (`clear_all_pkt_pointers`).
    pub fn clear_all_pkt_pointers(&mut self) {}
}

/// Whether two states hold the same resources up to identity (`refsafe`); ids are compared through `same_id`.
pub fn refsafe(old: &VerifierState, cur: &VerifierState, same_id: &mut dyn FnMut(u32, u32) -> bool) -> bool {
    let _ = (old, cur, same_id);
    false
}
