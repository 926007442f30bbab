//! What the running kernel says of a program.

use crate::error::{KernelError, errno_name};
use crate::prog::{LoadResult, LogLevel};
use crate::session::Session;

/// The kernel's verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It takes the program.
    Accepted,
    /// Its verifier refuses the program; the last line of its log.
    Rejected(String),
    /// It refused the program before the verifier looked at it.
    Refused {
        /// Error number.
        errno: i32,
    },
    /// The program cannot be given to it, for this reason.
    Unloadable(String),
}

impl Answer {
    /// Why, where it is not accepted.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Accepted => None,
            Self::Rejected(message) | Self::Unloadable(message) => Some(message.clone()),
            Self::Refused { errno } => Some(refusal(*errno)),
        }
    }

    /// Whether a right is missing, of the user's or of all users': that says nothing of the program.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { errno: libc::EPERM })
    }
}

/// A load that the verifier had nothing to say of, in one line.
fn refusal(errno: i32) -> String {
    let text = format!("BPF_PROG_LOAD: {} (errno {errno})", errno_name(errno));
    if errno == libc::EPERM {
        return format!("{text}; this kernel or the user's rights forbid programs of this kind");
    }
    text
}

/// The kernel's verdict and its figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub answer: Answer,
    /// Instructions processed.
    pub insns_processed: Option<u64>,
    /// Nanoseconds of verification without a log.
    pub verification_ns: Option<u64>,
}

impl Judgement {
    /// Of a program that cannot be given to the kernel.
    pub fn unloadable(error: &KernelError) -> Self {
        Self { answer: Answer::Unloadable(error.to_string()), insns_processed: None, verification_ns: None }
    }
}

impl LoadResult {
    /// The verdict of a load whose log holds the failing path.
    pub fn answer(&self) -> Answer {
        let Err(errno) = self.program else { return Answer::Accepted };
        let summary = self.summary();
        if summary.message.is_empty() && summary.insns_processed.is_none() {
            return Answer::Refused { errno };
        }
        Answer::Rejected(summary.message)
    }
}

impl Session<'_> {
    /// Asks for a program's verdict. The figures come from a load without a log, whose time is the verifier's own.
    pub fn judge(&self, program: usize) -> Judgement {
        let timed = match self.load(program, LogLevel::STATS) {
            Ok(result) => result,
            Err(e) => return Judgement::unloadable(&e),
        };
        let figures = timed.summary();
        let answer = match timed.program {
            Ok(_) => Answer::Accepted,
            Err(_) => match self.load(program, LogLevel::FAILING_PATH) {
                Ok(with_log) => with_log.answer(),
                Err(e) => return Judgement::unloadable(&e),
            },
        };
        Judgement {
            answer,
            insns_processed: figures.insns_processed,
            verification_ns: figures.verification_us.map(|us| us * 1000),
        }
    }
}
