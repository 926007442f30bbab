//! A diagnosis as rustc would show it.

use crate::diagnosis::{Blame, Diagnosis, Span, Suggestion};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::collections::BTreeMap;
use std::ops::Range;

/// Lines that are known of a file: number and text.
pub type Lines = BTreeMap<u32, String>;

/// Edits of more instructions than this are not shown whole, but their first ones.
const MOST_EDITED: usize = 32;
/// So many of them.
const MOST_SHOWN: usize = 16;

/// Most lines between two that are shown as one piece.
const FOLD: u32 = 4;

/// Text of a file as far as it is known, from its first to its last shown line; unknown lines are empty.
struct Piece<'a> {
    path: String,
    start: u32,
    text: String,
    annotations: Vec<(Range<usize>, &'a Span, bool)>,
}

/// Byte range of a span inside of its line.
fn columns(span: &Span) -> Range<usize> {
    let text = span.text.trim_end();
    let byte = |column: u32| text.char_indices().nth(column as usize).map_or(text.len(), |(b, _)| b);
    let indent = text.len() - text.trim_start().len();
    if span.column == 0 || !span.has_source() {
        return indent..text.len().max(indent);
    }
    let (start, end) = (byte(span.column - 1), byte(span.end_column.saturating_sub(1)));
    if start >= text.len() {
        indent..text.len()
    } else {
        start..end.max(start + text[start..].chars().next().map_or(0, char::len_utf8))
    }
}

/// Spans in the same file whose lines are near each other, as pieces of text; the primary's first.
fn pieces<'a>(primary: &'a Span, others: &'a [Span], known: &dyn Fn(&str) -> Lines) -> Vec<Piece<'a>> {
    let number = |s: &Span| if s.has_source() { s.line } else { s.insn.unwrap_or(0) as u32 };
    let mut files: Vec<&str> = vec![&primary.file];
    for span in others {
        if !files.contains(&span.file.as_str()) {
            files.push(&span.file);
        }
    }
    let mut out = Vec::new();
    for file in files {
        let mut spans: Vec<(&Span, bool)> = others.iter().map(|s| (s, false)).filter(|(s, _)| s.file == file).collect();
        if primary.file == file {
            spans.push((primary, true));
        }
        spans.sort_by_key(|(s, primary)| (number(s), !primary));
        let lines = known(file);
        let mut at = 0;
        let first_piece = out.len();
        while at < spans.len() {
            let mut end = at + 1;
            // Lines in between must be known, or what is shown would not be the source.
            let joins = |a: u32, b: u32| b - a <= 1 || b - a <= FOLD && (a + 1..b).all(|l| lines.contains_key(&l));
            while end < spans.len() && joins(number(spans[end - 1].0), number(spans[end].0)) {
                end += 1;
            }
            let start = number(spans[at].0);
            let (mut text, mut annotations, mut line) = (String::new(), Vec::new(), start);
            let mut begins = 0;
            for (i, &(span, primary)) in spans[at..end].iter().enumerate() {
                let same = i > 0 && number(span) == line;
                if !same {
                    while line < number(span) && i > 0 {
                        text.push('\n');
                        line += 1;
                        if line < number(span) {
                            text += lines.get(&line).map_or("", |l| l.trim_end());
                        }
                    }
                    begins = text.len();
                    text += span.text.trim_end();
                }
                let range = columns(span);
                annotations.push((begins + range.start..begins + range.end, span, primary));
            }
            out.push(Piece { path: file.to_owned(), start, text, annotations });
            at = end;
        }
        // The piece with the primary span comes first.
        if let Some(p) = out[first_piece..].iter().position(|p| p.annotations.iter().any(|m| m.2)) {
            out[..].swap(first_piece, first_piece + p);
            out[first_piece + 1..].sort_by_key(|p| p.start);
        }
    }
    out
}

/// Renders a diagnosis for a terminal. `known` gives the lines that are known of a file; `colours` whether to use them.
pub fn terminal(d: &Diagnosis, known: &dyn Fn(&str) -> Lines, colours: bool) -> String {
    let mut title = Level::ERROR.primary_title(d.headline.as_str());
    if !d.code.is_empty() {
        title = title.id(d.code.as_str());
    }
    let mut group = Group::with_title(title);
    for piece in pieces(&d.primary, &d.secondary, known) {
        let mut snippet =
            Snippet::source(piece.text.clone()).line_start(piece.start as usize).path(piece.path).fold(false);
        for (range, span, primary) in piece.annotations {
            let kind = if primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            snippet = snippet.annotation(kind.span(range).label(span.label.clone()));
        }
        group = group.element(snippet);
    }
    for (i, line) in d.messages.iter().enumerate() {
        let text = if i + 1 == d.messages.len() { format!("the verifier says: {line}") } else { line.clone() };
        group = group.element(Level::NOTE.message(text));
    }
    for note in &d.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    if d.blame != Blame::Program {
        group = group.element(Level::NOTE.message(format!("at fault is {}", d.blame.words())));
    }
    let plain = |s: &&Suggestion| s.source.is_empty() && s.insns.is_empty();
    for s in d.suggestions.iter().filter(plain) {
        group = group.element(Level::HELP.message(s.text.as_str()));
    }
    let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
    let mut text = renderer.render(&[group]);
    for s in d.suggestions.iter().filter(|s| !plain(s)) {
        text += "\n";
        text += &suggestion(s);
    }
    text
}

/// A suggestion with its edits, as a difference of lines.
fn suggestion(s: &Suggestion) -> String {
    let how = if s.proved { "help (proved: the verifier accepts the program with this change)" } else { "help" };
    let mut text = format!("{how}: {}", s.text);
    for edit in &s.source {
        text += &format!("\n  --> {}:{}", edit.file, edit.line);
        let kept = edit.new.contains(&edit.old);
        if !kept {
            for line in edit.old.lines() {
                text += &format!("\n  - {}", line.trim_end());
            }
        }
        for line in &edit.new {
            let sign = if *line == edit.old { ' ' } else { '+' };
            text += &format!("\n  {sign} {}", line.trim_end());
        }
    }
    if s.source.is_empty() {
        let whole: usize = s.insns.iter().map(|e| e.removed.len() + e.inserted.len()).sum();
        let most = if whole > MOST_EDITED { MOST_SHOWN } else { whole };
        let mut shown = 0;
        for edit in &s.insns {
            let removed = edit.removed.iter().map(|line| ('-', line));
            let lines = removed.chain(edit.inserted.iter().map(|line| ('+', line)));
            for (n, (sign, line)) in lines.take(most - shown).enumerate() {
                if n == 0 {
                    text += &format!("\n  at instruction {}:", edit.at);
                }
                text += &format!("\n  {sign} {line}");
                shown += 1;
            }
        }
        if shown < whole {
            text += &format!("\n  and {} more instructions in the same way", whole - shown);
        }
    }
    text
}
