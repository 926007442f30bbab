//! What the verifier reports while it works. The kernel's log, the debugger and explanations are observers.

use crate::reason::Reason;
use crate::state::VerifierState;
use std::fmt::Arguments;

/// Something that happened during the walk.
#[derive(Clone)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The walk of a function begins: of the main program, or of a global function on its own.
    Start {
        /// Its first slot.
        insn: usize,
        /// The maps in use, by the numbers that registers name them by: numbers in the object; `usize::MAX` for
        /// templates of inner maps.
        maps: &'a [usize],
    },
    /// About to verify the instruction at this slot in this state.
    Before {
        /// Slot.
        insn: usize,
        /// State before it.
        state: &'a VerifierState,
        /// Registers that may be read later, as a bit mask.
        live_regs: u16,
    },
    /// A line that the kernel prints before the message of a rejection, and that belongs to it.
    Detail(Arguments<'a>),
    /// The rejection that stands behind the one which follows: why arguments do not keep a function's contract.
    Because(&'a Reason),
    /// The program is rejected: the path that was walked last is the one that fails.
    Rejected(&'a Reason),
    /// A way that is walked later has been put aside. Told to [`Observer::wants_comparisons`], as all that follow.
    Pushed {
        /// Slot of the instruction that goes more than one way.
        from: usize,
        /// Ways that wait now.
        pending: usize,
    },
    /// A state is kept, to end paths that come to the same instruction.
    Saved {
        /// Slot.
        insn: usize,
    },
    /// The path ends: a state that was kept allows all that the current one allows.
    Pruned {
        /// Slot where the states met.
        insn: usize,
    },
    /// A kept state does not allow all that the current one allows.
    Compared {
        /// Slot where the states met.
        insn: usize,
        /// The first part that differs.
        difference: Difference,
    },
    /// Numbers of a kept state have to agree from now on, because something depends on their values.
    Precise {
        /// Slot of the state.
        insn: usize,
        /// Slot of the instruction that depends on them.
        by: usize,
        /// Frame, from the outermost.
        frame: usize,
        /// Registers: bit n for rn.
        regs: u16,
        /// Stack slots: bit n for the nth below the frame's top.
        slots: u64,
    },
}

/// A part of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// A register.
    Reg(u8),
    /// Eight bytes of the stack at this offset from the frame's top.
    Stack(i32),
    /// References, locks and regions.
    Resources,
    /// The calls that are open, or how often a callback has run.
    Calls,
    /// What no part shows by itself, such as the links between them.
    Other,
}

/// In what two states differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Frame, from the outermost.
    pub frame: usize,
    /// What differs.
    pub part: Part,
    /// It is a number whose exact range matters.
    pub precise: bool,
    /// What the kept state has, as the log writes it; empty where that has no text.
    pub old: String,
    /// What the current state has.
    pub new: String,
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

    /// Whether it is wanted how states are saved and compared.
    fn wants_comparisons(&self) -> bool {
        false
    }

    /// Whether the values of a difference are to be written out, which takes time.
    fn wants_values(&self, insn: usize, difference: &Difference) -> bool {
        let _ = (insn, difference);
        true
    }

    /// Text of the kernel's log; pieces come without added line ends.
    fn text(&mut self, text: Arguments<'_>) {
        let _ = text;
    }

    /// Position in the log or along the path, for [`Observer::rewind`].
    fn position(&self) -> usize {
        0
    }

    /// Forgets all text or all events after a position: a path ended well, and the walk goes on where a pending branch
    /// left that path. Called at log level 1, and where events are wanted.
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
