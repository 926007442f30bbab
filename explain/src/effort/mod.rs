//! Where a verification's instructions go: by line, function and loop, with what keeps paths from ending early.

mod loops;
mod recorder;
mod text;

pub use recorder::Recorder;
pub use text::{Sort, compare, csv, folded, table};

use serde::{Deserialize, Serialize};

/// What verifying a program took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Effort {
    /// The program.
    pub program: String,
    /// All together.
    pub total: Work,
    /// Most ways that waited at one time; the kernel's limit is 8,192.
    pub most_pending: u64,
    /// Functions, those that took most first.
    pub functions: Vec<FunctionWork>,
    /// Lines, those that took most first.
    pub lines: Vec<LineWork>,
    /// Loops, those that took most first.
    pub loops: Vec<LoopWork>,
    /// Where states were compared in vain, the most frequent first.
    pub differences: Vec<DifferenceWork>,
    /// What to change, where a limit was reached.
    pub advice: Vec<String>,
    /// Names of functions from the outside in, separated by semicolons, and the instructions processed in the last.
    #[serde(skip)]
    pub stacks: Vec<(String, u64)>,
}

/// Counts of what the verifier did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Instructions processed.
    pub processed: u64,
    /// States kept.
    pub states: u64,
    /// Paths that ended early, because a kept state allowed all that they allowed.
    pub pruned: u64,
    /// Kept states that were compared in vain.
    pub in_vain: u64,
    /// Ways put aside to be walked later.
    pub forks: u64,
}

impl Work {
    fn add(&mut self, other: &Self) {
        self.processed += other.processed;
        self.states += other.states;
        self.pruned += other.pruned;
        self.in_vain += other.in_vain;
        self.forks += other.forks;
    }
}

/// A place in the source; without line records, an instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceLine {
    /// File; empty without line records.
    pub file: String,
    /// Line, from 1; without line records the slot.
    pub line: u32,
    /// Text of the line, or of nothing.
    pub text: String,
}

/// The file without its folders, which make tables hard to read.
impl std::fmt::Display for SourceLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.file.rsplit('/').next() {
            None | Some("") => write!(f, "instruction {}", self.line),
            Some(file) => write!(f, "{file}:{}", self.line),
        }
    }
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionWork {
    /// Its name.
    pub name: String,
    /// Its instructions.
    pub insns: usize,
    /// Work in it, without the functions that it calls.
    #[serde(flatten)]
    pub work: Work,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineWork {
    /// Where it is.
    #[serde(flatten)]
    pub source: SourceLine,
    /// The function that it is in.
    pub function: String,
    /// Work on it.
    #[serde(flatten)]
    pub work: Work,
}

/// A loop of the program's control flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopWork {
    /// Where it begins.
    #[serde(flatten)]
    pub source: SourceLine,
    /// Slot of its first instruction.
    pub insn: usize,
    /// Its instructions.
    pub insns: usize,
    /// How often its first instruction was processed.
    pub iterations: u64,
    /// Work in it, without the functions that it calls.
    #[serde(flatten)]
    pub work: Work,
}

/// A part of states that differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceWork {
    /// Where the states met.
    #[serde(flatten)]
    pub source: SourceLine,
    /// Slot where the states met.
    pub insn: usize,
    /// The part: `R3`, `fp-8`, with its frame where that is not the outermost.
    pub part: String,
    /// How often it was the first that differed.
    pub times: u64,
    /// What a kept state had, as the log writes it.
    pub old: String,
    /// What the current one had.
    pub new: String,
    /// The lines for which its exact value matters; none where it is not a number, or always has to agree.
    pub needed_by: Vec<SourceLine>,
}
