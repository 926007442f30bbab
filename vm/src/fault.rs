//! Why a run ended before the program's own exit.

use crate::regions::NearestRegion;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// An access outside every region that the program may use.
    #[error("{} of {size} bytes at {address:#x}: {nearest}", if *write { "write" } else { "read" })]
    BadAccess {
        /// First byte.
        address: u64,
        /// Bytes.
        size: u64,
        /// Write rather than read.
        write: bool,
        /// Nearest region and the offset in it.
        nearest: NearestRegion,
    },
    /// A field of the context that the program type does not have, or an access to it that is not allowed.
    #[error("{} of {size} bytes at offset {offset} of {layout}: no such field access", if *write { "write" } else { "read" })]
    BadContextAccess {
        /// Name of the context's type.
        layout: &'static str,
        /// Byte offset.
        offset: u64,
        /// Bytes.
        size: u64,
        /// Write rather than read.
        write: bool,
    },
    /// An atomic operation that is not aligned to its size.
    #[error("atomic operation on {size} bytes at {address:#x}, which is not aligned")]
    Misaligned {
        /// First byte.
        address: u64,
        /// Bytes.
        size: u64,
    },
    /// More instructions than the run allows.
    #[error("the budget of {0} instructions is used up")]
    Budget(u64),
    /// The time that the run had is over.
    #[error("the time limit is reached")]
    TimedOut,
    /// Somebody has stopped the run.
    #[error("stopped")]
    Stopped,
    /// Callbacks and tail calls nest so deep that the thread's stack may not suffice.
    #[error("nested callbacks and tail calls need more than {0} bytes of the thread's stack")]
    HostStack(u64),
    /// More frames than the kernel allows.
    #[error("more than {0} nested calls")]
    CallDepth(usize),
    /// A call of what is not there: a helper or kernel function that does not exist here, or an instruction that the
    /// loader poisoned because what it refers to is missing. Only who reaches it is told.
    #[error("{0}")]
    Unavailable(String),
    /// A call through a register that holds no function.
    #[error("call of {0:#x}, which is no function")]
    BadCallTarget(u64),
    /// An argument that should be a map is none.
    #[error("{0:#x} is no map of the program")]
    BadMap(u64),
    /// What a helper or kernel function says about its arguments or of itself.
    #[error("{0}")]
    Helper(String),
    /// An exception of the program on its way to the main function (`bpf_throw`).
    #[error("exception {0:#x} that nobody catches")]
    Thrown(u64),
    /// Something that is not there yet.
    #[error("not supported yet: {0}")]
    Unsupported(String),
}

/// What a fault is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// What.
    pub kind: FaultKind,
    /// Slot of the instruction in the running program, when known.
    pub insn: Option<usize>,
}

/// A fault and where it happened. Behind a pointer, so that results of runs and helpers fit in two registers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault(Box<Parts>);

impl std::ops::Deref for Fault {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.insn {
            Some(at) => write!(f, "insn {at}: {}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl Fault {
    /// What a helper reports; the engine adds the place.
    pub fn helper(text: impl Into<String>) -> Self {
        FaultKind::Helper(text.into()).into()
    }

    /// Something that is not there yet.
    pub fn unsupported(what: impl Into<String>) -> Self {
        FaultKind::Unsupported(what.into()).into()
    }

    /// The same fault at an instruction, unless it already has a place.
    pub fn at(mut self, insn: usize) -> Self {
        self.0.insn.get_or_insert(insn);
        self
    }
}

impl From<FaultKind> for Fault {
    #[cold]
    fn from(kind: FaultKind) -> Self {
        Self(Box::new(Parts { kind, insn: None }))
    }
}
