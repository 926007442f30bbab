//! The path that is being walked.

use crate::state::{Frame, VerifierState};

/// The state of the path, and where it is.
pub(crate) struct Path {
    /// State before the instruction being verified.
    pub(crate) state: VerifierState,
    /// Slot being verified.
    pub(crate) insn_idx: usize,
    /// Slot verified before.
    pub(crate) prev_insn_idx: usize,
    /// The call just verified ended the path by an exception.
    pub(crate) threw: bool,
    /// The callback that the call being verified enters, in kernels that verify callbacks once.
    pub(crate) entering: Option<Frame>,
    last_id: u32,
}

impl Default for Path {
    fn default() -> Self {
        Self {
            state: VerifierState::start(0, false),
            insn_idx: 0,
            prev_insn_idx: 0,
            threw: false,
            entering: None,
            last_id: 0,
        }
    }
}

impl Path {
    /// A fresh identity. No two paths use the same.
    pub(crate) fn new_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    /// The identity given out last.
    pub(crate) fn last_id(&self) -> u32 {
        self.last_id
    }
}
