//! Widening: loops that run any number of times, with iterators, callbacks or `may_goto`.
//!
//! The state of an iteration is compared with those of earlier ones. For them to converge, numbers that changed since the
//! iteration before, and whose exact value mattered to nothing, are forgotten.

use crate::domain::RegState;
use crate::state::{StateId, VerifierState};
use crate::tables::ids::regs_exact;
use crate::tables::{IdMap, Precise, Walk};
use crate::{Env, Step};

/// Whether a number has changed since the iteration before and its exact value mattered to nothing.
fn changed(old: &RegState, new: &RegState, precise: bool, ids: &mut IdMap) -> bool {
    old.is_scalar() && new.is_scalar() && !precise && !old.precise && !new.precise && !regs_exact(old, new, ids)
}

/// Numbers of `new` that differ from the state of the iteration before and whose value mattered to nothing become
/// `unknown` (`widen_imprecise_scalars`). `precise` marks what mattered in `old`, by frame. Frames that stay the same
/// stay shared.
fn widen_imprecise_scalars(
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

impl Env<'_> {
    /// Pushes another iteration as a pending branch at `next`: a copy of the current state that `finish` completes.
    /// `here` is the instruction that repeats, a forced checkpoint (an iterator's `next`, `may_goto`).
    pub fn push_iteration(
        &mut self,
        next: usize,
        here: usize,
        finish: impl FnOnce(&mut Self, &mut VerifierState),
    ) -> Step {
        // The current state has just been saved here; what came before that is the earlier iteration.
        let saved = self.path.state.parent.map(|p| &self.tables.walk.saved.get(p).state);
        let before = saved.filter(|s| s.insn_idx == here).and_then(|s| self.find_prev_entry(here, s));
        self.push_branch(next, here, false, |env, state| {
            finish(env, state);
            if let Some(before) = before {
                env.widen_against(before, state);
            }
        })
    }

    /// Widens the current state, which has returned from a callback to the call at `here`, against the iteration before.
    pub fn widen_callback(&mut self, here: usize) {
        if let Some(before) = self.find_prev_entry(here, &self.path.state) {
            let mut state = std::mem::replace(&mut self.path.state, VerifierState::empty());
            self.widen_against(before, &mut state);
            self.path.state = state;
        }
    }

    /// The nearest earlier state of the current path at `insn` with the same callers as `cur`.
    fn find_prev_entry(&self, insn: usize, cur: &VerifierState) -> Option<StateId> {
        let saved = &self.tables.walk.saved;
        let list = saved.list(insn, cur.cur().callsite);
        (0..saved.list_len(list)).rev().filter_map(|n| saved.at(list, n, insn)).find(|&id| {
            let old = saved.get(id);
            old.branches > 0 && old.state.same_callsites(cur) && old.state.dfs_depth < cur.dfs_depth
        })
    }

    fn widen_against(&mut self, before: StateId, state: &mut VerifierState) {
        let unknown = self.unknown_scalar();
        let last_id = self.path.last_id();
        let Walk { saved, ids, .. } = &mut self.tables.walk;
        let saved = saved.get(before);
        ids.reset(last_id);
        widen_imprecise_scalars(&saved.state, &saved.precise, state, unknown, ids);
    }
}
