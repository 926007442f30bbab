//! Directives: the statements that begin with a dot.

use super::{Item, Reader};
use crate::text::declare::{FunctionDecl, MapDecl, Members, Variable};
use crate::text::statement::{At, Draft};
use crate::text::token::{Spanned, Token, unescape};
use crate::text::{self, Syntax};
use std::ops::Range;

/// Which kind of thing of the kernel an extern is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExternKind {
    /// A function.
    Function,
    /// A variable.
    Variable,
    /// A value of the kernel's configuration.
    Config,
}

/// A directive, read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Directive<'t> {
    /// What follows belongs to this section.
    Section(&'t str),
    /// A function begins.
    Function(FunctionDecl<'t>),
    /// A label is a global function.
    Global(At<&'t str>),
    /// A label is a function.
    IsFunction(At<&'t str>),
    License(Vec<u8>),
    Map(MapDecl<'t>),
    /// A map that others are made of, and that is not created itself.
    Inner(MapDecl<'t>),
    /// A struct (or union).
    Composite(bool, Members<'t>),
    /// A variable, and its section when that is not the current one.
    Variable(Option<&'t str>, Variable<'t>),
    /// Something of the kernel, and whether it is a function.
    Extern(ExternKind, FunctionDecl<'t>),
    /// A tag of a function, or of its parameter of this number.
    Tag(At<&'t str>, Option<u32>, Vec<u8>),
    /// Bytes at the current place of a data section.
    Bytes(Vec<u8>),
}

/// Most bytes that directives give, as much as a loader believes.
pub(super) const MOST_BYTES: usize = 1 << 28;

/// Every directive, with what it does.
pub(crate) const NAMES: [&str; 48] = [
    ".syntax",
    ".equ",
    ".set",
    ".section",
    ".text",
    ".data",
    ".rodata",
    ".bss",
    ".var",
    ".func",
    ".globl",
    ".global",
    ".type",
    ".license",
    ".map",
    ".inner",
    ".tag",
    ".struct",
    ".union",
    ".kfunc",
    ".ksym",
    ".kconfig",
    ".byte",
    ".2byte",
    ".short",
    ".4byte",
    ".long",
    ".8byte",
    ".quad",
    ".zero",
    ".space",
    ".ascii",
    ".asciz",
    ".string",
    ".file",
    ".ident",
    ".size",
    ".align",
    ".p2align",
    ".balign",
    ".addrsig",
    ".addrsig_sym",
    ".weak",
    ".hidden",
    ".local",
    ".loc",
    ".end",
    ".endfunc",
];

impl<'t> Reader<'t> {
    fn slice(&self, words: &[Spanned<'t>], end: usize) -> (Range<usize>, &'t str) {
        let span = words.first().zip(words.last()).map_or(end..end, |(a, b)| a.0..b.2);
        (span.clone(), &self.cx.text[span])
    }

    /// A quoted text and nothing else.
    fn quoted(&mut self, words: &[Spanned<'t>], end: usize) -> Option<Vec<u8>> {
        let [(l, Token::Text(quoted), r)] = words else {
            let (span, _) = self.slice(words, end);
            self.cx.problem(span, "expected a text in double quotes");
            return None;
        };
        let bytes = unescape(quoted);
        if bytes.is_none() {
            let help = Some("the escapes are \\n, \\t, \\r, \\0, \\\\, \\\", \\' and \\x with two digits".into());
            self.cx.problem_with(*l..*r, "the text has an escape that does not exist", help);
        }
        bytes
    }

    pub(super) fn directive(&mut self, name: &'t str, span: Range<usize>, end: usize, words: &[Spanned<'t>]) {
        // Words of instructions are ordinary names here.
        let text = self.cx.text;
        let word =
            |&(l, token, r): &Spanned<'t>| (l, if token.is_word() { Token::Word(&text[l..r]) } else { token }, r);
        let words: &[Spanned<'t>] = &words.iter().map(word).collect::<Vec<_>>();
        let read = match name {
            ".syntax" => {
                let (at, text) = self.slice(words, end);
                match Syntax::from_name(text) {
                    Some(syntax) => self.syntax = syntax,
                    None => self.cx.problem(at, "expected `pseudo-c` or `mnemonic`"),
                }
                None
            }
            ".equ" | ".set" => {
                if let Some((name, value)) = text::constant(&mut self.cx, words, end) {
                    let value = self.cx.value(value.value);
                    self.cx.constants.insert(name.value, value);
                }
                None
            }
            ".section" => self.section(words, end),
            ".text" => Some(Directive::Section(".text")),
            ".data" | ".rodata" | ".bss" if words.is_empty() => Some(Directive::Section(name)),
            ".data" | ".rodata" | ".bss" => {
                text::variable(&mut self.cx, words, end).map(|v| Directive::Variable(Some(name), v))
            }
            ".var" => text::variable(&mut self.cx, words, end).map(|v| Directive::Variable(None, v)),
            ".func" => text::function(&mut self.cx, words, end).map(Directive::Function),
            ".globl" | ".global" => self.word(words, end).map(Directive::Global),
            ".type" => match words {
                [(l, Token::Word(f), r), (_, Token::Comma, _), .., (_, Token::Word("function"), _)] => {
                    Some(Directive::IsFunction(At { value: f, span: *l..*r }))
                }
                _ => None,
            },
            ".license" => self.quoted(words, end).map(Directive::License),
            ".map" => self.map(words, end).map(Directive::Map),
            ".inner" => self.map(words, end).map(Directive::Inner),
            ".tag" => self.tag(words, end),
            ".struct" => text::members(&mut self.cx, words, end).map(|m| Directive::Composite(false, m)),
            ".union" => text::members(&mut self.cx, words, end).map(|m| Directive::Composite(true, m)),
            ".kfunc" => self.external(ExternKind::Function, words, end),
            ".ksym" => self.external(ExternKind::Variable, words, end),
            ".kconfig" => self.external(ExternKind::Config, words, end),
            ".byte" => self.data(1, words, end),
            ".2byte" | ".short" => self.data(2, words, end),
            ".4byte" | ".long" => self.data(4, words, end),
            ".8byte" | ".quad" => self.data(8, words, end),
            ".zero" | ".space" => self.zero(words, end),
            ".ascii" => self.quoted(words, end).map(Directive::Bytes),
            ".asciz" | ".string" => self.quoted(words, end).map(|mut bytes| {
                bytes.push(0);
                Directive::Bytes(bytes)
            }),
            // What compilers write and nothing here needs.
            _ if NAMES.contains(&name) || name.starts_with(".cfi_") => None,
            _ => {
                let help = self.cx.problems.suggest(name, NAMES);
                self.cx.problem_with(span.clone(), format!("`{name}` is no directive"), help);
                None
            }
        };
        match &read {
            Some(Directive::Section(name)) => {
                self.in_data = is_data(name);
                self.skipping = [".debug_", ".BTF", ".rel", ".llvm_", ".eh_frame"].iter().any(|p| name.starts_with(p));
            }
            Some(Directive::Bytes(bytes)) => {
                let rest = self.left.checked_sub(bytes.len());
                if rest.is_none() {
                    return self.cx.problem(span, format!("more than {MOST_BYTES} bytes of data"));
                }
                self.left = rest.unwrap_or_default();
            }
            _ => {}
        }
        if !self.skipping {
            self.items.extend(read.map(|d| Item::Directive(d, span)));
        }
    }

    fn section(&mut self, words: &[Spanned<'t>], end: usize) -> Option<Directive<'t>> {
        let (span, text) = self.slice(words, end);
        // A compiler writes flags behind a comma.
        let name = text.split(',').next().unwrap_or_default().trim();
        let name = name.strip_prefix('"').and_then(|n| n.strip_suffix('"')).unwrap_or(name);
        if name.is_empty() || name.contains(char::is_whitespace) {
            self.cx.problem(span, "expected the name of a section");
            return None;
        }
        Some(Directive::Section(name))
    }

    fn word(&mut self, words: &[Spanned<'t>], end: usize) -> Option<At<&'t str>> {
        match words {
            [(l, Token::Word(w), r)] => Some(At { value: w, span: *l..*r }),
            _ => {
                let (span, _) = self.slice(words, end);
                self.cx.problem(span, "expected a name");
                None
            }
        }
    }

    fn tag(&mut self, words: &[Spanned<'t>], end: usize) -> Option<Directive<'t>> {
        let (l, name, r, component, text) = match words {
            [(l, Token::Word(name), r), text] => (*l, *name, *r, None, text),
            [(l, Token::Word(name), r), (_, Token::Integer(n), _), text] => {
                (*l, *name, *r, u32::try_from(*n).ok(), text)
            }
            _ => {
                let (span, _) = self.slice(words, end);
                self.cx.problem(span, "expected a function and a text, such as `.tag f \"arg:nonnull\"`");
                return None;
            }
        };
        let text = self.quoted(&[*text], end)?;
        Some(Directive::Tag(At { value: name, span: l..r }, component, text))
    }

    fn map(&mut self, words: &[Spanned<'t>], end: usize) -> Option<MapDecl<'t>> {
        // A name before `=` is one word, so that it is not taken for a part of the type before it.
        let mut merged: Vec<Spanned<'t>> = Vec::with_capacity(words.len());
        for &(l, token, r) in words {
            match (merged.last().copied(), token) {
                (Some((start, Token::Word(name), _)), Token::Assign) => {
                    merged.pop();
                    merged.push((start, Token::Key(name), r));
                }
                _ => merged.push((l, token, r)),
            }
        }
        text::map(&mut self.cx, &merged, end)
    }

    fn external(&mut self, kind: ExternKind, words: &[Spanned<'t>], end: usize) -> Option<Directive<'t>> {
        text::function(&mut self.cx, words, end).map(|f| Directive::Extern(kind, f))
    }

    /// Numbers of so many bytes. Eight bytes are also a slot, where instructions stand.
    fn data(&mut self, size: usize, words: &[Spanned<'t>], end: usize) -> Option<Directive<'t>> {
        let mut bytes = Vec::new();
        for number in text::numbers(&mut self.cx, words, end)? {
            let (value, span) = (self.cx.value(number.value), number.span);
            let bits = 8 * size as u32;
            if !(-(1i128 << (bits - 1))..1i128 << bits).contains(&value) {
                self.cx.problem(span, format!("{value} does not fit in {bits} bits"));
                return None;
            }
            if size == 8 && !self.in_data {
                self.items.push(Item::Insn(Draft::Raw(value as u64), span));
                continue;
            }
            bytes.extend(&value.to_le_bytes()[..size]);
        }
        (!bytes.is_empty()).then_some(Directive::Bytes(bytes))
    }

    fn zero(&mut self, words: &[Spanned<'t>], end: usize) -> Option<Directive<'t>> {
        const MOST: i128 = 1 << 20;
        let numbers = text::numbers(&mut self.cx, words, end)?;
        let [count] = <[_; 1]>::try_from(numbers).ok()?;
        let value = self.cx.value(count.value);
        if !(0..=MOST).contains(&value) {
            self.cx.problem(count.span, format!("{value} is no number of bytes from 0 to {MOST}"));
            return None;
        }
        Some(Directive::Bytes(vec![0; value as usize]))
    }
}

/// Whether a section holds variables.
pub(crate) fn is_data(section: &str) -> bool {
    let family = |name: &str| section == name || section.strip_prefix(name).is_some_and(|r| r.starts_with('.'));
    family(".data")
        || family(".rodata")
        || family(".bss")
        || family(".percpu")
        || family(".addr_space.1")
        || matches!(section, "license" | "version" | ".maps")
}
