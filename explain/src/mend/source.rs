//! Edits of source lines that say the same as edits of instructions.

use super::{exit_text, release};
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

/// What a function of C that was inlined returns where it gives up.
fn inlined_return(case: &Case<'_>, line: &SourceLine) -> Option<String> {
    let head = case.scope(line).first().cloned()?;
    let (before, _) = head.1.split_once('(')?;
    let name = crate::source::last_word(before)?;
    let main = case.function_at(case.function_start(case.at())).unwrap_or_else(|| case.program.name.clone());
    if crate::source::find_word(&head.1, &main).is_some() || name.starts_with("BPF_") {
        return None;
    }
    let kind = before[..before.len() - name.len()].trim_end();
    if kind.ends_with("void") {
        return Some("return;".into());
    }
    if kind.ends_with('*') {
        return Some("return 0;".into());
    }
    // What it returns on errors elsewhere.
    let lines = case.file(&line.file)?;
    let body = (head.0 as usize..).map_while(|n| lines.get(n)).take_while(|t| !t.starts_with('}')).map(str::trim);
    // A plain number or name, which is known everywhere in the function.
    let error = body.filter(|t| t.starts_with("return -") && t.ends_with(';')).find(|t| t.matches(' ').count() == 1);
    Some(error.unwrap_or("return 0;").to_owned())
}

/// A comparison that leaves the function around an instruction, as statements: what is open is closed before that. None
/// where that cannot be written.
pub(crate) fn leaving(case: &Case<'_>, step: usize, insn: usize, condition: &str, without: u32) -> Option<Vec<String>> {
    let line = case.source(insn)?;
    if crate::source::is_rust(&line.file) {
        // Releases are written otherwise there.
        let closing = release::lines(case, step, without)?;
        return if closing.is_empty() { super::rust::leaving(case, &line, step, condition) } else { None };
    }
    let leave = inlined_return(case, &line).unwrap_or_else(|| exit_text(case, step));
    let closing = release::lines(case, step, without)?;
    if closing.is_empty() {
        return Some(vec![format!("if ({condition})"), format!("\t{leave}")]);
    }
    let mut out = vec![format!("if ({condition}) {{")];
    out.extend(closing.iter().map(|l| format!("\t{l}")));
    out.extend([format!("\t{leave}"), "}".to_owned()]);
    Some(out)
}

/// Whether a line is the head of a branch or loop whose body is the next line alone.
fn is_head_without_block(text: &str) -> bool {
    let t = text.trim();
    ["for ", "for(", "while ", "while(", "if ", "if("].iter().any(|w| t.starts_with(w))
        && t.ends_with(')')
        && t.matches('(').count() == t.matches(')').count()
}

/// The condition of an `if` that compares the same number from above already: it gets the comparison from below, too, or,
/// where that is not what lacks, a barrier that keeps the compiler from leaving it out.
fn compared_already(head: &str, comparison: &str) -> Option<Vec<String>> {
    let condition = comparison.strip_prefix("if (")?.strip_suffix(')')?;
    let name = condition.split([' ', ')']).next()?;
    let above = [format!("{name} < "), format!("{name} <= ")].into_iter().find(|c| head.contains(c.as_str()))?;
    if !head.trim_start().starts_with("if") || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    if condition.starts_with(&format!("{name} < 0 || ")) {
        return Some(vec![head.replacen(&above, &format!("{name} >= 0 && {above}"), 1)]);
    }
    Some(vec![format!("{}asm volatile(\"\" : \"+r\"({name}));", indent(head)), head.to_owned()])
}

/// Puts statements before the line of an instruction.
pub(crate) fn before(case: &Case<'_>, insn: usize, statements: &[String]) -> Option<SourceEdit> {
    let line = case.source(insn)?;
    if crate::source::is_rust(&line.file) {
        return super::rust::before(case, &line, statements);
    }
    if line.line < 2 || !is_c(&line) {
        return None;
    }
    // A body without braces gets them.
    if let Some(head) = case.line_text(&line.file, line.line - 1).filter(|t| is_head_without_block(t))
        && is_statement(&line.text)
        && case.line_text(&line.file, line.line + 1).is_some_and(|t| !t.trim_start().starts_with("else"))
    {
        let (outer, pad) = (indent(&head).to_owned(), indent(&line.text).to_owned());
        let comparison = statements.iter().find(|s| s.starts_with("if ("));
        if let Some(new) = comparison.and_then(|s| compared_already(&head, s)) {
            return Some(SourceEdit { file: line.file, line: line.line - 1, old: head, new });
        }
        let mut new = vec![format!("{} {{", head.trim_end())];
        new.extend(statements.iter().map(|s| format!("{pad}{s}")));
        new.extend([line.text.clone(), format!("{outer}}}")]);
        let old = format!("{head}\n{}", line.text);
        return Some(SourceEdit { file: line.file, line: line.line - 1, old, new });
    }
    if !may_insert_before(case, &line) {
        return None;
    }
    let pad = indent(&line.text).to_owned();
    let mut new: Vec<String> = statements.iter().map(|s| format!("{pad}{s}")).collect();
    new.push(line.text.clone());
    Some(SourceEdit { file: line.file, line: line.line, old: line.text, new })
}

/// Puts what an edit inserts into another edit of the same lines, behind what that inserts.
pub(crate) fn merge(earlier: &mut SourceEdit, edit: &SourceEdit) {
    if earlier.new == edit.new {
        return;
    }
    let same = |a: &[String], b: &[String]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let first = same(&earlier.new, &edit.new);
    let reversed = |l: &[String]| l.iter().rev().cloned().collect::<Vec<_>>();
    let most = earlier.new.len().min(edit.new.len()) - first;
    let last = same(&reversed(&earlier.new), &reversed(&edit.new)).min(most);
    let at = earlier.new.len() - last;
    let inserted = edit.new[first..edit.new.len() - last].to_vec();
    earlier.new.splice(at..at, inserted);
}

/// Puts statements after the line of an instruction, where that is one whole statement.
pub(crate) fn after(case: &Case<'_>, insn: usize, statements: &[String]) -> Option<SourceEdit> {
    let line = case.source(insn)?;
    if crate::source::is_rust(&line.file) {
        return super::rust::after(&line, statements);
    }
    let before_it = case.line_text(&line.file, line.line.checked_sub(1)?);
    // A body without braces gets them.
    if let Some(head) = before_it.as_ref().filter(|t| is_head_without_block(t))
        && is_statement(&line.text)
        && is_c(&line)
        && case.line_text(&line.file, line.line + 1).is_some_and(|t| !t.trim_start().starts_with("else"))
    {
        let (outer, pad) = (indent(head).to_owned(), indent(&line.text).to_owned());
        let mut new = vec![format!("{} {{", head.trim_end()), line.text.clone()];
        new.extend(statements.iter().map(|s| format!("{pad}{s}")));
        new.push(format!("{outer}}}"));
        let old = format!("{head}\n{}", line.text);
        return Some(SourceEdit { file: line.file, line: line.line - 1, old, new });
    }
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

/// The line that includes a header of libbpf's, after all others.
pub(crate) fn header(case: &Case<'_>, name: &str) -> Option<SourceEdit> {
    let file = case.main_file()?;
    let lines = case.file(file)?;
    let all = (0..).map_while(|n| Some((n as u32 + 1, lines.get(n)?)));
    let (line, old) = all.filter(|(_, t)| t.starts_with("#include")).last()?;
    let new = vec![old.to_owned(), format!("#include <bpf/{name}>")];
    Some(SourceEdit { file: file.to_owned(), line, old: old.to_owned(), new })
}

/// Lines before the program: before the line that names its section.
pub(crate) fn before_program(case: &Case<'_>, lines: &[String]) -> Option<SourceEdit> {
    let name = case.function_at(case.trace.start).unwrap_or_else(|| case.program.name.clone());
    let (file, mut line, mut old) = case.declaration(&name)?;
    let before = case.line_text(&file, line.checked_sub(1)?);
    if let Some(section) = before.filter(|t| t.trim_start().starts_with("SEC(")) {
        (line, old) = (line - 1, section);
    }
    if !is_c(&SourceLine { file: file.clone(), line, column: 0, text: String::new() }) {
        return None;
    }
    let new = lines.iter().cloned().chain([String::new(), old.clone()]).collect();
    Some(SourceEdit { file, line, old, new })
}

/// Puts statements behind the `if` that an instruction belongs to, where what depends on that is one line which leaves.
pub(crate) fn after_leaving(case: &Case<'_>, insn: usize, statements: &[String]) -> Option<SourceEdit> {
    let line = case.source(insn)?;
    let next = case.line_text(&line.file, line.line + 1)?;
    let leaves = ["return", "goto", "break", "continue"].iter().any(|w| next.trim_start().starts_with(w));
    let alone = is_head_without_block(&line.text) && line.text.trim_start().starts_with("if");
    let follows = case.line_text(&line.file, line.line + 2).unwrap_or_default();
    if !is_c(&line) || !alone || !leaves || !next.trim_end().ends_with(';') || follows.trim_start().starts_with("else")
    {
        return None;
    }
    let pad = indent(&line.text).to_owned();
    let new = std::iter::once(next.clone()).chain(statements.iter().map(|s| format!("{pad}{s}"))).collect();
    Some(SourceEdit { file: line.file, line: line.line + 1, old: next, new })
}
