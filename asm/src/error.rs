//! What is wrong with a text, and how it is shown.

use std::fmt;
use std::ops::Range;

/// Something wrong, by its place in bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub span: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

/// Everything that was found wrong: the first problems, and how many more there are. A text may be wrong in every line,
/// and who reads the messages mends the first ones first.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    more: usize,
}

/// Problems of one kind of work that are kept.
const MOST: usize = 100;

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        if self.is_full() {
            self.more += 1;
        } else if self.list.last() != Some(&problem) {
            self.list.push(problem);
        }
    }

    /// Whether further problems are only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MOST
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.list.len() + self.more
    }

    /// Takes what others have found.
    pub(crate) fn append(&mut self, others: Self) {
        self.more += others.more;
        others.list.into_iter().for_each(|p| self.push(p));
    }

    /// Asks whether the name that is most like `wrong` was meant. Nobody is asked about problems that are only counted,
    /// since looking through all names takes time.
    pub(crate) fn suggest<'n>(&self, wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
        if self.is_full() {
            return None;
        }
        ebpfkit_object::nearest(wrong, names).map(|n| format!("did you mean `{n}`?"))
    }
}

/// One thing wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsmError {
    /// Line, from 1.
    pub line: usize,
    /// Column of the first wrong character, from 1, in characters.
    pub column: usize,
    /// How many characters are wrong; at least one.
    pub width: usize,
    /// The line's text, or of a very long line what stands around the place.
    pub text: String,
    /// Characters of the line before `text`.
    pub skipped: usize,
    /// Where it is wrong, in bytes of the whole text.
    pub span: Range<usize>,
    /// What is wrong and what was expected.
    pub message: String,
    /// What might be meant.
    pub help: Option<String>,
}

/// Characters of a line that are shown before and behind a place.
const SHOWN: usize = 120;

impl AsmError {
    /// `before` is a line and where it begins, at or before the problem.
    fn new(text: &str, problem: Problem, before: &mut (usize, usize)) -> Self {
        let end = text.len();
        let start = problem.span.start.min(end);
        // A place behind the last word of a line is shown there, not on the next line.
        let (line, from) = *before;
        let passed = text[from..start].matches('\n').count();
        let line_start = text[from..start].rfind('\n').map_or(from, |n| from + n + 1);
        *before = (line + passed, line_start);
        let line_end = text[start..].find('\n').map_or(end, |n| start + n);
        let stop = problem.span.end.clamp(start, line_end);
        let column = text[line_start..start].chars().count() + 1;
        let width = text[start..stop].chars().count().max(1);
        let skipped = (column - 1).saturating_sub(SHOWN);
        let shown: String = text[line_start..line_end].chars().skip(skipped).take(3 * SHOWN).collect();
        Self {
            line: line + passed,
            column,
            width: width.min(2 * SHOWN),
            text: shown.trim_end().to_owned(),
            skipped,
            span: start..stop,
            message: problem.message,
            help: problem.help,
        }
    }
}

impl fmt::Display for AsmError {
    /// The message, then the line with the place marked below it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:{}: error: {}", self.line, self.column, self.message)?;
        writeln!(f, "{:5} | {}", self.line, self.text)?;
        // Tabs stay tabs, so that the mark stands below its place.
        let before = self.text.chars().take(self.column - 1 - self.skipped).map(|c| if c == '\t' { c } else { ' ' });
        write!(f, "      | {}{}", before.collect::<String>(), "^".repeat(self.width))?;
        if let Some(help) = &self.help {
            write!(f, "\n      = {help}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a text, by place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Errors {
    /// Name of the text, as in messages.
    pub name: String,
    /// The errors, of very many the first; at least one.
    pub list: Vec<AsmError>,
    /// How many more there are.
    pub more: usize,
}

impl Errors {
    pub(crate) fn new(name: &str, text: &str, problems: Problems) -> Self {
        let Problems { mut list, more } = problems;
        list.sort_by_key(|p| p.span.start);
        list.dedup();
        let mut before = (1, 0);
        let list = list.into_iter().map(|p| AsmError::new(text, p, &mut before)).collect();
        Self { name: name.to_owned(), list, more }
    }

    /// Something wrong with no single place.
    pub(crate) fn whole(name: &str, message: String) -> Self {
        let problems = Problems { list: vec![Problem { span: 0..0, message, help: None }], more: 0 };
        Self::new(name, "", problems)
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.list.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            if !self.name.is_empty() {
                write!(f, "{}:", self.name)?;
            }
            write!(f, "{error}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n{}{}and {more} more", self.name, if self.name.is_empty() { "" } else { ": " }),
        }
    }
}
