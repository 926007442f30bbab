//! How a command ends.

use ebpfkit_explain::judge::Status;

/// The end of a command, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Accepted, or ran.
    Good = 0,
    /// Rejected, faulted, or differs from the kernel.
    Bad = 1,
    /// Wrong usage, or a file that cannot be read or written.
    Usage = 2,
    /// The environment lacks something, or the program needs what is not supported.
    Unsupported = 3,
    /// Whoever reads the results has gone, so that nothing is said of the rest: as shells show a program that `SIGPIPE` ended.
    Unread = 141,
}

impl End {
    /// How a verdict counts.
    pub fn of(status: Status) -> Self {
        match status {
            Status::Accepted => Self::Good,
            Status::Unsupported => Self::Unsupported,
            Status::Rejected | Status::Unloadable => Self::Bad,
        }
    }
}

/// An error that ends a command otherwise than with [`End::Usage`], which is how all others end it.
#[derive(Debug)]
pub struct Failure {
    end: End,
    text: String,
}

impl Failure {
    /// The environment lacks something, or something is not supported.
    pub fn unsupported(text: impl ToString) -> anyhow::Error {
        Self { end: End::Unsupported, text: text.to_string() }.into()
    }

    /// A run that ends in a fault.
    pub fn bad(text: impl ToString) -> anyhow::Error {
        Self { end: End::Bad, text: text.to_string() }.into()
    }

    /// How an error ends the command.
    pub fn end_of(error: &anyhow::Error) -> End {
        error.chain().find_map(|e| e.downcast_ref::<Self>()).map_or(End::Usage, |f| f.end)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}
