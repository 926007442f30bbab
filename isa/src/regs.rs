//! Sets of registers.

use crate::REG_COUNT;
use std::fmt;

/// A set of registers: bit n for `rn`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RegSet(u16);

impl RegSet {
    /// No register.
    pub const EMPTY: Self = Self(0);
    /// Every register that a slot can name, those that do not exist among them.
    pub const ALL: Self = Self(u16::MAX);
    /// `r1` to `r5`, which pass arguments.
    pub const ARGS: Self = Self(0b11_1110);
    /// `r0` to `r5`, which a call does not preserve: the result and the arguments.
    pub const CALLER_SAVED: Self = Self(0b11_1111);

    /// One register.
    pub const fn of(reg: u8) -> Self {
        Self(1 << (reg & 15))
    }

    /// The first `count` argument registers; at most five.
    pub const fn args(count: usize) -> Self {
        let count = if count > 5 { 5 } else { count };
        Self((2 << count) - 2)
    }

    /// From bits.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a register is one of them.
    pub const fn contains(self, reg: u8) -> bool {
        self.0 >> (reg & 15) & 1 != 0
    }

    /// Those of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are not in the other set.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The registers in ascending order, without those that do not exist.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..REG_COUNT as u8).filter(move |&r| self.contains(r))
    }
}

impl fmt::Debug for RegSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|r| format!("r{r}"))).finish()
    }
}
