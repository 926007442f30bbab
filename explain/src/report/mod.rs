//! What came of many programs, in the forms that other programs read.

pub mod github;
pub mod sarif;

use crate::diagnosis::Diagnosis;
use crate::judge::Status;

/// What is to be said of one program, or of a file that could not be read.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// The object, as it was given.
    pub object: String,
    /// The program; `None` where it is about the file.
    pub program: Option<String>,
    /// What came of it; `None` where the file could not be read.
    pub status: Option<Status>,
    /// Why, in one line.
    pub message: String,
    /// The diagnosis of a rejection.
    pub diagnosis: Option<Diagnosis>,
}

/// How much is to be seen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something that keeps a program from being loaded.
    Error,
    /// Something that is not known.
    Warning,
}

impl Finding {
    /// How much it matters; `None` for programs that are fine.
    pub fn level(&self) -> Option<Level> {
        match self.status {
            Some(Status::Accepted) => None,
            Some(Status::Unsupported) => Some(Level::Warning),
            Some(Status::Rejected | Status::Unloadable) | None => Some(Level::Error),
        }
    }

    /// The code of a rejection, or the word for what else is wrong.
    pub fn rule(&self) -> &str {
        match (&self.diagnosis, self.status) {
            (Some(d), _) if !d.code.is_empty() => &d.code,
            (_, Some(status)) => status.name(),
            (_, None) => "unreadable",
        }
    }

    /// What is wrong, in one line.
    pub fn headline(&self) -> &str {
        self.diagnosis.as_ref().map(|d| d.headline.as_str()).filter(|h| !h.is_empty()).unwrap_or(&self.message)
    }

    /// All that is to be said, in lines: the headline, the kernel's words, notes, remedies.
    pub fn text(&self) -> String {
        let mut lines = vec![self.headline().to_owned()];
        if let Some(d) = &self.diagnosis {
            let last = d.messages.last().filter(|m| **m != lines[0]);
            lines.extend(last.map(|m| format!("the verifier says: {m}")));
            lines.extend(d.notes.iter().map(|n| format!("note: {n}")));
            lines.extend(d.suggestions.iter().map(|s| format!("help: {}", s.text)));
        }
        lines.join("\n")
    }
}

/// How many programs came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files that were looked at.
    pub files: usize,
    /// Those of them that could not be read.
    pub unreadable: usize,
    /// Programs that are accepted.
    pub accepted: usize,
    /// Programs that are rejected.
    pub rejected: usize,
    /// Programs that need what is not modelled.
    pub unsupported: usize,
    /// Programs that no verifier sees.
    pub unloadable: usize,
}

impl Counts {
    /// Counts a program.
    pub fn add(&mut self, status: Status) {
        match status {
            Status::Accepted => self.accepted += 1,
            Status::Rejected => self.rejected += 1,
            Status::Unsupported => self.unsupported += 1,
            Status::Unloadable => self.unloadable += 1,
        }
    }

    /// Programs altogether.
    pub fn programs(&self) -> usize {
        self.accepted + self.rejected + self.unsupported + self.unloadable
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let s = |n: usize| if n == 1 { "" } else { "s" };
        write!(f, "{} program{}", self.programs(), s(self.programs()))?;
        if self.files > 1 {
            write!(f, " in {} files", self.files)?;
        }
        write!(f, ": {} accepted, {} rejected", self.accepted, self.rejected)?;
        for (count, word) in [(self.unsupported, "unsupported"), (self.unloadable, "unloadable")] {
            if count > 0 {
                write!(f, ", {count} {word}")?;
            }
        }
        if self.unreadable > 0 {
            write!(f, "; {} file{} could not be read", self.unreadable, s(self.unreadable))?;
        }
        Ok(())
    }
}
