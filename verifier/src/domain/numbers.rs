//! The ways in which kernels reckon with numbers: one interface, and the rules that a kernel's features choose.
//!
//! What all kernels share are the operations of [`RegState`] themselves. Where kernels differ, callers go through
//! [`Numbers`], which holds the choices of the modelled kernel.

use super::compare::{Pair, known_outcome};
use super::reg::RegState;
use ebpfkit_abi::Feature;
use ebpfkit_abi::kernel::FeatureSet;

/// How the modelled kernel reckons with numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Bounds of one width sharpen those of the other, and ranges are compared with ranges.
    across_widths: bool,
    /// Signed results of bitwise operations follow the unsigned ones.
    bitwise_by_unsigned: bool,
    /// Sums of which both ends wrap stay one range.
    wrapping_sums: bool,
    /// Products of numbers of any sign have bounds.
    signed_products: bool,
    /// A negated number is zero minus the number.
    negation: bool,
    /// Products of partly known numbers are as tight as those of newer kernels.
    tight_tnum_products: bool,
    /// A signed range that crosses zero meets an unsigned one that reaches one side of it.
    sign_crossing: bool,
    /// Known bits that leave one value of a range give that value.
    only_values: bool,
}

impl Numbers {
    /// The rules of a kernel with these features.
    pub const fn of(features: &FeatureSet) -> Self {
        Self {
            across_widths: features.has(Feature::BoundsAcrossWidths),
            bitwise_by_unsigned: features.has(Feature::BitwiseSigns),
            wrapping_sums: features.has(Feature::WrappingSums),
            signed_products: features.has(Feature::SignedProducts),
            negation: features.has(Feature::NegatedRanges),
            tight_tnum_products: features.has(Feature::TightProducts),
            sign_crossing: features.has(Feature::SignCrossingRanges),
            only_values: features.has(Feature::OnlyValues),
        }
    }

    /// Whether these are the rules that [`RegState`]'s own operations keep.
    const fn is_current(&self) -> bool {
        self.across_widths
            && self.bitwise_by_unsigned
            && self.wrapping_sums
            && self.signed_products
            && self.negation
            && self.tight_tnum_products
            && self.sign_crossing
            && self.only_values
    }

    /// Contradictory bounds are found and healed.
    pub(crate) const fn heals(&self) -> bool {
        self.across_widths
    }

    /// Lets bounds and known bits sharpen each other.
    #[inline]
    pub(crate) fn sync(&self, r: &mut RegState) {
        if self.across_widths {
            r.sync_bounds_with(self.only_values, self.sign_crossing);
        } else {
            r.sync_each_width();
        }
    }

    /// The value becomes its low `bytes` bytes, zero-extended.
    pub(crate) fn coerce_to_size(&self, r: &mut RegState, bytes: u32) {
        if self.across_widths || bytes >= 8 {
            r.coerce_to_size(bytes);
            return;
        }
        r.cut_to_size(bytes);
        if bytes < 4 {
            r.combine_64_into_32();
        }
    }

    /// Whether a negated number keeps anything.
    pub(crate) const fn negates(&self) -> bool {
        self.negation
    }

    /// `r += b`; bounds are not synchronised.
    pub(crate) fn add(&self, r: &mut RegState, b: &RegState) {
        if self.wrapping_sums {
            return r.scalar_add(b);
        }
        let old = *r;
        r.scalar_add(b);
        r.forget_wrapped_sum(&old, b);
    }

    /// `r -= b`.
    pub(crate) fn sub(&self, r: &mut RegState, b: &RegState) {
        if self.wrapping_sums {
            return r.scalar_sub(b);
        }
        let old = *r;
        r.scalar_sub(b);
        r.forget_wrapped_difference(&old, b);
    }

    /// `r *= b`.
    pub(crate) fn mul(&self, r: &mut RegState, b: &RegState) {
        if self.tight_tnum_products && self.signed_products {
            return r.scalar_mul(b);
        }
        let bits = if self.tight_tnum_products { r.var_off.mul(b.var_off) } else { r.var_off.mul_by_parts(b.var_off) };
        if self.signed_products {
            r.scalar_mul(b);
        } else {
            r.mul_small(b);
        }
        r.var_off = bits;
    }

    /// A bitwise operation of `r` and `b`, done by `operate`; bounds are not synchronised.
    pub(crate) fn bitwise(&self, r: &mut RegState, b: &RegState, operate: impl Fn(&mut RegState, &RegState)) {
        if self.bitwise_by_unsigned {
            return operate(r, b);
        }
        let old = *r;
        operate(r, b);
        r.signed_from_operands(&old, b);
    }

    /// Whether `a op b` is known for two numbers.
    pub(crate) fn outcome(&self, a: &RegState, b: &RegState, op: u8, w32: bool) -> Option<bool> {
        if self.across_widths { known_outcome(a, b, op, w32) } else { super::older::known_outcome(a, b, op, w32) }
    }

    /// Learns from `first op second`; both are numbers. Bounds are synchronised.
    pub(crate) fn learn(&self, pair: &mut Pair, op: u8, w32: bool) {
        if self.is_current() {
            pair.learn(op, w32);
        } else if self.across_widths {
            pair.learn_unsynchronised(op, w32);
            let second = pair.second;
            self.sync(&mut pair.regs[0]);
            self.sync(&mut pair.regs[second]);
        } else {
            super::older::learn(pair, op, w32);
        }
    }
}
