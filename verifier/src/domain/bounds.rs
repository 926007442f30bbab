//! The four pairs of bounds and the known bits of one value, and how each sharpens the others.

use super::reg::RegState;
use super::tnum::Tnum;

const HIGH: u64 = !0xffff_ffff;

/// Whether the upper halves agree.
const fn same_high(a: u64, b: u64) -> bool {
    a >> 32 == b >> 32
}

/// Whether the upper halves follow each other and the range goes from a negative low half to a non-negative one:
/// it is then one contiguous signed range of low halves.
const fn wraps_once(lo: u64, hi: u64) -> bool {
    ((lo >> 32) as u32).wrapping_add(1) == (hi >> 32) as u32 && (lo as i32) < 0 && (hi as i32) >= 0
}

impl RegState {
    fn meet_s32(&mut self, lo: i32, hi: i32) {
        self.s32_min = self.s32_min.max(lo);
        self.s32_max = self.s32_max.min(hi);
    }

    fn meet_u32(&mut self, lo: u32, hi: u32) {
        self.u32_min = self.u32_min.max(lo);
        self.u32_max = self.u32_max.min(hi);
    }

    fn meet_s64(&mut self, lo: i64, hi: i64) {
        self.smin = self.smin.max(lo);
        self.smax = self.smax.min(hi);
    }

    fn meet_u64(&mut self, lo: u64, hi: u64) {
        self.umin = self.umin.max(lo);
        self.umax = self.umax.min(hi);
    }

    /// 32-bit bounds from the known bits.
    pub(crate) fn bounds32_from_tnum(&mut self) {
        let (value, mask) = (self.var_off.value as u32, self.var_off.mask as u32);
        let sign = i32::MIN as u32;
        self.meet_s32((value | (mask & sign)) as i32, (value | (mask & !sign)) as i32);
        self.meet_u32(value, value | mask);
    }

    fn bounds64_from_tnum_alone(&mut self) {
        let Tnum { value, mask } = self.var_off;
        let sign = i64::MIN as u64;
        self.meet_s64((value | (mask & sign)) as i64, (value | (mask & !sign)) as i64);
        self.meet_u64(value, value | mask);
    }

    /// Bounds from the known bits, in each width.
    pub(super) fn bounds_from_tnum_alone(&mut self) {
        self.bounds32_from_tnum();
        self.bounds64_from_tnum_alone();
    }

    /// 64-bit bounds from the known bits; where only one value has both the bits and a place in the unsigned range, it
    /// becomes that value.
    pub(crate) fn bounds64_from_tnum(&mut self) {
        self.bounds64_from_tnum_alone();
        if let Some(only) = self.only_value() {
            self.set_known_bounds(only);
        }
    }

    /// The one value of `var_off` within `umin..=umax`, where Linux 6.18 sees that there is but one.
    fn only_value(&self) -> Option<u64> {
        let next = self.var_off.value_after(self.umin);
        if self.var_off.holds(self.umin) {
            return (next > self.umax).then_some(self.umin);
        }
        // Also where the range is empty: what is then left is a branch that cannot be taken.
        if next == self.var_off.max() {
            return Some(next);
        }
        (next <= self.umax && self.var_off.value_after(next) > self.umax).then_some(next)
    }

    /// All bounds from the known bits (`__update_reg_bounds`).
    pub fn bounds_from_tnum(&mut self) {
        self.bounds32_from_tnum();
        self.bounds64_from_tnum();
    }

    fn deduce32(&mut self, sign_crossing: bool) {
        let (umin, umax) = (self.umin, self.umax);
        if same_high(umin, umax) {
            self.meet_u32(umin as u32, umax as u32);
            if umin as i32 <= umax as i32 {
                self.meet_s32(umin as i32, umax as i32);
            }
        }
        let (smin, smax) = (self.smin as u64, self.smax as u64);
        if same_high(smin, smax) {
            if smin as u32 <= smax as u32 {
                self.meet_u32(smin as u32, smax as u32);
            }
            if smin as i32 <= smax as i32 {
                self.meet_s32(smin as i32, smax as i32);
            }
        }
        if wraps_once(umin, umax) {
            self.meet_s32(umin as i32, umax as i32);
        }
        if wraps_once(smin, smax) {
            self.meet_s32(smin as i32, smax as i32);
        }
        let (lo, hi) = (self.u32_min as i32, self.u32_max as i32);
        if lo <= hi {
            self.meet_s32(lo, hi);
        }
        if self.s32_min as u32 <= self.s32_max as u32 {
            self.meet_u32(self.s32_min as u32, self.s32_max as u32);
        } else if !sign_crossing {
        } else if self.u32_max < self.s32_min as u32 {
            // As in 64 bits: the signed range crosses zero and the unsigned one reaches only one side of it.
            self.s32_min = self.u32_min as i32;
            self.u32_max = self.u32_max.min(self.s32_max as u32);
        } else if (self.s32_max as u32) < self.u32_min {
            self.s32_max = self.u32_max as i32;
            self.u32_min = self.u32_min.max(self.s32_min as u32);
        }
    }

    fn deduce64(&mut self, sign_crossing: bool) {
        if self.umin as i64 <= self.umax as i64 {
            self.meet_s64(self.umin as i64, self.umax as i64);
        }
        if self.smin as u64 <= self.smax as u64 {
            self.meet_u64(self.smin as u64, self.smax as u64);
        } else if !sign_crossing {
        } else if self.umax < self.smin as u64 {
            // The signed range crosses zero and the unsigned one reaches its non-negative part only.
            self.smin = self.umin as i64;
            self.umax = self.umax.min(self.smax as u64);
        } else if (self.smax as u64) < self.umin {
            // Or its negative part only.
            self.smax = self.umax as i64;
            self.umin = self.umin.max(self.smin as u64);
        }
    }

    fn deduce64_from_32(&mut self) {
        let (lo, hi) = (u64::from(self.u32_min), u64::from(self.u32_max));
        self.meet_u64((self.umin & HIGH) | lo, (self.umax & HIGH) | hi);
        self.meet_s64(((self.smin as u64 & HIGH) | lo) as i64, ((self.smax as u64 & HIGH) | hi) as i64);
        let (lo, hi) = (self.s32_min as u32, self.s32_max as u32);
        if lo <= hi {
            let (lo, hi) = (u64::from(lo), u64::from(hi));
            self.meet_u64((self.umin & HIGH) | lo, (self.umax & HIGH) | hi);
            self.meet_s64(((self.smin as u64 & HIGH) | lo) as i64, ((self.smax as u64 & HIGH) | hi) as i64);
        }
        // A value known to fit 32 signed bits whose low half is not negative is that low half.
        if self.s32_min >= 0 && self.smin >= i64::from(i32::MIN) && self.smax <= i64::from(i32::MAX) {
            let (lo, hi) = (self.s32_min as u64, self.s32_max as u64);
            (self.smin, self.smax, self.umin, self.umax) = (lo as i64, hi as i64, lo, hi);
            self.var_off = self.var_off.intersect(Tnum::range(lo, hi));
        }
    }

    pub(super) fn tnum_from_bounds(&mut self) {
        let all = self.var_off.intersect(Tnum::range(self.umin, self.umax));
        let low = all.subreg().intersect(Tnum::range(u64::from(self.u32_min), u64::from(self.u32_max)));
        self.var_off = all.clear_subreg().or(low);
    }

    /// Lets bounds and known bits sharpen each other (`reg_bounds_sync`).
    pub fn sync_bounds(&mut self) {
        self.sync_bounds_with(true, true);
    }

    /// The same, with or without the deductions that some kernels lack: that known bits leave one value of a range, and
    /// what a signed range that crosses zero has in common with an unsigned one.
    #[inline]
    pub(super) fn sync_bounds_with(&mut self, only_values: bool, sign_crossing: bool) {
        if only_values {
            self.bounds_from_tnum()
        } else {
            self.bounds_from_tnum_alone()
        }
        for _ in 0..3 {
            self.deduce32(sign_crossing);
            self.deduce64(sign_crossing);
            self.deduce64_from_32();
        }
        self.tnum_from_bounds();
        if only_values { self.bounds_from_tnum() } else { self.bounds_from_tnum_alone() }
    }

    /// Whether no bound says anything.
    pub(crate) fn is_unbounded(&self) -> bool {
        (self.smin, self.smax, self.umin, self.umax) == (i64::MIN, i64::MAX, 0, u64::MAX)
            && (self.s32_min, self.s32_max, self.u32_min, self.u32_max) == (i32::MIN, i32::MAX, 0, u32::MAX)
            && self.var_off.is_unknown()
    }

    /// What contradicts what, if anything; contradictions happen on branches that cannot be taken.
    pub fn bounds_contradiction(&self) -> Option<&'static str> {
        if self.umin > self.umax || self.smin > self.smax || self.u32_min > self.u32_max || self.s32_min > self.s32_max
        {
            return Some("range bounds violation");
        }
        let v = self.var_off.value;
        if self.var_off.is_const()
            && (self.umin != v || self.umax != v || self.smin != v as i64 || self.smax != v as i64)
        {
            return Some("const tnum out of sync with range bounds");
        }
        if self.var_off.subreg_is_const()
            && (self.u32_min != v as u32
                || self.u32_max != v as u32
                || self.s32_min != v as i32
                || self.s32_max != v as i32)
        {
            return Some("const subreg tnum out of sync with range bounds");
        }
        None
    }

    /// Text of a contradiction, as the kernel logs it.
    pub(crate) fn contradiction_text(&self, context: &str, what: &str) -> String {
        format!(
            "verifier bug: REG INVARIANTS VIOLATION ({context}): {what} u64=[{:#x}, {:#x}] s64=[{:#x}, {:#x}] \
             u32=[{:#x}, {:#x}] s32=[{:#x}, {:#x}] var_off=({:#x}, {:#x})\n",
            self.umin,
            self.umax,
            self.smin,
            self.smax,
            self.u32_min,
            self.u32_max,
            self.s32_min,
            self.s32_max,
            self.var_off.value,
            self.var_off.mask
        )
    }
}

impl RegState {
    /// The signed bounds as messages about return values print them.
    pub(crate) fn known_bounds(&self) -> String {
        let mut text = String::new();
        if self.smin > i64::MIN {
            text += &format!(" smin={}", self.smin);
        }
        if self.smax < i64::MAX {
            text += &format!(" smax={}", self.smax);
        }
        if text.is_empty() { " unknown scalar value".to_owned() } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interesting() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            (0u64..16).prop_map(|x| x.wrapping_sub(8)),
            (0u64..16).prop_map(|x| (1u64 << 31).wrapping_add(x).wrapping_sub(8)),
            (0u64..16).prop_map(|x| (1u64 << 32).wrapping_add(x).wrapping_sub(8)),
            (0u64..16).prop_map(|x| (1u64 << 63).wrapping_add(x).wrapping_sub(8)),
        ]
    }

    proptest! {
        #[test]
        fn synchronising_loses_no_value(x in interesting(), y in interesting(), z in interesting(), mask: u64, pick in 0u8..64) {
            let mut r = RegState::UNKNOWN;
            let bound = |a: u64, b: u64| (a.min(b), a.max(b));
            if pick & 1 != 0 { let (l, h) = bound(x, y); r.umin = l; r.umax = h; }
            if pick & 2 != 0 { r.smin = (x as i64).min(z as i64); r.smax = (x as i64).max(z as i64); }
            if pick & 4 != 0 { r.u32_min = (x as u32).min(y as u32); r.u32_max = (x as u32).max(y as u32); }
            if pick & 8 != 0 { r.s32_min = (x as i32).min(z as i32); r.s32_max = (x as i32).max(z as i32); }
            if pick & 16 != 0 { r.var_off = Tnum { value: x & !mask, mask }; }
            prop_assert!(r.holds(x));
            r.sync_bounds();
            prop_assert!(r.holds(x));
            prop_assert_eq!(r.bounds_contradiction(), None);
        }
    }
}
