//! One frame's stack as the verifier sees it: slots of eight bytes, each byte with its kind.

use crate::reg::RegState;

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

/// The slots in use; slot 0 is `[fp-8, fp)`. The number of slots only grows.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Stack {
    /// Slots.
    pub slots: Vec<StackSlot>,
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
            self.slots.resize(want, StackSlot::default());
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
