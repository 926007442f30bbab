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

/// One thing wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsmError {
    /// Line, from 1.
    pub line: usize,
    /// Column of the first wrong character, from 1, in characters.
    pub column: usize,
    /// How many characters are wrong; at least one.
    pub width: usize,
    /// The line's text.
    pub text: String,
    /// Where it is wrong, in bytes of the whole text.
    pub span: Range<usize>,
    /// What is wrong and what was expected.
    pub message: String,
    /// What might be meant.
    pub help: Option<String>,
}

impl AsmError {
    pub(crate) fn new(text: &str, problem: Problem) -> Self {
        let end = text.len();
        let start = problem.span.start.min(end);
        // A place behind the last word of a line is shown there, not on the next line.
        let line_start = text[..start].rfind('\n').map_or(0, |n| n + 1);
        let line_end = text[start..].find('\n').map_or(end, |n| start + n);
        let stop = problem.span.end.clamp(start, line_end);
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            width: text[start..stop].chars().count().max(1),
            text: text[line_start..line_end].trim_end().to_owned(),
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
        let before = self.text.chars().take(self.column - 1).map(|c| if c == '\t' { c } else { ' ' });
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
    /// The errors; at least one.
    pub list: Vec<AsmError>,
}

impl Errors {
    pub(crate) fn new(name: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|p| p.span.start);
        problems.dedup();
        let list = problems.into_iter().map(|p| AsmError::new(text, p)).collect();
        Self { name: name.to_owned(), list }
    }

    /// Something wrong with no single place.
    pub(crate) fn whole(name: &str, message: String) -> Self {
        Self::new(name, "", vec![Problem { span: 0..0, message, help: None }])
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
        Ok(())
    }
}
