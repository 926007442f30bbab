//! What the log has shown so far.

/// What the log has shown so far.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Registers touched since the state was last printed.
    pub(crate) regs: u32,
    /// Slots touched since the state was last printed.
    pub(crate) slots: u64,
    /// End of the log after the last instruction that was printed.
    pub(crate) after_insn: Option<usize>,
    /// Length of that instruction's line, its line end included.
    pub(crate) insn_width: usize,
    /// Index of the source line printed last.
    pub(crate) line: Option<usize>,
    /// The path that was taken up has not been announced.
    pub(crate) announce: bool,
}

impl Trace {
    /// A register is read or written.
    #[inline]
    pub(crate) fn reg(&mut self, reg: u8) {
        self.regs |= 1 << (reg & 31);
    }

    /// A stack slot is read or written.
    #[inline]
    pub(crate) fn slot(&mut self, slot: usize) {
        self.slots |= 1 << (slot & 63);
    }

    /// Stack slots are read or written (bit n for slot n).
    #[inline]
    pub(crate) fn slots(&mut self, slots: u64) {
        self.slots |= slots;
    }

    /// Another state: all of it is new.
    #[inline]
    pub(crate) fn all(&mut self) {
        (self.regs, self.slots) = (u32::MAX, u64::MAX);
    }

    /// A function is verified on its own from here.
    pub(crate) fn restart(&mut self) {
        self.all();
        self.line = None;
        self.announce = false;
    }
}
