//! What has to be precise at a place of the path that is followed backwards.

use ebpfkit_abi::limits::MAX_CALL_FRAMES;
use std::fmt;

/// Registers and stack slots, by frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Innermost frame at this place.
    pub frame: usize,
    /// By frame: bit n for rn.
    pub regs: [u16; MAX_CALL_FRAMES],
    /// By frame: bit n for slot n.
    pub slots: [u64; MAX_CALL_FRAMES],
}

impl Wanted {
    /// Nothing, in this frame.
    pub fn nothing(frame: usize) -> Self {
        Self { frame, ..Self::default() }
    }

    /// Whether nothing is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        (0..=self.frame).all(|f| self.regs[f] == 0 && self.slots[f] == 0)
    }

    /// Registers of the current frame.
    pub fn current(&self) -> u16 {
        self.regs[self.frame]
    }

    /// Whether a register of the current frame is wanted.
    pub fn has(&self, reg: u8) -> bool {
        self.current() >> reg & 1 != 0
    }

    /// Wants a register of the current frame.
    pub fn add(&mut self, reg: u8) {
        self.regs[self.frame] |= 1 << reg;
    }

    /// Wants a register of the current frame no more.
    pub fn remove(&mut self, reg: u8) {
        self.regs[self.frame] &= !(1 << reg);
    }
}

/// Registers as the log lists them: `r0,r3`.
pub(super) struct RegList(pub u16);

impl fmt::Display for RegList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for i in (0..16).filter(|i| self.0 >> i & 1 != 0) {
            write!(f, "{comma}r{i}")?;
            comma = ",";
        }
        Ok(())
    }
}

/// Slots as the log lists them: `-8,-24`.
pub(crate) struct SlotList(pub u64);

impl fmt::Display for SlotList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for i in (0..64).filter(|i| self.0 >> i & 1 != 0) {
            write!(f, "{comma}{}", -8 * (i + 1))?;
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_those_of_the_log() {
        assert_eq!(RegList(0x15).to_string(), "r0,r2,r4");
        assert_eq!(SlotList(0x15).to_string(), "-8,-24,-40");
        assert_eq!(SlotList(0).to_string(), "");
    }
}
