//! At a prune point: whether the path ends here because a saved state allows all that it allows, and whether the
//! state is saved.

use super::compare::Exactness::{self, Exact, NotExact, RangeWithin};
use crate::domain::{IterState, RegExtra, RegState};
use crate::log::Scratched;
use crate::observer::Event;
use crate::reason::{ExploreReason, reject};
use crate::state::SlotKind;
use crate::state::{StackUse, StateId, VerifierState};
use crate::{Env, Step};
use ebpfkit_abi::Feature;
use ebpfkit_isa::opcode::MAY_GOTO;
use ebpfkit_object::ProgramFlags;

/// Entries in a state's history after which it is saved in any case.
const LONG_HISTORY: usize = 40;

/// States kept at one instruction without `CAP_BPF` (`BPF_COMPLEXITY_LIMIT_STATES`).
const MAX_STATES: usize = 64;

/// Whether an iterator that is active in both states is in different iterations.
fn iter_depths_differ(old: &VerifierState, cur: &VerifierState) -> bool {
    old.frames.iter().zip(&cur.frames).any(|(o, c)| {
        o.stack.slots.iter().enumerate().any(|(i, slot)| {
            let RegExtra::Iter { state: IterState::Active, depth, .. } = slot.spilled.extra else { return false };
            let now = c.stack.slots.get(i).map(|s| s.spilled.extra);
            slot.kinds[0] == SlotKind::Iter && !matches!(now, Some(RegExtra::Iter { depth: d, .. }) if d == depth)
        })
    })
}

/// What a comparison of states means for the current path.
enum Outcome {
    /// After a comparison that was this exact; `None` where the state is not one to be compared with, or lies in a loop
    /// that goes on.
    Miss(Option<Exactness>),
    Hit {
        in_loop: bool,
    },
}

impl Env<'_> {
    /// Whether the current path ends at the prune point `insn`; saves the state there when it is worth it.
    pub(crate) fn is_state_visited(&mut self, insn: usize) -> Step<bool> {
        if self.options().exhaustive {
            return Ok(false);
        }
        let force = self.prog().flags.has(ProgramFlags::TEST_STATE_FREQ)
            || self.aux[insn].force_checkpoint
            || self.path.state.history.len() > LONG_HISTORY;
        let (jumps, steps) = self.tables.walk.since_checkpoint(self.insn_processed);
        let mut add = force || jumps >= 2 && steps >= 8;
        let list = self.tables.walk.saved.list(insn, self.path.state.cur().callsite);
        self.clean_live_states(list, insn);

        let count = self.tables.walk.saved.list_len(list);
        for n in (0..count).rev() {
            let Some(id) = self.tables.walk.saved.at(list, n, insn) else { continue };
            let open = self.tables.walk.saved.get(id).branches > 0;
            let outcome = if open { self.meets_open_state(id, insn)? } else { self.meets_finished_state(id) };
            if let Outcome::Miss(Some(how)) = outcome
                && self.wants_comparisons()
            {
                self.tell_compared(id, insn, how);
            }
            if let Outcome::Hit { in_loop } = outcome {
                self.tables.walk.saved.hit(id);
                if self.wants_comparisons() {
                    self.observer.event(Event::Pruned { insn });
                }
                self.propagate_reads(id);
                if self.aux[insn].jmp_point {
                    self.push_history(StackUse::NONE, 0)?;
                }
                self.with_cur_aside(|env, cur| env.propagate_precision(id, cur, &mut false))?;
                if in_loop {
                    self.add_back_edge(id);
                }
                return Ok(true);
            }
            // Inside a loop states differ from one iteration to the next; few of them help.
            if open && !force && jumps < 20 && steps < 100 {
                add = false;
            }
            if self.tables.walk.saved.miss(id, add, self.aux[insn].force_checkpoint) {
                self.tables.walk.saved.retire(list, n);
                self.drop_if_unused(id);
            }
        }
        self.tables.walk.max_states_per_insn = self.tables.walk.max_states_per_insn.max(count as u64);
        // Without CAP_BPF few states are kept at one instruction.
        if add && (self.bpf_capable() || count <= MAX_STATES) {
            self.save_state(list, insn);
        }
        Ok(false)
    }

    /// Compares with a state that lies on the current path: a loop.
    fn meets_open_state(&mut self, id: StateId, insn: usize) -> Step<Outcome> {
        let old = self.tables.walk.saved.get(id);
        let (frame, now) = (old.state.cur(), self.path.state.cur());
        if frame.in_async_callback && frame.async_entry_count != now.async_entry_count {
            // Another run of the same callback, not a loop.
            return Ok(Outcome::Miss(None));
        }
        if self.is_iter_next(self.insns()[insn]) {
            let converged = self.states_equal(id, RangeWithin) && self.iterator_is_active();
            return Ok(if converged { Outcome::Hit { in_loop: true } } else { Outcome::Miss(Some(RangeWithin)) });
        }
        if self.insns()[insn].code == MAY_GOTO {
            let another_iteration = old.state.may_goto_depth != self.path.state.may_goto_depth;
            if another_iteration && self.states_equal(id, RangeWithin) {
                return Ok(Outcome::Hit { in_loop: true });
            }
        }
        if self.aux[insn].calls_callback {
            let converged = self.states_equal(id, RangeWithin);
            // Not a loop of the graph.
            return Ok(if converged { Outcome::Hit { in_loop: false } } else { Outcome::Miss(Some(RangeWithin)) });
        }
        let old = self.tables.walk.saved.get(id);
        let how = if self.has(Feature::ExactLoopChecks) { Exact } else { NotExact };
        if old.maybe_looping(&self.path.state) && self.states_equal(id, how) {
            let old = &self.tables.walk.saved.get(id).state;
            if !iter_depths_differ(old, &self.path.state)
                && old.may_goto_depth == self.path.state.may_goto_depth
                && old.callback_unroll_depth == self.path.state.callback_unroll_depth
            {
                let frame = self.path.state.curframe();
                let cur = self.fmt_state(&self.as_shown(self.path.state.clone()), frame, Scratched::All);
                let old = self.fmt_state(&self.as_shown(self.saved_with_marks(id)), frame, Scratched::All);
                self.log_line(insn, "; ");
                return reject(ExploreReason::InfiniteLoop { insn, cur, old });
            }
        }
        Ok(Outcome::Miss(None))
    }

    /// A state without the registers that nothing reads any more, in kernels that drop them where states are compared.
    fn as_shown(&self, mut state: VerifierState) -> VerifierState {
        if self.has(Feature::CleanedStates) {
            for frame in 0..state.frames.len() {
                let live = self.aux[state.frame_insn(frame)].live_regs_before;
                let regs = &mut state.frame_mut(frame).regs;
                for (_, r) in regs.iter_mut().enumerate().filter(|(i, _)| *i < 10 && live >> i & 1 == 0) {
                    *r = RegState::NOT_INIT;
                }
            }
        }
        state
    }

    /// Compares with a state from which every path has ended well.
    fn meets_finished_state(&mut self, id: StateId) -> Outcome {
        let in_loop = self.in_unfinished_loop(id);
        let how = if in_loop { RangeWithin } else { NotExact };
        if self.states_equal(id, how) { Outcome::Hit { in_loop } } else { Outcome::Miss(Some(how)) }
    }

    /// Whether the iterator that r1 points to has elements left.
    fn iterator_is_active(&self) -> bool {
        let r1 = self.reg(1);
        let at = i64::from(r1.off).wrapping_add(r1.var_off.value as i64);
        let slot = usize::try_from(-at - 1).ok().map(|b| b / crate::state::SLOT_SIZE);
        let frame = self.path.state.frames.get(r1.frameno as usize);
        let slot = slot.zip(frame).and_then(|(s, f)| f.stack.slots.get(s));
        matches!(slot.map(|s| s.spilled.extra), Some(RegExtra::Iter { state: IterState::Active, .. }))
    }

    /// Numbers whose identity no other number has lose it.
    fn forget_singular_ids(&mut self) {
        let base = |r: &RegState| if r.is_scalar() { r.id & !RegState::ADD_CONST } else { 0 };
        let mut ids: Vec<u32> = Vec::new();
        let state = &self.path.state;
        for frame in &state.frames {
            let slots = frame.stack.slots.iter().filter(|s| s.is_spill()).map(|s| &s.spilled);
            ids.extend(frame.regs.iter().chain(slots).map(base).filter(|&id| id != 0));
        }
        if ids.is_empty() {
            return;
        }
        ids.sort_unstable();
        let is_single = |id: u32| {
            let at = ids.partition_point(|&i| i < id);
            ids.get(at) == Some(&id) && ids.get(at + 1) != Some(&id)
        };
        self.path.state.for_each_reg(|r| is_single(base(r)), RegState::clear_scalar_id);
    }

    fn save_state(&mut self, list: usize, insn: usize) {
        self.tables.walk.total_states += 1;
        if self.wants_comparisons() {
            self.observer.event(Event::Saved { insn });
        }
        self.tables.walk.mark_checkpoint(self.insn_processed);
        if self.has(Feature::SingularIdsForgotten) {
            self.forget_singular_ids();
        }
        let history = std::mem::take(&mut self.path.state.history);
        let state = VerifierState { insn_idx: insn, history, ..self.path.state.clone() };
        let id = self.tables.walk.saved.add(list, state);
        self.tables.walk.update_peak();
        self.enter_loop(id);
        self.path.state.parent = Some(id);
        self.path.state.first_insn_idx = insn;
        self.path.state.dfs_depth += 1;
        if self.path.state.parentage.is_kept() {
            let VerifierState { frames, parentage, .. } = &mut self.path.state;
            parentage.saved(frames.iter().map(|f| f.stack.slots.len()));
        }
    }

    /// Drops a retired state that nothing needs any more.
    pub(crate) fn drop_if_unused(&mut self, id: StateId) {
        let saved = self.tables.walk.saved.get(id);
        if saved.retired && saved.branches == 0 && !self.is_loop_state(id) {
            self.tables.walk.saved.drop_retired(id);
        }
    }
}
