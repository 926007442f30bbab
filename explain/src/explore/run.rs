//! Recording a run: what registers and the written parts of the stack hold before each instruction.

use super::{Change, Exploration, Location, PathEnd, Step};
use ebpfkit_object::{Object, Program};
use std::collections::{BTreeSet, HashMap};

/// Steps that are kept; what a run does after them is not there.
const MOST_STEPS: usize = 200_000;
/// Bytes of a location in the stack.
const SLOT: usize = 8;

/// What one frame holds.
#[derive(Clone, Debug, Default)]
struct Frame {
    regs: Vec<u64>,
    /// The frame's bytes, lowest address first.
    stack: Vec<u8>,
    /// Slots that have been written since the frame began.
    written: BTreeSet<usize>,
}

/// Records a run.
#[derive(Debug)]
pub struct RunSteps {
    exploration: Exploration,
    frames: Vec<Frame>,
    values: HashMap<u64, i64>,
}

impl RunSteps {
    /// Ready to record a run of a program.
    pub fn new(object: &Object, program: &Program) -> Self {
        Self { exploration: Exploration::of(object, program), frames: Vec::new(), values: HashMap::new() }
    }

    /// Records the state before an instruction: `depth` calls are open, `stack` is the frame, lowest address first. What
    /// comes after the limit is not recorded.
    pub fn step(&mut self, insn: usize, depth: usize, regs: &[u64], stack: &[u8]) {
        if self.exploration.steps.len() >= MOST_STEPS {
            self.exploration.cut = true;
            return;
        }
        let before = self.exploration.steps.last().map(|s| s.2);
        let enters = before.is_none_or(|b| b < depth);
        self.frames.truncate(depth + 1);
        self.frames.resize_with(depth + 1, Frame::default);
        let mut frame = std::mem::take(&mut self.frames[depth]);
        if enters {
            // What an earlier call left in the frame is not this one's.
            frame = Frame { regs: Vec::new(), stack: stack.to_vec(), written: BTreeSet::new() };
        }
        let whole = before != Some(depth);
        let mut changes = Vec::new();
        for (n, value) in regs.iter().enumerate() {
            if whole || frame.regs.get(n) != Some(value) {
                changes.push(Change(n as Location, self.value(*value)));
            }
        }
        let slots = stack.rchunks_exact(SLOT).zip(frame.stack.rchunks_exact(SLOT)).enumerate();
        let changed: Vec<usize> = slots.filter(|(_, (now, then))| now != then).map(|(n, _)| n).collect();
        frame.written.extend(&changed);
        let listed: Vec<usize> = if whole { frame.written.iter().copied().collect() } else { changed };
        for n in listed {
            let at = stack.len() - (n + 1) * SLOT;
            let bytes = stack[at..at + SLOT].try_into().unwrap_or_default();
            let value = self.value(u64::from_le_bytes(bytes));
            changes.push(Change(-(((n + 1) * SLOT) as Location), value));
        }
        frame.regs = regs.to_vec();
        frame.stack.copy_from_slice(stack);
        self.frames[depth] = frame;
        let parent = self.exploration.steps.len() as i64 - 1;
        self.exploration.steps.push(Step(insn, parent, depth, changes, whole));
    }

    fn value(&mut self, value: u64) -> i64 {
        let values = &mut self.exploration.values;
        *self.values.entry(value).or_insert_with(|| {
            values.push(text(value));
            values.len() as i64 - 1
        })
    }

    /// What was recorded. `verdict` is what came of the run, `faulted` whether it ended at its last instruction.
    pub fn finish(mut self, verdict: String, faulted: bool) -> Exploration {
        let e = &mut self.exploration;
        e.verdict = verdict;
        if let Some(last) = e.steps.last() {
            e.rejected = faulted.then_some(last.0);
            let how = if faulted { "faults" } else { "ends" };
            e.paths.push(PathEnd(e.steps.len() - 1, how.to_owned()));
        }
        self.exploration
    }
}

/// A value as people look at it: small numbers in decimal too.
fn text(value: u64) -> String {
    match value {
        0..10 => value.to_string(),
        10..0x1_0000_0000 => format!("{value} ({value:#x})"),
        _ if value as i64 > -4096 && (value as i64) < 0 => format!("{} ({value:#x})", value as i64),
        _ => format!("{value:#x}"),
    }
}
