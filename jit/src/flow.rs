//! Which instructions a function reaches, and where its blocks start.

use crate::index::{BlockNumber, Slot};
use ebpfkit_isa::opcode::{class, mode};
use ebpfkit_isa::{DecodeError, Insn, Op, Successors, decode};

/// A program's instructions, decoded once.
pub(crate) struct Code<'a> {
    insns: &'a [Insn],
    /// By slot; second halves of 64-bit immediates are missing.
    ops: Vec<Option<Op>>,
    /// By slot: whether a path reaches it, when that is known.
    reached: Option<&'a [bool]>,
    /// By slot: how many instructions stand before it. Empty where jumps are not charged.
    numbers: Vec<u32>,
    /// By number: the jumps that are charged.
    loop_jumps: &'a [bool],
}

/// Where control goes after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// To this slot, always.
    To(Slot),
    /// To the first slot when the condition holds, otherwise to the second.
    Either(Slot, Slot),
    /// Nowhere: the function ends.
    End,
}

/// What an instruction changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It gives a register another value and does nothing else.
    Register(u8),
    /// It writes memory and does nothing else.
    Memory,
    /// It jumps, calls, ends the function, or touches memory in ways of its own.
    Other,
}

/// Jumps to jumps that are followed at most.
const MOST_JUMPS: usize = 4;

impl<'a> Code<'a> {
    /// Decodes all slots. `reached` is what the verifier proved; `loop_jumps` are those that are charged to a
    /// budget, by number of the instruction.
    pub(crate) fn new(
        insns: &'a [Insn],
        reached: Option<&'a [bool]>,
        loop_jumps: Option<&'a [bool]>,
    ) -> Result<Self, DecodeError> {
        let counts = loop_jumps.is_some();
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
        Ok(Self { insns, ops, reached, numbers, loop_jumps: loop_jumps.unwrap_or_default() })
    }

    /// Whether jumps are charged.
    pub(crate) fn counts(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// What the instruction at a slot is charged each time that it is executed: where it closes a loop, the
    /// instructions from its target up to itself; otherwise nothing.
    pub(crate) fn cost(&self, at: Slot) -> u32 {
        let Some(target) = self.jump(at) else { return 0 };
        match (self.numbers.get(at.0), self.numbers.get(target.0)) {
            (Some(from), Some(to)) if self.loop_jumps.get(*from as usize) == Some(&true) => from - to + 1,
            _ => 0,
        }
    }

    /// The instruction at a slot; `None` behind the last one.
    pub(crate) fn op(&self, at: Slot) -> Option<Op> {
        self.ops.get(at.0).copied().flatten()
    }

    /// Whether control can be at a slot.
    pub(crate) fn is_reached(&self, at: Slot) -> bool {
        self.reached.is_none_or(|r| r.get(at.0).copied().unwrap_or(false))
    }

    /// What the instruction at a slot changes.
    pub(crate) fn change(&self, at: Slot) -> Change {
        let Some(insn) = self.insns.get(at.0).filter(|_| !self.writes_frame_pointer(at)) else { return Change::Other };
        match insn.class() {
            class::ALU | class::ALU64 | class::LDX => {
                insn.writes().iter().next().map_or(Change::Other, Change::Register)
            }
            class::LD if insn.is_ld_imm64() => Change::Register(insn.dst),
            class::ST | class::STX if insn.mode() == mode::MEM => Change::Memory,
            _ => Change::Other,
        }
    }

    /// Whether the instruction at a slot writes `r10`, which ends the run.
    pub(crate) fn writes_frame_pointer(&self, at: Slot) -> bool {
        self.op(at).is_some() && self.insns.get(at.0).is_some_and(|insn| insn.writes_frame_pointer())
    }

    /// The slot behind an instruction.
    pub(crate) fn after(&self, at: Slot) -> Slot {
        at.plus(self.insns.get(at.0).map_or(1, |i| i.slots()))
    }

    fn successors(&self, at: Slot) -> Successors {
        self.op(at).and_then(|_| self.insns.get(at.0)).map(|i| i.successors(at.0)).unwrap_or_default()
    }

    /// The target of a jump. The loader has refused those that lead out of the program.
    fn jump(&self, at: Slot) -> Option<Slot> {
        self.successors(at).jump.map(|to| Slot(to as usize))
    }

    /// Where control goes after the instruction at a slot. A branch that always goes one way is no branch, and jumps to
    /// jumps go to where those go.
    pub(crate) fn next(&self, at: Slot) -> Next {
        match (self.successors(at).fallthrough.map(Slot), self.jump(at)) {
            (None, None) => Next::End,
            (None, Some(to)) => Next::To(self.end_of_jumps(to)),
            (Some(after), None) => Next::To(after),
            (Some(after), Some(taken)) => match (self.is_reached(taken), self.is_reached(after)) {
                _ if taken == after => Next::To(after),
                (true, false) => Next::To(self.end_of_jumps(taken)),
                (false, true) => Next::To(after),
                _ => Next::Either(self.end_of_jumps(taken), self.end_of_jumps(after)),
            },
        }
    }

    /// Follows jumps from a slot; not for ever, as they may go around.
    fn end_of_jumps(&self, mut at: Slot) -> Slot {
        for _ in 0..MOST_JUMPS {
            match self.successors(at) {
                // One that is charged stays.
                Successors { fallthrough: None, jump: Some(to), .. } if self.is_reached(at) && self.cost(at) == 0 => {
                    at = Slot(to as usize);
                }
                _ => break,
            }
        }
        at
    }

    /// Whether control always goes to the following instruction.
    fn falls_through(&self, at: Slot) -> bool {
        !self.successors(at).ends_block()
    }

    /// Slot that a local call goes to.
    pub(crate) fn callee(&self, at: Slot) -> Option<Slot> {
        self.successors(at).call.and_then(|to| usize::try_from(to).ok()).map(Slot)
    }
}

/// The slots of one function.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// The function's first slot, which need not be its lowest.
    pub start: Slot,
    /// Reached slots in ascending order. The slot behind the last instruction may be among them.
    pub slots: Vec<Slot>,
    /// Those of them where a block starts.
    pub leaders: Vec<Slot>,
    /// By leader: it has more than one predecessor.
    has_more_predecessors: Vec<bool>,
    /// By leader: control comes to it from itself or from a later slot.
    loop_heads: Vec<bool>,
}

impl Flow {
    /// Whether the block with a number has one predecessor at most.
    pub(crate) fn has_single_predecessor(&self, block: BlockNumber) -> bool {
        !self.has_more_predecessors[block.0]
    }

    /// Whether control comes to the block with a number from itself or from a later slot.
    pub(crate) fn is_loop_head(&self, block: BlockNumber) -> bool {
        self.loop_heads[block.0]
    }

    /// The number of the block that starts at a slot.
    pub(crate) fn leader(&self, slot: Slot) -> Option<BlockNumber> {
        self.leaders.binary_search(&slot).ok().map(BlockNumber)
    }

    /// Whether the function is charged for jumps.
    pub(crate) fn has_charged_jumps(&self, code: &Code<'_>) -> bool {
        code.counts() && self.slots.iter().any(|at| code.cost(*at) > 0)
    }

    /// Its blocks.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = BlockNumber> {
        (0..self.leaders.len()).map(BlockNumber)
    }

    /// How many of its slots stand before the end of a block.
    pub(crate) fn slots_up_to_end_of(&self, block: BlockNumber) -> usize {
        let next = self.leaders.get(block.0 + 1);
        next.map_or(self.slots.len(), |next| self.slots.partition_point(|s| s < next))
    }

    /// Where control goes at the end of a block.
    pub(crate) fn successors(&self, code: &Code<'_>, block: BlockNumber) -> Next {
        match self.slots[..self.slots_up_to_end_of(block)].last() {
            Some(last) if code.is_reached(*last) => code.next(*last),
            _ => Next::End,
        }
    }
}

/// Finds the slots of functions; what is noted of slots is kept for the next.
pub(crate) struct Finder {
    flags: Vec<u8>,
}

const SEEN: u8 = 1;
const LEADER: u8 = 2;
const ONE_PREDECESSOR: u8 = 4;
const MORE_PREDECESSORS: u8 = 8;
const LOOP_HEAD: u8 = 16;

impl Finder {
    /// For programs of this many slots.
    pub(crate) fn new(slots: usize) -> Self {
        Self { flags: vec![0; slots + 1] }
    }

    /// Everything that is reached from a function's first slot.
    pub(crate) fn flow(&mut self, code: &Code<'_>, start: Slot) -> Flow {
        let mut flow = Flow { start, ..Flow::default() };
        let mut open = vec![start];
        self.flags[start.0] |= LEADER | ONE_PREDECESSOR;
        while let Some(mut at) = open.pop() {
            while self.flags[at.0] & SEEN == 0 {
                self.flags[at.0] |= SEEN;
                flow.slots.push(at);
                if !code.is_reached(at) {
                    break;
                }
                match code.next(at) {
                    Next::End => break,
                    Next::To(to) => {
                        if !code.falls_through(at) {
                            self.flags[to.0] |= LEADER;
                        }
                        self.add_predecessor(at, to);
                        at = to;
                    }
                    Next::Either(a, b) => {
                        for to in [a, b] {
                            self.flags[to.0] |= LEADER;
                            self.add_predecessor(at, to);
                        }
                        open.push(a);
                        at = b;
                    }
                }
            }
        }
        flow.slots.sort_unstable();
        flow.leaders.extend(flow.slots.iter().copied().filter(|s| self.flags[s.0] & LEADER != 0));
        flow.loop_heads.extend(flow.leaders.iter().map(|s| self.flags[s.0] & LOOP_HEAD != 0));
        flow.has_more_predecessors.extend(flow.leaders.iter().map(|s| self.flags[s.0] & MORE_PREDECESSORS != 0));
        for s in &flow.slots {
            self.flags[s.0] = 0;
        }
        flow
    }

    /// A slot has another predecessor.
    fn add_predecessor(&mut self, from: Slot, to: Slot) {
        self.flags[to.0] |= if self.flags[to.0] & ONE_PREDECESSOR == 0 { ONE_PREDECESSOR } else { MORE_PREDECESSORS };
        if to <= from {
            self.flags[to.0] |= LOOP_HEAD;
        }
    }
}
