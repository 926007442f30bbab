//! A text cut into statements: the words between line ends and semicolons.

use super::listed::{self, Line, Listed, Starts};
use super::token::{Spanned, Token};
use logos::Logos;
use std::ops::Range;

/// How lines are cut into statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Semicolons {
    /// A semicolon separates statements, unless it is the first thing on its line. Inside braces it always separates.
    Separate,
    /// A semicolon starts a comment.
    Comment,
}

/// Most braces inside each other.
const MAX_DEPTH: usize = 32;

/// Cuts a text into statements: the words between line ends and semicolons. A brace that is open holds lines together.
/// Lines that a log or a listing has written may stand in the text; see [`listed`]. Of a whole log of the kernel only the
/// instructions count.
pub(crate) fn statements<'t>(text: &'t str, semicolons: Semicolons) -> Vec<Vec<Spanned<'t>>> {
    let Some(lines) = listed::log(text) else { return cut(text, semicolons) };
    let mut statements = Vec::new();
    for (_, span) in lines {
        for mut words in cut(&text[span.clone()], semicolons) {
            words.iter_mut().for_each(|w| (w.0, w.2) = (w.0 + span.start, w.2 + span.start));
            statements.push(words);
        }
    }
    statements
}

/// The words being cut into statements.
struct Cut<'t> {
    statements: Vec<Vec<Spanned<'t>>>,
    current: Vec<Spanned<'t>>,
    /// What stood before the current line's instruction.
    from: Option<Listed>,
}

impl<'t> Cut<'t> {
    /// A line or statement has ended.
    fn finish(&mut self) {
        if let Some(called) = self.from.and_then(|l| l.called) {
            listed::name_call(&mut self.current, called);
        }
        // A line such as `int prog(void *ctx):`, with which bpftool begins a function.
        if let [(start, Token::Word(_) | Token::Struct, _), .., (_, Token::RightParen, _), (_, Token::Colon, _)] =
            self.current[..]
        {
            self.current.pop();
            self.current.insert(0, (start, Token::Word(".func"), start));
        }
        if !self.current.is_empty() {
            self.statements.push(std::mem::take(&mut self.current));
        }
    }

    /// A line that is a statement of another kind than its words look like; whether it was one.
    fn whole(&mut self, text: &'t str, line: Line<'t>, starts: &Starts<'t>) -> bool {
        let mut directive = |name: &'static str, of: &'t str| {
            let span = listed::span(text, of);
            self.statements
                .push(vec![(span.start, Token::Word(name), span.start), (span.start, Token::Word(of), span.end)]);
        };
        match line {
            Line::Plain | Line::Insn(_) => return false,
            Line::Title => {}
            Line::Section(name) => directive(".section", name),
            Line::Start(name) if is_block(name) => {
                let span = listed::span(text, name);
                self.statements
                    .push(vec![(span.start, Token::Word(name), span.end), (span.end, Token::Colon, span.end)]);
            }
            Line::Start(name) => directive(".func", name),
            Line::Relocation(symbol, call) => {
                if let Some(words) = self.statements.last_mut() {
                    starts.relocate(words, symbol, listed::span(text, symbol), call);
                }
            }
        }
        true
    }
}

/// Whether a symbol is one that compilers give to a block of a function.
fn is_block(name: &str) -> bool {
    let digits = name.trim_start_matches('.').strip_prefix("LBB");
    digits.is_some_and(|d| d.starts_with(|c: char| c.is_ascii_digit()))
}

fn cut<'t>(text: &'t str, semicolons: Semicolons) -> Vec<Vec<Spanned<'t>>> {
    let mut out = Cut { statements: Vec::new(), current: Vec::new(), from: None };
    let starts = Starts::find(text);
    let mut lexer = Token::lexer(text);
    let line_at = |at: usize| text[at..].split('\n').next().unwrap_or_default();
    let (mut fresh, mut depth) = (true, 0usize);
    // Where the first thing of the current line stands.
    let mut first_of_line = 0;
    loop {
        if fresh {
            fresh = false;
            let at = lexer.span().end;
            let line = line_at(at);
            first_of_line = at + line.len() - line.trim_start().len();
            let kind = listed::line(line);
            out.from = None;
            if let Line::Insn(listed) = kind {
                out.from = Some(listed);
                lexer.bump(listed.prefix);
            } else if depth == 0 && out.current.is_empty() && out.whole(text, kind, &starts) {
                lexer.bump(line.len());
            }
        }
        let Some(result) = lexer.next() else { break };
        let Range { start, end } = lexer.span();
        let slice = lexer.slice();
        let token = result.unwrap_or_else(|()| {
            if slice.starts_with(|c: char| c.is_ascii_digit()) { Token::BadInteger(slice) } else { Token::Stray(slice) }
        });
        match token {
            Token::Newline => {
                fresh = true;
                out.long(start);
                if depth == 0 {
                    out.finish();
                }
            }
            Token::Semicolon => {
                let first = start <= first_of_line;
                if depth > 0 {
                    out.current.push((start, token, end));
                } else if semicolons == Semicolons::Comment || first || out.from.is_some_and(|l| l.log) {
                    let rest = line_at(end).len();
                    lexer.bump(rest);
                } else {
                    out.finish();
                }
            }
            _ => {
                // Values that are nested deeper are not read.
                let token = if token == Token::LeftBrace && depth >= MAX_DEPTH { Token::Stray(slice) } else { token };
                match token {
                    Token::LeftBrace => depth += 1,
                    Token::RightBrace => depth = depth.saturating_sub(1),
                    _ => {}
                }
                out.current.push((start, token, end));
            }
        }
    }
    out.long(text.len());
    out.finish();
    out.statements
}

impl Cut<'_> {
    /// The kernel writes 64-bit loads without `ll`.
    fn long(&mut self, at: usize) {
        if self.from.is_some_and(|l| l.wide) && !matches!(self.current.last(), None | Some((_, Token::LongLong, _))) {
            self.current.push((at, Token::LongLong, at));
        }
    }
}
