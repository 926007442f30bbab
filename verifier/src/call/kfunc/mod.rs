//! Calls of kernel functions.

mod args;
mod desc;
mod graph;
mod meta;
mod ret;
mod role;

use crate::domain::{BtfRef, IterState, RegBase, RegExtra, RegState, RegType};
use crate::memory::types::btf_reg;
use crate::reason::{KfuncReason, ResourceReason, reject};
use crate::state::RetRange;
use crate::tables::kfuncs::Desc;
use crate::{Env, Step, Stop};
use ebpfkit_abi::kfuncs::{KfuncFlags as F, name};
use ebpfkit_abi::{AttachType, Errno, Feature, ProgType as P, TypeFlags};
use ebpfkit_isa::{Insn, RegSet};
use ebpfkit_object::ProgramFlags;
use ebpfkit_object::record::FieldKind;
use meta::KfuncMeta;

/// What comparison functions return.
const COMPARES: RetRange = RetRange { min: 0, max: 1, return_32bit: false };

impl Env<'_> {
    /// Verifies a call of a kernel function.
    pub(super) fn check_kfunc_call(&mut self, insn: Insn) -> Step {
        if insn.imm == 0 {
            return Err(Stop::unsupported("a call of a kernel function that was not found"));
        }
        if self.path.state.res.active_locks != 0 && !self.kfunc_under_lock(insn) {
            return reject(ResourceReason::CallUnderLock {});
        }
        let Some(desc) = self.kfunc_of(insn) else { return Err(Stop::unsupported("functions of kernel modules")) };
        if !self.kfunc_allowed(&desc) {
            return reject(KfuncReason::NotAllowed { func: desc.name.clone() });
        }
        if desc.is(&[name::TRAP]) {
            return reject(KfuncReason::Trap {});
        }
        let sleepable = desc.has(F::SLEEPABLE);
        if sleepable && !self.in_sleepable() {
            return reject(KfuncReason::NeedsSleepable { func: desc.name.clone() });
        }
        if desc.is(&[name::RES_SPIN_LOCK, name::RES_SPIN_LOCK_IRQSAVE]) {
            self.push_failed_lock()?;
        }
        let mut meta = KfuncMeta::default();
        self.check_kfunc_args(&desc, &mut meta)?;
        self.check_drop_in_tracing(&desc, &meta)?;
        self.call_back_from_kfunc(&desc, &meta)?;
        self.check_kfunc_regions(&desc, sleepable)?;
        if let Some(reg) = meta.release {
            let id = self.reg(reg).ref_obj_id;
            self.check_children(id)?;
            if !self.release_reference(id) {
                return reject(KfuncReason::NotAcquired { func: desc.name.clone(), id: desc.id });
            }
        }
        if let Some(reg) = meta.released_dynptr {
            let r = *self.reg(reg);
            self.release_dynptr(&r)?;
        }
        if desc.adds_node() {
            let id = self.reg(2).ref_obj_id;
            self.give_to_graph(id)?;
        }
        if desc.is(&[name::THROW]) {
            return self.throw();
        }
        self.read_regs(RegSet::args(desc.params.len()).bits());
        for reg in 0..=5 {
            self.mark_reg_not_init(reg);
        }
        self.set_kfunc_return(&desc, &mut meta)?;
        if desc.is(&[name::XDP_PULL_DATA]) {
            self.clear_all_pkt_pointers();
        }
        if desc.has(F::ITER_NEXT) {
            self.fork_iteration(&meta)?;
        }
        self.path.insn_idx += 1;
        Ok(())
    }

    /// The lock could not be taken: the path on which an error comes back and nothing is held.
    fn push_failed_lock(&mut self) -> Step {
        let (at, unknown, numbers) = (self.path.insn_idx, self.unknown_scalar(), self.numbers());
        self.push_branch(at + 1, at, false, |_, state| {
            for reg in 0..=5 {
                *state.reg_mut(reg) = RegState::NOT_INIT;
            }
            let mut r0 = unknown;
            (r0.s32_min, r0.s32_max) = (-Errno::MAX, -1);
            numbers.sync(&mut r0);
            *state.reg_mut(0) = r0;
        })
    }

    /// What tracing programs drop may be dropped where an interrupt that cannot be masked runs them.
    fn check_drop_in_tracing(&self, desc: &Desc, meta: &KfuncMeta) -> Step {
        let drops = desc.is(&[name::OBJ_DROP_IMPL, name::PERCPU_OBJ_DROP_IMPL]);
        let Some((btf, id)) = meta.object.filter(|_| drops && self.has(Feature::DropsInTracing)) else { return Ok(()) };
        let traces = match self.effective_prog_type() {
            P::Kprobe | P::Tracepoint | P::PerfEvent | P::RawTracepoint | P::RawTracepointWritable => true,
            P::Tracing => {
                self.prog().attach_type != AttachType::TraceIter && !self.prog().flags.has(ProgramFlags::SLEEPABLE)
            }
            _ => false,
        };
        let pointer = RegState { ..btf_reg(btf, id, TypeFlags::ALLOC) };
        let unsafe_fields = self.record_of(&pointer).is_some_and(|r| {
            r.fields.iter().any(|f| f.kind.is_kptr() || f.kind == FieldKind::ListHead || f.kind == FieldKind::RbRoot)
        });
        if traces && unsafe_fields {
            return reject(KfuncReason::DropInTracing { func: desc.name.clone() });
        }
        Ok(())
    }

    /// Enqueues the function of the program that the call takes.
    fn call_back_from_kfunc(&mut self, desc: &Desc, meta: &KfuncMeta) -> Step {
        let Some(subprog) = meta.callback.map(|s| s as usize) else { return Ok(()) };
        let mut args = [RegState::NOT_INIT; 5];
        if desc.is(&[name::RBTREE_ADD_IMPL]) {
            let Some(root) = meta.tree else { return Err(Stop::unsupported("a tree without its elements")) };
            args[0] = self.borrowed_node(&root);
            args[1] = args[0];
            return self.push_sync_callback(subprog, args, COMPARES);
        }
        let is_work = desc.name.starts_with("bpf_task_work_schedule_");
        if !is_work && !desc.is(&[name::WQ_SET_CALLBACK_IMPL]) {
            return Ok(());
        }
        let Some((map, uid)) = meta.map else { return Err(Stop::unsupported("work without its map")) };
        let of_map = |base| RegState::pointer(RegType::of(base), RegExtra::Map { map, uid });
        args[0] = of_map(RegBase::ConstMap);
        args[1] = of_map(RegBase::MapKey);
        args[2] = of_map(RegBase::MapValue);
        if self.has(Feature::ElementIdentities) {
            args[2].id = self.new_id();
        }
        self.push_async_callback(subprog, args, true)
    }

    /// Regions that the call opens or closes, and those in which it may not be made.
    fn check_kfunc_regions(&mut self, desc: &Desc, sleepable: bool) -> Step {
        let name = desc.name.as_str();
        let asleep = |region| reject(ResourceReason::SleepableKfunc { func: desc.name.clone(), region });
        let (lock, unlock) = (name == name::RCU_READ_LOCK, name == name::RCU_READ_UNLOCK);
        if self.path.state.res.active_rcu_locks != 0 {
            if (lock || unlock) && self.in_tree_callback() {
                return reject(ResourceReason::RcuInTreeCallback {});
            }
            if lock && !self.has(Feature::NestedRcu) {
                return reject(ResourceReason::NestedRcuLock { func: desc.name.clone() });
            }
            if sleepable {
                return asleep("rcu_read_lock");
            }
        }
        if lock {
            self.enter_rcu();
        } else if unlock {
            self.leave_rcu(name)?;
        }
        match name {
            name::PREEMPT_DISABLE => self.disable_preemption(),
            name::PREEMPT_ENABLE => self.enable_preemption(name)?,
            _ if sleepable && self.path.state.res.active_preempt_locks != 0 => return asleep("non-preemptible"),
            _ => {}
        }
        if sleepable && self.path.state.res.active_irq_id != 0 {
            return asleep("IRQ-disabled");
        }
        if desc.has(F::RCU_PROTECTED) && !self.in_rcu_cs() {
            return reject(KfuncReason::NeedsRcu { func: desc.name.clone() });
        }
        Ok(())
    }

    /// `bpf_throw`: the program ends here, unwinding all frames.
    fn throw(&mut self) -> Step {
        if self.exception_callback == 0 {
            self.check_thrown_value()?;
        }
        self.check_resource_leak(true, true, name::THROW)?;
        self.path.threw = true;
        Ok(())
    }

    /// `next` gives another element on one path, and nothing more on the other.
    fn fork_iteration(&mut self, meta: &KfuncMeta) -> Step {
        let Some(iter) = &meta.iter else { return Err(Stop::unsupported("an iteration without iterator")) };
        let (frame, slot) = (iter.frame, iter.slot);
        let state_of = |r: &RegState| match r.extra {
            RegExtra::Iter { state, .. } => Some(state),
            _ => None,
        };
        let set = |r: &mut RegState, to: IterState, deeper: u32| {
            if let RegExtra::Iter { state, depth, .. } = &mut r.extra {
                (*state, *depth) = (to, *depth + deeper);
            }
        };
        if state_of(&self.path.state.frame(frame).stack.slots[slot].spilled) == Some(IterState::Active) {
            let at = self.path.insn_idx;
            self.push_iteration(at + 1, at, |_, state| {
                set(&mut state.frame_mut(frame).stack.slots[slot].spilled, IterState::Active, 1);
                state.reg_mut(0).ty.flags -= TypeFlags::MAYBE_NULL;
            })?;
        }
        set(&mut self.path.state.frame_mut(frame).stack.slots[slot].spilled, IterState::Drained, 0);
        *self.reg_mut(0) = RegState::known(0);
        Ok(())
    }

    /// A typed pointer from the kernel.
    fn kernel_pointer(&self, id: u32, flags: TypeFlags) -> RegState {
        btf_reg(BtfRef::Vmlinux, id, flags)
    }
}
