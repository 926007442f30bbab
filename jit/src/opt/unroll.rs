//! Unrolling: short loops are translated twice, one iteration after the other.
//!
//! A loop of a few instructions spends much of its time on the jump back. With two iterations in one, half of that goes.

use crate::flow::{Change, Code, Flow, Next};
use crate::index::{BlockNumber, Slot};
use crate::lower::Translator;
use cranelift_codegen::ir::Block;
use ebpfkit_isa::Op;
use std::ops::Range;

/// Instructions of such a loop, at most.
const LONGEST: usize = 24;

/// Blocks of a function, as numbers, that control goes through in ascending order; only the last leads back, to the first.
/// Nothing else leads into the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loop {
    pub first: BlockNumber,
    pub last: BlockNumber,
}

/// The short loops of a function that have no others inside, in ascending order. Together they make up no more than
/// `most` instructions. Only their last jump is charged: what the second iteration pays late would come behind the charge
/// for another.
pub(crate) fn short(flow: &Flow, code: &Code<'_>, most: usize) -> Vec<Loop> {
    let successors: Vec<[Option<BlockNumber>; 2]> = flow
        .blocks()
        .map(|block| match flow.successors(code, block) {
            Next::To(to) => [flow.leader(to), None],
            Next::Either(a, b) => [flow.leader(a), flow.leader(b)],
            Next::End => [None, None],
        })
        .collect();
    let mut predecessors = vec![0u32; successors.len()];
    successors.iter().flatten().flatten().for_each(|to| predecessors[to.0] += 1);
    let mut left = most;
    let mut all: Vec<Loop> = Vec::new();
    for (last, targets) in flow.blocks().zip(&successors) {
        let Some(first) = targets.iter().flatten().copied().find(|to| *to <= last) else { continue };
        let one = Loop { first, last };
        let slots = one.slots(flow);
        let is_simple = slots.len() <= left.min(LONGEST)
            && flow.slots[slots.clone()].iter().all(|s| code.is_reached(*s) && is_plain(code, *s))
            && flow.slots[slots.start..slots.end - 1].iter().all(|s| code.cost(*s) == 0)
            && all.last().is_none_or(|before| before.last < first)
            && is_straight(&one, &successors, &predecessors);
        if is_simple {
            left -= slots.len();
            all.push(one);
        }
    }
    all
}

impl Loop {
    /// Which of the function's slots the loop's instructions are at.
    pub(crate) fn slots(&self, flow: &Flow) -> Range<usize> {
        let start = flow.slots.partition_point(|s| *s < flow.leaders[self.first.0]);
        start..flow.slots_up_to_end_of(self.last)
    }

    pub(crate) fn contains(&self, block: BlockNumber) -> bool {
        (self.first..=self.last).contains(&block)
    }

    /// Its blocks, in ascending order.
    fn blocks(&self) -> impl Iterator<Item = BlockNumber> + use<> {
        (self.first.0..=self.last.0).map(BlockNumber)
    }

    /// A block of it as its number from the loop's first.
    fn position(&self, block: BlockNumber) -> Option<usize> {
        block.0.checked_sub(self.first.0)
    }
}

/// Whether control goes through the blocks of a loop in one direction, and comes in only at the first.
fn is_straight(one: &Loop, successors: &[[Option<BlockNumber>; 2]], predecessors: &[u32]) -> bool {
    let mut from_inside = [0u32; LONGEST + 1];
    for block in one.blocks() {
        for to in successors[block.0].iter().flatten().copied().filter(|to| one.contains(*to)) {
            if to <= block && !(block == one.last && to == one.first) {
                return false;
            }
            from_inside[to.0 - one.first.0] += 1;
        }
    }
    from_inside[0] == 1 && one.blocks().skip(1).all(|b| from_inside[b.0 - one.first.0] == predecessors[b.0])
}

/// An instruction that costs little, so that the loop around it matters.
fn is_plain(code: &Code<'_>, at: Slot) -> bool {
    code.change(at) != Change::Other || matches!(code.op(at), Some(Op::Ja { .. } | Op::Jmp { .. }))
}

/// Instructions in loops that are unrolled, at least.
const LOOPS_AT_LEAST: usize = 48;
/// The part of a function's instructions that they may be beyond that.
const LOOPS_PART: usize = 4;

/// The jump at the end of a loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoopJump {
    pub slot: Slot,
    /// What it costs of the budget.
    pub cost: u32,
}

/// A loop that is being unrolled, two iterations of which follow each other.
pub(crate) struct Unrolling {
    pub one: Loop,
    pub jump: LoopJump,
    /// The blocks of the second iteration, by number from the loop's first.
    blocks: Vec<Block>,
    /// The second iteration is translated now.
    pub second: bool,
}

impl Unrolling {
    /// The block of the iteration that is translated now.
    pub(crate) fn block(&self, number: BlockNumber) -> Option<Block> {
        if self.second { self.second_block(number) } else { None }
    }
}

impl Unrolling {
    /// The block with a number in the second iteration.
    fn second_block(&self, number: BlockNumber) -> Option<Block> {
        self.blocks.get(self.one.position(number)?).copied()
    }
}

impl Translator<'_, '_> {
    /// Translates all instructions of the function.
    pub(crate) fn all_slots(&mut self) {
        let flow = self.flow;
        let most = LOOPS_AT_LEAST.max(flow.slots.len() / LOOPS_PART);
        // Without a budget there is little to gain, and compiling takes longer.
        let pays = self.env.optimizes && self.env.checked;
        let loops = if pays { short(flow, self.env.code, most) } else { Vec::new() };
        let mut done = 0;
        for one in loops {
            let slots = one.slots(flow);
            flow.slots[done..slots.start].iter().for_each(|at| self.slot(*at));
            self.unroll(one, &flow.slots[slots.clone()]);
            done = slots.end;
        }
        flow.slots[done..].iter().for_each(|at| self.slot(*at));
        self.finish_slow_paths();
    }

    /// The block that starts at a slot, for a jump from here.
    pub(crate) fn find_block(&self, slot: Slot) -> Option<Block> {
        let number = self.flow.leader(slot)?;
        // The iterations lead to each other.
        let leads_on = |u: &&Unrolling| u.one.contains(number) && (number == u.one.first) != u.second;
        let second = self.unrolling.as_ref().filter(leads_on).and_then(|u| u.second_block(number));
        Some(second.unwrap_or(self.block(number)))
    }

    /// Translates a loop twice.
    fn unroll(&mut self, one: Loop, slots: &[Slot]) {
        if !self.block.ended
            && let Some(first) = slots.first()
        {
            self.go(*first);
        }
        self.finish_slow_paths();
        let blocks = one.blocks().map(|_| self.b.create_block()).collect();
        let slot = slots.last().copied().unwrap_or_default();
        let jump = LoopJump { slot, cost: self.env.code.cost(slot) };
        self.unrolling = Some(Unrolling { one, jump, blocks, second: false });
        slots.iter().for_each(|at| self.slot(*at));
        self.finish_slow_paths();
        self.unrolling.iter_mut().for_each(|t| t.second = true);
        slots.iter().for_each(|at| self.slot(*at));
        self.finish_slow_paths();
        self.unrolling = None;
        // Both iterations do.
        self.block.leads_to = [None; 2];
    }
}
