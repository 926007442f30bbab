//! Dynptrs on the stack: two slots that only calls may write.

use super::Access;
use super::objects::NoSlot;
use crate::domain::{DynptrKind, RegBase, RegExtra, RegState, RegType};
use crate::reason::{ObjectReason, reject};
use crate::state::{SLOT_SIZE, SlotKind, StackSlot};
use crate::{Env, Step};
use ebpfkit_abi::{Feature, TypeFlags};

/// Slots of a dynptr.
pub const DYNPTR_SLOTS: usize = 2;
/// Bytes of a dynptr.
pub const DYNPTR_SIZE: i32 = (DYNPTR_SLOTS * SLOT_SIZE) as i32;

const CONST_DYNPTR: RegType = RegType::of(RegBase::ConstDynptr);

impl DynptrKind {
    /// The kind that an argument's modifiers ask for; `None` when any will do.
    pub fn of_flags(flags: TypeFlags) -> Option<Self> {
        [
            (TypeFlags::DYNPTR_LOCAL, Self::Local),
            (TypeFlags::DYNPTR_RINGBUF, Self::Ringbuf),
            (TypeFlags::DYNPTR_SKB, Self::Skb),
            (TypeFlags::DYNPTR_XDP, Self::Xdp),
            (TypeFlags::DYNPTR_SKB_META, Self::SkbMeta),
            (TypeFlags::DYNPTR_FILE, Self::File),
        ]
        .into_iter()
        .find_map(|(flag, kind)| flags.contains(flag).then_some(kind))
    }

    /// Modifier that stands for this kind in argument and register types.
    pub fn flag(self) -> TypeFlags {
        match self {
            Self::Invalid => TypeFlags::empty(),
            Self::Local => TypeFlags::DYNPTR_LOCAL,
            Self::Ringbuf => TypeFlags::DYNPTR_RINGBUF,
            Self::Skb => TypeFlags::DYNPTR_SKB,
            Self::Xdp => TypeFlags::DYNPTR_XDP,
            Self::SkbMeta => TypeFlags::DYNPTR_SKB_META,
            Self::File => TypeFlags::DYNPTR_FILE,
        }
    }

    /// Name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "<invalid>",
            Self::Local => "local",
            Self::Ringbuf => "ringbuf",
            Self::Skb => "skb",
            Self::Xdp => "xdp",
            Self::SkbMeta => "skb_meta",
            Self::File => "file",
        }
    }

    /// Whether the dynptr must be released.
    pub fn is_refcounted(self) -> bool {
        matches!(self, Self::Ringbuf | Self::File)
    }
}

/// A dynptr argument that is initialised: what it is over, and its identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynptrArg {
    /// Kind.
    pub kind: DynptrKind,
    /// Identity, which slices of it carry.
    pub id: u32,
    /// Identity of the reference that it holds; zero for none.
    pub ref_obj_id: u32,
}

/// The two slots of a dynptr as bits.
fn pair(first: usize) -> u64 {
    3 << (first - 1)
}

/// What a dynptr register or slot holds.
pub fn dynptr_reg(kind: DynptrKind, first_slot: bool, id: u32) -> RegState {
    RegState { id, ..RegState::pointer(CONST_DYNPTR, RegExtra::Dynptr { kind, first_slot }) }
}

impl Env<'_> {
    /// Checks a dynptr argument against the modifiers of its prototype. `UNINIT`: the call makes the dynptr, of the
    /// kind in the modifiers, sharing the reference `clone_ref_obj_id` when that is not zero. `RDONLY`: the call
    /// leaves it as it is.
    pub fn process_dynptr(&mut self, reg: u8, flags: TypeFlags, clone_ref_obj_id: u32) -> Step {
        self.process_dynptr_over(reg, flags, clone_ref_obj_id, 0)
    }

    /// The same; what the dynptr is over rests on the reference `parent`, when that is not zero.
    pub fn process_dynptr_over(&mut self, reg: u8, flags: TypeFlags, clone_ref_obj_id: u32, parent: u32) -> Step {
        let (r, index) = (*self.reg(reg), reg - 1);
        if r.ty != RegType::of(RegBase::Stack) && r.ty != CONST_DYNPTR {
            return reject(ObjectReason::DynptrNotOnStack { index });
        }
        if flags.contains(TypeFlags::UNINIT) {
            if r.ty == CONST_DYNPTR && !self.has(Feature::GuardedDynptrs) {
                // Nothing looks at what the program was given.
                return Ok(());
            }
            let free = r.ty != CONST_DYNPTR && self.stack_object_slot(&r, DYNPTR_SLOTS) != Err(NoSlot::Misplaced);
            if !free || !self.has(Feature::GuardedDynptrs) && self.overlaps_dynptr(&r) {
                return reject(ObjectReason::DynptrNotUninit {});
            }
            for at in (0..DYNPTR_SIZE).step_by(SLOT_SIZE) {
                self.check_mem_access(self.path.insn_idx, reg, at, 8, Access::Write, None, false, false)?;
            }
            return self.mark_dynptr(&r, flags, clone_ref_obj_id, parent);
        }
        if r.ty == CONST_DYNPTR && !flags.contains(TypeFlags::RDONLY) {
            return reject(ObjectReason::DynptrConst {});
        }
        let Some(found) = self.dynptr_at(&r) else { return reject(ObjectReason::DynptrNotInit { index, reg }) };
        if let Some(kind) = DynptrKind::of_flags(flags).filter(|&k| k != found.kind) {
            return reject(ObjectReason::DynptrKind { kind: kind.name(), index });
        }
        if r.ty != CONST_DYNPTR
            && let Ok(first) = self.stack_object_slot(&r, DYNPTR_SLOTS)
        {
            self.mark_object_read(r.frameno as usize, pair(first));
        }
        Ok(())
    }

    /// The initialised dynptr that a register points to.
    pub fn dynptr_at(&self, r: &RegState) -> Option<DynptrArg> {
        let found = |d: &RegState| match d.extra {
            RegExtra::Dynptr { kind, first_slot: true } => Some(DynptrArg { kind, id: d.id, ref_obj_id: d.ref_obj_id }),
            _ => None,
        };
        if r.ty == CONST_DYNPTR {
            return found(r);
        }
        let first = self.stack_object_slot(r, DYNPTR_SLOTS).ok()?;
        let slots = &self.path.state.frame(r.frameno as usize).stack.slots;
        let whole = slots[first].is_all(SlotKind::Dynptr) && slots[first - 1].is_all(SlotKind::Dynptr);
        found(&slots[first].spilled).filter(|_| whole)
    }

    fn mark_dynptr(&mut self, r: &RegState, flags: TypeFlags, clone_ref_obj_id: u32, parent: u32) -> Step {
        let frame = r.frameno as usize;
        let (Ok(first), Some(kind)) = (self.stack_object_slot(r, DYNPTR_SLOTS), DynptrKind::of_flags(flags)) else {
            return reject(ObjectReason::DynptrNotUninit {});
        };
        self.destroy_dynptr_slot(frame, first)?;
        self.destroy_dynptr_slot(frame, first - 1)?;
        // The reference comes first where dynptrs are known by it.
        let by_reference = kind.is_refcounted() && clone_ref_obj_id == 0 && self.has(Feature::DynptrsByReference);
        let id = if self.has(Feature::GuardedDynptrs) && !by_reference { self.new_id() } else { 0 };
        let ref_obj_id = match clone_ref_obj_id {
            _ if !kind.is_refcounted() => 0,
            0 => self.acquire_reference_of(self.path.insn_idx, parent),
            shared => shared,
        };
        let id = if by_reference { self.new_id() } else { id };
        self.mark_object_write(frame, pair(first));
        let slots = &mut self.path.state.frame_mut(frame).stack.slots;
        for (slot, is_first) in [(first, true), (first - 1, false)] {
            let spilled = RegState { ref_obj_id, ..dynptr_reg(kind, is_first, id) };
            slots[slot] = StackSlot { spilled, kinds: [SlotKind::Dynptr; SLOT_SIZE] };
        }
        Ok(())
    }

    /// Releases the dynptr that a register points to, its copies and what was taken from them.
    pub fn release_dynptr(&mut self, r: &RegState) -> Step {
        let frame = r.frameno as usize;
        let (Ok(first), Some(found)) = (self.stack_object_slot(r, DYNPTR_SLOTS), self.dynptr_at(r)) else {
            return Ok(());
        };
        if !found.kind.is_refcounted() {
            self.clear_slots(frame, &[first, first - 1]);
            return Ok(());
        }
        self.check_children(found.ref_obj_id)?;
        self.release_reference(found.ref_obj_id);
        let is_copy = |s: &StackSlot| {
            s.kinds[0] == SlotKind::Dynptr
                && s.spilled.ref_obj_id == found.ref_obj_id
                && matches!(s.spilled.extra, RegExtra::Dynptr { first_slot: true, .. })
        };
        let slots = &self.path.state.frame(frame).stack.slots;
        let copies: Vec<usize> = (1..slots.len()).filter(|&i| is_copy(&slots[i])).collect();
        for i in copies {
            self.clear_slots(frame, &[i, i - 1]);
        }
        Ok(())
    }

    /// Whether another dynptr than the one at a slot of a frame holds the same reference.
    fn has_other_clone(&self, reference: u32, frame: usize, at: usize) -> bool {
        let is_clone = |s: &StackSlot| {
            s.kinds[0] == SlotKind::Dynptr
                && s.spilled.ref_obj_id == reference
                && matches!(s.spilled.extra, RegExtra::Dynptr { first_slot: true, .. })
        };
        let frames = self.path.state.frames.iter().enumerate();
        frames
            .flat_map(|(n, f)| f.stack.slots.iter().enumerate().map(move |(i, s)| (n, i, s)))
            .any(|(n, i, s)| (n, i) != (frame, at) && is_clone(s))
    }

    /// Whether a slot of the dynptr that would be made here belongs to one already.
    fn overlaps_dynptr(&self, r: &RegState) -> bool {
        let Ok(first) = self.stack_object_slot(r, DYNPTR_SLOTS) else { return false };
        let slots = &self.path.state.frame(r.frameno as usize).stack.slots;
        [first, first - 1].iter().any(|&i| slots.get(i).is_some_and(|s| s.kinds[0] == SlotKind::Dynptr))
    }

    /// A write into a slot of a dynptr destroys it with its slices, unless it must be released first.
    pub(super) fn destroy_dynptr_slot(&mut self, frame: usize, slot: usize) -> Step {
        if !self.has(Feature::GuardedDynptrs) {
            return Ok(());
        }
        let Some(s) = self.path.state.frame(frame).stack.slots.get(slot).filter(|s| s.kinds[0] == SlotKind::Dynptr)
        else {
            return Ok(());
        };
        let RegExtra::Dynptr { kind, first_slot } = s.spilled.extra else { return Ok(()) };
        let first = if first_slot { slot } else { slot + 1 };
        if kind.is_refcounted()
            && !(self.has(Feature::ClonesKeepReference) && self.has_other_clone(s.spilled.ref_obj_id, frame, first))
        {
            return reject(ObjectReason::DynptrOverwrite {});
        }
        let id = s.spilled.id;
        self.clear_slots(frame, &[first, first - 1]);
        self.invalidate_regs(|r| {
            r.ty.base == RegBase::Mem
                && (r.ty.flags - TypeFlags::MAYBE_NULL).is_empty()
                && matches!(r.extra, RegExtra::Mem { dynptr_id, .. } if dynptr_id == id)
        });
        Ok(())
    }

    fn clear_slots(&mut self, frame: usize, slots: &[usize]) {
        self.mark_object_write(frame, slots.iter().fold(0, |all, &s| all | 1 << s));
        let stack = &mut self.path.state.frame_mut(frame).stack.slots;
        for &i in slots {
            stack[i] = StackSlot::default();
        }
    }
}
