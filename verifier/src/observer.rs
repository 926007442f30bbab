//! What the verifier reports while it works. The kernel's log, the debugger and explanations are observers.

use crate::state::VerifierState;
use std::fmt::Arguments;

/// Something that happened during the walk.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// About to verify the instruction at this slot in this state.
    Before {
        /// Slot.
        insn: usize,
        /// State before it.
        state: &'a VerifierState,
        /// Registers that may be read later, as a bit mask.
        live_regs: u16,
    },
    /// A conditional jump continues here; the other way, if open, is pending.
    Branch {
        /// Slot of the jump.
        insn: usize,
        /// Whether the jump is followed first.
        taken: bool,
        /// Whether the other way has been pushed for later.
        pushed: bool,
    },
    /// The path ends: an equal state was explored before.
    Pruned {
        /// Slot where the states met.
        insn: usize,
    },
    /// The path ends with `exit` or a tail.
    PathEnd {
        /// Slot.
        insn: usize,
    },
    /// A pending branch is taken up.
    Resumed {
        /// Slot to go on from.
        insn: usize,
        /// Slot of the jump that pushed it.
        from: usize,
        /// State there.
        state: &'a VerifierState,
    },
}

/// Receives events and log text. All methods do nothing by default.
pub trait Observer {
    /// Kernel log level wanted: 0 none, 1 the failing path, 2 every path.
    fn log_level(&self) -> u8 {
        0
    }

    /// Whether [`Observer::event`] is wanted.
    fn wants_events(&self) -> bool {
        false
    }

    /// Text of the kernel's log; pieces come without added line ends.
    fn text(&mut self, text: Arguments<'_>) {
        let _ = text;
    }

    /// Position in the log, for [`Observer::rewind`].
    fn position(&self) -> usize {
        0
    }

    /// Forgets all text after a position (a path that ended well, at log level 1).
    fn rewind(&mut self, position: usize) {
        let _ = position;
    }

    /// Something happened.
    fn event(&mut self, event: Event<'_>) {
        let _ = event;
    }
}

/// Observes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
