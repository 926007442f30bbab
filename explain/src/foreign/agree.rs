//! Whether a log is of a program, and whether it says what the verifier here says.

use super::{Log, Said};
use crate::judge::{Judged, Outcome, Status};
use ebpfkit_object::Program;

/// How a log and a verdict go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Both say the same.
    Same,
    /// The log is of another program: the first instruction that differs, as it is in the log.
    OtherProgram {
        /// Slot.
        insn: usize,
        /// The instruction's text in the log.
        text: String,
    },
    /// The same program, and another verdict: of another kernel, or for another user.
    OtherVerdict {
        /// What the verifier here says.
        ours: String,
        /// What the log tells of its kernel.
        kernel: Option<&'static str>,
    },
}

impl Log {
    /// Which kernels write such a log, as far as its form tells.
    pub fn kernel(&self) -> Option<&'static str> {
        if self.explanation.is_some() {
            Some("Linux 7.3 or later")
        } else if self.has_inv {
            Some("Linux before 5.18")
        } else if self.sources.iter().any(|s| s.at.is_some()) {
            Some("Linux 6.8 or later")
        } else if self.sources.is_empty() {
            None
        } else {
            Some("Linux before 6.8")
        }
    }

    /// The first instruction of the log that a program does not have in its place.
    pub fn differs(&self, program: &Program) -> Option<(usize, &str)> {
        let other =
            |s: &&super::Step| s.insn != usize::MAX && program.insns.get(s.insn).is_none_or(|i| i.code != s.code);
        self.steps.iter().find(other).map(|s| (s.insn, s.text.as_str()))
    }
}

/// Compares what a log says with the verdict on a program.
pub fn agreement(log: &Log, said: &Said, program: &Program, judged: &Judged) -> Agreement {
    if let Some((insn, text)) = log.differs(program) {
        return Agreement::OtherProgram { insn, text: text.to_owned() };
    }
    let same = match (said, &judged.outcome) {
        (Said::Accepted, Outcome::Accepted(_)) => true,
        (Said::Rejected(d), Outcome::Rejected { rejection, .. }) => d.code == rejection.reason.code(),
        _ => false,
    };
    if same {
        return Agreement::Same;
    }
    let ours = match judged.status() {
        Status::Accepted => "it is accepted".to_owned(),
        status => format!("it is {status}: {}", judged.message().unwrap_or_default()),
    };
    Agreement::OtherVerdict { ours, kernel: log.kernel() }
}
