//! Lines that programs have written: llvm-objdump's, bpftool's, and those of the kernel's log.

use super::token::{Spanned, Token};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes of a slot.
const SLOT: usize = 8;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'t> {
    /// As people write it.
    Plain,
    /// An instruction behind its number.
    Insn(Listed),
    /// It says nothing: a file's name and format.
    Title,
    /// `Disassembly of section NAME:`
    Section(&'t str),
    /// `0000000000000018 <NAME>:`
    Start(&'t str),
    /// A relocation of the instruction above, of a symbol; whether it is of a call.
    Relocation(&'t str, bool),
}

/// What stands before the instruction of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// Bytes of the line to skip.
    pub prefix: usize,
    /// From a log of the kernel or a dump of bpftool, where a semicolon starts a comment.
    pub log: bool,
    /// It is a 64-bit load, which the kernel's log writes without `ll`.
    pub wide: bool,
    /// What a call is of, which its text does not show: a word that the grammar knows.
    pub called: Option<&'static str>,
}

fn is_hex_byte(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A number in decimal and what stands behind the colon after it.
fn numbered(line: &str) -> Option<(usize, &str)> {
    let (number, rest) = line.split_once(':')?;
    let number = number.trim();
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((number.parse().ok()?, rest.trim_start()))
}

/// Recognises `12: (b7) r0 = 1` of the kernel's log, and `12: b7 00 00 00 01 00 00 00 r0 = 1` of llvm-objdump.
fn insn(line: &str) -> Option<Listed> {
    let (_, rest) = numbered(line)?;
    let prefix = |after: &str| line.len() - after.len();
    if let Some((code, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(") ")) {
        let listed = Listed { prefix: prefix(after), log: true, wide: code == "18", called: None };
        return is_hex_byte(code).then_some(listed);
    }
    let mut after = rest;
    let mut first = [""; 2];
    for bytes in 0.. {
        match after.split_once(char::is_whitespace) {
            Some((byte, next)) if is_hex_byte(byte) => {
                if let Some(span) = first.get_mut(bytes) {
                    *span = byte;
                }
                after = next;
            }
            _ => {
                // The upper half of the second byte says what is called.
                let called = match (first[0], first[1].as_bytes().first()) {
                    ("85", Some(b'1')) => Some("pc"),
                    ("85", Some(b'2')) => Some("kfunc"),
                    _ => None,
                };
                return (bytes >= SLOT).then_some(Listed { prefix: prefix(after), log: false, wide: false, called });
            }
        }
    }
    None
}

/// Tells what a line is.
pub(super) fn line(line: &str) -> Line<'_> {
    if let Some(listed) = insn(line) {
        return Line::Insn(listed);
    }
    if let Some(name) = line.strip_prefix("Disassembly of section ").and_then(|r| r.trim_end().strip_suffix(':')) {
        return Line::Section(name);
    }
    if line.contains(":\tfile format elf64-bpf") {
        return Line::Title;
    }
    let is_hex = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_hexdigit());
    let trimmed = line.trim();
    if let Some((address, name)) = trimmed.strip_suffix(">:").and_then(|t| t.split_once(" <"))
        && address.len() >= SLOT
        && is_hex(address)
    {
        return Line::Start(name);
    }
    if let Some((address, rest)) = trimmed.split_once(':')
        && is_hex(address)
        && let Some((kind, symbol)) = rest.trim_start().split_once(char::is_whitespace)
        && kind.starts_with("R_BPF_")
    {
        return Line::Relocation(symbol.trim(), kind == "R_BPF_64_32");
    }
    Line::Plain
}

/// Where a part of a text stands in it.
pub(super) fn span(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

/// Functions of llvm-objdump's listing, by section and slot: calls that are relocated against a section count from its
/// start.
#[derive(Default)]
pub(super) struct Starts<'t>(FxHashMap<(&'t str, i64), &'t str>);

impl<'t> Starts<'t> {
    pub(super) fn find(text: &'t str) -> Self {
        let mut found = FxHashMap::default();
        let mut section = None;
        for l in text.lines() {
            match (line(l), section) {
                (Line::Section(name), _) => section = Some(name),
                (Line::Start(name), Some(section)) => {
                    let address = l.trim().split(' ').next().and_then(|a| i64::from_str_radix(a, 16).ok());
                    found.extend(address.map(|a| ((section, a / SLOT as i64), name)));
                }
                _ => {}
            }
        }
        Self(found)
    }

    /// Puts the symbol of a relocation into the instruction above it.
    pub(super) fn relocate(&self, words: &mut Vec<Spanned<'t>>, symbol: &'t str, span: Range<usize>, call: bool) {
        let (start, end) = (span.start, span.end);
        let number = number_at_end(words);
        if call {
            // A function of another section is named by the section, and found by its slot.
            let function = self.0.get(&(symbol, number + 1)).copied().unwrap_or(symbol);
            words.truncate(1);
            words.push((start, Token::Word(function), end));
            return;
        }
        let Some(assign) = words.iter().position(|w| w.1 == Token::Assign) else { return };
        words.truncate(assign + 1);
        match self.0.get(&(symbol, number / SLOT as i64)) {
            Some(function) => words.push((start, Token::Word(function), end)),
            None => {
                words.push((start, Token::Word(symbol), end));
                if number > 0 {
                    words.extend([(end, Token::Plus, end), (end, Token::Integer(number as u64), end)]);
                }
            }
        }
        words.push((end, Token::LongLong, end));
    }
}

/// The number that an instruction ends in, before `ll`.
fn number_at_end(words: &[Spanned<'_>]) -> i64 {
    let words = match words {
        [rest @ .., (_, Token::LongLong, _)] => rest,
        all => all,
    };
    match words {
        [.., (_, Token::Minus, _), (_, Token::Integer(n), _)] => (*n as i64).wrapping_neg(),
        [.., (_, Token::Integer(n), _)] => *n as i64,
        _ => 0,
    }
}

/// Says what the call of a listed line is of: `call -0x21` of its bytes `85 10` is `call pc-0x21`.
pub(super) fn name_call(words: &mut Vec<Spanned<'_>>, called: &'static str) {
    let [(_, Token::Call, end), (_, Token::Integer(_) | Token::Minus, _), ..] = words[..] else { return };
    if called == "pc" && matches!(words[1].1, Token::Integer(_)) {
        words.insert(1, (end, Token::Plus, end));
    }
    words.insert(1, (end, Token::Word(called), end));
}

/// The instructions of a whole log of the kernel, which shows them in the order in which it walked them: by number, each
/// once. `None` when a text is no such log.
pub(super) fn log(text: &str) -> Option<Vec<(usize, Range<usize>)>> {
    let state = |rest: &str| {
        let rest = rest.strip_prefix('R').unwrap_or_default();
        rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains('=')
    };
    let is_log = text.lines().any(|l| {
        l.starts_with("func#0 @") || l.starts_with("processed ") || numbered(l).is_some_and(|(_, rest)| state(rest))
    });
    if !is_log {
        return None;
    }
    let mut by_number: BTreeMap<usize, Range<usize>> = BTreeMap::new();
    for l in text.lines() {
        if let (Some((number, _)), Some(Listed { log: true, .. })) = (numbered(l), insn(l)) {
            by_number.entry(number).or_insert_with(|| span(text, l));
        }
    }
    Some(by_number.into_iter().collect())
}

/// Instructions that a log of the kernel does not show, since it has not walked them: where the next one stands, and
/// what is missing.
pub(crate) fn gaps(text: &str) -> Vec<(Range<usize>, String)> {
    let mut next = 0;
    let mut found = Vec::new();
    for (number, span) in log(text).unwrap_or_default() {
        if number > next {
            let message = match number - next {
                1 => format!("instruction {next} is missing: the log shows what the kernel has walked"),
                _ => format!(
                    "instructions {next} to {} are missing: the log shows what the kernel has walked",
                    number - 1
                ),
            };
            found.push((span.clone(), message));
        }
        let wide = insn(&text[span]).is_some_and(|l| l.wide);
        next = number + if wide { 2 } else { 1 };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_listings() {
        assert_eq!(line("x.o:\tfile format elf64-bpf"), Line::Title);
        assert_eq!(line("Disassembly of section xdp.frags/cpumap:"), Line::Section("xdp.frags/cpumap"));
        assert_eq!(line("0000000000000018 <named>:"), Line::Start("named"));
        assert_eq!(line("\t\t0000000000000040:  R_BPF_64_64\tcounters"), Line::Relocation("counters", false));
        assert_eq!(line("\t\t0000000000000040:  R_BPF_64_32\t.text"), Line::Relocation(".text", true));
        for plain in ["r0 = 1", "1: r0 = 1", "main:", "  exit", ""] {
            assert_eq!(line(plain), Line::Plain, "{plain}");
        }
        let called = |l| match line(l) {
            Line::Insn(l) => l.called,
            _ => panic!("{l}"),
        };
        assert_eq!(called("      32:\t85 10 00 00 df ff ff ff\tcall -0x21"), Some("pc"));
        assert_eq!(called("      32:\t85 00 00 00 01 00 00 00\tcall 0x1"), None);
    }
}
