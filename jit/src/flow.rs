//! Which instructions a function reaches, and where its blocks start.

use ebpfkit_isa::{CallKind, DecodeError, Insn, Op, decode};

/// A program's instructions, decoded once.
pub(crate) struct Code<'a> {
    /// By slot; second halves of 64-bit immediates are missing.
    ops: Vec<Option<Op>>,
    /// By slot: whether a path reaches it, when that is known.
    reached: Option<&'a [bool]>,
    /// By slot: how many instructions stand before it. Empty where jumps are not charged.
    numbers: Vec<u32>,
}

/// Where control goes after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// To this slot, always.
    To(usize),
    /// To the first slot when the condition holds, otherwise to the second.
    Either(usize, usize),
    /// Nowhere: the function ends.
    End,
}

/// Jumps to jumps that are followed at most.
const MOST_JUMPS: usize = 4;

/// Where a jump at a slot goes.
fn target(at: usize, off: i32) -> usize {
    (at as i64 + 1 + i64::from(off)) as usize
}

impl<'a> Code<'a> {
    /// Decodes all slots. `reached` is what the verifier proved; `counts` says that jumps are charged to a budget.
    pub(crate) fn new(insns: &[Insn], reached: Option<&'a [bool]>, counts: bool) -> Result<Self, DecodeError> {
        let mut ops = vec![None; insns.len()];
        let mut numbers = vec![0; if counts { insns.len() } else { 0 }];
        let (mut at, mut number) = (0, 0);
        while at < insns.len() {
            let (op, slots) = decode(insns, at)?;
            ops[at] = Some(op);
            if counts {
                numbers[at] = number;
            }
            at += slots;
            number += 1;
        }
        Ok(Self { ops, reached, numbers })
    }

    /// Whether jumps are charged.
    pub(crate) fn counts(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// What the instruction at a slot is charged each time that it is executed: where it may jump back, the instructions
    /// from its target up to itself; otherwise nothing.
    pub(crate) fn cost(&self, at: usize) -> u32 {
        let target = match self.op(at) {
            Some(Op::Ja { off, .. }) => target(at, off),
            Some(Op::Jmp { off, .. } | Op::MayGoto { off }) => target(at, off.into()),
            _ => return 0,
        };
        match (self.numbers.get(at), self.numbers.get(target)) {
            (Some(from), Some(to)) if target <= at => from - to + 1,
            _ => 0,
        }
    }

    /// The instruction at a slot; `None` behind the last one.
    pub(crate) fn op(&self, at: usize) -> Option<Op> {
        self.ops.get(at).copied().flatten()
    }

    /// Whether control can be at a slot.
    pub(crate) fn is_reached(&self, at: usize) -> bool {
        self.reached.is_none_or(|r| r.get(at).copied().unwrap_or(false))
    }

    /// The slot behind an instruction.
    pub(crate) fn after(&self, at: usize) -> usize {
        if matches!(self.op(at), Some(Op::LoadImm64 { .. })) { at + 2 } else { at + 1 }
    }

    /// Where control goes after the instruction at a slot. A branch that always goes one way is no branch, and jumps to
    /// jumps go to where those go.
    pub(crate) fn next(&self, at: usize) -> Next {
        let after = self.after(at);
        match self.op(at) {
            None | Some(Op::Exit) => Next::End,
            Some(Op::Ja { off, .. }) => Next::To(self.end_of_jumps(target(at, off))),
            Some(Op::Jmp { off, .. } | Op::MayGoto { off }) => {
                let taken = target(at, off.into());
                match (self.is_reached(taken), self.is_reached(after)) {
                    _ if taken == after => Next::To(after),
                    (true, false) => Next::To(self.end_of_jumps(taken)),
                    (false, true) => Next::To(after),
                    _ => Next::Either(self.end_of_jumps(taken), self.end_of_jumps(after)),
                }
            }
            _ => Next::To(after),
        }
    }

    /// Follows jumps from a slot; not for ever, as they may go around.
    fn end_of_jumps(&self, mut at: usize) -> usize {
        for _ in 0..MOST_JUMPS {
            match self.op(at) {
                // One that is charged stays.
                Some(Op::Ja { off, .. }) if self.is_reached(at) && self.cost(at) == 0 => at = target(at, off),
                _ => break,
            }
        }
        at
    }

    /// Slot that a local call goes to.
    pub(crate) fn callee(&self, at: usize) -> Option<usize> {
        match self.op(at)? {
            Op::Call(CallKind::Local(d)) => usize::try_from(at as i64 + 1 + i64::from(d)).ok(),
            _ => None,
        }
    }
}

/// The slots of one function.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// The function's first slot, which need not be its lowest.
    pub start: usize,
    /// Reached slots in ascending order. The slot behind the last instruction may be among them.
    pub slots: Vec<usize>,
    /// Those of them where a block starts.
    pub leaders: Vec<usize>,
    /// By leader: more than one way leads there.
    joins: Vec<bool>,
    /// By leader: control comes to it from itself or from a later slot.
    repeats: Vec<bool>,
}

impl Flow {
    /// Whether the block with a number has one way in at most.
    pub(crate) fn has_one_way_in(&self, block: usize) -> bool {
        !self.joins[block]
    }

    /// Whether the block with a number has ways in from itself or from later slots.
    pub(crate) fn is_repeated(&self, block: usize) -> bool {
        self.repeats[block]
    }

    /// The number of the block that starts at a slot.
    pub(crate) fn leader(&self, slot: usize) -> Option<usize> {
        self.leaders.binary_search(&slot).ok()
    }

    /// Whether the function is charged for jumps.
    pub(crate) fn has_charged_jumps(&self, code: &Code<'_>) -> bool {
        code.counts() && self.slots.iter().any(|at| code.cost(*at) > 0)
    }

    /// Where control goes at the end of a block.
    pub(crate) fn ways(&self, code: &Code<'_>, block: usize) -> Next {
        let next = self.leaders.get(block + 1).copied().unwrap_or(usize::MAX);
        let slots = self.slots.partition_point(|s| *s < next);
        match self.slots[..slots].last() {
            Some(last) if code.is_reached(*last) => code.next(*last),
            _ => Next::End,
        }
    }
}

/// Finds the slots of functions; the marks are reused.
pub(crate) struct Finder {
    marks: Vec<u8>,
}

const SEEN: u8 = 1;
const LEADER: u8 = 2;
const ONE_WAY_IN: u8 = 4;
const MORE_WAYS_IN: u8 = 8;
const REPEATED: u8 = 16;

impl Finder {
    /// For programs of this many slots.
    pub(crate) fn new(slots: usize) -> Self {
        Self { marks: vec![0; slots + 1] }
    }

    /// Everything that is reached from a function's first slot.
    pub(crate) fn flow(&mut self, code: &Code<'_>, start: usize) -> Flow {
        let mut flow = Flow { start, ..Flow::default() };
        let mut open = vec![start];
        self.marks[start] |= LEADER | ONE_WAY_IN;
        while let Some(mut at) = open.pop() {
            while self.marks[at] & SEEN == 0 {
                self.marks[at] |= SEEN;
                flow.slots.push(at);
                if !code.is_reached(at) {
                    break;
                }
                match code.next(at) {
                    Next::End => break,
                    Next::To(to) => {
                        if !matches!(code.op(at), Some(op) if falls_through(&op)) {
                            self.marks[to] |= LEADER;
                        }
                        self.way_in(at, to);
                        at = to;
                    }
                    Next::Either(a, b) => {
                        for to in [a, b] {
                            self.marks[to] |= LEADER;
                            self.way_in(at, to);
                        }
                        open.push(a);
                        at = b;
                    }
                }
            }
        }
        flow.slots.sort_unstable();
        flow.leaders.extend(flow.slots.iter().copied().filter(|s| self.marks[*s] & LEADER != 0));
        flow.repeats.extend(flow.leaders.iter().map(|s| self.marks[*s] & REPEATED != 0));
        flow.joins.extend(flow.leaders.iter().map(|s| self.marks[*s] & MORE_WAYS_IN != 0));
        for s in &flow.slots {
            self.marks[*s] = 0;
        }
        flow
    }
}

impl Finder {
    /// Another way leads to a slot.
    fn way_in(&mut self, from: usize, to: usize) {
        self.marks[to] |= if self.marks[to] & ONE_WAY_IN == 0 { ONE_WAY_IN } else { MORE_WAYS_IN };
        if to <= from {
            self.marks[to] |= REPEATED;
        }
    }
}

/// Whether control always goes to the following instruction.
fn falls_through(op: &Op) -> bool {
    !matches!(op, Op::Ja { .. } | Op::Jmp { .. } | Op::MayGoto { .. } | Op::Exit)
}
