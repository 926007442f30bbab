//! Tracked numbers: which bits of a value are known.

use std::fmt;

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

    /// Whether nothing is known.
    pub const fn is_unknown(self) -> bool {
        self.mask == u64::MAX
    }

    /// Whether this is exactly `value`.
    pub const fn equals_const(self, value: u64) -> bool {
        self.mask == 0 && self.value == value
    }

    /// From known bits and unknown bits that may overlap; the unknown win.
    const fn of(value: u64, mask: u64) -> Self {
        Self { value: value & !mask, mask }
    }

    /// The tightest tnum that holds all of `min..=max`: the common leading bits.
    pub const fn range(min: u64, max: u64) -> Self {
        let bits = 64 - (min ^ max).leading_zeros();
        if bits == 64 {
            return Self::UNKNOWN;
        }
        Self::of(min, (1 << bits) - 1)
    }

    /// Whether `x` is one of the values.
    pub const fn holds(self, x: u64) -> bool {
        x & !self.mask == self.value
    }

    /// The greatest value.
    pub const fn max(self) -> u64 {
        self.value | self.mask
    }

    /// The smallest value above `x`, or the greatest value where none is (`tnum_step`).
    pub const fn value_after(self, x: u64) -> u64 {
        if x >= self.max() {
            return self.max();
        }
        let from = x + 1;
        let wrong = (from ^ self.value) & !self.mask;
        if wrong == 0 {
            return from;
        }
        // At and above the highest known bit that `from` has wrong, its other bits stay; below it all bits are low.
        let high = 63 - wrong.leading_zeros();
        let below = (1 << high) - 1;
        if self.value >> high & 1 == 1 {
            return (from & !below & self.mask & !(1 << high)) | self.value;
        }
        // The known bit is 0 where `from` has 1: the next unknown bit above it that is 0 must rise.
        let above = !below & !(1 << high);
        let rises = self.mask & !from & above;
        let bit = 1 << rises.trailing_zeros();
        (from & self.mask & !(bit - 1)) | bit | self.value
    }

    /// Sum, wrapping.
    #[allow(clippy::should_implement_trait)]
    pub const fn add(self, b: Self) -> Self {
        let unknown = self.mask.wrapping_add(b.mask);
        let low = self.value.wrapping_add(b.value);
        // Bits in which the greatest and the least sum differ take part in a carry that is not known.
        let carried = unknown.wrapping_add(low) ^ low;
        Self::of(low, carried | self.mask | b.mask)
    }

    /// Difference, wrapping.
    #[allow(clippy::should_implement_trait)]
    pub const fn sub(self, b: Self) -> Self {
        let diff = self.value.wrapping_sub(b.value);
        let borrowed = diff.wrapping_add(self.mask) ^ diff.wrapping_sub(b.mask);
        Self::of(diff, borrowed | self.mask | b.mask)
    }

    /// Negation, wrapping.
    #[allow(clippy::should_implement_trait)]
    pub const fn neg(self) -> Self {
        Self::constant(0).sub(self)
    }

    /// Bitwise and.
    pub const fn and(self, b: Self) -> Self {
        let maybe_one = (self.value | self.mask) & (b.value | b.mask);
        let one = self.value & b.value;
        Self { value: one, mask: maybe_one & !one }
    }

    /// Bitwise or.
    pub const fn or(self, b: Self) -> Self {
        let one = self.value | b.value;
        Self { value: one, mask: (self.mask | b.mask) & !one }
    }

    /// Bitwise exclusive or.
    pub const fn xor(self, b: Self) -> Self {
        Self::of(self.value ^ b.value, self.mask | b.mask)
    }

    /// Product, wrapping: long multiplication in which an unknown bit contributes either sum.
    #[allow(clippy::should_implement_trait)]
    pub const fn mul(self, b: Self) -> Self {
        let (mut a, mut b) = (self, b);
        let mut acc = Self::constant(0);
        while a.value | a.mask != 0 {
            let with = acc.add(b);
            if a.value & 1 != 0 {
                acc = with;
            } else if a.mask & 1 != 0 {
                acc = acc.union(with);
            }
            a = a.rsh(1);
            b = b.lsh(1);
        }
        acc
    }

    /// The same by another way, which leaves less known: the products of what is known and of what is not apart.
    pub const fn mul_by_parts(self, b: Self) -> Self {
        let (mut a, mut b) = (self, b);
        let known = Self::constant(a.value.wrapping_mul(b.value));
        let mut unknown = Self::constant(0);
        while a.value | a.mask != 0 {
            if a.value & 1 != 0 {
                unknown = unknown.add(Self { value: 0, mask: b.mask });
            } else if a.mask & 1 != 0 {
                unknown = unknown.add(Self { value: 0, mask: b.value | b.mask });
            }
            a = a.rsh(1);
            b = b.lsh(1);
        }
        known.add(unknown)
    }

    /// Left shift; nothing remains of it at 64 and beyond.
    pub const fn lsh(self, n: u32) -> Self {
        if n >= 64 {
            return Self::constant(0);
        }
        Self { value: self.value << n, mask: self.mask << n }
    }

    /// Logical right shift; nothing remains of it at 64 and beyond.
    pub const fn rsh(self, n: u32) -> Self {
        if n >= 64 {
            return Self::constant(0);
        }
        Self { value: self.value >> n, mask: self.mask >> n }
    }

    /// Arithmetic right shift of 64 bits; an unknown sign stays unknown.
    pub const fn arsh(self, n: u32) -> Self {
        let n = if n > 63 { 63 } else { n };
        Self { value: ((self.value as i64) >> n) as u64, mask: ((self.mask as i64) >> n) as u64 }
    }

    /// Arithmetic right shift of the low 32 bits; the upper half becomes zero.
    pub const fn arsh32(self, n: u32) -> Self {
        let n = if n > 31 { 31 } else { n };
        Self { value: ((self.value as i32) >> n) as u32 as u64, mask: ((self.mask as i32) >> n) as u32 as u64 }
    }

    /// What both say. When they contradict each other the result is arbitrary.
    pub const fn intersect(self, b: Self) -> Self {
        Self::of(self.value | b.value, self.mask & b.mask)
    }

    /// What holds of either.
    pub const fn union(self, b: Self) -> Self {
        Self::of(self.value & b.value, (self.value ^ b.value) | self.mask | b.mask)
    }

    /// Whether some value is in both.
    pub const fn overlaps(self, b: Self) -> bool {
        (self.value ^ b.value) & !(self.mask | b.mask) == 0
    }

    /// Whether all values of `b` are among the values of `self`.
    pub const fn contains(self, b: Self) -> bool {
        b.mask & !self.mask == 0 && self.value == b.value & !self.mask
    }

    /// The low `bytes` bytes, zero-extended.
    pub const fn cast(self, bytes: u32) -> Self {
        if bytes >= 8 {
            return self;
        }
        let keep = (1 << (bytes * 8)) - 1;
        Self { value: self.value & keep, mask: self.mask & keep }
    }

    /// The low `bytes` bytes (2, 4 or 8) in reverse order, zero-extended.
    pub const fn byte_swap(self, bytes: u32) -> Self {
        let shift = 64 - bytes * 8;
        let low = self.cast(bytes);
        Self { value: low.value.swap_bytes() >> shift, mask: low.mask.swap_bytes() >> shift }
    }

    /// The low 32 bits, zero-extended.
    pub const fn subreg(self) -> Self {
        self.cast(4)
    }

    /// The upper 32 bits with the low ones zero.
    pub const fn clear_subreg(self) -> Self {
        self.rsh(32).lsh(32)
    }

    /// The upper 32 bits with the low ones of `sub`.
    pub const fn with_subreg(self, sub: Self) -> Self {
        self.clear_subreg().or(sub.subreg())
    }

    /// Whether the low 32 bits are known.
    pub const fn subreg_is_const(self) -> bool {
        self.mask as u32 == 0
    }
}

/// As in messages: a constant as one number (hexadecimal beyond 65535), otherwise `(0x0; 0xff)`. With `#` as in those of
/// kernels before 6.8: always `(0x0; 0xff)`.
impl fmt::Display for Tnum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_const() || f.alternate() {
            write!(f, "({:#x}; {:#x})", self.value, self.mask)
        } else if self.value <= u64::from(u16::MAX) {
            write!(f, "{}", self.value)
        } else {
            write!(f, "{:#x}", self.value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All tnums of four bits.
    fn small() -> impl Iterator<Item = Tnum> + Clone {
        (0..16u64).flat_map(|mask| (0..16u64).filter(move |v| v & mask == 0).map(move |value| Tnum { value, mask }))
    }

    fn members(t: Tnum) -> impl Iterator<Item = u64> {
        (0..16u64).filter(move |x| t.holds(*x))
    }

    #[test]
    fn binary_operations_hold_every_result_at_four_bits() {
        for a in small() {
            for b in small() {
                for x in members(a) {
                    for y in members(b) {
                        assert!(a.add(b).holds(x + y));
                        assert!(a.sub(b).holds(x.wrapping_sub(y)));
                        assert!(a.mul(b).holds(x * y), "{a} * {b}");
                        assert!(a.and(b).holds(x & y));
                        assert!(a.or(b).holds(x | y));
                        assert!(a.xor(b).holds(x ^ y));
                        assert!(a.union(b).holds(x) && a.union(b).holds(y));
                        if x == y {
                            assert!(a.intersect(b).holds(x) && a.overlaps(b));
                        }
                    }
                }
                assert_eq!(a.overlaps(b), members(a).any(|x| b.holds(x)));
                assert_eq!(a.contains(b), members(b).all(|x| a.holds(x)));
            }
        }
    }

    #[test]
    fn bitwise_add_and_sub_are_as_tight_as_a_tnum_can_be() {
        let tightest = |f: &dyn Fn(u64, u64) -> u64, a, b| {
            let all: Vec<u64> = members(a).flat_map(|x| members(b).map(move |y| f(x, y))).collect();
            all.iter().fold(Tnum::constant(all[0]), |t, v| t.union(Tnum::constant(*v)))
        };
        for a in small() {
            for b in small() {
                assert_eq!(a.add(b), tightest(&|x, y| x.wrapping_add(y), a, b));
                assert_eq!(a.sub(b), tightest(&|x, y| x.wrapping_sub(y), a, b));
                assert_eq!(a.and(b), tightest(&|x, y| x & y, a, b));
                assert_eq!(a.or(b), tightest(&|x, y| x | y, a, b));
                assert_eq!(a.xor(b), tightest(&|x, y| x ^ y, a, b));
            }
        }
    }

    #[test]
    fn ranges_hold_their_ends_and_all_between() {
        for min in 0..40u64 {
            for max in min..40 {
                assert!((min..=max).all(|x| Tnum::range(min, max).holds(x)));
            }
        }
        assert_eq!(Tnum::range(0, u64::MAX), Tnum::UNKNOWN);
        assert_eq!(Tnum::range(7, 7), Tnum::constant(7));
    }

    #[test]
    fn the_value_after_is_the_next_one_held() {
        for (value, mask) in (0..256u64).flat_map(|v| (0..256u64).map(move |m| (v, m))).filter(|(v, m)| v & m == 0) {
            let t = Tnum { value, mask };
            for x in 0..256 {
                let next = (x + 1..256).find(|y| t.holds(*y));
                assert_eq!(t.value_after(x), next.unwrap_or(t.max()), "{t} after {x}");
            }
        }
    }

    #[test]
    fn text_is_that_of_messages() {
        assert_eq!(Tnum::range(0, 0xff).to_string(), "(0x0; 0xff)");
        assert_eq!(Tnum::constant(65535).to_string(), "65535");
        assert_eq!(Tnum::constant(65536).to_string(), "0x10000");
    }

    proptest! {
        #[test]
        fn wide_operations_hold_concrete_results(av: u64, am: u64, bv: u64, bm: u64, px: u64, py: u64, n in 0u32..64) {
            let (a, b) = (Tnum::of(av, am), Tnum::of(bv, bm));
            let (x, y) = (a.value | (px & am), b.value | (py & bm));
            prop_assert!(a.add(b).holds(x.wrapping_add(y)));
            prop_assert!(a.sub(b).holds(x.wrapping_sub(y)));
            prop_assert!(a.mul(b).holds(x.wrapping_mul(y)));
            prop_assert!(a.neg().holds(x.wrapping_neg()));
            prop_assert!(a.lsh(n).holds(x << n));
            prop_assert!(a.rsh(n).holds(x >> n));
            prop_assert!(a.arsh(n).holds(((x as i64) >> n) as u64));
            prop_assert!(a.arsh32(n % 32).holds(((x as i32) >> (n % 32)) as u32 as u64));
            prop_assert!(a.subreg().holds(x as u32 as u64));
            prop_assert!(a.with_subreg(b).holds((x & !0xffff_ffff) | (y & 0xffff_ffff)));
            for r in [a.add(b), a.sub(b), a.mul(b), a.and(b), a.or(b), a.xor(b), a.union(b)] {
                prop_assert_eq!(r.value & r.mask, 0);
            }
        }
    }
}
