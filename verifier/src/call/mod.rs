//! Calls: helpers and subprograms, and the resources they acquire.

mod args;
mod bprintf;
pub(crate) mod callbacks;
mod fields;
mod global;
mod helper;
mod kfunc;
mod kinds;
mod map_fits;
mod returns;
mod special;
mod subprog;

use crate::domain::RegBase;
use crate::reason::{ResourceReason, reject};
use crate::{Env, Step};
use ebpfkit_abi::kfuncs::{KfuncFlags, name};
use ebpfkit_abi::{Feature, TypeFlags};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::pseudo;

impl Env<'_> {
    /// Verifies a `call` of any kind and sets [`Env::insn_idx`] to the slot to go on from.
    pub fn check_call(&mut self, insn: Insn) -> Step {
        if insn.src == pseudo::CALL && self.path.state.res.active_locks != 0 && !self.has(Feature::CallsUnderLock) {
            return reject(ResourceReason::CallUnderLock {});
        }
        match insn.src {
            0 => self.check_helper_call(insn.imm),
            pseudo::CALL => self.check_subprog_call(insn),
            _ => self.check_kfunc_call(insn),
        }
    }

    /// Whether a call at this slot runs a callback before it returns.
    pub fn is_callback_call(&self, insn: Insn) -> bool {
        self.has(Feature::RepeatedCallbacks) && self.helper_callback(insn) == Some(true)
            || self.kfunc_of(insn).is_some_and(|d| d.is(&[name::RBTREE_ADD_IMPL]))
    }

    /// Whether a call at this slot is an iterator's `next`.
    pub fn is_iter_next(&self, insn: Insn) -> bool {
        self.allowed_kfunc_of(insn).is_some_and(|d| d.has(KfuncFlags::ITER_NEXT))
    }

    /// Forgets packet pointers after packet data changed: they become numbers.
    pub fn clear_all_pkt_pointers(&mut self) {
        self.invalidate_regs(|r| {
            let slice = TypeFlags::DYNPTR_SKB | TypeFlags::DYNPTR_XDP | TypeFlags::DYNPTR_SKB_META;
            r.is_pkt_any() || r.ty.base == RegBase::Mem && r.ty.flags.intersects(slice)
        });
    }
}
