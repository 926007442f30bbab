//! Calls: helpers and subprograms, and the resources they acquire.

mod args;
mod bprintf;
mod callbacks;
mod fields;
mod global;
mod helper;
mod kinds;
mod map_fits;
mod returns;
mod special;
mod subprog;

use crate::reg::RegBase;
use crate::state::VerifierState;
use crate::{Env, Step, Stop};
use ebpfkit_abi::TypeFlags;
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::pseudo;

/// Tables that belong to calls.
#[derive(Clone, Debug, Default)]
pub struct Calls {}

impl Env<'_> {
    /// Verifies a `call` of any kind and sets [`Env::insn_idx`] to the slot to go on from.
    pub fn check_call(&mut self, insn: Insn) -> Step {
        match insn.src {
            0 => self.check_helper_call(insn.imm),
            pseudo::CALL => self.check_subprog_call(insn),
            _ => Err(Stop::unsupported("calls of kernel functions")),
        }
    }

    /// Before the walk: finds the kfuncs that are called and checks that each may be.
    pub fn add_kfunc_call(&mut self, func_id: u32, btf_index: i16) -> Step {
        let _ = (func_id, btf_index);
        Err(Stop::unsupported("calls of kernel functions"))
    }

    /// Whether a call at this slot runs a callback before it returns.
    pub fn is_callback_call(&self, insn: Insn) -> bool {
        self.helper_callback(insn) == Some(true)
    }

    /// Whether a call at this slot is an iterator's `next`. Such calls are not modelled; the front passes stop there.
    pub fn is_iter_next(&self, insn: Insn) -> bool {
        let _ = insn;
        false
    }

    /// Forgets packet pointers after packet data changed: they become numbers.
    pub fn clear_all_pkt_pointers(&mut self) {
        self.invalidate_regs(|r| {
            let slice = TypeFlags::DYNPTR_SKB | TypeFlags::DYNPTR_XDP | TypeFlags::DYNPTR_SKB_META;
            r.is_pkt_any() || r.ty.base == RegBase::Mem && r.ty.flags.intersects(slice)
        });
    }
}

/// Whether two states hold the same resources up to identity; ids are compared through `same_id`.
pub fn refsafe(old: &VerifierState, cur: &VerifierState, same_id: &mut dyn FnMut(u32, u32) -> bool) -> bool {
    let (o, c) = (&*old.res, &*cur.res);
    o.refs.len() == c.refs.len()
        && o.active_locks == c.active_locks
        && o.active_preempt_locks == c.active_preempt_locks
        && o.active_rcu_locks == c.active_rcu_locks
        && same_id(o.active_irq_id, c.active_irq_id)
        && same_id(o.active_lock_id, c.active_lock_id)
        && o.active_lock_owner == c.active_lock_owner
        && o.refs
            .iter()
            .zip(&c.refs)
            .all(|(a, b)| a.kind == b.kind && a.lock_owner == b.lock_owner && same_id(a.id, b.id))
}
