//! Edits of source lines that say the same as edits of instructions.

use crate::case::Case;
use crate::diagnosis::SourceEdit;
use crate::source::SourceLine;

/// The indentation of a line.
fn indent(text: &str) -> &str {
    &text[..text.len() - text.trim_start().len()]
}

/// Whether a line is one whole statement.
fn is_statement(text: &str) -> bool {
    let t = text.trim();
    t.ends_with(';')
        && !["for ", "for(", "else", "case ", "default", "while", "do ", "if ", "if("].iter().any(|w| t.starts_with(w))
        && t.matches('(').count() == t.matches(')').count()
}

/// Whether something can be put before a line without changing what belongs to what.
fn may_insert_before(case: &Case<'_>, line: &SourceLine) -> bool {
    if !is_statement(&line.text) && !line.text.trim_start().starts_with("if") {
        return false;
    }
    if line.text.trim_start().starts_with("else") || line.line < 2 {
        return false;
    }
    // What stands before has to end a statement or begin a block.
    let before = (1..line.line)
        .rev()
        .map(|n| case.line_text(&line.file, n))
        .find(|t| t.as_ref().is_none_or(|t| !t.trim().is_empty()));
    match before.flatten() {
        Some(t) => {
            let t = t.trim().to_owned();
            t.ends_with(';') && !t.starts_with("else")
                || t.ends_with('{')
                || t.ends_with('}')
                || t.ends_with("*/")
                || t.starts_with("//")
        }
        None => false,
    }
}

/// Puts statements before the line of an instruction.
pub(crate) fn before(case: &Case<'_>, insn: usize, statements: &[String]) -> Option<SourceEdit> {
    let line = case.source(insn)?;
    if line.line == 0 || !may_insert_before(case, &line) || !is_c(&line) {
        return None;
    }
    let pad = indent(&line.text).to_owned();
    let mut new: Vec<String> = statements.iter().map(|s| format!("{pad}{s}")).collect();
    new.push(line.text.clone());
    Some(SourceEdit { file: line.file, line: line.line, old: line.text, new })
}

/// Puts statements after the line of an instruction, where that is one whole statement.
pub(crate) fn after(case: &Case<'_>, insn: usize, statements: &[String]) -> Option<SourceEdit> {
    let line = case.source(insn)?;
    let before_it = case.line_text(&line.file, line.line.checked_sub(1)?);
    let alone = before_it.is_none_or(|t| {
        let t = t.trim();
        !(t.starts_with("if") || t.starts_with("for") || t.starts_with("while") || t.starts_with("else"))
            || t.ends_with('{')
            || t.ends_with(';')
    });
    if line.line == 0 || !is_statement(&line.text) || !is_c(&line) || !alone {
        return None;
    }
    let pad = indent(&line.text).to_owned();
    let new = std::iter::once(line.text.clone()).chain(statements.iter().map(|s| format!("{pad}{s}"))).collect();
    Some(SourceEdit { file: line.file, line: line.line, old: line.text, new })
}

/// Replaces a part of the line of an instruction.
pub(crate) fn replace(case: &Case<'_>, insn: usize, old: &str, with: &str) -> Option<SourceEdit> {
    let line = case.source(insn)?;
    replace_in(&line, old, with)
}

/// Replaces a part of a line that has it once.
pub(crate) fn replace_in(line: &SourceLine, old: &str, with: &str) -> Option<SourceEdit> {
    if line.line == 0 || line.text.matches(old).count() != 1 {
        return None;
    }
    let new = vec![line.text.replacen(old, with, 1)];
    Some(SourceEdit { file: line.file.clone(), line: line.line, old: line.text.clone(), new })
}

/// Whether a line is C.
pub(crate) fn is_c(line: &SourceLine) -> bool {
    [".c", ".h", ".cc", ".cpp"].iter().any(|e| line.file.ends_with(e))
}
