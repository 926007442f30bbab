//! One frame's stack as the verifier sees it: slots of eight bytes, each byte with its kind.

use crate::domain::RegState;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// Bytes in a slot (`BPF_REG_SIZE`).
pub const SLOT_SIZE: usize = 8;

/// What a stack byte holds (`enum bpf_stack_slot_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum SlotKind {
    #[default]
    Invalid,
    Spill,
    Misc,
    Zero,
    Dynptr,
    Iter,
    IrqFlag,
}

/// One slot. `kinds[7]` is the byte at the slot's lowest address plus 7 (the kernel's `slot_type` order).
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct StackSlot {
    /// The spilled register, when [`SlotKind::Spill`] stands in `kinds[7]`; also details of dynptrs, iterators and flags.
    pub spilled: RegState,
    /// Kind of each byte.
    pub kinds: [SlotKind; SLOT_SIZE],
}

/// Slots that are shared between copies until one of them is written; none at first.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Slots(Option<Rc<Vec<StackSlot>>>);

impl Deref for Slots {
    type Target = [StackSlot];

    fn deref(&self) -> &[StackSlot] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl DerefMut for Slots {
    fn deref_mut(&mut self) -> &mut [StackSlot] {
        self.0.as_mut().map_or(&mut [], |slots| Rc::make_mut(slots).as_mut_slice())
    }
}

impl Slots {
    /// Whether both are the same memory, and so the same slots.
    pub fn same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Rc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }
}

impl<'a> IntoIterator for &'a Slots {
    type Item = &'a StackSlot;
    type IntoIter = std::slice::Iter<'a, StackSlot>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The slots in use; slot 0 is `[fp-8, fp)`. The number of slots only grows.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Stack {
    /// Slots.
    pub slots: Slots,
}

impl Stack {
    /// Bytes in use (`allocated_stack`).
    pub fn allocated(&self) -> usize {
        self.slots.len() * SLOT_SIZE
    }

    /// Makes room for at least `bytes` below the frame pointer.
    pub fn grow(&mut self, bytes: usize) {
        let want = bytes.div_ceil(SLOT_SIZE);
        if want > self.slots.len() {
            Rc::make_mut(self.slots.0.get_or_insert_default()).resize(want, StackSlot::default());
        }
    }
}

impl StackSlot {
    /// Whether the slot holds a spilled register (`is_spilled_reg`).
    pub fn is_spill(&self) -> bool {
        self.kinds[SLOT_SIZE - 1] == SlotKind::Spill
    }

    /// Whether the slot holds a spilled scalar.
    pub fn is_scalar_spill(&self) -> bool {
        self.is_spill() && self.spilled.is_scalar()
    }
}
