//! Messages of the parser.

use super::Context;
use super::token::Token;
use lalrpop_util::ParseError;

/// Says what the parser stumbled over; `end` is where the statement ends.
pub(crate) fn explain<'t>(cx: &mut Context<'t>, error: ParseError<usize, Token<'t>, ()>, end: usize) {
    if cx.problems.is_full() {
        return cx.problem(end..end, "");
    }
    let (span, found, expected) = match error {
        ParseError::UnrecognizedToken { token: (l, token, r), expected } => {
            let text = &cx.text[l..r];
            match token {
                Token::BadInteger(_) => return cx.problem(l..r, format!("`{text}` is no number of at most 64 bits")),
                Token::Stray("{") => return cx.problem(l..r, "braces are nested too deep"),
                Token::Stray(_) => return cx.problem(l..r, format!("`{text}` begins nothing")),
                _ => (l..r, format!("`{text}`"), expected),
            }
        }
        ParseError::UnrecognizedEof { expected, .. } => (end..end, "the end of the statement".into(), expected),
        ParseError::ExtraToken { token: (l, _, r) } => (l..r, format!("`{}`", &cx.text[l..r]), vec![]),
        ParseError::InvalidToken { location } => (location..location, "an unknown character".into(), vec![]),
        ParseError::User { .. } => return,
    };
    let message = match list(expected) {
        Some(expected) => format!("expected {expected}, found {found}"),
        None => format!("expected the end of the statement, found {found}"),
    };
    let line = cx.text[..span.start].rsplit('\n').next().unwrap_or_default();
    let help =
        line.contains(';').then(|| "`;` separates statements of pseudo-C; comments begin with `//` or `#`".into());
    cx.problem_with(span, message, help);
}

/// The terminals as a text; `None` when there are none.
fn list(expected: Vec<String>) -> Option<String> {
    let mut names: Vec<String> = expected
        .iter()
        .map(|e| e.trim_matches('"'))
        .map(|e| if e.starts_with("a ") || e.starts_with("an ") { e.to_owned() } else { format!("`{e}`") })
        .collect();
    // Where any word is a name, the words that are none elsewhere say nothing more.
    if ["a name", "`if`", "`-`"].iter().all(|n| names.iter().any(|m| m == n)) {
        names.retain(|n| !n.trim_matches('`').starts_with(|c: char| c.is_ascii_lowercase()) || n.starts_with('a'));
    }
    // Kinds of things come before signs, which are many.
    names.sort_by_key(|n| n.starts_with('`'));
    names.dedup();
    let last = names.pop()?;
    if names.is_empty() {
        return Some(last);
    }
    Some(format!("{} or {last}", names.join(", ")))
}
