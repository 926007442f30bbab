//! Numbers that name parts of a program. Each kind has a type of its own, so that none is taken for another.

/// An instruction, by its first slot in the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub usize);

impl Slot {
    /// The slot so many slots later.
    pub(crate) const fn plus(self, slots: usize) -> Self {
        Self(self.0 + slots)
    }

    /// The slot before.
    pub(crate) const fn before(self) -> Self {
        Self(self.0 - 1)
    }

    /// The slots from this one up to another.
    pub(crate) fn up_to(self, end: Self) -> impl Iterator<Item = Self> {
        (self.0..end.0).map(Self)
    }
}

/// A block of a function, by its number in the order of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockNumber(pub usize);

/// A function of a program, by its number in the order of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FunctionNumber(pub usize);
