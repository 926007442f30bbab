//! The walk: paths, pending branches, explored states, pruning, exits.
//!
//! Each path is walked to its end; where it forks, the other way is pushed for later. At prune points the state is
//! compared with saved ones and perhaps saved itself ([`crate::prune`]). Saved states form a tree; a state is finished
//! when no path from it is open any more.

mod exit;
mod walk;

use crate::observer::Event;
use crate::reason::{ExploreReason, reject};
use crate::state::{FuncState, VerifierState};
use crate::tables::walk::Pending;
use crate::{Env, Step};

/// Most pending branches (`BPF_COMPLEXITY_LIMIT_JMP_SEQ`).
const MAX_PENDING: usize = 8192;

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
        let mut state = self.path.state.clone();
        state.speculative |= speculative;
        finish(self, &mut state);
        self.push_pending(state, insn, prev_insn)
    }

    /// Pushes the start of an asynchronous callback, which begins with an empty stack and nothing acquired; the
    /// closure gives it its arguments.
    pub fn push_async(
        &mut self,
        subprog: usize,
        prev_insn: usize,
        sleepable: bool,
        finish: impl FnOnce(&mut Self, &mut FuncState),
    ) -> Step {
        let mut state = VerifierState::start(subprog as u32, sleepable);
        state.parentage = self.first_parentage();
        if let Some(frame) = state.frames.first_mut() {
            finish(self, frame.make_mut());
        }
        self.push_pending(state, self.subprogs[subprog].start, prev_insn)
    }

    fn push_pending(&mut self, state: VerifierState, insn: usize, prev_insn: usize) -> Step {
        let log_position = self.observer.position();
        self.tables.walk.pending.push(Pending { state, insn, prev: prev_insn as i32, log_position });
        let limit = self.tables.walk.pending.len();
        if self.wants_comparisons() {
            self.observer.event(Event::Pushed { from: prev_insn, pending: limit });
        }
        if limit > MAX_PENDING {
            return reject(ExploreReason::TooManyBranches { limit });
        }
        if let Some(parent) = self.tables.walk.pending[limit - 1].state.parent {
            self.tables.walk.saved.get_mut(parent).branches += 1;
        }
        Ok(())
    }

    /// Ends the current path: its ancestors have one open path less.
    fn close_path(&mut self) -> Step {
        self.tables.trace.all();
        self.leave_met_loop();
        let mut at = self.path.state.parent;
        let mut last = None;
        while let Some(id) = at {
            let saved = self.tables.walk.saved.get_mut(id);
            saved.branches -= 1;
            if saved.branches > 0 {
                break;
            }
            at = saved.state.parent;
            self.exit_loop(id)?;
            if let Some(last) = last.replace(id) {
                self.drop_if_unused(last);
            }
        }
        if let Some(last) = last {
            self.drop_if_unused(last);
        }
        self.update_live_stack();
        Ok(())
    }

    /// Takes up the next pending branch; false when there is none.
    fn resume(&mut self) -> bool {
        let Some(next) = self.tables.walk.pending.pop() else { return false };
        self.path.state = next.state;
        self.path.insn_idx = next.insn;
        self.path.state.last_insn_idx = next.prev;
        self.path.prev_insn_idx = usize::try_from(next.prev).unwrap_or(0);
        if self.log_level() == 1 || self.wants_events() {
            self.observer.rewind(next.log_position);
        }
        self.tables.trace.announce = true;
        true
    }
}
