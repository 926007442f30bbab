//! Objects on the stack that calls make and destroy: where they lie, and what writing over them does.

use crate::Env;
use crate::domain::RegState;
use crate::state::{SLOT_SIZE, SlotKind, StackSlot};
use ebpfkit_abi::Feature;

/// Why a register does not point to slots for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSlot {
    /// The address is variable or not aligned to a slot.
    Misplaced,
    /// The slots have not been used yet, or lie outside of the stack.
    NotAllocated,
}

impl Env<'_> {
    /// Slot of the lowest-addressed eight bytes of an object of `slots` slots at a stack pointer. The others follow
    /// with smaller numbers.
    pub(crate) fn stack_object_slot(&self, r: &RegState, slots: usize) -> Result<usize, NoSlot> {
        if !r.var_off.is_const() {
            return Err(NoSlot::Misplaced);
        }
        let off = i64::from(r.off).wrapping_add(r.var_off.value as i64);
        if off % SLOT_SIZE as i64 != 0 || off > 0 {
            return Err(NoSlot::Misplaced);
        }
        // Linux 6.18 takes what begins right above the frame for what lies in its first slot.
        if off == 0 && self.sees(Feature::ObjectsBelowTheFrame) {
            return Err(NoSlot::Misplaced);
        }
        let slot = ((-off).max(1) - 1) as usize / SLOT_SIZE;
        if slot + 1 < slots {
            return Err(NoSlot::Misplaced);
        }
        let in_use = self.path.state.frames.get(r.frameno as usize).map_or(0, |f| f.stack.slots.len());
        if slot < in_use { Ok(slot) } else { Err(NoSlot::NotAllocated) }
    }
}

impl StackSlot {
    /// Whether every byte belongs to an object of this kind.
    pub(crate) fn is_all(&self, kind: SlotKind) -> bool {
        self.kinds.iter().all(|&k| k == kind)
    }
}
