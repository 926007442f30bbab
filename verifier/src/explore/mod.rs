//! The walk: paths, pending branches, explored states, pruning, exits.
//!
//! States that were saved at prune points form a tree; a state is finished when no path from it is open any more.
//! A path ends early when it meets a finished state that allows everything its own state allows.
//! Every number counts as precise, so the walk may visit more than the kernel's and never less; where that decides
//! (the budget is used up, a loop comes back to where it was) the answer is "unsupported".

mod exit;
mod same;
mod walk;

use crate::reason::{ExploreReason, reject};
use crate::state::{HistoryEntry, StateId, VerifierState};
use crate::{Env, Step};

/// Most pending branches (`BPF_COMPLEXITY_LIMIT_JMP_SEQ`).
const MAX_PENDING: usize = 8192;

/// A branch to be taken up later.
#[derive(Debug)]
struct Pending {
    state: VerifierState,
    insn: usize,
    prev: usize,
    log_position: usize,
}

/// A saved state.
#[derive(Debug)]
struct Saved {
    state: VerifierState,
}

/// Tables of the walk.
#[derive(Debug, Default)]
pub struct Walk {
    pending: Vec<Pending>,
    saved: Vec<Saved>,
    /// Saved states by slot.
    by_insn: Vec<Vec<StateId>>,
    /// States saved over the whole run.
    pub total_states: u64,
    /// Most states saved at one slot.
    pub max_states_per_insn: u64,
}

impl Walk {
    fn state(&self, id: StateId) -> &VerifierState {
        &self.saved[id.0 as usize].state
    }

    fn state_mut(&mut self, id: StateId) -> &mut VerifierState {
        &mut self.saved[id.0 as usize].state
    }
}

impl Env<'_> {
    /// Pushes a copy of the current state as a pending branch at `insn`; the closure finishes the copy.
    /// Rejects when too many are pending.
    pub fn push_branch(
        &mut self,
        insn: usize,
        prev_insn: usize,
        speculative: bool,
        finish: impl FnOnce(&mut Self, &mut VerifierState),
    ) -> Step {
        let mut state = self.cur.clone();
        state.speculative |= speculative;
        state.branches = 0;
        if let Some(parent) = state.parent {
            self.walk.state_mut(parent).branches += 1;
        }
        finish(self, &mut state);
        let log_position = self.observer.position();
        self.walk.pending.push(Pending { state, insn, prev: prev_insn, log_position });
        if self.walk.pending.len() > MAX_PENDING {
            return reject(ExploreReason::TooManyBranches { limit: self.walk.pending.len() });
        }
        Ok(())
    }

    /// Marks a register of the current frame precise, and all that it came from. Every number counts as precise
    /// already, so nothing is left to do.
    pub fn mark_chain_precision(&mut self, reg: u8) -> Step {
        let _ = reg;
        Ok(())
    }

    /// Adds to the history of the current state.
    pub fn push_history(&mut self, stack_access: Option<(u8, u8)>, linked_regs: u64) -> Step {
        let entry =
            HistoryEntry { insn: self.insn_idx as u32, prev: self.prev_insn_idx as u32, stack_access, linked_regs };
        self.cur.history.push(entry);
        Ok(())
    }

    /// Ends the current path: its ancestors have one open path less.
    fn close_path(&mut self) {
        let mut at = self.cur.parent;
        while let Some(id) = at {
            let state = self.walk.state_mut(id);
            state.branches = state.branches.saturating_sub(1);
            at = if state.branches == 0 { state.parent } else { None };
        }
    }

    /// Takes up the next pending branch; false when there is none.
    fn resume(&mut self) -> bool {
        let Some(next) = self.walk.pending.pop() else { return false };
        self.cur = next.state;
        self.insn_idx = next.insn;
        self.prev_insn_idx = next.prev;
        if self.log_level == 1 {
            self.observer.rewind(next.log_position);
        }
        true
    }
}
