//! Dropping what nothing reads any more from saved states.

use crate::Env;
use crate::domain::RegState;
use crate::state::StateId;
use crate::state::{SlotKind, StackSlot};
use ebpfkit_isa::R10;

const CLEARED: StackSlot = StackSlot { spilled: RegState::NOT_INIT, kinds: [SlotKind::Invalid; 8] };

impl Env<'_> {
    /// Cleans the finished states of a list that could be compared with the current state at `insn`.
    pub(super) fn clean_live_states(&mut self, list: usize, insn: usize) {
        for n in (0..self.tables.walk.saved.list_len(list)).rev() {
            let Some(id) = self.tables.walk.saved.at(list, n, insn) else { continue };
            let saved = self.tables.walk.saved.get(id);
            if saved.branches == 0
                && !saved.cleaned
                && saved.state.same_callsites(&self.path.state)
                && !self.in_unfinished_loop(id)
            {
                self.clean_state(id);
            }
        }
    }

    fn clean_state(&mut self, id: StateId) {
        let mut state = std::mem::replace(&mut self.tables.walk.saved.get_mut(id).state, crate::VerifierState::empty());
        for frame in 0..state.frames.len() {
            let live_regs = self.aux[state.frame_insn(frame)].live_regs_before;
            let live_slots = self.live_slots(&state, frame);
            let f = state.frame(frame);
            let dead_reg = |i: usize| live_regs >> i & 1 == 0;
            let regs = (0..usize::from(R10)).any(|i| dead_reg(i) && f.regs[i] != RegState::NOT_INIT);
            let dead_slot = |i: usize| i >= 64 || live_slots >> i & 1 == 0;
            let slots = f.stack.slots.iter().enumerate().any(|(i, s)| dead_slot(i) && *s != CLEARED);
            if !regs && !slots {
                continue;
            }
            let f = state.frame_mut(frame);
            for i in (0..usize::from(R10)).filter(|&i| dead_reg(i)) {
                f.regs[i] = RegState::NOT_INIT;
            }
            if slots {
                for (_, s) in f.stack.slots.iter_mut().enumerate().filter(|(i, _)| dead_slot(*i)) {
                    *s = CLEARED;
                }
            }
        }
        let saved = self.tables.walk.saved.get_mut(id);
        saved.state = state;
        saved.cleaned = true;
        let marks: Vec<_> = saved.state.frames.iter().map(|f| f.scalars()).collect();
        for (precise, (regs, slots)) in saved.precise.iter_mut().zip(marks) {
            precise.regs &= regs;
            precise.slots &= slots;
        }
    }
}
