//! The Internet checksum, in the forms that the kernel computes with.
//!
//! The sums are 32-bit numbers in one's complement, of words as they stand in memory, so that results agree with the
//! kernel's bit for bit.

/// A partial checksum (`__wsum`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum(pub u32);

impl Sum {
    /// The sum of bytes, added to a start value. An odd byte at the end counts as if a zero followed.
    pub fn of(bytes: &[u8], start: Sum) -> Sum {
        let mut sum = u64::from(start.0);
        let mut chunks = bytes.chunks_exact(4);
        for c in &mut chunks {
            sum += u64::from(u32::from_ne_bytes(c.try_into().unwrap_or_default()));
        }
        let rest = chunks.remainder();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        sum += u64::from(u32::from_ne_bytes(last));
        while sum >> 32 != 0 {
            sum = (sum & 0xffff_ffff) + (sum >> 32);
        }
        Sum(sum as u32)
    }

    /// One's complement addition.
    #[must_use]
    pub fn plus(self, other: Sum) -> Sum {
        let (sum, carry) = self.0.overflowing_add(other.0);
        Sum(sum + u32::from(carry))
    }

    /// One's complement subtraction.
    #[must_use]
    pub fn minus(self, other: Sum) -> Sum {
        self.plus(other.complement())
    }

    /// The complement.
    #[must_use]
    pub fn complement(self) -> Sum {
        Sum(!self.0)
    }

    /// Folded to 16 bits and complemented: what stands in a header.
    pub fn fold(self) -> u16 {
        let sum = (self.0 & 0xffff) + (self.0 >> 16);
        let sum = sum + (sum >> 16);
        !(sum as u16)
    }

    /// Folded to 16 bits.
    pub fn to_16(self) -> u32 {
        self.0.wrapping_add(self.0.rotate_left(16)) >> 16
    }
}

/// The sum that a checksum in a header stands for.
fn unfold(header: u16) -> Sum {
    Sum(header.into())
}

/// A header's checksum after the covered bytes have changed by `diff`.
pub(crate) fn by_diff(header: u16, diff: Sum) -> u16 {
    diff.plus(unfold(header).complement()).fold()
}

/// A header's checksum after 32 covered bits have changed.
pub(crate) fn replace_32(header: u16, from: u32, to: u32) -> u16 {
    unfold(header).complement().minus(Sum(from)).plus(Sum(to)).fold()
}

/// A header's checksum after 16 covered bits have changed.
pub(crate) fn replace_16(header: u16, from: u16, to: u16) -> u16 {
    let add = |a: u16, b: u16| {
        let (sum, carry) = a.overflowing_add(b);
        sum + u16::from(carry)
    };
    !add(add(!header, !from), to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn replacing_words_keeps_a_checksum_right(mut bytes in prop::collection::vec(any::<u8>(), 20..=20), at in 0usize..5, new in any::<u32>()) {
            let before = Sum::of(&bytes, Sum(0)).fold();
            let old = u32::from_ne_bytes(bytes[at * 4..at * 4 + 4].try_into().unwrap());
            bytes[at * 4..at * 4 + 4].copy_from_slice(&new.to_ne_bytes());
            let after = Sum::of(&bytes, Sum(0)).fold();
            // 0 and 0xffff stand for the same sum.
            let same = |a: u16, b: u16| a == b || a.wrapping_add(1) <= 1 && b.wrapping_add(1) <= 1;
            prop_assert!(same(replace_32(before, old, new), after));
            let half = |n: u32, i: u32| (n >> (i * 16)) as u16;
            let once = replace_16(before, half(old, 0), half(new, 0));
            prop_assert!(same(replace_16(once, half(old, 1), half(new, 1)), after));
            prop_assert!(same(by_diff(before, Sum(new).minus(Sum(old))), after));
        }
    }
}
