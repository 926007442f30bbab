//! Forgetting numbers that change from one round of a loop to the next, so that the loop's states meet.

use crate::reg::RegState;
use crate::state::VerifierState;

/// Pairs of identities that stand for each other.
#[derive(Default)]
pub(crate) struct SameIds(Vec<(u32, u32)>);

impl SameIds {
    /// Whether `old` stands for `new`, given all pairs so far; zero stands for itself only.
    pub(crate) fn same(&mut self, old: u32, new: u32) -> bool {
        if (old == 0) != (new == 0) {
            return false;
        }
        if old == 0 {
            return true;
        }
        match self.0.iter().find(|(o, n)| *o == old || *n == new) {
            Some(pair) => *pair == (old, new),
            None => {
                self.0.push((old, new));
                true
            }
        }
    }
}

/// Whether both registers hold exactly the same, up to identity.
fn exact(old: &RegState, new: &RegState, ids: &mut SameIds) -> bool {
    let plain = |r: &RegState| RegState { id: 0, ref_obj_id: 0, frameno: 0, subreg_def: 0, precise: false, ..*r };
    plain(old) == plain(new) && ids.same(old.id, new.id) && ids.same(old.ref_obj_id, new.ref_obj_id)
}

fn widen(old: &RegState, new: &RegState, ids: &mut SameIds, unknown: RegState) -> Option<RegState> {
    let forget = old.is_scalar() && new.is_scalar() && !old.precise && !new.precise && !exact(old, new, ids);
    forget.then_some(unknown)
}

/// Numbers of `new` that differ from the state of the round before and whose value mattered to nothing become
/// `unknown` (`widen_imprecise_scalars`). Frames that stay the same stay shared.
pub fn widen_imprecise_scalars(old: &VerifierState, new: &mut VerifierState, unknown: RegState) {
    let mut ids = SameIds::default();
    for frame in (0..new.frames.len().min(old.frames.len())).rev() {
        let (was, is) = (old.frame(frame), new.frame(frame));
        let mut regs = Vec::new();
        for (i, (o, n)) in was.regs.iter().zip(&is.regs).enumerate() {
            if let Some(r) = widen(o, n, &mut ids, unknown) {
                regs.push((i, r));
            }
        }
        let mut slots = Vec::new();
        for (i, (o, n)) in was.stack.slots.iter().zip(&is.stack.slots).enumerate() {
            if o.is_spill()
                && n.is_spill()
                && let Some(r) = widen(&o.spilled, &n.spilled, &mut ids, unknown)
            {
                slots.push((i, r));
            }
        }
        if regs.is_empty() && slots.is_empty() {
            continue;
        }
        let f = new.frame_mut(frame);
        for (i, r) in regs {
            f.regs[i] = r;
        }
        for (i, r) in slots {
            f.stack.slots[i].spilled = r;
        }
    }
}
