//! The backtracking state: what has to be precise at an instruction of the path that is followed backwards.

use ebpfkit_abi::limits::MAX_LONG_CALL_FRAMES;

/// Registers and stack slots, by frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct BacktrackState {
    /// Innermost frame there.
    pub frame: usize,
    /// By frame: bit n for rn.
    pub regs: [u16; MAX_LONG_CALL_FRAMES],
    /// By frame: bit n for slot n.
    pub slots: [u64; MAX_LONG_CALL_FRAMES],
}

impl BacktrackState {
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

    /// Whether a register of the current frame has to be precise.
    pub fn has(&self, reg: u8) -> bool {
        self.current() >> reg & 1 != 0
    }

    /// A register of the current frame has to be precise.
    pub fn add(&mut self, reg: u8) {
        self.regs[self.frame] |= 1 << reg;
    }

    /// A register of the current frame need not be precise any more.
    pub fn remove(&mut self, reg: u8) {
        self.regs[self.frame] &= !(1 << reg);
    }
}
