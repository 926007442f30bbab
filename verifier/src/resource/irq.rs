//! Regions without interrupts: flags saved on the stack, restored in the reverse order.

use crate::domain::{RegBase, RegExtra, RegState, RegType};
use crate::memory::Access;
use crate::memory::objects::NoSlot;
use crate::reason::{ResourceReason, reject};
use crate::state::{RefKind, Reference};
use crate::state::{SLOT_SIZE, SlotKind, StackSlot};
use crate::{Env, Step};
use ebpfkit_abi::Feature;

impl Env<'_> {
    /// Saves interrupt flags in the stack slot that a register points to. `native`: by `bpf_local_irq_save`, not by
    /// a lock.
    pub fn save_irq_flag(&mut self, reg: u8, native: bool) -> Step {
        let r = *self.reg(reg);
        let free = match self.stack_object_slot(&r, 1) {
            Err(e) => e == NoSlot::NotAllocated,
            Ok(slot) => self.path.state.frame(r.frameno as usize).stack.slots[slot]
                .kinds
                .iter()
                .all(|&k| k != SlotKind::IrqFlag),
        };
        if !free {
            return reject(ResourceReason::IrqFlagInUse { index: reg - 1 });
        }
        self.check_mem_access(self.path.insn_idx, reg, 0, 8, Access::Write, None, false, false)?;
        let Ok(slot) = self.stack_object_slot(&r, 1) else {
            return reject(ResourceReason::IrqFlagInUse { index: reg - 1 });
        };
        let (id, insn) = (self.new_id(), self.path.insn_idx);
        let res = self.path.state.res_mut();
        res.refs.push(Reference { kind: RefKind::Irq, id, insn, parent: 0, lock_owner: 0 });
        res.active_irq_id = id;
        self.mark_object_write(r.frameno as usize, 1 << slot);
        let flag = RegState::pointer(RegType::of(RegBase::Stack), RegExtra::Irq { native });
        self.path.state.frame_mut(r.frameno as usize).stack.slots[slot] =
            StackSlot { spilled: RegState { ref_obj_id: id, ..flag }, kinds: [SlotKind::IrqFlag; SLOT_SIZE] };
        Ok(())
    }

    /// Restores interrupt flags from the stack slot that a register points to.
    pub fn restore_irq_flag(&mut self, reg: u8, native: bool) -> Step {
        let r = *self.reg(reg);
        let none = || reject(ResourceReason::NoIrqFlag { index: reg - 1 });
        let Ok(slot) = self.stack_object_slot(&r, 1) else { return none() };
        let s = self.path.state.frame(r.frameno as usize).stack.slots[slot];
        if s.spilled.ref_obj_id == 0 || s.kinds.iter().any(|&k| k != SlotKind::IrqFlag) {
            return none();
        }
        self.mark_object_read(r.frameno as usize, 1 << slot);
        let RegExtra::Irq { native: saved_native } = s.spilled.extra else { return none() };
        if saved_native != native {
            let class = |native| if native { "native" } else { "lock" };
            return reject(ResourceReason::IrqClass { saved: class(saved_native), used: class(native) });
        }
        let id = s.spilled.ref_obj_id;
        let res = self.path.state.res_mut();
        if res.active_irq_id != id {
            let insn = res.refs.iter().find(|f| f.id == res.active_irq_id).map_or(0, |f| f.insn);
            return reject(ResourceReason::IrqOutOfOrder { id: res.active_irq_id, insn });
        }
        if let Some(at) = res.refs.iter().position(|f| f.kind == RefKind::Irq && f.id == id) {
            res.refs.remove(at);
        }
        res.active_irq_id = res.refs.iter().rev().find(|f| f.kind == RefKind::Irq).map_or(0, |f| f.id);
        self.mark_object_write(r.frameno as usize, 1 << slot);
        self.path.state.frame_mut(r.frameno as usize).stack.slots[slot] = StackSlot::default();
        if self.has(Feature::RcuWithoutPreemption) {
            self.end_protection();
        }
        Ok(())
    }
}
