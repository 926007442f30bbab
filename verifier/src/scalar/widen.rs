//! Forgetting numbers that change from one round of a loop to the next, so that the loop's states meet.

use crate::domain::RegState;
use crate::state::VerifierState;
use crate::tables::ids::regs_exact;
use crate::tables::{IdMap, Precise};

/// Whether a number has changed since the round before and its exact value mattered to nothing.
fn changed(old: &RegState, new: &RegState, precise: bool, ids: &mut IdMap) -> bool {
    old.is_scalar() && new.is_scalar() && !precise && !old.precise && !new.precise && !regs_exact(old, new, ids)
}

/// Numbers of `new` that differ from the state of the round before and whose value mattered to nothing become
/// `unknown` (`widen_imprecise_scalars`). `precise` marks what mattered in `old`, by frame. Frames that stay the same
/// stay shared.
pub fn widen_imprecise_scalars(
    old: &VerifierState,
    precise: &[Precise],
    new: &mut VerifierState,
    unknown: RegState,
    ids: &mut IdMap,
) {
    for frame in (0..new.frames.len().min(old.frames.len())).rev() {
        let (was, is) = (old.frame(frame), new.frame(frame));
        let marks = precise.get(frame).copied().unwrap_or_default();
        let mut regs = Vec::new();
        for (i, (o, n)) in was.regs.iter().zip(&is.regs).enumerate() {
            if changed(o, n, marks.regs >> i & 1 != 0, ids) {
                regs.push(i);
            }
        }
        let mut slots = Vec::new();
        for (i, (o, n)) in was.stack.slots.iter().zip(&is.stack.slots).enumerate() {
            let mark = i < 64 && marks.slots >> i & 1 != 0;
            if o.is_spill() && n.is_spill() && changed(&o.spilled, &n.spilled, mark, ids) {
                slots.push(i);
            }
        }
        if regs.is_empty() && slots.is_empty() {
            continue;
        }
        let f = new.frame_mut(frame);
        for i in regs {
            f.regs[i] = unknown;
        }
        for i in slots {
            f.stack.slots[i].spilled = unknown;
        }
    }
}
