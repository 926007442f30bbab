//! Words of the text: what both syntaxes and the directives are made of.

use super::listed::{self, Line, Listed, Starts};
use super::statement::Register;
use ebpfkit_isa::Width;
use logos::{Lexer, Logos};
use std::ops::Range;

/// One word. Operators that mean the same kind of thing share a variant and keep their text.
#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
#[logos(skip r"[ \t\r\x0c]+")]
#[logos(skip(r"//[^\n]*|#[^\n]*", allow_greedy = true))]
#[logos(skip r"/\*([^*]|\*+[^*/])*\*+/")]
// What objdump writes behind a jump or a call, such as `<main+0x18>`.
#[logos(skip r"<[A-Za-z_.$][^ \t\r\n>]*>")]
pub(crate) enum Token<'t> {
    #[token("\n")]
    Newline,
    #[token(";")]
    Semicolon,
    #[token(",")]
    Comma,
    #[token(":")]
    Colon,
    #[token("(")]
    LeftParen,
    #[token(")")]
    RightParen,
    #[token("[")]
    LeftBracket,
    #[token("]")]
    RightBracket,
    #[token("{")]
    LeftBrace,
    #[token("}")]
    RightBrace,
    #[token("*")]
    Star,
    #[token("+")]
    Plus,
    #[token("-")]
    Minus,
    #[token("&")]
    And,
    #[token("|")]
    Or,
    #[token("<<")]
    ShiftLeft,
    #[token("/")]
    Slash,
    #[token("@")]
    At,
    #[token("?")]
    Question,
    #[token("->")]
    Arrow,
    #[token("=")]
    Assign,
    #[regex(r"[-+*/|&%^]=|<<=|>>=|s/=|s%=|s>>=")]
    Update(&'t str),
    #[regex(r"==|!=|s?[<>]=?")]
    Compare(&'t str),
    #[token("if")]
    If,
    #[token("goto")]
    Goto,
    #[token("gotol")]
    GotoLong,
    #[token("may_goto")]
    MayGoto,
    #[token("lock")]
    Lock,
    #[token("call")]
    Call,
    #[token("callx")]
    CallX,
    #[token("exit")]
    Exit,
    #[token("ll")]
    LongLong,
    #[token("struct")]
    Struct,
    #[token("union")]
    Union,
    #[token("enum")]
    Enum,
    #[regex(r"%?[rw][0-9]{1,3}", register, priority = 20)]
    Register(Register),
    #[regex(r"0[xX][0-9A-Za-z_]*|[0-9][0-9A-Za-z_]*", integer)]
    Integer(u64),
    /// Something that begins with a digit and is no number of 64 bits.
    BadInteger(&'t str),
    /// `1f`, `1b`: the nearest label of that number, forward or backward.
    #[regex(r"[0-9]+[bf]", near, priority = 20)]
    Near((u32, bool)),
    #[regex(r"'([^'\\\n]|\\[^\n])'", character)]
    Character(u8),
    #[regex(r#""([^"\\\n]|\\[^\n])*""#)]
    Text(&'t str),
    #[regex(r"[A-Za-z_.$][A-Za-z0-9_.$]*")]
    Word(&'t str),
    /// `bpf_map_lookup_elem#1`, as the kernel writes calls.
    #[regex(r"[A-Za-z_][A-Za-z0-9_]*#[0-9]+", numbered)]
    Numbered((&'t str, u32)),
    /// A name before `=` in a directive; made from two words by the reader of directives.
    Key(&'t str),
    /// A character that nothing begins with.
    Stray(&'t str),
}

impl Token<'_> {
    /// Whether it is a word that only instructions give a meaning to.
    pub(crate) fn is_word(self) -> bool {
        matches!(
            self,
            Self::If
                | Self::Goto
                | Self::GotoLong
                | Self::MayGoto
                | Self::Lock
                | Self::Call
                | Self::CallX
                | Self::Exit
                | Self::LongLong
                | Self::Register(_)
        )
    }
}

fn register<'t>(lex: &Lexer<'t, Token<'t>>) -> Option<Register> {
    let text = lex.slice().trim_start_matches('%');
    let width = if text.starts_with('w') { Width::W32 } else { Width::W64 };
    // Three digits may exceed a byte; the number is refused later anyway.
    Some(Register { width, number: text[1..].parse::<u16>().ok()?.min(255) as u8 })
}

fn integer<'t>(lex: &Lexer<'t, Token<'t>>) -> Option<u64> {
    let text = lex.slice().replace('_', "");
    let lower = text.to_ascii_lowercase();
    match (lower.strip_prefix("0x"), lower.strip_prefix("0b")) {
        (Some(hex), _) => u64::from_str_radix(hex, 16).ok(),
        (_, Some(binary)) => u64::from_str_radix(binary, 2).ok(),
        _ => text.parse().ok(),
    }
}

fn near<'t>(lex: &Lexer<'t, Token<'t>>) -> Option<(u32, bool)> {
    let text = lex.slice();
    Some((text[..text.len() - 1].parse().ok()?, text.ends_with('f')))
}

fn numbered<'t>(lex: &Lexer<'t, Token<'t>>) -> Option<(&'t str, u32)> {
    let (name, number) = lex.slice().split_once('#')?;
    Some((name, number.parse().ok()?))
}

fn character<'t>(lex: &Lexer<'t, Token<'t>>) -> Option<u8> {
    let text = lex.slice();
    match unescape(text)?.as_slice() {
        [byte] => Some(*byte),
        _ => None,
    }
}

/// The bytes of a quoted text; `None` when it has an escape that is unknown.
pub(crate) fn unescape(quoted: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = quoted.get(1..quoted.len() - 1)?.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'0' => 0,
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            c @ (b'\\' | b'"' | b'\'') => c,
            _ => return None,
        });
    }
    Some(bytes)
}

/// A word and where it stands, in bytes of the text.
pub(crate) type Spanned<'t> = (usize, Token<'t>, usize);

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
