//! Recording a verification: every path with what its frames hold, up to a limit.

use super::{Change, Exploration, Location, PathEnd, Step};
use crate::names::Names;
use crate::words;
use ebpfkit_object::{Object, Program};
use ebpfkit_verifier::state::{Frame, SLOT_SIZE, SlotKind, StackSlot};
use ebpfkit_verifier::{Event, FuncState, KernelModel, Observer, RegState};
use std::collections::HashMap;

/// Steps that are kept. When there are more, paths that have ended go first, then the beginning of a long one.
const MOST_STEPS: usize = 50_000;

/// Records a verification.
pub struct Walk<'a> {
    kernel: &'a KernelModel,
    object: &'a Object,
    exploration: Exploration,
    maps: Vec<usize>,
    /// The steps of the open path, each with its frame.
    path: Vec<(usize, Frame)>,
    /// Steps of the open path that made room.
    dropped: usize,
    values: HashMap<String, i64>,
    /// A path has begun that has not ended.
    is_open: bool,
    /// The open path ended at a kept state.
    is_pruned: bool,
}

impl<'a> Walk<'a> {
    /// Ready to record the verification of a program.
    pub fn new(kernel: &'a KernelModel, object: &'a Object, program: &Program) -> Self {
        Self {
            kernel,
            object,
            exploration: Exploration::of(object, program),
            maps: Vec::new(),
            path: Vec::new(),
            dropped: 0,
            values: HashMap::new(),
            is_open: false,
            is_pruned: false,
        }
    }

    /// What was recorded. `verdict` is what came of it, `rejected` the slot of the refused instruction.
    pub fn finish(mut self, verdict: String, rejected: Option<usize>) -> Exploration {
        let how = if rejected.is_some() { "rejected" } else { "ends" };
        self.end_path(how);
        self.exploration.verdict = verdict;
        self.exploration.rejected = rejected;
        self.exploration
    }

    /// The open path ends.
    fn end_path(&mut self, how: &str) {
        let is_pruned = std::mem::take(&mut self.is_pruned);
        if std::mem::take(&mut self.is_open)
            && let Some((last, _)) = self.path.last()
        {
            let how = if is_pruned { "ends where a state is known already" } else { how };
            self.exploration.paths.push(PathEnd(*last, how.to_owned()));
        }
    }

    fn value(&mut self, text: String) -> i64 {
        let values = &mut self.exploration.values;
        *self.values.entry(text).or_insert_with_key(|text| {
            values.push(text.clone());
            values.len() as i64 - 1
        })
    }

    fn reg(&mut self, reg: &RegState) -> i64 {
        if *reg == RegState::default() {
            return -1;
        }
        let names = Names { kernel: self.kernel, object: self.object, maps: &self.maps };
        self.value(words::value_of(&names, reg))
    }

    fn slot(&mut self, slot: Option<&StackSlot>) -> i64 {
        let Some(slot) = slot else { return -1 };
        let text = match slot.kinds[SLOT_SIZE - 1] {
            SlotKind::Spill => return self.reg(&slot.spilled),
            _ if slot.kinds.iter().all(|k| *k == SlotKind::Invalid) => return -1,
            SlotKind::Dynptr => "a dynptr",
            SlotKind::Iter => "an iterator",
            SlotKind::IrqFlag => "saved interrupt flags",
            _ if slot.kinds.iter().all(|k| *k == SlotKind::Zero) => "zeros",
            _ if slot.kinds.contains(&SlotKind::Invalid) => "bytes, not all of which were written",
            _ => "bytes that were written",
        };
        self.value(text.to_owned())
    }

    /// What a frame holds, as far as it differs from another.
    fn changes(&mut self, frame: &FuncState, before: Option<&FuncState>) -> Vec<Change> {
        let mut changes = Vec::new();
        for (n, reg) in frame.regs.iter().enumerate() {
            if before.is_none_or(|b| b.regs[n] != *reg) {
                changes.push(Change(n as Location, self.reg(reg)));
            }
        }
        let slots = frame.stack.slots.len().max(before.map_or(0, |b| b.stack.slots.len()));
        for n in 0..slots {
            let (now, then) = (frame.stack.slots.get(n), before.map(|b| b.stack.slots.get(n)));
            if then != Some(now) {
                let offset = -((n + 1) as Location * SLOT_SIZE as Location);
                changes.push(Change(offset, self.slot(now)));
            }
        }
        if before.is_none() {
            changes.retain(|c| c.1 >= 0);
        }
        changes
    }

    fn step(&mut self, insn: usize, depth: usize, frame: &Frame) {
        if self.exploration.steps.len() >= MOST_STEPS {
            self.evict();
        }
        let before = self.path.last().cloned();
        let same = before.as_ref().filter(|(step, _)| self.exploration.steps[*step].2 == depth);
        let changes = self.changes(frame, same.map(|(_, frame)| &**frame));
        let parent = before.as_ref().map_or(-1, |(step, _)| *step as i64);
        let step = Step(insn, parent, depth, changes, same.is_none());
        self.exploration.steps.push(step);
        self.path.push((self.exploration.steps.len() - 1, frame.clone()));
        self.is_open = true;
    }

    /// Keeps the last part of the open path alone.
    fn evict(&mut self) {
        self.exploration.cut = true;
        self.exploration.paths.clear();
        let drop = self.path.len().saturating_sub(MOST_STEPS / 2);
        self.dropped += drop;
        let kept: Vec<(usize, Frame)> = self.path.drain(..).skip(drop).collect();
        let mut steps = Vec::with_capacity(kept.len());
        for (n, (old, frame)) in kept.iter().enumerate() {
            let mut step = self.exploration.steps[*old].clone();
            step.1 = n as i64 - 1;
            if n == 0 {
                (step.3, step.4) = (self.changes(frame, None), true);
            }
            steps.push(step);
        }
        self.exploration.steps = steps;
        self.path = kept.into_iter().enumerate().map(|(n, (_, frame))| (n, frame)).collect();
    }
}

impl Observer for Walk<'_> {
    fn wants_events(&self) -> bool {
        true
    }

    fn wants_comparisons(&self) -> bool {
        true
    }

    fn wants_values(&self, _: usize, _: &ebpfkit_verifier::observer::Difference) -> bool {
        false
    }

    fn position(&self) -> usize {
        self.dropped + self.path.len()
    }

    fn rewind(&mut self, position: usize) {
        self.end_path("ends");
        self.path.truncate(position.saturating_sub(self.dropped));
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start { maps, .. } => {
                self.end_path("ends");
                (self.dropped, self.path) = (0, Vec::new());
                self.maps = maps.to_vec();
            }
            Event::Before { insn, state, .. } => {
                let depth = state.curframe();
                self.step(insn, depth, &state.frames[depth]);
            }
            Event::Pruned { .. } => self.is_pruned = true,
            _ => {}
        }
    }
}
