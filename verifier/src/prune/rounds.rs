//! Rounds of loops whose number is not known: iterators, callbacks, `may_goto`.
//!
//! The state of a round is compared with those of earlier ones. To make them meet, numbers that changed since the
//! round before, and whose exact value mattered to nothing, are forgotten.

use crate::scalar::widen::widen_imprecise_scalars;
use crate::state::{StateId, VerifierState};
use crate::tables::Walk;
use crate::{Env, Step};

impl Env<'_> {
    /// Pushes another round as a pending branch at `next`: a copy of the current state that `finish` completes.
    /// `here` is the instruction that repeats, a forced checkpoint (an iterator's `next`, `may_goto`).
    pub fn push_round(&mut self, next: usize, here: usize, finish: impl FnOnce(&mut Self, &mut VerifierState)) -> Step {
        // The current state has just been saved here; what came before that is the earlier round.
        let saved = self.cur.parent.map(|p| &self.walk.saved.get(p).state);
        let before = saved.filter(|s| s.insn_idx == here).and_then(|s| self.find_prev_entry(here, s));
        self.push_branch(next, here, false, |env, state| {
            finish(env, state);
            if let Some(before) = before {
                env.widen_against(before, state);
            }
        })
    }

    /// Widens the current state, which has returned from a callback to the call at `here`, against the round before.
    pub fn widen_callback_round(&mut self, here: usize) {
        if let Some(before) = self.find_prev_entry(here, &self.cur) {
            let mut state = std::mem::replace(&mut self.cur, VerifierState::empty());
            self.widen_against(before, &mut state);
            self.cur = state;
        }
    }

    /// The nearest earlier state of the current path at `insn` with the same callers as `cur`.
    fn find_prev_entry(&self, insn: usize, cur: &VerifierState) -> Option<StateId> {
        let saved = &self.walk.saved;
        let list = saved.list(insn, cur.cur().callsite);
        (0..saved.list_len(list)).rev().filter_map(|n| saved.at(list, n, insn)).find(|&id| {
            let old = saved.get(id);
            old.branches > 0 && old.state.same_callsites(cur) && old.state.dfs_depth < cur.dfs_depth
        })
    }

    fn widen_against(&mut self, before: StateId, state: &mut VerifierState) {
        let unknown = self.unknown_scalar();
        let last_id = self.id_gen;
        let Walk { saved, ids, .. } = &mut self.walk;
        let saved = saved.get(before);
        ids.reset(last_id);
        widen_imprecise_scalars(&saved.state, &saved.precise, state, unknown, ids);
    }
}
