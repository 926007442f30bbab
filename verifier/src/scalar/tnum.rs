//! Tracked numbers: which bits of a value are known.

/// A value and a mask: bits set in `mask` are unknown, the others are as in `value`. `value & mask == 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tnum {
    /// Known bits.
    pub value: u64,
    /// Unknown bits.
    pub mask: u64,
}

impl Tnum {
    /// Nothing known.
    pub const UNKNOWN: Self = Self { value: 0, mask: u64::MAX };

    /// Everything known.
    pub const fn constant(value: u64) -> Self {
        Self { value, mask: 0 }
    }

    /// Whether everything is known.
    pub const fn is_const(self) -> bool {
        self.mask == 0
    }
}
