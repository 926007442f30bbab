//! Range analysis: how large a register's number can be, as far as its block tells: division is cheaper for small numbers, and needs no
//! look at a divisor that cannot be zero.

use crate::lower::Translator;
use cranelift_codegen::ir::Value;
use ebpfkit_isa::{AluOp, Operand, Width};

/// What is known of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// It is below two to this power.
    pub bits: u8,
    /// It is not zero.
    pub is_nonzero: bool,
}

impl Default for Range {
    fn default() -> Self {
        Self::below(64)
    }
}

impl Range {
    /// Any number below two to this power.
    pub(crate) fn below(bits: u8) -> Self {
        Self { bits, is_nonzero: false }
    }

    /// One number.
    pub(crate) fn of(n: u64) -> Self {
        Self { bits: (64 - n.leading_zeros()) as u8, is_nonzero: n != 0 }
    }

    /// Its low half or all of it.
    fn low(self, width: Width) -> Self {
        if self.bits <= bits(width) { self } else { Self::below(bits(width)) }
    }

    /// What arithmetic gives, zero-extended.
    fn after(op: AluOp, width: Width, a: Self, b: Self, amount: Option<u8>) -> Self {
        let (a, b, most) = (a.low(width), b.low(width), bits(width));
        let wider = a.bits.max(b.bits);
        // A result that may have this many bits, and is zero only if bits are lost.
        let grown = |bits: u8, is_nonzero| {
            if bits <= most { Self { bits, is_nonzero } } else { Self::below(most) }
        };
        match op {
            AluOp::Mov => b,
            AluOp::And => Self::below(a.bits.min(b.bits)),
            AluOp::Or => Self { bits: wider, is_nonzero: a.is_nonzero || b.is_nonzero },
            AluOp::Xor => Self::below(wider),
            AluOp::Add => grown(wider + 1, a.is_nonzero || b.is_nonzero),
            AluOp::Mul => grown(a.bits + b.bits, a.is_nonzero && b.is_nonzero),
            AluOp::Div => Self::below(a.bits),
            AluOp::Mod if b.is_nonzero => Self::below(a.bits.min(b.bits)),
            AluOp::Mod => Self::below(a.bits),
            AluOp::Lsh => amount.map_or(Self::below(most), |n| grown(a.bits + n, a.is_nonzero)),
            AluOp::Rsh => Self::below(a.bits - amount.unwrap_or(0).min(a.bits)),
            AluOp::Sub | AluOp::Arsh | AluOp::Sdiv | AluOp::Smod => Self::below(most),
        }
    }
}

fn bits(width: Width) -> u8 {
    match width {
        Width::W32 => 32,
        Width::W64 => 64,
    }
}

impl Translator<'_, '_> {
    /// What is known of an operand in 64 bits.
    pub(crate) fn range(&self, src: Operand) -> Range {
        match src {
            Operand::Reg(r) => self.block.known.range(r),
            Operand::Imm(n) => Range::of(i64::from(n) as u64),
        }
    }

    /// What is known of a register after an instruction that is about to be translated.
    pub(crate) fn range_after(&self, op: AluOp, width: Width, dst: u8, src: Operand) -> Range {
        let amount = match src {
            Operand::Imm(n) => u8::try_from(n).ok().filter(|n| *n < bits(width)),
            Operand::Reg(_) => None,
        };
        Range::after(op, width, self.block.known.range(dst), self.range(src), amount)
    }

    /// An unsigned quotient or remainder in 32 bits, if both numbers are known to fit: the operands cut to that.
    pub(crate) fn halves(&mut self, op: AluOp, width: Width, dst: u8, src: Operand) -> Option<(Value, Value)> {
        let is_small = |r: Range| r.bits <= 32;
        let fits = width == Width::W64
            && matches!(op, AluOp::Div | AluOp::Mod)
            && is_small(self.block.known.range(dst))
            && is_small(self.range(src));
        fits.then(|| (self.get32(dst), self.operand(Width::W32, src)))
    }

    /// Whether a divisor is not zero, for sure.
    pub(crate) fn divides(&self, width: Width, src: Operand) -> bool {
        self.range(src).low(width).is_nonzero
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair of small numbers, and some large ones: the result lies in the range that follows from the operands'.
    #[test]
    fn ranges_hold() {
        let numbers = (0..20).chain([255, 256, 0x7fff_ffff, 0xffff_ffff, 1 << 32, (1 << 32) + 1, 1 << 63, u64::MAX]);
        let numbers: Vec<u64> = numbers.collect();
        for (a, b) in numbers.iter().flat_map(|a| numbers.iter().map(move |b| (*a, *b))) {
            for width in [Width::W32, Width::W64] {
                for (op, result) in results(width, a, b) {
                    let amount = u8::try_from(b).ok().filter(|n| *n < bits(width));
                    let range = Range::after(op, width, Range::of(a), Range::of(b), amount);
                    let got = Range::of(result);
                    assert!(got.bits <= range.bits, "{op:?} {width:?} {a:#x} {b:#x}: {range:?}");
                    assert!(got.is_nonzero || !range.is_nonzero, "{op:?} {width:?} {a:#x} {b:#x}: {range:?}");
                }
            }
        }
    }

    fn results(width: Width, a: u64, b: u64) -> [(AluOp, u64); 10] {
        let mask = if width == Width::W32 { u64::from(u32::MAX) } else { u64::MAX };
        let (a, b, shift) = (a & mask, b & mask, b & (u64::from(bits(width)) - 1));
        [
            (AluOp::Mov, b),
            (AluOp::And, a & b),
            (AluOp::Or, a | b),
            (AluOp::Xor, a ^ b),
            (AluOp::Add, a.wrapping_add(b) & mask),
            (AluOp::Mul, a.wrapping_mul(b) & mask),
            (AluOp::Div, a.checked_div(b).unwrap_or(0)),
            (AluOp::Mod, a.checked_rem(b).unwrap_or(a)),
            (AluOp::Lsh, (a << shift) & mask),
            (AluOp::Rsh, a >> shift),
        ]
    }
}
