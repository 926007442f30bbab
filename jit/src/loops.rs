//! Short loops that are translated twice, one turn after the other.
//!
//! A loop of a few instructions spends much of its time on the jump back and, where there are checks, on the budget. With
//! two turns in one, half of that goes.

use crate::effect::Effect;
use crate::flow::{Code, Flow, Next};
use ebpfkit_isa::Op;
use std::ops::Range;

/// Instructions of such a loop, at most.
const LONGEST: usize = 24;

/// Blocks of a function, as numbers, that control goes through in ascending order; only the last leads back, to the first.
/// Nothing else leads into the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loop {
    pub first: usize,
    pub last: usize,
}

/// The short loops of a function that have no others inside, in ascending order. Together they make up no more than
/// `most` instructions.
pub(crate) fn short(flow: &Flow, code: &Code<'_>, most: usize) -> Vec<Loop> {
    let ways: Vec<[Option<usize>; 2]> = (0..flow.leaders.len())
        .map(|block| match flow.ways(code, block) {
            Next::To(to) => [flow.leader(to), None],
            Next::Either(a, b) => [flow.leader(a), flow.leader(b)],
            Next::End => [None, None],
        })
        .collect();
    let mut ways_in = vec![0u32; ways.len()];
    ways.iter().flatten().flatten().for_each(|to| ways_in[*to] += 1);
    let mut left = most;
    let mut all: Vec<Loop> = Vec::new();
    for (last, targets) in ways.iter().enumerate() {
        let Some(first) = targets.iter().flatten().copied().find(|to| *to <= last) else { continue };
        let one = Loop { first, last };
        let slots = one.slots(flow);
        let is_simple = slots.len() <= left.min(LONGEST)
            && flow.slots[slots.clone()]
                .iter()
                .all(|s| code.is_reached(*s) && code.op(*s).is_some_and(|op| is_plain(&op)))
            && all.last().is_none_or(|before| before.last < first)
            && has_one_way(&one, &ways, &ways_in);
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
        let start = flow.slots.partition_point(|s| *s < flow.leaders[self.first]);
        let behind = flow.leaders.get(self.last + 1).copied().unwrap_or(usize::MAX);
        let end = flow.slots.partition_point(|s| *s < behind);
        start..end
    }

    pub(crate) fn contains(&self, block: usize) -> bool {
        (self.first..=self.last).contains(&block)
    }
}

/// Whether control goes through the blocks of a loop in one direction, and comes in only at the first.
fn has_one_way(one: &Loop, ways: &[[Option<usize>; 2]], ways_in: &[u32]) -> bool {
    let mut from_inside = [0u32; LONGEST + 1];
    for (block, targets) in ways.iter().enumerate().take(one.last + 1).skip(one.first) {
        for to in targets.iter().flatten().copied().filter(|to| one.contains(*to)) {
            if to <= block && !(block == one.last && to == one.first) {
                return false;
            }
            from_inside[to - one.first] += 1;
        }
    }
    from_inside[0] == 1 && (one.first + 1..=one.last).all(|b| from_inside[b - one.first] == ways_in[b])
}

/// Instructions that cost little, so that the loop around them matters.
fn is_plain(op: &Op) -> bool {
    Effect::of(op) != Effect::Other || matches!(op, Op::Ja { .. } | Op::Jmp { .. })
}
