//! Counted references: acquired, passed on, released, and none left behind.

use crate::domain::RegState;
use crate::reason::{ResourceReason, reject};
use crate::state::{RefKind, Reference};
use crate::{Env, Step};
use ebpfkit_abi::kfuncs::name;
use ebpfkit_abi::{Feature, ProgType, TypeFlags};

impl Env<'_> {
    /// Notes that the instruction at `insn` acquired an object; the identity of the reference.
    pub fn acquire_reference(&mut self, insn: usize) -> u32 {
        self.acquire_reference_of(insn, 0)
    }

    /// The same for an object that rests on another reference, in kernels that know of that.
    pub fn acquire_reference_of(&mut self, insn: usize, parent: u32) -> u32 {
        let id = self.new_id();
        let parent = if self.has(Feature::NestedReferences) { parent } else { 0 };
        self.path.state.res_mut().refs.push(Reference { kind: RefKind::Ptr, id, insn, parent, lock_owner: 0 });
        id
    }

    /// Rejects when a reference is released on which another one rests.
    pub fn check_children(&self, id: u32) -> Step {
        let child = self.path.state.res.refs.iter().find(|r| r.kind == RefKind::Ptr && r.parent == id && id != 0);
        match child {
            Some(child) => reject(ResourceReason::ReleasedBefore { id: child.id, insn: child.insn }),
            None => Ok(()),
        }
    }

    /// Whether this object was acquired and not yet released.
    pub fn holds_reference(&self, id: u32) -> bool {
        self.path.state.res.refs.iter().any(|r| r.kind == RefKind::Ptr && r.id == id)
    }

    /// Drops a reference without touching the pointers that carry it; false when there is none.
    pub fn forget_reference(&mut self, id: u32) -> bool {
        let held = self.path.state.res.refs.iter().position(|r| r.kind == RefKind::Ptr && r.id == id);
        if let Some(at) = held {
            self.path.state.res_mut().refs.remove(at);
        }
        held.is_some()
    }

    /// Releases a reference: every pointer that came from it becomes a number. False when there is none.
    pub fn release_reference(&mut self, id: u32) -> bool {
        let held = self.forget_reference(id);
        if held {
            self.invalidate_regs(|r| r.ref_obj_id == id);
        }
        held
    }

    /// Makes numbers of all registers that fit (`mark_reg_invalid`).
    pub fn invalidate_regs(&mut self, predicate: impl Fn(&RegState) -> bool) {
        let gone = if self.allow_ptr_leaks() { self.unknown_scalar() } else { RegState::NOT_INIT };
        self.path.state.for_each_reg(predicate, |r| *r = gone);
    }

    /// Pointers to graph nodes that the program does not own are good only while the lock is held.
    pub fn invalidate_non_owning_refs(&mut self) {
        self.invalidate_regs(|r| r.ty.has(TypeFlags::ALLOC) && r.ty.has(TypeFlags::NON_OWN_REF));
    }

    /// Rejects when something acquired would be left behind by `prefix`, such as "BPF_EXIT instruction in main prog".
    /// An exit by exception leaves all frames at once. With `check_lock`, no region may be open either.
    pub fn check_resource_leak(&mut self, exception_exit: bool, check_lock: bool, prefix: &str) -> Step {
        let prefix = || prefix.to_owned();
        if !self.has(Feature::OneLeakCheck) {
            return self.check_each_leak(exception_exit, check_lock, prefix());
        }
        if check_lock && self.path.state.res.active_locks != 0 {
            return reject(ResourceReason::InsideLock { prefix: prefix() });
        }
        self.check_reference_leak(exception_exit, prefix())?;
        if !check_lock {
            return Ok(());
        }
        let res = &self.path.state.res;
        let region = if res.active_irq_id != 0 {
            name::LOCAL_IRQ_SAVE
        } else if res.active_rcu_locks != 0 {
            name::RCU_READ_LOCK
        } else if res.active_preempt_locks != 0 {
            name::PREEMPT_DISABLE
        } else {
            return Ok(());
        };
        reject(ResourceReason::InsideRegion { prefix: prefix(), region })
    }

    /// The same where each kind of leak has a check and a message of its own.
    fn check_each_leak(&mut self, exception_exit: bool, check_lock: bool, prefix: String) -> Step {
        let exits = prefix.starts_with("BPF_EXIT");
        if !exits && !exception_exit {
            // Calls and loads that may leave the program: references first.
            if self.check_reference_leak(false, String::new()).is_err() {
                let is_tail_call = prefix == "tail_call";
                let held = self.path.state.res.refs.iter().find(|r| r.kind == RefKind::Ptr);
                let (id, insn) = held.map_or((0, 0), |r| (r.id, r.insn));
                let (leak, mixed) = (
                    ResourceReason::ReferenceLeak { prefix: prefix.clone(), id, insn },
                    ResourceReason::MixedWithReferences { prefix },
                );
                return reject(if is_tail_call { leak } else { mixed });
            }
            if prefix == "tail_call" {
                return Ok(());
            }
        }
        let res = &self.path.state.res;
        let outermost = self.path.state.curframe() == 0 || !self.has(Feature::CallsUnderLock);
        if check_lock && (outermost || !exits) {
            let reason = if res.active_locks != 0 {
                if exits { ResourceReason::UnlockMissing {} } else { ResourceReason::InsideLock { prefix } }
            } else if res.active_rcu_locks != 0 {
                let what = "bpf_rcu_read_unlock is".to_owned();
                if exits {
                    ResourceReason::CloseMissing { what }
                } else {
                    ResourceReason::InsideRegion { prefix, region: name::RCU_READ_LOCK }
                }
            } else if res.active_preempt_locks != 0 {
                let n = res.active_preempt_locks;
                let what = format!("{n} bpf_preempt_enable{}", if n == 1 { " is" } else { "(s) are" });
                if exits {
                    ResourceReason::CloseMissing { what }
                } else {
                    ResourceReason::InsideRegion { prefix, region: name::PREEMPT_DISABLE }
                }
            } else {
                return if exits || exception_exit {
                    self.check_reference_leak(exception_exit, String::new())
                } else {
                    Ok(())
                };
            };
            return reject(reason);
        }
        if exits || exception_exit { self.check_reference_leak(exception_exit, String::new()) } else { Ok(()) }
    }

    fn check_reference_leak(&mut self, exception_exit: bool, prefix: String) -> Step {
        if !exception_exit && self.path.state.curframe() != 0 {
            return Ok(());
        }
        // A struct_ops program may hand what it holds back to the kernel.
        let returned = (self.prog().prog_type == ProgType::StructOps && !exception_exit)
            .then(|| self.reg(0).ref_obj_id)
            .filter(|&id| id != 0);
        let leaked: Vec<Reference> = self
            .path
            .state
            .res
            .refs
            .iter()
            .filter(|r| r.kind == RefKind::Ptr && Some(r.id) != returned)
            .copied()
            .collect();
        if leaked.is_empty() {
            return Ok(());
        }
        if !self.has(Feature::OneLeakCheck) {
            let [before @ .., last] = &leaked[..] else { return Ok(()) };
            let line = |r: &Reference| format!("Unreleased reference id={} alloc_insn={}\n", r.id, r.insn);
            let before = before.iter().map(line).collect();
            return reject(ResourceReason::Unreleased { before, id: last.id, insn: last.insn });
        }
        let first = leaked[0];
        for r in leaked {
            self.detail(format_args!("Unreleased reference id={} alloc_insn={}", r.id, r.insn));
        }
        reject(ResourceReason::ReferenceLeak { prefix, id: first.id, insn: first.insn })
    }
}
