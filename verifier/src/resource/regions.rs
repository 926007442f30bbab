//! Regions in which a program may not sleep: RCU, preemption off, interrupts off, locks.

use crate::reason::{ResourceReason, reject};
use crate::{Env, Step};
use ebpfkit_abi::TypeFlags;
use ebpfkit_object::ProgramFlags;

impl Env<'_> {
    /// Whether the program, or the asynchronous callback being verified, may sleep.
    pub fn in_sleepable(&self) -> bool {
        self.prog().flags.has(ProgramFlags::SLEEPABLE) || self.path.state.in_sleepable
    }

    /// Whether pointers that RCU protects stay good here: in a region, under a lock, or in a program that never sleeps.
    pub fn in_rcu_cs(&self) -> bool {
        self.path.state.res.active_rcu_locks != 0 || self.path.state.res.active_locks != 0 || !self.in_sleepable()
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
            self.distrust_rcu_pointers();
        }
        Ok(())
    }

    /// Registers, spilled registers and iterators that RCU protects become untrusted.
    fn distrust_rcu_pointers(&mut self) {
        let distrust = |r: &mut crate::RegState| {
            r.ty.flags -= TypeFlags::RCU | TypeFlags::MAYBE_NULL;
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
        Ok(())
    }
}
