//! Arithmetic on what is known of numbers: one function an operation, 64-bit bounds and 32-bit bounds side by side.

use super::reg::RegState;
use super::tnum::Tnum;

/// Least and greatest of the four products, when none overflows.
fn product_bounds<T: Copy + Ord>(a: (T, T), b: (T, T), mul: impl Fn(T, T) -> Option<T>) -> Option<(T, T)> {
    let all = [mul(a.0, b.0)?, mul(a.0, b.1)?, mul(a.1, b.0)?, mul(a.1, b.1)?];
    Some(all.into_iter().fold((all[0], all[0]), |(lo, hi), p| (lo.min(p), hi.max(p))))
}

macro_rules! add_sub_bounds {
    ($(#[$m:meta])* $add:ident, $sub:ident, $s:ty, $u:ty, $smin:ident, $smax:ident, $umin:ident, $umax:ident) => {
        impl RegState {
            $(#[$m])*
            fn $add(&mut self, b: &Self) {
                (self.$smin, self.$smax) = match (self.$smin.checked_add(b.$smin), self.$smax.checked_add(b.$smax)) {
                    (Some(lo), Some(hi)) => (lo, hi),
                    _ => (<$s>::MIN, <$s>::MAX),
                };
                let (lo, lo_over) = self.$umin.overflowing_add(b.$umin);
                let (hi, hi_over) = self.$umax.overflowing_add(b.$umax);
                // Both ends wrap or neither does: still one range.
                (self.$umin, self.$umax) = if !lo_over && hi_over { (0, <$u>::MAX) } else { (lo, hi) };
            }

            $(#[$m])*
            fn $sub(&mut self, b: &Self) {
                (self.$smin, self.$smax) = match (self.$smin.checked_sub(b.$smax), self.$smax.checked_sub(b.$smin)) {
                    (Some(lo), Some(hi)) => (lo, hi),
                    _ => (<$s>::MIN, <$s>::MAX),
                };
                let (lo, lo_under) = self.$umin.overflowing_sub(b.$umax);
                let (hi, hi_under) = self.$umax.overflowing_sub(b.$umin);
                (self.$umin, self.$umax) = if lo_under && !hi_under { (0, <$u>::MAX) } else { (lo, hi) };
            }
        }
    };
}

add_sub_bounds!(
    /// 64-bit bounds.
    add64, sub64, i64, u64, smin, smax, umin, umax
);
add_sub_bounds!(
    /// 32-bit bounds.
    add32, sub32, i32, u32, s32_min, s32_max, u32_min, u32_max
);

impl RegState {
    /// The low `bytes` bytes, zero-extended and with their order reversed if it `swaps`.
    pub fn scalar_byte_swap(&mut self, bytes: u32, swaps: bool) {
        if swaps || bytes < 8 {
            // No longer the value of the numbers it was linked with.
            self.id = 0;
        }
        if swaps {
            self.var_off = self.var_off.byte_swap(bytes);
            self.set_unbounded();
        }
        if bytes < 8 {
            self.coerce_to_size(bytes);
        }
        self.sync_bounds();
    }

    /// `self += b`; bounds are not synchronised.
    pub(crate) fn scalar_add(&mut self, b: &Self) {
        self.add32(b);
        self.add64(b);
        self.var_off = self.var_off.add(b.var_off);
    }

    /// `self -= b`.
    pub(crate) fn scalar_sub(&mut self, b: &Self) {
        self.sub32(b);
        self.sub64(b);
        self.var_off = self.var_off.sub(b.var_off);
    }

    /// `self = -self`.
    pub(crate) fn scalar_neg(&mut self) {
        let old = *self;
        self.set_known_bounds(0);
        self.scalar_sub(&old);
    }

    /// `self *= b`.
    pub(crate) fn scalar_mul(&mut self, b: &Self) {
        self.var_off = self.var_off.mul(b.var_off);
        (self.u32_min, self.u32_max) = match (self.u32_min.checked_mul(b.u32_min), self.u32_max.checked_mul(b.u32_max))
        {
            (Some(lo), Some(hi)) => (lo, hi),
            _ => (0, u32::MAX),
        };
        (self.s32_min, self.s32_max) =
            product_bounds((self.s32_min, self.s32_max), (b.s32_min, b.s32_max), i32::checked_mul)
                .unwrap_or((i32::MIN, i32::MAX));
        (self.umin, self.umax) = match (self.umin.checked_mul(b.umin), self.umax.checked_mul(b.umax)) {
            (Some(lo), Some(hi)) => (lo, hi),
            _ => (0, u64::MAX),
        };
        (self.smin, self.smax) =
            product_bounds((self.smin, self.smax), (b.smin, b.smax), i64::checked_mul).unwrap_or((i64::MIN, i64::MAX));
    }

    /// Signed bounds follow unsigned ones that do not cross the sign boundary.
    fn signed32_from_unsigned(&mut self) {
        (self.s32_min, self.s32_max) = match (self.u32_min as i32, self.u32_max as i32) {
            (lo, hi) if lo <= hi => (lo, hi),
            _ => (i32::MIN, i32::MAX),
        };
    }

    fn signed64_from_unsigned(&mut self) {
        (self.smin, self.smax) = match (self.umin as i64, self.umax as i64) {
            (lo, hi) if lo <= hi => (lo, hi),
            _ => (i64::MIN, i64::MAX),
        };
    }

    /// The low half is this constant; the rest stays.
    pub(crate) fn known_low(&mut self, low: u32) {
        self.var_off = self.var_off.with_subreg(Tnum::constant(low.into()));
        (self.s32_min, self.s32_max, self.u32_min, self.u32_max) = (low as i32, low as i32, low, low);
    }

    /// A bitwise operation: the known bits first, then unsigned bounds by `unsigned`, given the old bounds and the
    /// resulting known bits as 64-bit numbers.
    fn scalar_bitwise(
        &mut self,
        b: &Self,
        bits: impl Fn(Tnum, Tnum) -> Tnum,
        unsigned: impl Fn((u64, u64), (u64, u64), Tnum) -> (u64, u64),
    ) {
        let known32 = self.var_off.subreg_is_const() && b.var_off.subreg_is_const();
        let known64 = self.var_off.is_const() && b.var_off.is_const();
        self.var_off = bits(self.var_off, b.var_off);
        let low = self.var_off.subreg();
        if known32 {
            self.known_low(low.value as u32);
        } else {
            let old = (u64::from(self.u32_min), u64::from(self.u32_max));
            let (lo, hi) = unsigned(old, (b.u32_min.into(), b.u32_max.into()), low);
            (self.u32_min, self.u32_max) = (lo as u32, hi as u32);
            self.signed32_from_unsigned();
        }
        if known64 {
            self.set_known_bounds(self.var_off.value);
        } else {
            (self.umin, self.umax) = unsigned((self.umin, self.umax), (b.umin, b.umax), self.var_off);
            self.signed64_from_unsigned();
            self.bounds_from_tnum();
        }
    }

    /// `self &= b`.
    pub(crate) fn scalar_and(&mut self, b: &Self) {
        self.scalar_bitwise(b, Tnum::and, |old, b, bits| (bits.value, old.1.min(b.1)));
    }

    /// `self |= b`.
    pub(crate) fn scalar_or(&mut self, b: &Self) {
        self.scalar_bitwise(b, Tnum::or, |old, b, bits| (old.0.max(b.0), bits.value | bits.mask));
    }

    /// `self ^= b`.
    pub(crate) fn scalar_xor(&mut self, b: &Self) {
        self.scalar_bitwise(b, Tnum::xor, |_, _, bits| (bits.value, bits.value | bits.mask));
    }

    /// Unsigned 32-bit bounds shifted left, when no bit is lost.
    fn lsh_bounds32(&mut self, n: u32) {
        (self.s32_min, self.s32_max) = (i32::MIN, i32::MAX);
        (self.u32_min, self.u32_max) = if n > 31 || u64::from(self.u32_max) > 1u64 << (31 - n) {
            (0, u32::MAX)
        } else {
            (self.u32_min << n, self.u32_max << n)
        };
    }

    /// `self <<= n` in 32 bits.
    pub(crate) fn scalar_lsh32(&mut self, n: u32) {
        let low = self.var_off.subreg();
        self.lsh_bounds32(n);
        self.var_off = low.lsh(n).subreg();
        self.set_unbounded64();
        self.bounds32_from_tnum();
    }

    /// `self <<= n` in 64 bits.
    pub(crate) fn scalar_lsh64(&mut self, n: u32) {
        // `<< 32` and `s>> 32` is how compilers sign-extend a low half, so its signed bounds survive the first step.
        (self.smin, self.smax) =
            if n == 32 { (i64::from(self.s32_min) << 32, i64::from(self.s32_max) << 32) } else { (i64::MIN, i64::MAX) };
        (self.umin, self.umax) =
            if n > 63 || self.umax > 1u64 << (63 - n) { (0, u64::MAX) } else { (self.umin << n, self.umax << n) };
        self.lsh_bounds32(n);
        self.var_off = self.var_off.lsh(n);
        self.bounds_from_tnum();
    }

    /// `self >>= n` in 32 bits.
    pub(crate) fn scalar_rsh32(&mut self, n: u32) {
        (self.s32_min, self.s32_max) = (i32::MIN, i32::MAX);
        self.var_off = self.var_off.subreg().rsh(n);
        (self.u32_min, self.u32_max) = (self.u32_min >> n.min(31), self.u32_max >> n.min(31));
        self.set_unbounded64();
        self.bounds32_from_tnum();
    }

    /// `self >>= n` in 64 bits.
    pub(crate) fn scalar_rsh64(&mut self, n: u32) {
        (self.smin, self.smax) = (i64::MIN, i64::MAX);
        self.var_off = self.var_off.rsh(n);
        (self.umin, self.umax) = (self.umin >> n.min(63), self.umax >> n.min(63));
        self.set_unbounded32();
        self.bounds_from_tnum();
    }

    /// `self s>>= n` in 32 bits.
    pub(crate) fn scalar_arsh32(&mut self, n: u32) {
        (self.s32_min, self.s32_max) = (self.s32_min >> n.min(31), self.s32_max >> n.min(31));
        self.var_off = self.var_off.subreg().arsh32(n);
        (self.u32_min, self.u32_max) = (0, u32::MAX);
        self.set_unbounded64();
        self.bounds32_from_tnum();
    }

    /// `self s>>= n` in 64 bits.
    pub(crate) fn scalar_arsh64(&mut self, n: u32) {
        (self.smin, self.smax) = (self.smin >> n.min(63), self.smax >> n.min(63));
        self.var_off = self.var_off.arsh(n);
        (self.umin, self.umax) = (0, u64::MAX);
        self.set_unbounded32();
        self.bounds_from_tnum();
    }

    /// Whether the operand is one known number at this width, by bounds and bits alike.
    pub(crate) fn is_one_value(&self, alu32: bool) -> bool {
        if alu32 {
            self.var_off.subreg_is_const() && self.s32_min == self.s32_max && self.u32_min == self.u32_max
        } else {
            self.var_off.is_const() && self.smin == self.smax && self.umin == self.umax
        }
    }
}

/// Quotients and remainders of a range by a constant that is not zero; `None` where a remainder is the number itself.
macro_rules! divided {
    ($unsigned:ident, $signed:ident, $s:ty, $u:ty) => {
        fn $unsigned((min, max): ($u, $u), by: $u, remainder: bool) -> Option<($u, $u)> {
            if !remainder {
                return Some((min / by, max / by));
            }
            let most = by - 1;
            (max > most).then(|| (0, max.min(most)))
        }

        fn $signed((min, max): ($s, $s), by: $s, remainder: bool) -> Option<($s, $s)> {
            if !remainder {
                if min == <$s>::MIN && by == -1 {
                    return Some(if max == <$s>::MIN { (min, min) } else { (<$s>::MIN, <$s>::MAX) });
                }
                let (a, b) = (min / by, max / by);
                return Some((a.min(b), a.max(b)));
            }
            let most = (by.unsigned_abs() - 1) as $s;
            if min >= -most && max <= most {
                return None;
            }
            Some(if min >= 0 {
                (0, max.min(most))
            } else if max <= 0 {
                (min.max(-most), 0)
            } else {
                (-most, most)
            })
        }
    };
}

divided!(divided_u32, divided_s32, i32, u32);
divided!(divided_u64, divided_s64, i64, u64);

impl RegState {
    /// The constant that an operand is at this width.
    pub(crate) fn low_or_all(&self, alu32: bool) -> u64 {
        if alu32 { self.u32_min.into() } else { self.umin }
    }

    /// `self /= b` or `self %= b` for a constant that is not zero, at one width; bounds of the other are forgotten.
    pub(crate) fn scalar_divide(&mut self, b: &Self, remainder: bool, signed: bool, alu32: bool) {
        let old = *self;
        let mut new = Self { var_off: Tnum::UNKNOWN, ..old };
        new.set_unbounded();
        let found = match (signed, alu32) {
            (false, false) => divided_u64((old.umin, old.umax), b.umin, remainder).map(|r| (new.umin, new.umax) = r),
            (true, false) => divided_s64((old.smin, old.smax), b.smin, remainder).map(|r| (new.smin, new.smax) = r),
            (false, true) => {
                divided_u32((old.u32_min, old.u32_max), b.u32_min, remainder).map(|r| (new.u32_min, new.u32_max) = r)
            }
            (true, true) => {
                divided_s32((old.s32_min, old.s32_max), b.s32_min, remainder).map(|r| (new.s32_min, new.s32_max) = r)
            }
        };
        if found.is_some() {
            *self = new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A state that holds `x`, with some of its bounds given by `other`.
    fn around(x: u64, other: u64, mask: u64, pick: u8) -> RegState {
        let mut r = RegState::UNKNOWN;
        if pick & 1 != 0 {
            (r.umin, r.umax) = (x.min(other), x.max(other));
        }
        if pick & 2 != 0 {
            (r.smin, r.smax) = ((x as i64).min(other as i64), (x as i64).max(other as i64));
        }
        if pick & 4 != 0 {
            (r.s32_min, r.s32_max) = ((x as i32).min(other as i32), (x as i32).max(other as i32));
        }
        if pick & 8 != 0 {
            r.var_off = Tnum { value: x & !mask, mask };
        }
        r.sync_bounds();
        r
    }

    fn number() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0u32..64, any::<bool>())
            .prop_map(|(x, n, neg)| if neg { (x >> n).wrapping_neg() } else { x >> n })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
        #[test]
        fn results_hold_concrete_results(x in number(), xo in number(), y in number(), yo in number(), m: u64, pick: u8, n in 0u32..64) {
            let (a, b) = (around(x, xo, m, pick), around(y, yo, m.rotate_left(17), pick >> 4));
            let check = |what: &str, f: &dyn Fn(&mut RegState), want: u64, alu32: bool| {
                let mut r = a;
                f(&mut r);
                let want = if alu32 { r.zext_32_to_64(); u64::from(want as u32) } else { want };
                r.sync_bounds();
                prop_assert!(r.holds(want), "{} of {:?} and {:?}: {:#x} not in {:?}", what, a, b, want, r);
                Ok(())
            };
            for alu32 in [false, true] {
                check("add", &|r| r.scalar_add(&b), x.wrapping_add(y), alu32)?;
                check("sub", &|r| r.scalar_sub(&b), x.wrapping_sub(y), alu32)?;
                check("neg", &|r| r.scalar_neg(), x.wrapping_neg(), alu32)?;
                check("mul", &|r| r.scalar_mul(&b), x.wrapping_mul(y), alu32)?;
                check("and", &|r| r.scalar_and(&b), x & y, alu32)?;
                check("or", &|r| r.scalar_or(&b), x | y, alu32)?;
                check("xor", &|r| r.scalar_xor(&b), x ^ y, alu32)?;
            }
            check("lsh", &|r| r.scalar_lsh64(n), x << n, false)?;
            check("rsh", &|r| r.scalar_rsh64(n), x >> n, false)?;
            check("arsh", &|r| r.scalar_arsh64(n), ((x as i64) >> n) as u64, false)?;
            let n = n % 32;
            check("lsh32", &|r| r.scalar_lsh32(n), u64::from((x as u32) << n), true)?;
            check("rsh32", &|r| r.scalar_rsh32(n), u64::from((x as u32) >> n), true)?;
            check("arsh32", &|r| r.scalar_arsh32(n), ((x as i32) >> n) as u32 as u64, true)?;
        }
    }
}
