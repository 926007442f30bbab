//! Telling the analysis of stack slots what instructions read and write.

use super::Env;
use crate::state::{Cells, VerifierState};

impl Env<'_> {
    /// Prepares the graph that the analysis runs on.
    pub(crate) fn prepare_liveness(&mut self) {
        self.tables.liveness.prepare(self.insns(), &self.postorder);
    }

    /// Starts the marks of the next instruction.
    pub(crate) fn begin_stack_marks(&mut self) {
        self.tables.liveness.begin(&self.path.state, &self.subprogs);
    }

    /// Ends the marks of the instruction at `insn`. Calls and exits of functions have none of their own: they get
    /// those of the function.
    pub(crate) fn commit_stack_marks(&mut self, insn: usize) {
        self.tables.liveness.end(insn);
    }

    /// The chain of calls changes.
    pub(crate) fn leave_stack_chain(&mut self) {
        self.tables.liveness.leave_chain();
    }

    /// The instruction being verified may read these slots of a frame (bit n for slot n).
    pub fn mark_stack_read(&mut self, frame: usize, slots: u64) {
        if self.path.state.parentage.is_kept() {
            self.follow_reads(frame, Cells::new(0, slots));
        }
        self.tables.liveness.mark_read(frame, self.path.state.insn_idx, slots);
    }

    /// The instruction being verified writes these slots of a frame whole (bit n for slot n).
    pub fn mark_stack_write(&mut self, frame: usize, slots: u64) {
        self.path.state.parentage.write(frame, Cells::new(0, slots));
        self.tables.liveness.mark_write(frame, slots);
    }

    /// As [`Env::mark_stack_read`], of an object (dynptr, iterator, interrupt flags) in these slots.
    pub fn mark_object_read(&mut self, frame: usize, slots: u64) {
        self.tables.trace.slots(slots);
        self.mark_stack_read(frame, slots);
    }

    /// As [`Env::mark_stack_write`], of an object in these slots.
    pub fn mark_object_write(&mut self, frame: usize, slots: u64) {
        self.tables.trace.slots(slots);
        self.mark_stack_write(frame, slots);
    }

    /// Propagates what has changed, at the end of a path and where a function returns.
    pub(crate) fn update_live_stack(&mut self) {
        let meets = |at: usize| self.aux[at].prune_point;
        let meets: Option<&dyn Fn(usize) -> bool> = if self.log_level() > 1 { Some(&meets) } else { None };
        let lines = self.tables.liveness.update(&self.path.state, &self.subprogs, &self.postorder, meets);
        if !lines.is_empty() {
            self.verbose(format_args!("{lines}"));
        }
    }

    /// Slots of a frame of a saved state that may still be read.
    pub(crate) fn live_slots(&mut self, state: &VerifierState, frame: usize) -> u64 {
        self.tables.liveness.live_slots(state, frame, &self.subprogs, &self.aux)
    }
}
