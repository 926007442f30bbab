//! Open-coded iterators on the stack: as many slots as their struct has, made by `new` and gone with `destroy`.

use super::Access;
use super::objects::NoSlot;
use crate::domain::{BtfRef, IterState, RegBase, RegExtra, RegState, RegType};
use crate::reason::{ObjectReason, reject};
use crate::state::{SLOT_SIZE, SlotKind, StackSlot};
use crate::{Env, Step};
use ebpfkit_abi::TypeFlags;
use ebpfkit_object::btf::TypeId;

/// An iterator type: its struct in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IterType {
    /// The struct.
    pub id: TypeId,
    /// Its name without `bpf_iter_`.
    pub name: String,
    /// Stack slots that it takes.
    pub slots: usize,
}

/// Why no initialised iterator lies where a register points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoIter {
    /// Nothing, or something else.
    Missing,
    /// It was good only in an RCU region that has ended.
    Untrusted,
}

/// The slots of an iterator as bits.
fn span(first: usize, slots: usize) -> u64 {
    (0..slots).fold(0, |all, i| all | 1 << (first - i))
}

impl Env<'_> {
    /// Makes an iterator in uninitialised slots. `rcu_protected`: it is good only in an RCU region.
    pub fn new_iter(&mut self, reg: u8, ty: &IterType, rcu_protected: bool) -> Step {
        let r = *self.reg(reg);
        let free = match self.stack_object_slot(&r, ty.slots) {
            Err(e) => e == NoSlot::NotAllocated,
            Ok(first) => {
                let slots = &self.path.state.frame(r.frameno as usize).stack.slots;
                (0..ty.slots).all(|i| !slots[first - i].kinds.contains(&SlotKind::Iter))
            }
        };
        let taken = || ObjectReason::IterNotUninit { iter: ty.name.clone(), index: reg - 1 };
        if !free {
            return reject(taken());
        }
        for at in (0..ty.slots * SLOT_SIZE).step_by(SLOT_SIZE) {
            self.check_mem_access(self.path.insn_idx, reg, at as i32, 8, Access::Write, None, false, false)?;
        }
        let Ok(first) = self.stack_object_slot(&r, ty.slots) else { return reject(taken()) };
        let id = self.acquire_reference(self.path.insn_idx);
        let flags = match rcu_protected {
            false => TypeFlags::empty(),
            true if self.in_rcu_cs() => TypeFlags::RCU,
            true => TypeFlags::UNTRUSTED,
        };
        let extra = RegExtra::Iter { btf: BtfRef::Vmlinux, id: ty.id, state: IterState::Active, depth: 0 };
        let state = RegState::pointer(RegType::with(RegBase::Stack, flags), extra);
        self.mark_object_write(r.frameno as usize, span(first, ty.slots));
        let slots = &mut self.path.state.frame_mut(r.frameno as usize).stack.slots;
        for i in 0..ty.slots {
            let spilled = RegState { ref_obj_id: if i == 0 { id } else { 0 }, ..state };
            slots[first - i] = StackSlot { spilled, kinds: [SlotKind::Iter; SLOT_SIZE] };
        }
        Ok(())
    }

    /// First slot of the initialised iterator of this type at a register.
    pub fn iter_at(&self, r: &RegState, ty: &IterType) -> Result<usize, NoIter> {
        let first = self.stack_object_slot(r, ty.slots).map_err(|_| NoIter::Missing)?;
        let slots = &self.path.state.frame(r.frameno as usize).stack.slots;
        for i in 0..ty.slots {
            let s = &slots[first - i];
            if s.spilled.ty.has(TypeFlags::UNTRUSTED) {
                return Err(NoIter::Untrusted);
            }
            let is_main = s.spilled.ref_obj_id != 0;
            let same = matches!(s.spilled.extra, RegExtra::Iter { btf: BtfRef::Vmlinux, id, .. } if id == ty.id);
            if is_main != (i == 0) || !same || !s.is_all(SlotKind::Iter) {
                return Err(NoIter::Missing);
            }
        }
        Ok(first)
    }

    /// Notes that the call reads the iterator whose first slot this is.
    pub fn read_iter(&mut self, frame: usize, first: usize, slots: usize) {
        self.mark_object_read(frame, span(first, slots));
    }

    /// Destroys the iterator whose first slot this is.
    pub fn destroy_iter(&mut self, frame: usize, first: usize, slots: usize) {
        let id = self.path.state.frame(frame).stack.slots[first].spilled.ref_obj_id;
        self.release_reference(id);
        self.mark_object_write(frame, span(first, slots));
        let stack = &mut self.path.state.frame_mut(frame).stack.slots;
        for i in 0..slots {
            stack[first - i] = StackSlot::default();
        }
    }
}
