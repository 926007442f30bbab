//! Regions in which a program may not sleep: RCU, preemption off, interrupts off, locks.

use crate::reason::{ResourceReason, reject};
use crate::{Env, Step};
use ebpfkit_abi::Feature;
use ebpfkit_abi::TypeFlags;
use ebpfkit_object::ProgramFlags;

impl Env<'_> {
    /// Whether the program, or the asynchronous callback being verified, may sleep.
    pub fn in_sleepable(&self) -> bool {
        self.path.state.in_sleepable
            || self.prog().flags.has(ProgramFlags::SLEEPABLE) && !self.has(Feature::SleepByContext)
    }

    /// Whether pointers that RCU protects stay good here: in a region, under a lock, or in a program that never sleeps.
    pub fn in_rcu_cs(&self) -> bool {
        let res = &self.path.state.res;
        let off = res.active_preempt_locks != 0 || res.active_irq_id != 0;
        res.active_rcu_locks != 0
            || res.active_locks != 0
            || off && self.has(Feature::RcuWithoutPreemption)
            || !self.in_sleepable()
    }

    /// Enters an RCU read-side region.
    pub fn enter_rcu(&mut self) {
        self.path.state.res_mut().active_rcu_locks += 1;
    }

    /// Leaves an RCU read-side region; what it protected is no longer trusted.
    pub fn leave_rcu(&mut self, func: &str) -> Step {
        if self.path.state.res.active_rcu_locks == 0 {
            return reject(ResourceReason::UnmatchedRcuUnlock { func: func.to_owned() });
        }
        self.path.state.res_mut().active_rcu_locks -= 1;
        if self.path.state.res.active_rcu_locks == 0 {
            self.end_protection();
        }
        Ok(())
    }

    /// A region ends that may have protected pointers: where nothing else protects them, they are trusted no longer.
    pub(crate) fn end_protection(&mut self) {
        if !self.has(Feature::RcuWithoutPreemption) || !self.in_rcu_cs() {
            self.distrust_rcu_pointers();
        }
    }

    /// Registers, spilled registers and iterators that RCU protects become untrusted.
    fn distrust_rcu_pointers(&mut self) {
        let gone = match self.has(Feature::RcuWithoutPreemption) {
            true => TypeFlags::RCU | TypeFlags::MAYBE_NULL | TypeFlags::NON_OWN_REF | TypeFlags::ALLOC,
            false => TypeFlags::RCU | TypeFlags::MAYBE_NULL,
        };
        let distrust = |r: &mut crate::RegState| {
            r.ty.flags -= gone;
            r.ty.flags |= TypeFlags::UNTRUSTED;
        };
        self.path.state.for_each_reg(|r| r.ty.has(TypeFlags::RCU), distrust);
        let is_iter = |s: &crate::state::StackSlot| s.kinds[0] == crate::state::SlotKind::Iter;
        for i in 0..self.path.state.frames.len() {
            let hit = |s: &crate::state::StackSlot| is_iter(s) && s.spilled.ty.has(TypeFlags::RCU);
            if !self.path.state.frame(i).stack.slots.iter().any(hit) {
                continue;
            }
            for s in self.path.state.frame_mut(i).stack.slots.iter_mut().filter(|s| hit(s)) {
                distrust(&mut s.spilled);
            }
        }
    }

    /// Turns preemption off, once more.
    pub fn disable_preemption(&mut self) {
        self.path.state.res_mut().active_preempt_locks += 1;
    }

    /// Turns preemption on, once.
    pub fn enable_preemption(&mut self, func: &str) -> Step {
        if self.path.state.res.active_preempt_locks == 0 {
            return reject(ResourceReason::UnmatchedPreemptEnable { func: func.to_owned() });
        }
        self.path.state.res_mut().active_preempt_locks -= 1;
        if self.has(Feature::RcuWithoutPreemption) {
            self.end_protection();
        }
        Ok(())
    }
}
