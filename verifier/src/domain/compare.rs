//! Comparisons of two numbers: whether the outcome is known, and what either outcome proves.

use super::reg::RegState;
use super::tnum::Tnum;
use ebpfkit_isa::opcode::jmp;

/// Not a jump of the instruction set: the condition under which `JSET` falls through.
pub(crate) const NOT_SET: u8 = jmp::JSET | ebpfkit_isa::opcode::X;

/// `a op b` as `b op' a`.
pub(crate) fn swapped(op: u8) -> u8 {
    match op {
        jmp::JGE => jmp::JLE,
        jmp::JGT => jmp::JLT,
        jmp::JLE => jmp::JGE,
        jmp::JLT => jmp::JGT,
        jmp::JSGE => jmp::JSLE,
        jmp::JSGT => jmp::JSLT,
        jmp::JSLE => jmp::JSGE,
        jmp::JSLT => jmp::JSGT,
        same => same,
    }
}

/// The condition that holds when `op` does not.
pub(crate) fn negated(op: u8) -> u8 {
    match op {
        jmp::JEQ => jmp::JNE,
        jmp::JNE => jmp::JEQ,
        jmp::JSET => NOT_SET,
        NOT_SET => jmp::JSET,
        jmp::JGE => jmp::JLT,
        jmp::JGT => jmp::JLE,
        jmp::JLE => jmp::JGT,
        jmp::JLT => jmp::JGE,
        jmp::JSGE => jmp::JSLT,
        jmp::JSGT => jmp::JSLE,
        jmp::JSLE => jmp::JSGT,
        jmp::JSLT => jmp::JSGE,
        other => other,
    }
}

/// What a comparison of this width sees of a number.
struct View {
    bits: Tnum,
    umin: u64,
    umax: u64,
    smin: i64,
    smax: i64,
}

impl View {
    fn of(r: &RegState, w32: bool) -> Self {
        if w32 {
            Self {
                bits: r.var_off.subreg(),
                umin: r.u32_min.into(),
                umax: r.u32_max.into(),
                smin: r.s32_min.into(),
                smax: r.s32_max.into(),
            }
        } else {
            Self { bits: r.var_off, umin: r.umin, umax: r.umax, smin: r.smin, smax: r.smax }
        }
    }

    fn apart(&self, b: &Self) -> bool {
        !self.bits.overlaps(b.bits) || self.ranges_apart(b)
    }

    fn ranges_apart(&self, b: &Self) -> bool {
        self.umin > b.umax || self.umax < b.umin || self.smin > b.smax || self.smax < b.smin
    }
}

/// Whether `a < b` is known, by bounds of either signedness.
fn less<T: Ord>(a: (T, T), b: (T, T)) -> Option<bool> {
    if a.1 < b.0 {
        Some(true)
    } else if a.0 >= b.1 {
        Some(false)
    } else {
        None
    }
}

/// The constant that a number is at this width.
pub(crate) fn const_at(r: &RegState, w32: bool) -> Option<u64> {
    let bits = if w32 { r.var_off.subreg() } else { r.var_off };
    (r.is_scalar() && bits.is_const()).then_some(bits.value)
}

/// Whether `a op b` is known for two numbers.
pub(crate) fn known_outcome(a: &RegState, b: &RegState, op: u8, w32: bool) -> Option<bool> {
    let (x, y) = (View::of(a, w32), View::of(b, w32));
    let (xu, yu) = ((x.umin, x.umax), (y.umin, y.umax));
    let (xs, ys) = ((x.smin, x.smax), (y.smin, y.smax));
    match op {
        jmp::JEQ | jmp::JNE => {
            let equal = if x.bits.is_const() && y.bits.is_const() {
                Some(x.bits.value == y.bits.value)
            } else if x.apart(&y) || !w32 && View::of(a, true).ranges_apart(&View::of(b, true)) {
                Some(false)
            } else {
                None
            };
            equal.map(|e| e == (op == jmp::JEQ))
        }
        jmp::JSET => {
            let (bits, set) = match (const_at(b, w32), const_at(a, w32)) {
                (Some(c), _) => (x.bits, c),
                (None, Some(c)) => (y.bits, c),
                _ => return None,
            };
            if bits.value & set != 0 {
                Some(true)
            } else if (bits.value | bits.mask) & set == 0 {
                Some(false)
            } else {
                None
            }
        }
        jmp::JLT => less(xu, yu),
        jmp::JGE => less(xu, yu).map(|l| !l),
        jmp::JGT => less(yu, xu),
        jmp::JLE => less(yu, xu).map(|l| !l),
        jmp::JSLT => less(xs, ys),
        jmp::JSGE => less(xs, ys).map(|l| !l),
        jmp::JSGT => less(ys, xs),
        jmp::JSLE => less(ys, xs).map(|l| !l),
        _ => None,
    }
}

/// Two operands; both indices are the same when one register is compared with itself.
pub(crate) struct Pair {
    pub regs: [RegState; 2],
    pub second: usize,
}

macro_rules! ordered {
    ($name:ident, $min:ident, $max:ident, $t:ty) => {
        /// `a <= b`, or `a < b`.
        fn $name(&mut self, a: usize, b: usize, strict: bool) {
            let one = <$t>::from(strict);
            let (x, y) = (self.regs[a], self.regs[b]);
            self.regs[a].$max = x.$max.min(y.$max.wrapping_sub(one));
            // Read again: both may be the same register.
            let (x, y) = (self.regs[a], self.regs[b]);
            self.regs[b].$min = x.$min.wrapping_add(one).max(y.$min);
        }
    };
}

impl Pair {
    ordered!(below_u64, umin, umax, u64);
    ordered!(below_s64, smin, smax, i64);
    ordered!(below_u32, u32_min, u32_max, u32);
    ordered!(below_s32, s32_min, s32_max, i32);

    /// The operand that is not constant and the constant.
    fn against_const(&self, w32: bool) -> Option<(usize, u64)> {
        let (a, b) = (0, self.second);
        match const_at(&self.regs[b], w32) {
            Some(c) => Some((a, c)),
            None => const_at(&self.regs[a], w32).map(|c| (b, c)),
        }
    }

    /// Learns from `first op second`; both are numbers. Bounds are synchronised.
    pub fn learn(&mut self, op: u8, w32: bool) {
        self.learn_unsynchronised(op, w32);
        self.regs[0].sync_bounds();
        self.regs[self.second].sync_bounds();
    }

    /// The same, with bounds left as they are.
    pub(super) fn learn_unsynchronised(&mut self, op: u8, w32: bool) {
        let (a, b) = (0, self.second);
        match op {
            jmp::JEQ => self.equal(a, b, w32),
            jmp::JNE => {
                if let Some((r, c)) = self.against_const(w32) {
                    not_equal(&mut self.regs[r], c, w32);
                }
            }
            jmp::JSET => {
                if let Some((r, c)) = self.against_const(w32)
                    && c.is_power_of_two()
                {
                    let r = &mut self.regs[r];
                    let bits = |t: Tnum| t.or(Tnum::constant(c));
                    r.var_off = if w32 { r.var_off.with_subreg(bits(r.var_off.subreg())) } else { bits(r.var_off) };
                }
            }
            NOT_SET => {
                if let Some((r, c)) = self.against_const(w32) {
                    let r = &mut self.regs[r];
                    // On a dead branch the old bounds could contradict the new bits.
                    r.set_unbounded();
                    let bits = |t: Tnum| t.and(Tnum::constant(!c));
                    r.var_off = if w32 { r.var_off.with_subreg(bits(r.var_off.subreg())) } else { bits(r.var_off) };
                }
            }
            jmp::JLE | jmp::JLT => self.below(a, b, op == jmp::JLT, false, w32),
            jmp::JGE | jmp::JGT => self.below(b, a, op == jmp::JGT, false, w32),
            jmp::JSLE | jmp::JSLT => self.below(a, b, op == jmp::JSLT, true, w32),
            jmp::JSGE | jmp::JSGT => self.below(b, a, op == jmp::JSGT, true, w32),
            _ => (),
        }
    }

    fn below(&mut self, a: usize, b: usize, strict: bool, signed: bool, w32: bool) {
        match (signed, w32) {
            (false, false) => self.below_u64(a, b, strict),
            (false, true) => self.below_u32(a, b, strict),
            (true, false) => self.below_s64(a, b, strict),
            (true, true) => self.below_s32(a, b, strict),
        }
    }

    fn equal(&mut self, a: usize, b: usize, w32: bool) {
        let (x, y) = (self.regs[a], self.regs[b]);
        for i in [a, b] {
            let r = &mut self.regs[i];
            if w32 {
                (r.u32_min, r.u32_max) = (x.u32_min.max(y.u32_min), x.u32_max.min(y.u32_max));
                (r.s32_min, r.s32_max) = (x.s32_min.max(y.s32_min), x.s32_max.min(y.s32_max));
                let low = x.var_off.subreg().intersect(y.var_off.subreg());
                r.var_off = r.var_off.with_subreg(low);
            } else {
                (r.umin, r.umax) = (x.umin.max(y.umin), x.umax.min(y.umax));
                (r.smin, r.smax) = (x.smin.max(y.smin), x.smax.min(y.smax));
                r.var_off = x.var_off.intersect(y.var_off);
            }
        }
    }
}

/// Removes a constant that stands at an edge of the bounds.
fn not_equal(r: &mut RegState, c: u64, w32: bool) {
    macro_rules! trim {
        ($min:ident, $max:ident, $c:expr) => {
            if r.$min == $c {
                r.$min = r.$min.wrapping_add(1);
            }
            if r.$max == $c {
                r.$max = r.$max.wrapping_sub(1);
            }
        };
    }
    if w32 {
        trim!(u32_min, u32_max, c as u32);
        trim!(s32_min, s32_max, c as i32);
    } else {
        trim!(umin, umax, c);
        trim!(smin, smax, c as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPS: [u8; 11] = [
        jmp::JEQ,
        jmp::JNE,
        jmp::JSET,
        jmp::JGT,
        jmp::JGE,
        jmp::JLT,
        jmp::JLE,
        jmp::JSGT,
        jmp::JSGE,
        jmp::JSLT,
        jmp::JSLE,
    ];

    fn truth(x: u64, y: u64, op: u8, w32: bool) -> bool {
        let (ux, uy) = if w32 { (x as u32 as u64, y as u32 as u64) } else { (x, y) };
        let (sx, sy) = if w32 { (x as i32 as i64, y as i32 as i64) } else { (x as i64, y as i64) };
        match op {
            jmp::JEQ => ux == uy,
            jmp::JNE => ux != uy,
            jmp::JSET => ux & uy != 0,
            jmp::JGT => ux > uy,
            jmp::JGE => ux >= uy,
            jmp::JLT => ux < uy,
            jmp::JLE => ux <= uy,
            jmp::JSGT => sx > sy,
            jmp::JSGE => sx >= sy,
            jmp::JSLT => sx < sy,
            _ => sx <= sy,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]
        #[test]
        fn outcomes_and_what_they_prove_hold(
            x: u64, y: u64, n in 0u32..64, far: u64, mask: u64, pick: u8, op in prop::sample::select(&OPS[..]), w32: bool
        ) {
            let (x, y) = (x >> n, if pick & 128 != 0 { x >> n } else { y >> n });
            let mut a = RegState::UNKNOWN;
            if pick & 1 != 0 { (a.umin, a.umax) = (x.min(far), x.max(far)); }
            if pick & 2 != 0 { (a.smin, a.smax) = ((x as i64).min(far as i64), (x as i64).max(far as i64)); }
            if pick & 4 != 0 { a.var_off = Tnum { value: x & !mask, mask }; }
            a.sync_bounds();
            let mut b = RegState::UNKNOWN;
            if pick & 8 != 0 { b = RegState::known(y); }
            if pick & 16 != 0 { b.umin = b.umin.max(y.min(far)); b.umax = b.umax.min(y.max(far)); }
            b.sync_bounds();
            prop_assert!(a.holds(x) && b.holds(y));
            let taken = truth(x, y, op, w32);
            match known_outcome(&a, &b, op, w32) {
                Some(known) => prop_assert_eq!(known, taken),
                None => {
                    let mut p = Pair { regs: [a, b], second: 1 };
                    p.learn(if taken { op } else { negated(op) }, w32);
                    prop_assert!(p.regs[0].holds(x), "{:?}", p.regs[0]);
                    prop_assert!(p.regs[1].holds(y), "{:?}", p.regs[1]);
                }
            }
        }
    }
}
