//! What came of a program, with the facts that a user wants first; whoever prints verdicts starts here.

use crate::diagnosis::Diagnosis;
use crate::explain::{self, Explained};
use crate::files::Sources;
use crate::mend::Repair;
use crate::source::{self, SourceLine};
use crate::trace::Trace;
use ebpfkit_object::Prepared;
use ebpfkit_verifier::reason::{CallReason, ExploreReason};
use ebpfkit_verifier::{KernelModel, Options, Reason, Rejection, Report, Verdict, Verified};

/// A verdict, without its reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The kernel takes the program.
    Accepted,
    /// The kernel's verifier refuses it.
    Rejected,
    /// It needs what is not modelled, so that nothing is said of it.
    Unsupported,
    /// It never reaches a verifier.
    Unloadable,
}

impl Status {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unsupported => "unsupported",
            Self::Unloadable => "unloadable",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A verdict with what made it.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The kernel takes the program.
    Accepted(Verified),
    /// The kernel's verifier refuses it.
    Rejected {
        /// Why.
        rejection: Box<Rejection>,
        /// The last line of what the kernel says, or what the loader says in its place.
        message: String,
        /// The message is the loader's.
        is_loaders: bool,
        /// The source of the instruction.
        line: Option<SourceLine>,
    },
    /// It needs what is not modelled.
    Unsupported {
        /// What.
        what: String,
        /// Slot of the instruction.
        at: usize,
    },
    /// It never reaches a verifier, for this reason.
    Unloadable(String),
}

/// A program's verdict and the work that it took.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The verdict.
    pub outcome: Outcome,
    /// Instructions processed.
    pub insns_processed: u64,
    /// States kept over the whole run.
    pub states: u64,
}

impl Judged {
    /// A program that no verifier sees, if it is one.
    pub fn unloadable(prepared: &Prepared, program: usize) -> Option<Self> {
        let why = prepared.unloadable.get(program)?.clone()?;
        Some(Self { outcome: Outcome::Unloadable(why), insns_processed: 0, states: 0 })
    }

    /// What a verification came to.
    pub fn of(prepared: &Prepared, program: usize, report: Report) -> Self {
        let outcome = match report.verdict {
            Verdict::Accepted(verified) => Outcome::Accepted(verified),
            Verdict::Rejected(rejection) => rejected(prepared, program, rejection),
            Verdict::Unsupported { what, at } => Outcome::Unsupported { what: what.to_string(), at },
        };
        Self { outcome, insns_processed: report.insns_processed, states: report.total_states }
    }

    /// The verdict alone.
    pub fn status(&self) -> Status {
        match self.outcome {
            Outcome::Accepted(_) => Status::Accepted,
            Outcome::Rejected { .. } => Status::Rejected,
            Outcome::Unsupported { .. } => Status::Unsupported,
            Outcome::Unloadable(_) => Status::Unloadable,
        }
    }

    /// The verdict's reason as one line.
    pub fn message(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Accepted(_) => None,
            Outcome::Rejected { message, is_loaders: true, .. } => Some(message.clone()),
            Outcome::Rejected { rejection, .. } => {
                Some(rejection.text.trim_end().lines().last().unwrap_or_default().to_owned())
            }
            Outcome::Unsupported { what, .. } => Some(format!("not modelled yet: {what}")),
            Outcome::Unloadable(why) => Some(why.clone()),
        }
    }

    /// Slot of the instruction that decided.
    pub fn insn(&self) -> Option<usize> {
        match &self.outcome {
            Outcome::Rejected { rejection, .. } => Some(rejection.insn),
            Outcome::Unsupported { at, .. } => Some(*at),
            _ => None,
        }
    }

    /// The diagnosis of a rejection. The program is walked once more where the path that leads there was not recorded.
    pub fn diagnose(&self, asked: &Asked<'_>, trace: Option<&Trace>) -> Option<Diagnosis> {
        Some(self.mended(asked, trace)?.0)
    }

    /// The diagnosis of a rejection, and what its first proved suggestion does, if it has one.
    pub fn mended(&self, asked: &Asked<'_>, trace: Option<&Trace>) -> Option<(Diagnosis, Option<Repair>)> {
        let Outcome::Rejected { rejection, message, is_loaders, .. } = &self.outcome else { return None };
        let message = is_loaders.then_some(message.as_str());
        let Asked { kernel, prepared, program, options, sources } = *asked;
        let (object, processed) = (&prepared.object, self.insns_processed);
        Some(Explained { kernel, object, program, options, rejection, processed, message, sources }.mended(trace))
    }

    /// The diagnosis of a rejection as text for a terminal.
    pub fn diagnosis(&self, asked: &Asked<'_>) -> Option<String> {
        let diagnosis = self.diagnose(asked, None)?;
        Some(explain::terminal(&asked.prepared.object, asked.program, &diagnosis, false))
    }
}

/// What was judged, by which a rejection is explained.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The kernel that was asked.
    pub kernel: &'a KernelModel,
    /// The prepared object.
    pub prepared: &'a Prepared,
    /// Number of the program.
    pub program: usize,
    /// Who loads it.
    pub options: Options,
    /// Where the text of source files comes from.
    pub sources: &'a Sources<'a>,
}

fn rejected(prepared: &Prepared, program: usize, rejection: Box<Rejection>) -> Outcome {
    let program = &prepared.object.programs[program];
    // Only where the kernel stumbles over the call that stands for what is missing does the loader say what that is.
    let is_poison = matches!(rejection.reason, Reason::Call(CallReason::UnknownHelper { .. }));
    let mut poison = program.poison.iter().filter(|(at, _)| is_poison && *at == rejection.insn);
    let poison = poison.next().map(|(_, text)| text.clone());
    let is_loaders = poison.is_some();
    let message = poison.unwrap_or_else(|| decisive(&rejection));
    let line = prepared.object.btf.as_deref().and_then(|btf| source::line_of(program, btf, rejection.insn));
    Outcome::Rejected { rejection, message, is_loaders, line }
}

/// The line of a rejection's message that says what is wrong: the last one, or, where states follow it, the first.
fn decisive(rejection: &Rejection) -> String {
    let mut lines = rejection.text.trim_end().lines();
    let first = matches!(rejection.reason, Reason::Explore(ExploreReason::InfiniteLoop { .. }));
    if first { lines.next() } else { lines.last() }.unwrap_or_default().to_owned()
}
