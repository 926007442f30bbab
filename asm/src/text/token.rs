//! Words of the text: what both syntaxes and the directives are made of.

use super::statement::Register;
use ebpfkit_isa::Width;
use logos::{Lexer, Logos};

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
    #[token("gotox")]
    GotoX,
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
                | Self::GotoX
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
