//! Loops that are translated twice, and where jumps lead then.

use super::Translator;
use crate::loops::{self, Loop};
use cranelift_codegen::ir::Block;

/// Instructions in loops that are translated twice, at least.
const LOOPS_AT_LEAST: usize = 48;
/// The part of a function's instructions that they may be beyond that.
const LOOPS_PART: usize = 4;

/// A loop on its way, two turns of which follow each other.
pub(super) struct Turns {
    pub one: Loop,
    /// The blocks of the second turn, by number from the loop's first.
    blocks: Vec<Block>,
    /// The second turn is translated now.
    pub second: bool,
}

impl Turns {
    /// The block of the turn that is translated now.
    pub(super) fn block(&self, number: usize) -> Option<Block> {
        if self.second { self.blocks.get(number.checked_sub(self.one.first)?).copied() } else { None }
    }
}

impl Translator<'_, '_> {
    /// Translates all instructions of the function.
    pub(super) fn all_slots(&mut self) {
        let flow = self.flow;
        let most = LOOPS_AT_LEAST.max(flow.slots.len() / LOOPS_PART);
        // Without a budget there is little to gain, and compiling takes longer.
        let pays = self.env.best && self.env.checked;
        let loops = if pays { loops::short(flow, self.env.code, most) } else { Vec::new() };
        let mut done = 0;
        for one in loops {
            let slots = one.slots(flow);
            flow.slots[done..slots.start].iter().for_each(|at| self.slot(*at));
            self.twice(one, &flow.slots[slots.clone()]);
            done = slots.end;
        }
        flow.slots[done..].iter().for_each(|at| self.slot(*at));
        self.finish_groups();
    }

    /// The block that starts at a slot, for a jump from here.
    pub(super) fn find_block(&self, slot: usize) -> Option<Block> {
        let number = self.flow.leader(slot)?;
        Some(match &self.turns {
            // The turns lead to each other.
            Some(t) if t.one.contains(number) && (number == t.one.first) != t.second => t.blocks[number - t.one.first],
            _ => self.blocks[number],
        })
    }

    /// Translates a loop twice.
    fn twice(&mut self, one: Loop, slots: &[usize]) {
        if !self.ended
            && let Some(first) = slots.first()
        {
            self.go(*first);
        }
        self.finish_groups();
        let blocks = (one.first..=one.last).map(|_| self.b.create_block()).collect();
        self.turns = Some(Turns { one, blocks, second: false });
        slots.iter().for_each(|at| self.slot(*at));
        self.finish_groups();
        self.skip_to = 0;
        self.turns.iter_mut().for_each(|t| t.second = true);
        slots.iter().for_each(|at| self.slot(*at));
        self.finish_groups();
        self.turns = None;
        // Both turns do.
        self.leads_to = [usize::MAX; 2];
    }
}
