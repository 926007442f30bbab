//! What happens to a value on a path.

/// A register or an eight-byte stack slot of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// A register.
    Reg(u8),
    /// The slot that starts this many bytes from the frame pointer: negative, a multiple of eight.
    Slot(i64),
}

/// What happened to a value at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was there when the program or the function that is verified on its own began.
    Entry,
    /// Nothing has set it since its function began.
    NeverSet,
    /// A constant, or an address that the loader knows.
    Constant,
    /// Copied from another register.
    Copied,
    /// Copied with fewer bits.
    Narrow {
        /// Bits that were kept.
        bits: u32,
    },
    /// Written to the stack.
    Spilled,
    /// Read back from the stack.
    Filled,
    /// Read from the stack, but not as it was written.
    StackLoad,
    /// Computed in place.
    Computed {
        /// Operation, as in the instruction.
        op: u8,
        /// The other operand, where it is a register.
        with: Option<u8>,
        /// Whether only the low half takes part.
        is_32: bool,
    },
    /// Loaded from memory through this register.
    Loaded {
        /// Base register.
        base: u8,
    },
    /// The result of a call.
    Result,
    /// What a function of the program returned.
    Returned,
    /// The argument of the call that began the function.
    Passed,
    /// The argument that the kernel gives to a callback.
    CallbackArgument,
    /// A call, or a legacy packet load, leaves nothing in it.
    Clobbered,
    /// Written by a call through a pointer.
    WrittenByCall,
    /// Lost its kind although nothing wrote it: a call took it away.
    TakenAway,
    /// A comparison told more of it.
    Bounded,
    /// A comparison with zero told that it is no null pointer.
    NullChecked,
    /// A store over part of it.
    PartlyOverwritten,
    /// The path is too long to be known from here on.
    Unknown,
}

/// An event in the life of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Number of the step.
    pub(crate) step: usize,
    /// What happened.
    pub(crate) how: How,
    /// Where the value was after it.
    pub(crate) location: Location,
}
