//! Dropping what nothing reads any more from saved states.

use crate::Env;
use crate::domain::RegState;
use crate::liveness::Halves;
use crate::state::{SLOT_SIZE, SlotKind, StackSlot, StateId};
use ebpfkit_abi::Feature;
use ebpfkit_isa::R10;

/// Half of a slot: the four bytes that are nearer to the frame pointer, or the others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Near,
    Far,
}

impl Half {
    /// Halves of a slot that nothing reads any more.
    fn dead(live: Halves, slot: usize) -> impl Iterator<Item = Self> {
        let alive = move |half: usize| live.checked_shr((2 * slot + half) as u32).unwrap_or(0) & 1 != 0;
        [Self::Near, Self::Far].into_iter().enumerate().filter(move |(half, _)| !alive(*half)).map(|(_, half)| half)
    }

    fn kinds(self) -> std::ops::Range<usize> {
        if self == Self::Near { 0..4 } else { 4..8 }
    }
}

impl StackSlot {
    /// Whether there is something in a half.
    fn keeps(&self, half: Half) -> bool {
        self.kinds[half.kinds()].iter().any(|&k| k != SlotKind::Invalid)
    }
}

/// Drops what a slot holds in halves that are dead. Objects stay, because writes to them must be noticed, and so does a
/// pointer of which half may be read, because that is refused. A number of which the upper half is dead is bytes.
fn clean_halves(slot: &mut StackSlot, live: Halves, i: usize) {
    let has = |half| Half::dead(live, i).any(|dead| dead == half);
    let (near, far) = (has(Half::Near), has(Half::Far));
    let top = slot.kinds[SLOT_SIZE - 1];
    if !near && !far || matches!(top, SlotKind::Dynptr | SlotKind::Iter | SlotKind::IrqFlag) {
        return;
    }
    if far {
        if !near && top == SlotKind::Spill {
            let r = &slot.spilled;
            if !r.is_scalar() || r.is_null() {
                return;
            }
            for kind in slot.kinds[Half::Near.kinds()].iter_mut().filter(|k| **k == SlotKind::Spill) {
                *kind = SlotKind::Misc;
            }
        }
        slot.spilled = RegState::NOT_INIT;
        slot.kinds[Half::Far.kinds()].fill(SlotKind::Invalid);
    }
    if near {
        slot.kinds[Half::Near.kinds()].fill(SlotKind::Invalid);
    }
}

const CLEARED: StackSlot = StackSlot { spilled: RegState::NOT_INIT, kinds: [SlotKind::Invalid; 8] };

impl Env<'_> {
    /// Drops registers and halves of stack slots of the current state, which is at `insn`, that nothing reads any more,
    /// in kernels that know them before the walk.
    pub(super) fn clean_current_state(&mut self, insn: usize) {
        let cleans_regs = self.has(Feature::CleanedStates);
        let Self { tables, path, subprogs, aux, .. } = self;
        let Some(ahead) = tables.liveness.ahead() else { return };
        for frame in 0..path.state.frames.len() {
            let at = if frame == path.state.curframe() { insn } else { path.state.frame_insn(frame) };
            let live_regs = if cleans_regs { aux[at].live_regs_before } else { u16::MAX };
            let live = ahead.live(&path.state, insn, frame, subprogs, aux);
            let f = path.state.frame(frame);
            let dead_reg = |i: usize| live_regs >> i & 1 == 0;
            let regs = (0..usize::from(R10)).any(|i| dead_reg(i) && f.regs[i] != RegState::NOT_INIT);
            let slots = f.stack.slots.iter().enumerate().any(|(i, s)| Half::dead(live, i).any(|half| s.keeps(half)));
            if !regs && !slots {
                continue;
            }
            let f = path.state.frame_mut(frame);
            for i in (0..usize::from(R10)).filter(|&i| dead_reg(i)) {
                f.regs[i] = RegState::NOT_INIT;
            }
            if slots {
                for (i, slot) in f.stack.slots.iter_mut().enumerate() {
                    clean_halves(slot, live, i);
                }
            }
        }
    }

    /// Cleans the finished states of a list that could be compared with the current state at `insn`.
    pub(super) fn clean_live_states(&mut self, list: usize, insn: usize) {
        if self.tables.liveness.ahead().is_some() {
            // States are saved clean.
            return self.clean_current_state(insn);
        }
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
            let read = self.tables.walk.saved.get(id).read.get(frame).copied();
            let (live_regs, live_slots) = match read {
                Some(read) => (read.regs(), read.slots()),
                None => (self.aux[state.frame_insn(frame)].live_regs_before, self.live_slots(&state, frame)),
            };
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
