//! A rejection as data: what is wrong, where, why, and what to change. Renderers are apart.

use serde::{Deserialize, Serialize};

/// Why one program is rejected, and what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Code of the rejection, `EBPF` and four digits; empty where a foreign message has none.
    pub code: String,
    /// What is wrong, in the programmer's words and in terms of this program.
    pub headline: String,
    /// The kernel's own lines, verbatim, those before its last one included; what the loader says comes in their place
    /// where it rewrites them.
    pub messages: Vec<String>,
    /// The place that is refused.
    pub primary: Span,
    /// Where the proof was lost, where values came from, what bounded them: in the order of the path.
    pub secondary: Vec<Span>,
    /// What else matters.
    pub notes: Vec<String>,
    /// What to change; those that are proved come first.
    pub suggestions: Vec<Suggestion>,
    /// Whose fault it is.
    pub blame: Blame,
}

/// A place in the program with what is to be said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Source file as the compiler named it; without line records, the object and section.
    pub file: String,
    /// Line, from 1; zero without line records.
    pub line: u32,
    /// First column, from 1; zero when unknown: then the whole line is meant.
    pub column: u32,
    /// Column behind the last one.
    pub end_column: u32,
    /// Text of the line, with its indentation; without line records, the instruction's.
    pub text: String,
    /// Slot of the instruction, where one is meant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub insn: Option<usize>,
    /// What is to be said of it.
    pub label: String,
}

impl Span {
    /// Whether the place is a line of source rather than an instruction.
    pub fn has_source(&self) -> bool {
        self.line != 0
    }
}

/// A remedy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// What to do, in words.
    pub text: String,
    /// Its edits were applied to the program, and the verifier took the result.
    pub proved: bool,
    /// Edits of source lines that say the same.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub source: Vec<SourceEdit>,
    /// Edits of instructions that were applied.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub insns: Vec<InsnEdit>,
}

/// Lines of source to replace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEdit {
    /// File as the compiler named it.
    pub file: String,
    /// First line, from 1.
    pub line: u32,
    /// What stands there, with its indentation: one line, or the text of several that follow each other.
    pub old: String,
    /// What shall stand there: any number of lines.
    pub new: Vec<String>,
}

/// Instructions to replace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsnEdit {
    /// Slot before which, or from which on, instructions change; slots are those of the rejected program.
    pub at: usize,
    /// Text of the instructions that go.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub removed: Vec<String>,
    /// Text of the instructions that come; jumps name slots of the mended program.
    pub inserted: Vec<String>,
}

/// Whose fault a rejection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The program does something wrong, or leaves out what it has to show.
    #[default]
    Program,
    /// The compiler made of correct source what the verifier does not take.
    Compiler,
    /// The program is right, and the verifier cannot see it.
    Verifier,
    /// A limit of the kernel's.
    Limit,
    /// The kernel, the way in which the program was built or loaded, or the rights of the user.
    Environment,
}

impl Blame {
    /// Whose fault, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Program => "the program",
            Self::Compiler => "the compiler's output: the source may be right",
            Self::Verifier => "the verifier's imprecision: the program may be right",
            Self::Limit => "a limit of the kernel",
            Self::Environment => "the way the program is built or loaded, or the kernel it is meant for",
        }
    }
}
