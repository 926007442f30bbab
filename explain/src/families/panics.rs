//! Checks of Rust that panic where they fail: the panic handler loops for ever, or calls what does not return.

use crate::case::Case;
use crate::source::{self, SourceLine, is_word};

/// What fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Panics {
    /// `array[index]`
    Index {
        /// What is indexed.
        array: String,
        /// By what.
        index: String,
    },
    /// `array[from..to]`
    Range {
        /// What is cut.
        array: String,
        /// Where it begins, perhaps empty.
        from: String,
        /// Where it ends, perhaps empty.
        to: String,
    },
    /// A division by zero.
    Division {
        /// The divisor.
        by: String,
    },
    /// An option or a result that is none.
    Unwrap {
        /// `unwrap` or `expect`.
        call: &'static str,
    },
    /// Something else.
    Other,
}

/// A check that can fail.
pub(crate) struct Check {
    /// The step of the jump that leads to the panic.
    pub(crate) step: usize,
    /// The line of the program's own that has the check.
    pub(crate) line: SourceLine,
    /// What it checks.
    pub(crate) what: Panics,
}

/// Lines after the last one known that a check is looked for in.
const NEAR: u32 = 6;

/// The check that fails on a path which ends in a panic.
pub(crate) fn failing(case: &Case<'_>) -> Option<Check> {
    let last = case.step()?;
    let file = case.main_file().filter(|f| source::is_rust(f))?;
    let step = (0..last).rev().find(|&s| {
        let at = case.trace.steps[s].insn;
        let next = case.insn(at).successors(at);
        !case.insn(at).is_call() && next.jump.is_some() && next.fallthrough.is_some()
    })?;
    if let Some((line, what)) = check_at(case, case.trace.steps[step].insn) {
        return Some(Check { step, line, what });
    }
    // Library code was put in the place of a call; its line comes soon after the last one of the program's own.
    let own = case.source(case.own_line_before(step)?)?;
    let lines = case.file(file)?;
    let near = (own.line..=own.line + NEAR).map_while(|n| Some((n, lines.numbered(n)?)));
    let near = near.take_while(|(n, t)| *n == own.line || !t.starts_with('}'));
    let found = near.map(|(n, t)| (n, t, checked(t))).find(|(_, _, w)| *w != Panics::Other);
    match found {
        Some((line, text, what)) => Some(Check {
            step,
            line: SourceLine { file: file.to_owned(), line, column: 0, text: text.to_owned() },
            what,
        }),
        None => Some(Check { step, line: own, what: Panics::Other }),
    }
}

/// What a jump checks that the program's own line has.
pub(crate) fn check_at(case: &Case<'_>, at: usize) -> Option<(SourceLine, Panics)> {
    let line = case.source(at).filter(|l| Some(l.file.as_str()) == case.main_file())?;
    let what = checked(&line.text);
    (what != Panics::Other).then_some((line, what))
}

/// What a line checks.
fn checked(text: &str) -> Panics {
    for call in ["unwrap", "expect"] {
        if text.contains(&format!(".{call}(")) {
            return Panics::Unwrap { call };
        }
    }
    for (open, _) in text.match_indices('[') {
        let Some(array) = source::last_word(&text[..open]).filter(|_| text[..open].ends_with(is_word)) else {
            continue;
        };
        let mut depth = 0;
        let close = text[open..].char_indices().find(|(_, c)| {
            depth += i32::from(*c == '[') - i32::from(*c == ']');
            depth == 0
        });
        let Some(inner) = close.and_then(|(c, _)| text.get(open + 1..open + c)).map(str::trim) else { continue };
        if let Some((from, to)) = inner.split_once("..") {
            let to = match to.strip_prefix('=') {
                Some(last) => format!("{} + 1", last.trim()),
                None => to.trim().to_owned(),
            };
            return Panics::Range { array, from: from.trim().to_owned(), to };
        }
        if !inner.chars().all(|c| c.is_ascii_digit() || c == '_') && !inner.contains([';', ',']) {
            return Panics::Index { array, index: inner.to_owned() };
        }
    }
    for sign in [" / ", " % "] {
        if let Some((_, right)) = text.split_once(sign) {
            let by: String = right.chars().take_while(|c| is_word(*c) || *c == '.').collect();
            if !by.is_empty() && !by.starts_with(|c: char| c.is_ascii_digit()) {
                return Panics::Division { by };
            }
        }
    }
    Panics::Other
}

/// What is wrong, and what to do.
pub(crate) fn words(what: &Panics) -> (String, String) {
    match what {
        Panics::Index { array, index } => (
            format!("`{array}[{index}]` panics where {index} is not below the length of {array}"),
            format!("compare first: `if {index} >= {array}.len() {{ return .. }}`, or take `{array}.get({index})`, which is None there"),
        ),
        Panics::Range { array, from, to } => (
            format!("`{array}[{from}..{to}]` panics where the range is not one of {array}"),
            format!("take `{array}.get({from}..{to})`, which is None there"),
        ),
        Panics::Division { by } => (
            format!("a division panics where {by} is zero"),
            format!("compare first: `if {by} == 0 {{ return .. }}`, or use `checked_div`"),
        ),
        Panics::Unwrap { call } => (
            format!("`{call}` panics where there is nothing"),
            "take it apart: `let Some(value) = ... else { return .. };`, or `?` with `ok_or`".to_owned(),
        ),
        Panics::Other => (
            "a check that can fail is left in the program".to_owned(),
            "use `.get(i)` (or compare the index with the length first) and return where there is nothing, so that no panic is left".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_of_lines() {
        let index = |array: &str, index: &str| Panics::Index { array: array.into(), index: index.into() };
        assert_eq!(checked("    WEIGHTS[i] as i32"), index("WEIGHTS", "i"));
        assert_eq!(checked("    let x = self.table[(k & 7) as usize];"), index("self.table", "(k & 7) as usize"));
        assert_eq!(checked("    let x: [u8; 4] = [0; 4];"), Panics::Other);
        assert_eq!(checked("    let x = a[3];"), Panics::Other);
        let range = Panics::Range { array: "W".into(), from: "from".into(), to: "to".into() };
        assert_eq!(checked("    for w in &W[from..to] {"), range);
        assert_eq!(checked("    (len / parts) as i32"), Panics::Division { by: "parts".into() });
        assert_eq!(checked("    let c = lookup(&M, &k).unwrap();"), Panics::Unwrap { call: "unwrap" });
    }
}
