//! A text as a list of labels, instructions and directives.

mod directive;
mod flat;
mod labels;
mod layout;
mod maps;
mod object;
mod resolve;
mod types;

use crate::error::Problems;
use crate::text::cut::{Semicolons, statements};
use crate::text::statement::{At, Draft};
use crate::text::token::{Spanned, Token};
use crate::text::{Context, Syntax, gaps, instruction, is_mnemonic};
use directive::Directive;
use rustc_hash::FxHashMap;
use std::ops::Range;
pub(crate) use types::is_scalar;

/// One thing of the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item<'t> {
    /// `name:`
    Label(At<&'t str>),
    /// `1:`, which may be repeated.
    Numbered(u32),
    /// An instruction and the words it was read from.
    Insn(Draft<'t>, Range<usize>),
    /// A directive, and where its name stands.
    Directive(Directive<'t>, Range<usize>),
}

/// A text that has been read; nothing has been looked up yet.
#[derive(Debug)]
pub(crate) struct Unit<'t> {
    pub text: &'t str,
    pub items: Vec<Item<'t>>,
    /// Constants by name (`.equ`).
    pub constants: FxHashMap<&'t str, i128>,
    pub problems: Problems,
}

impl<'t> Unit<'t> {
    /// Reads a text.
    pub(crate) fn read(text: &'t str, syntax: Syntax) -> Self {
        if syntax != Syntax::Auto {
            return Reader::read(text, syntax);
        }
        match likely(text) {
            Some(syntax) => Reader::read(text, syntax),
            None => {
                let (c, mnemonic) = (Reader::read(text, Syntax::PseudoC), Reader::read(text, Syntax::Mnemonic));
                if mnemonic.problems.count() < c.problems.count() { mnemonic } else { c }
            }
        }
    }
}

/// The syntax that most statements begin as, if one has more of them.
fn likely(text: &str) -> Option<Syntax> {
    let (mut c, mut mnemonic) = (0, 0);
    for words in statements(text, Semicolons::Comment) {
        let mut words = words.iter().map(|w| w.1).peekable();
        let mut next = words.next();
        while next.is_some() && words.peek() == Some(&Token::Colon) {
            words.next();
            next = words.next();
        }
        match (next, words.next()) {
            (Some(Token::Register(_) | Token::Star | Token::If), _) => c += 1,
            (Some(Token::Lock), Some(Token::Star)) => c += 1,
            (Some(Token::Lock), Some(Token::Word(_))) => mnemonic += 1,
            (Some(Token::Word(name)), second) if second != Some(Token::LeftParen) && is_mnemonic(name) => mnemonic += 1,
            _ => {}
        }
    }
    match c.cmp(&mnemonic) {
        std::cmp::Ordering::Greater => Some(Syntax::PseudoC),
        std::cmp::Ordering::Less => Some(Syntax::Mnemonic),
        std::cmp::Ordering::Equal => None,
    }
}

struct Reader<'t> {
    cx: Context<'t>,
    syntax: Syntax,
    items: Vec<Item<'t>>,
    /// The current section holds data.
    in_data: bool,
    /// The current section is one that compilers write for others: debug information, and the types and lines that the
    /// object gets from the text itself.
    skipping: bool,
    /// Bytes of data that directives may still give.
    left: usize,
}

impl<'t> Reader<'t> {
    fn read(text: &'t str, syntax: Syntax) -> Unit<'t> {
        let semicolons = if syntax == Syntax::Mnemonic { Semicolons::Comment } else { Semicolons::Separate };
        let mut cx = Context { text, ..Context::default() };
        for (span, message) in gaps(text) {
            cx.problem(span, message);
        }
        let mut reader =
            Reader { cx, syntax, items: Vec::new(), in_data: false, skipping: false, left: directive::MOST_BYTES };
        for words in statements(text, semicolons) {
            reader.statement(&words);
        }
        let (constants, problems) = (reader.cx.constants, reader.cx.problems);
        Unit { text, items: reader.items, constants, problems }
    }

    fn statement(&mut self, words: &[Spanned<'t>]) {
        let mut words = words;
        let begins = |w: &Spanned<'t>| matches!(w.1, Token::Word(".section" | ".text" | ".data" | ".rodata" | ".bss"));
        if self.skipping && !words.first().is_some_and(begins) {
            return;
        }
        while let [(l, label, r), (_, Token::Colon, _), rest @ ..] = words {
            let text = &self.cx.text[*l..*r];
            match label {
                Token::Integer(n) => self.items.push(Item::Numbered(*n as u32)),
                _ if text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '.' | '$')) => {
                    self.items.push(Item::Label(At { value: text, span: *l..*r }));
                }
                _ => break,
            }
            words = rest;
        }
        let [(start, first, first_end), .., (_, _, end)] = words else {
            if let [(start, first, end)] = words {
                self.begin(*first, *start..*end, *start..*end, words);
            }
            return;
        };
        self.begin(*first, *start..*first_end, *start..*end, words);
    }

    /// A statement without its labels.
    fn begin(&mut self, first: Token<'t>, first_span: Range<usize>, span: Range<usize>, words: &[Spanned<'t>]) {
        match first {
            Token::Word(name) if name.starts_with('.') => self.directive(name, first_span, span.end, &words[1..]),
            _ => {
                let draft = instruction(&mut self.cx, self.syntax, words, span.end);
                self.items.push(Item::Insn(draft, span));
            }
        }
    }
}
