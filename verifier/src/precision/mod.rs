//! Which numbers of saved states must be compared precisely.
//!
//! Numbers start imprecise: a saved state allows any value for them. Where an exact value matters (an offset added to
//! a pointer, the outcome of a comparison, a size), the path is followed backwards through the history of the current
//! state and of its ancestors, and every register and stack slot that the value came from is marked in each ancestor.
//! Marks of the current state itself mean nothing; they begin when it is saved.

mod backtrack;
mod backtrack_state;

pub use backtrack_state::BacktrackState;

use crate::log::Scratched;
use crate::observer::Event;
use crate::reason::{ExploreReason, reject};
use crate::state::{HistoryEntry, RegList, SlotList, StackUse, StateId, VerifierState};
use crate::tables::Precise;
use crate::tables::Walk;
use crate::{Env, Step, Stop};
use backtrack::BacktrackError;

/// r1 to r5.
const ARGS: u16 = 0b11_1110;

/// The history of a state while it is followed backwards.
struct HistoryCursor<'a> {
    /// Entries not yet passed.
    history: &'a [HistoryEntry],
    /// First instruction of the state.
    first: usize,
}

impl HistoryCursor<'_> {
    fn entry(&self, at: usize) -> Option<&HistoryEntry> {
        self.history.last().filter(|e| e.insn as usize == at)
    }

    /// The instruction executed before the one at `at`; `None` at the start of the state. A state may come past its
    /// first instruction again: as long as there is history, there is more.
    fn previous(&mut self, at: usize) -> Option<i64> {
        match self.history {
            [] if at == self.first => None,
            [only] if at == self.first && only.insn as usize == at => None,
            [rest @ .., last] if last.insn as usize == at => {
                self.history = rest;
                Some(last.prev.into())
            }
            _ => Some(at as i64 - 1),
        }
    }
}

impl Env<'_> {
    /// Marks the number in a register of the current frame precise, and all that it came from.
    pub fn mark_chain_precision(&mut self, reg: u8) -> Step {
        if !self.bpf_capable() {
            return Ok(());
        }
        if !self.reg(reg).is_scalar() {
            return reject(ExploreReason::PrecisePointer {});
        }
        let frame = self.path.state.curframe();
        let mut bt = BacktrackState::nothing(frame);
        bt.add(reg);
        self.with_cur_aside(|env, cur| env.mark_chain(cur, bt, &mut false))
    }

    /// Marks the number in a stack slot precise, and all that it came from.
    pub fn mark_slot_precise(&mut self, frame: usize, slot: usize) -> Step {
        if !self.bpf_capable() {
            return Ok(());
        }
        let mut bt = BacktrackState::nothing(self.path.state.curframe());
        bt.slots[frame] |= 1 << slot;
        self.with_cur_aside(|env, cur| env.mark_chain(cur, bt, &mut false))
    }

    /// Adds to the history of the current state, once for each instruction.
    pub fn push_history(&mut self, stack: StackUse, linked_regs: u64) -> Step {
        if self.tables.walk.insn_in_history
            && let Some(last) = self.path.state.history.last_mut()
        {
            last.stack = last.stack.and(stack);
            last.linked_regs = linked_regs;
            return Ok(());
        }
        self.tables.walk.insn_in_history = true;
        let entry = HistoryEntry {
            insn: self.path.state.insn_idx as u32,
            prev: self.path.state.last_insn_idx,
            stack,
            linked_regs,
        };
        self.path.state.history.push(entry);
        Ok(())
    }

    /// Calls `f` with the current state apart from the environment.
    pub(crate) fn with_cur_aside<T>(&mut self, f: impl FnOnce(&mut Self, &VerifierState) -> T) -> T {
        let spare = self.tables.walk.spare.take().unwrap_or_else(VerifierState::empty);
        let cur = std::mem::replace(&mut self.path.state, spare);
        let result = f(self, &cur);
        self.tables.walk.spare = Some(std::mem::replace(&mut self.path.state, cur));
        result
    }

    /// Makes everything precise in `state` that is precise in the saved state that was found equal to it.
    pub(crate) fn propagate_precision(&mut self, equal: StateId, state: &VerifierState, changed: &mut bool) -> Step {
        if !self.bpf_capable() {
            return Ok(());
        }
        let top = state.curframe();
        let mut bt = BacktrackState::nothing(top);
        for frame in (0..=top).rev() {
            let equal = self.tables.walk.saved.get(equal);
            let Precise { mut regs, mut slots } = equal.precise[frame];
            if let Some(read) = equal.read.get(frame) {
                (regs, slots) = (regs & read.regs(), slots & read.slots());
            }
            (bt.regs[frame], bt.slots[frame]) = (regs, slots);
            if self.log_level() > 1 && (regs != 0 || slots != 0) {
                let regs = (0..16).filter(|i| regs >> i & 1 != 0).map(|i| format!("r{i}"));
                let slots = (0..64).filter(|i| slots >> i & 1 != 0).map(|i| format!("fp{}", -8 * (i + 1)));
                let all: Vec<String> = regs.chain(slots).collect();
                self.verbose(format_args!("frame {frame}: propagating {}\n", all.join(",")));
            }
        }
        if bt.is_empty() {
            return Ok(());
        }
        self.mark_chain(state, bt, changed)
    }

    /// Follows `bt` backwards from the end of `start`; sets `changed` when an ancestor was marked anew.
    fn mark_chain(&mut self, start: &VerifierState, mut bt: BacktrackState, changed: &mut bool) -> Step {
        let mut first = start.first_insn_idx;
        let mut last = start.insn_idx as i64;
        let mut after: Option<usize> = None;
        self.log_span(&bt, last, first, after);
        // The instruction that wants the value is not part of its past.
        let mut result = self.follow(&start.history, first, last, true, &mut after, &mut bt);
        let mut parent = start.parent;
        loop {
            match result {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(BacktrackError::Bug(reason)) => return reject(reason),
                Err(BacktrackError::Unknown) => {
                    return Err(Stop::unsupported("a path that cannot be followed backwards"));
                }
                Err(BacktrackError::Fallback) => break,
            }
            // When no ancestor is left, the rest came by a way that is not recorded.
            let Some(id) = parent else { break };
            self.mark_saved(id, &mut bt, changed);
            if bt.is_empty() {
                return Ok(());
            }
            after = Some(first);
            let state = &mut self.tables.walk.saved.get_mut(id).state;
            (last, first, parent) = (state.last_insn_idx.into(), state.first_insn_idx, state.parent);
            let history = std::mem::take(&mut state.history);
            self.log_span(&bt, last, first, after);
            if last < 0 {
                self.tables.walk.saved.get_mut(id).state.history = history;
                return self.reaches_function_start(id, &bt, changed);
            }
            result = self.follow(&history, first, last, false, &mut after, &mut bt);
            self.tables.walk.saved.get_mut(id).state.history = history;
        }
        self.mark_all_scalars_precise(start.curframe(), start.parent);
        Ok(())
    }

    /// Follows one state backwards from the instruction `last`; true when nothing has to be precise any more.
    fn follow(
        &mut self,
        history: &[HistoryEntry],
        first: usize,
        last: i64,
        skip_first: bool,
        after: &mut Option<usize>,
        bt: &mut BacktrackState,
    ) -> Result<bool, BacktrackError> {
        let mut back = HistoryCursor { history, first };
        let (mut skip, mut at) = (skip_first, last);
        loop {
            let Some(i) = usize::try_from(at).ok().filter(|&i| i < self.insns().len()) else {
                return Err(BacktrackError::Unknown);
            };
            if !std::mem::take(&mut skip) {
                self.backtrack_insn(i, *after, back.entry(i), bt)?;
            }
            if bt.is_empty() {
                return Ok(true);
            }
            *after = Some(i);
            match back.previous(i) {
                Some(previous) => at = previous,
                None => return Ok(false),
            }
        }
    }

    /// Marks what has to be precise in a saved state. What is no number, or marked already, is done with.
    fn mark_saved(&mut self, id: StateId, bt: &mut BacktrackState, changed: &mut bool) {
        for frame in (0..=bt.frame).rev() {
            let saved = self.tables.walk.saved.get_mut(id);
            let (regs, slots) = (bt.regs[frame], bt.slots[frame]);
            if regs != 0 || slots != 0 {
                let Some(f) = saved.state.frames.get(frame) else { continue };
                let is_scalar = |i: u32| f.regs.get(i as usize).is_some_and(|r| r.is_scalar());
                let is_spill = |i: u32| f.stack.slots.get(i as usize).is_some_and(|s| s.is_scalar_spill());
                let precise = &mut saved.precise[frame];
                let regs = bits16(regs & !precise.regs).filter(|&i| is_scalar(i)).fold(0, |m, i| m | 1 << i);
                let slots = bits64(slots & !precise.slots).filter(|&i| is_spill(i)).fold(0, |m, i| m | 1 << i);
                precise.regs |= regs;
                precise.slots |= slots;
                *changed |= regs != 0 || slots != 0;
                (bt.regs[frame], bt.slots[frame]) = (regs, slots);
                if self.wants_comparisons() && (regs != 0 || slots != 0) {
                    let insn = self.tables.walk.saved.get(id).state.insn_idx;
                    let by = self.path.insn_idx;
                    self.observer.event(Event::Precise { insn, by, frame, regs, slots });
                }
            }
            if self.log_level() > 1 {
                let (regs, slots) = (RegList(bt.regs[frame]), SlotList(bt.slots[frame]));
                let state = self.saved_with_marks(id);
                let state = self.fmt_state(&state, frame, Scratched::All);
                self.verbose(format_args!(
                    "mark_precise: frame{frame}: parent state regs={regs} stack={slots}: {state}\n"
                ));
            }
        }
    }

    /// A saved state with its marks in its numbers, for the log.
    pub(crate) fn saved_with_marks(&self, id: StateId) -> VerifierState {
        let saved = self.tables.walk.saved.get(id);
        let mut state = saved.state.clone();
        for (i, precise) in saved.precise.iter().enumerate() {
            let f = state.frame_mut(i);
            for (n, r) in f.regs.iter_mut().enumerate() {
                r.precise = precise.regs >> n & 1 != 0;
            }
            for (n, s) in f.stack.slots.iter_mut().enumerate().take(64) {
                s.spilled.precise = precise.slots >> n & 1 != 0;
            }
        }
        state
    }

    /// At the start of a function that is verified on its own only its arguments may be left.
    fn reaches_function_start(&mut self, id: StateId, bt: &BacktrackState, changed: &mut bool) -> Step {
        let saved = self.tables.walk.saved.get_mut(id);
        let f = &saved.state.frames[0];
        let alone = saved.state.frames.len() == 1 && f.subprog > 0 && f.callsite == -1;
        if !alone || bt.frame != 0 || bt.slots[0] != 0 || bt.regs[0] & !ARGS != 0 {
            let (subprog, regs, slots) = (f.subprog, bt.current(), bt.slots[bt.frame]);
            return reject(ExploreReason::PreciseEntry { subprog, regs, slots });
        }
        let (scalars, _) = f.scalars();
        let regs = bt.regs[0] & scalars;
        saved.precise[0].regs |= regs;
        *changed |= regs != 0;
        Ok(())
    }

    /// Marks every number of a saved state and of all its ancestors.
    pub(crate) fn mark_all_scalars_precise(&mut self, frame: usize, from: Option<StateId>) {
        if self.log_level() > 1 {
            self.verbose(format_args!("mark_precise: frame{frame}: falling back to forcing all scalars precise\n"));
        }
        let log_level = self.log_level();
        let mut at = from;
        while let Some(id) = at {
            let Walk { saved, .. } = &mut self.tables.walk;
            let saved = saved.get_mut(id);
            at = saved.state.parent;
            let mut lines = Vec::new();
            for (n, (f, precise)) in saved.state.frames.iter().zip(&mut saved.precise).enumerate() {
                let (mut regs, slots) = f.scalars();
                regs &= 0x3ff;
                if log_level > 1 {
                    let regs = bits16(regs & !precise.regs).map(|i| format!("r{i}"));
                    let slots = bits64(slots & !precise.slots).map(|i| format!("fp{}", -8 * (i as i32 + 1)));
                    lines.extend(regs.chain(slots).map(|what| (n, what)));
                }
                precise.regs |= regs;
                precise.slots |= slots;
            }
            for (n, what) in lines {
                self.verbose(format_args!("force_precise: frame{n}: forcing {what} to be precise\n"));
            }
        }
    }

    fn log_span(&mut self, bt: &BacktrackState, last: i64, first: usize, after: Option<usize>) {
        if self.log_level() > 1 {
            let after = after.map_or(-1, |a| a as i64);
            self.verbose(format_args!(
                "mark_precise: frame{}: last_idx {last} first_idx {first} subseq_idx {after} \n",
                bt.frame
            ));
        }
    }
}

fn bits16(mut mask: u16) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let i = mask.trailing_zeros();
        (mask != 0).then(|| {
            mask &= mask - 1;
            i
        })
    })
}

fn bits64(mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let i = mask.trailing_zeros();
        (mask != 0).then(|| {
            mask &= mask - 1;
            i
        })
    })
}
