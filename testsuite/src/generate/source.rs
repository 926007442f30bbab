//! Where choices come from: a seed, or the bytes that a fuzzer varies.

/// A stream of choices.
pub trait Source {
    /// The next 32 bits; zero for ever once the stream has ended.
    fn bits(&mut self) -> u32;

    /// A number below `n`; zero when `n` is zero.
    fn below(&mut self, n: u32) -> u32 {
        if n == 0 { 0 } else { self.bits() % n }
    }

    /// Whether something with a chance of `n` in 1000 happens.
    fn chance(&mut self, n: u32) -> bool {
        self.below(1000) < n
    }

    /// One of several.
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u32) as usize]
    }

    /// 64 bits.
    fn wide(&mut self) -> u64 {
        u64::from(self.bits()) << 32 | u64::from(self.bits())
    }

    /// A number that is interesting to arithmetic: small, near a power of two, or anything.
    fn number(&mut self) -> u64 {
        let small = i64::from(self.below(17)) - 8;
        match self.below(6) {
            0 | 1 => small as u64,
            2 => (1u64 << self.below(64)).wrapping_add(small as u64),
            3 => u64::from(self.bits()),
            4 => self.bits() as i32 as i64 as u64,
            _ => self.wide(),
        }
    }
}

/// Choices from a seed; the same seed gives the same choices (SplitMix64).
#[derive(Clone, Debug)]
pub struct Seeded(pub u64);

impl Source for Seeded {
    fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 32) as u32
    }
}

/// Choices from bytes, such as a fuzzer's input.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Source for Bytes<'_> {
    fn bits(&mut self) -> u32 {
        let mut out = [0; 4];
        let n = self.0.len().min(4);
        out[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        u32::from_le_bytes(out)
    }

    // Small choices take one byte, so that a fuzzer's change of one byte changes one choice.
    fn below(&mut self, n: u32) -> u32 {
        if n <= 1 {
            return 0;
        }
        if n > 256 {
            return self.bits() % n;
        }
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        u32::from(first) % n
    }
}
