//! Numbers as kernels before 6.8 reckon with them: bounds of both widths stand side by side and say nothing of each
//! other, and a comparison teaches something only where one side is a constant, or where both are equal.

use super::compare::{NOT_SET, Pair, swapped};
use super::reg::RegState;
use super::tnum::Tnum;
use ebpfkit_isa::opcode::jmp;

const HIGH: u64 = !0xffff_ffff;

macro_rules! sign_from_bounds {
    ($(#[$m:meta])* $name:ident, $s:ty, $u:ty, $smin:ident, $smax:ident, $umin:ident, $umax:ident) => {
        $(#[$m])*
        fn $name(&mut self) {
            if self.$smin >= 0 || self.$smax < 0 {
                self.$umin = self.$umin.max(self.$smin as $u);
                self.$umax = self.$umax.min(self.$smax as $u);
                (self.$smin, self.$smax) = (self.$umin as $s, self.$umax as $s);
            } else if self.$umax as $s >= 0 {
                self.$smin = self.$umin as $s;
                self.$umax = self.$umax.min(self.$smax as $u);
                self.$smax = self.$umax as $s;
            } else if (self.$umin as $s) < 0 {
                self.$umin = self.$umin.max(self.$smin as $u);
                self.$smin = self.$umin as $s;
                self.$smax = self.$umax as $s;
            }
        }
    };
}

macro_rules! wrapped {
    ($add:ident, $sub:ident, $s:ty, $u:ty, $umin:ident, $umax:ident) => {
        fn $add(&mut self, old: &Self, b: &Self) {
            if old.$umin.checked_add(b.$umin).is_none() || old.$umax.checked_add(b.$umax).is_none() {
                (self.$umin, self.$umax) = (0, <$u>::MAX);
            }
        }

        fn $sub(&mut self, old: &Self, b: &Self) {
            if old.$umin < b.$umax {
                (self.$umin, self.$umax) = (0, <$u>::MAX);
            }
        }
    };
}

impl RegState {
    sign_from_bounds!(sign32, i32, u32, s32_min, s32_max, u32_min, u32_max);
    sign_from_bounds!(sign64, i64, u64, smin, smax, umin, umax);
    wrapped!(wrapped_sum64, wrapped_difference64, i64, u64, umin, umax);
    wrapped!(wrapped_sum32, wrapped_difference32, i32, u32, u32_min, u32_max);

    /// Bounds of each width and the known bits sharpen each other.
    pub(crate) fn sync_each_width(&mut self) {
        self.bounds_from_tnum_alone();
        self.sign32();
        self.sign64();
        self.tnum_from_bounds();
        self.bounds_from_tnum_alone();
    }

    /// A sum of which an end wraps has no unsigned bounds.
    pub(crate) fn forget_wrapped_sum(&mut self, old: &Self, b: &Self) {
        self.wrapped_sum64(old, b);
        self.wrapped_sum32(old, b);
    }

    /// A difference that may be below zero has no unsigned bounds.
    pub(crate) fn forget_wrapped_difference(&mut self, old: &Self, b: &Self) {
        self.wrapped_difference64(old, b);
        self.wrapped_difference32(old, b);
    }

    /// `self *= b`, but for the known bits: numbers that may be negative or large have no bounds.
    pub(crate) fn mul_small(&mut self, b: &Self) {
        let most = u32::from(u16::MAX);
        if b.s32_min < 0 || self.s32_min < 0 || b.u32_max > most || self.u32_max > most {
            self.set_unbounded32();
        } else {
            self.u32_min *= b.u32_min;
            self.u32_max *= b.u32_max;
            (self.s32_min, self.s32_max) = match i32::try_from(self.u32_max) {
                Ok(max) => (self.u32_min as i32, max),
                Err(_) => (i32::MIN, i32::MAX),
            };
        }
        let most = u64::from(u32::MAX);
        if b.smin < 0 || self.smin < 0 || b.umax > most || self.umax > most {
            self.set_unbounded64();
        } else {
            self.umin *= b.umin;
            self.umax *= b.umax;
            (self.smin, self.smax) = match i64::try_from(self.umax) {
                Ok(max) => (self.umin as i64, max),
                Err(_) => (i64::MIN, i64::MAX),
            };
        }
    }

    /// The result of a bitwise operation has signed bounds where neither operand may be negative.
    pub(crate) fn signed_from_operands(&mut self, old: &Self, b: &Self) {
        if !(self.var_off.subreg_is_const() && old.var_off.subreg_is_const() && b.var_off.subreg_is_const()) {
            (self.s32_min, self.s32_max) = if old.s32_min < 0 || b.s32_min < 0 {
                (i32::MIN, i32::MAX)
            } else {
                (self.u32_min as i32, self.u32_max as i32)
            };
        }
        if !(old.var_off.is_const() && b.var_off.is_const()) {
            (self.smin, self.smax) =
                if old.smin < 0 || b.smin < 0 { (i64::MIN, i64::MAX) } else { (self.umin as i64, self.umax as i64) };
            self.bounds_from_tnum_alone();
        }
    }

    /// After a comparison of the low halves: what is known of them counts for all where the upper halves are zero.
    fn combine_32_into_64(&mut self) {
        if self.var_off.clear_subreg().equals_const(0) {
            self.assign_32_into_64();
        } else {
            self.set_unbounded64();
        }
        self.sync_each_width();
    }

    /// After a comparison of all bits: the low halves have the bounds of numbers that fit them.
    pub(crate) fn combine_64_into_32(&mut self) {
        self.set_unbounded32();
        if let (Ok(lo), Ok(hi)) = (i32::try_from(self.smin), i32::try_from(self.smax)) {
            (self.s32_min, self.s32_max) = (lo, hi);
        }
        if (self.umin | self.umax) & HIGH == 0 {
            (self.u32_min, self.u32_max) = (self.umin as u32, self.umax as u32);
        }
        self.sync_each_width();
    }

    /// Learns that `self op c` holds.
    fn learn_constant(&mut self, op: u8, c: u64, w32: bool) {
        let bits = |t: Tnum, f: &dyn Fn(Tnum) -> Tnum| if w32 { t.with_subreg(f(t.subreg())) } else { f(t) };
        let c32 = c as u32;
        match op {
            jmp::JEQ if w32 => self.known_low(c32),
            jmp::JEQ => self.set_known_bounds(c),
            jmp::JSET => {
                let c = if w32 { u64::from(c32) } else { c };
                if c.is_power_of_two() {
                    self.var_off = bits(self.var_off, &|t| t.or(Tnum::constant(c)));
                }
            }
            NOT_SET => {
                self.set_unbounded();
                let c = if w32 { u64::from(c32) } else { c };
                self.var_off = bits(self.var_off, &|t| t.and(Tnum::constant(!c)));
            }
            jmp::JGE if w32 => self.u32_min = self.u32_min.max(c32),
            jmp::JGT if w32 => self.u32_min = self.u32_min.max(c32.wrapping_add(1)),
            jmp::JLE if w32 => self.u32_max = self.u32_max.min(c32),
            jmp::JLT if w32 => self.u32_max = self.u32_max.min(c32.wrapping_sub(1)),
            jmp::JSGE if w32 => self.s32_min = self.s32_min.max(c32 as i32),
            jmp::JSGT if w32 => self.s32_min = self.s32_min.max((c32 as i32).wrapping_add(1)),
            jmp::JSLE if w32 => self.s32_max = self.s32_max.min(c32 as i32),
            jmp::JSLT if w32 => self.s32_max = self.s32_max.min((c32 as i32).wrapping_sub(1)),
            jmp::JGE => self.umin = self.umin.max(c),
            jmp::JGT => self.umin = self.umin.max(c.wrapping_add(1)),
            jmp::JLE => self.umax = self.umax.min(c),
            jmp::JLT => self.umax = self.umax.min(c.wrapping_sub(1)),
            jmp::JSGE => self.smin = self.smin.max(c as i64),
            jmp::JSGT => self.smin = self.smin.max((c as i64).wrapping_add(1)),
            jmp::JSLE => self.smax = self.smax.min(c as i64),
            jmp::JSLT => self.smax = self.smax.min((c as i64).wrapping_sub(1)),
            _ => {}
        }
        if w32 { self.combine_32_into_64() } else { self.combine_64_into_32() }
    }
}

/// The constant that a number is to a comparison of this width.
fn constant(r: &RegState, w32: bool) -> Option<u64> {
    (r.var_off.is_const() || w32 && r.var_off.subreg_is_const()).then_some(r.var_off.value)
}

/// Whether `a op b` is known: where `b` is a constant.
pub(super) fn known_outcome(a: &RegState, b: &RegState, op: u8, w32: bool) -> Option<bool> {
    let c = constant(b, w32)?;
    let (bits, c) = if w32 { (a.var_off.subreg(), u64::from(c as u32)) } else { (a.var_off, c) };
    let (umin, umax) = if w32 { (a.u32_min.into(), a.u32_max.into()) } else { (a.umin, a.umax) };
    let (smin, smax) = if w32 { (a.s32_min.into(), a.s32_max.into()) } else { (a.smin, a.smax) };
    let s = if w32 { i64::from(c as i32) } else { c as i64 };
    let decided = |yes: bool, no: bool| if yes { Some(true) } else { no.then_some(false) };
    match op {
        jmp::JEQ => bits.is_const().then_some(bits.value == c),
        jmp::JNE => bits.is_const().then_some(bits.value != c),
        jmp::JSET => decided(bits.value & c != 0, (bits.value | bits.mask) & c == 0),
        jmp::JGT => decided(umin > c, umax <= c),
        jmp::JGE => decided(umin >= c, umax < c),
        jmp::JLT => decided(umax < c, umin >= c),
        jmp::JLE => decided(umax <= c, umin > c),
        jmp::JSGT => decided(smin > s, smax <= s),
        jmp::JSGE => decided(smin >= s, smax < s),
        jmp::JSLT => decided(smax < s, smin >= s),
        jmp::JSLE => decided(smax <= s, smin > s),
        _ => None,
    }
}

/// Learns from `first op second`.
pub(super) fn learn(pair: &mut Pair, op: u8, w32: bool) {
    let second = pair.second;
    if let Some(c) = constant(&pair.regs[second], w32) {
        pair.regs[0].learn_constant(op, c, w32);
    } else if let Some(c) = constant(&pair.regs[0], w32) {
        // The kernel's table of conditions with their operands exchanged has none for JSET.
        let op = if op == NOT_SET { op } else { swapped(op) };
        pair.regs[second].learn_constant(op, c, w32);
    } else if !w32 && op == jmp::JEQ {
        let (a, b) = (pair.regs[0], pair.regs[second]);
        for r in [0, second] {
            let r = &mut pair.regs[r];
            (r.umin, r.umax) = (a.umin.max(b.umin), a.umax.min(b.umax));
            (r.smin, r.smax) = (a.smin.max(b.smin), a.smax.min(b.smax));
            r.var_off = a.var_off.intersect(b.var_off);
            r.sync_each_width();
        }
    }
}
