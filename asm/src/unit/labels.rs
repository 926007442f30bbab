//! Where labels are, and how a jump finds its own.

use rustc_hash::FxHashMap;

/// Which labels are seen from a place: those of its function first, then all.
#[derive(Debug, Default)]
pub(crate) struct Labels<'t> {
    /// By name: function and slot, in the order of the text.
    named: FxHashMap<&'t str, Vec<(usize, usize)>>,
    /// By number: slots, in the order of the text.
    numbered: FxHashMap<u32, Vec<usize>>,
}

/// A name with the labels that stand in the way of its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The label's function and slot.
    At(usize, usize),
    /// No label has this name.
    Missing,
    /// Several labels of other functions have it.
    Ambiguous,
}

impl<'t> Labels<'t> {
    /// Adds a label; `false` when its function has one of this name.
    pub(crate) fn add(&mut self, name: &'t str, function: usize, slot: usize) -> bool {
        let all = self.named.entry(name).or_default();
        // Functions come one after the other.
        let new = all.last().is_none_or(|&(f, _)| f != function);
        all.push((function, slot));
        new
    }

    pub(crate) fn add_numbered(&mut self, number: u32, slot: usize) {
        self.numbered.entry(number).or_default().push(slot);
    }

    /// The label that a name means inside a function.
    pub(crate) fn find(&self, name: &str, function: usize) -> Found {
        let all = self.named.get(name).map(Vec::as_slice).unwrap_or_default();
        let own = all.get(all.partition_point(|l| l.0 < function)).filter(|l| l.0 == function);
        match (own, all) {
            (Some(&(f, slot)), _) | (None, &[(f, slot)]) => Found::At(f, slot),
            (None, []) => Found::Missing,
            (None, _) => Found::Ambiguous,
        }
    }

    /// The slot of the nearest label of a number; `here` is the slot of the instruction that asks.
    pub(crate) fn near(&self, number: u32, forward: bool, here: usize) -> Option<usize> {
        let all = self.numbered.get(&number)?;
        let before = all.partition_point(|&slot| slot <= here);
        if forward { all.get(before).copied() } else { all.get(before.checked_sub(1)?).copied() }
    }

    /// Every label with a name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'t str> + '_ {
        self.named.keys().copied()
    }
}
