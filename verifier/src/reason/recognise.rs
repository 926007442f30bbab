//! From the text of a message back to the rejection that prints it, by the templates that print it.

use super::{Outside, Reason};
use crate::domain::{RegBase, Tnum};
use ebpfkit_abi::Feature;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognised {
    /// The code of the rejection.
    pub code: &'static str,
    /// The name of its variant.
    pub variant: &'static str,
    /// The template that fits.
    pub template: &'static str,
    /// The rejection with its facts, where the message has all of them.
    pub reason: Option<Reason>,
}

/// A message that a rejection may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The code of the rejection.
    pub code: &'static str,
    /// The name of its variant.
    pub variant: &'static str,
    /// The text, with the facts in braces.
    pub template: &'static str,
    /// Which kernels say it so.
    pub by: Wording,
}

/// Which kernels word a message so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wording {
    /// The kernel that is modelled where nothing says which.
    Usual,
    /// Those with a feature.
    With(Feature),
    /// Those without it.
    Without(Feature),
    /// Others, in words.
    Others(&'static str),
}

impl Wording {
    /// How many kernels word a message so, as far as it matters for telling equal texts apart.
    const fn commonness(self) -> u8 {
        match self {
            Self::Usual => 2,
            Self::Others(_) => 1,
            Self::With(_) | Self::Without(_) => 0,
        }
    }

    /// The wording of a row's `with` or `without`.
    pub(crate) const fn when(word: &str, feature: Feature) -> Self {
        if word.len() == "with".len() { Self::With(feature) } else { Self::Without(feature) }
    }
}

/// Longest message that is looked at; the kernel's own are far shorter.
const MAX_LEN: usize = 4096;

/// The rejection that a message belongs to: the one with the most words in common. Lines before the last one may be left
/// out. Numbers were called `inv` before Linux 5.18.
pub fn recognise(message: &str) -> Option<Recognised> {
    let message = message.trim_end();
    if message.len() > MAX_LEN {
        return None;
    }
    let message = message.replace("'inv'", "'scalar'").replace("type=inv ", "type=scalar ");
    let fits = |m: &Message| {
        let length = literal_length(m.template);
        if length == 0 { None } else { Some((length, fields(m.template, &message)?, *m)) }
    };
    // Of templates that fit equally well that counts which most kernels say, then the first one.
    let best = |messages: &mut dyn Iterator<Item = Message>| {
        let mut best: Option<(usize, Vec<Field<'_>>, Message)> = None;
        for found in messages.filter_map(|m| fits(&m)) {
            let rank = |(length, _, m): &(usize, Vec<Field<'_>>, Message)| (*length, m.by.commonness());
            if best.as_ref().is_none_or(|best| rank(best) < rank(&found)) {
                best = Some(found);
            }
        }
        best
    };
    // Of several lines perhaps only the last one is there, or lines of something else stand before.
    let last_lines =
        || super::messages().filter_map(|m| Some(Message { template: m.template.rsplit_once('\n')?.1, ..m }));
    let Some((_, fields, m)) = best(&mut super::messages()).or_else(|| best(&mut last_lines())) else {
        return recognise(message.split_once('\n')?.1);
    };
    let reason = Reason::from_fields(m.code, m.variant, &Fields(fields));
    Some(Recognised { code: m.code, variant: m.variant, template: m.template, reason })
}

/// A fact in a message.
struct Field<'a> {
    name: &'a str,
    is_hex: bool,
    value: &'a str,
}

/// The facts of a message.
pub(crate) struct Fields<'a>(Vec<Field<'a>>);

impl Fields<'_> {
    /// The fact of a name.
    pub(crate) fn get<T: FromMessage>(&self, name: &str) -> Option<T> {
        let field = self.0.iter().find(|f| f.name == name)?;
        T::from_message(field.value, field.is_hex)
    }
}

/// A piece of a template.
enum Piece<'a> {
    Text(Cow<'a, str>),
    Field { name: &'a str, is_hex: bool },
}

/// The pieces of a format string.
fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    let mut text = String::new();
    while let Some(at) = rest.find(['{', '}']) {
        text += &rest[..at];
        let doubled = rest[at + 1..].starts_with(&rest[at..=at]);
        if doubled {
            text += &rest[at..=at];
            rest = &rest[at + 2..];
            continue;
        }
        let Some(end) = rest[at..].find('}') else { break };
        let inner = &rest[at + 1..at + end];
        let (name, spec) = inner.split_once(':').unwrap_or((inner, ""));
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text).into()));
        }
        pieces.push(Piece::Field { name, is_hex: spec.ends_with('x') });
        rest = &rest[at + end + 1..];
    }
    text += rest;
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    pieces
}

/// How much of a template is text.
fn literal_length(template: &str) -> usize {
    pieces(template).iter().map(|p| if let Piece::Text(t) = p { t.len() } else { 0 }).sum()
}

/// The facts of a message that fits a template as a whole.
fn fields<'a>(template: &'a str, message: &'a str) -> Option<Vec<Field<'a>>> {
    let pieces = pieces(template);
    if pieces.is_empty() {
        return None;
    }
    let mut found = Vec::new();
    let mut tries = 256;
    fit(&pieces, message, true, &mut tries, &mut found).then_some(found)
}

/// Whether text fits what is left of a template. A fact ends at the first place where the rest fits. Facts stand in one
/// line; only the first one of a message may be whole lines that come before the last one.
fn fit<'a>(pieces: &[Piece<'a>], text: &'a str, is_first: bool, tries: &mut u32, found: &mut Vec<Field<'a>>) -> bool {
    *tries = tries.saturating_sub(1);
    if *tries == 0 {
        return false;
    }
    let (name, is_hex, rest) = match pieces {
        [] => return text.is_empty(),
        [Piece::Text(t), rest @ ..] => {
            return text.strip_prefix(t.as_ref()).is_some_and(|text| fit(rest, text, false, tries, found));
        }
        [Piece::Field { name, is_hex }, rest @ ..] => (*name, *is_hex, rest),
    };
    let may_be = |value: &str, next: &str| {
        !value.contains('\n') || is_first && (value.ends_with('\n') || next.starts_with('\n'))
    };
    let mut fits = |value: &'a str, left: &'a str, found: &mut Vec<Field<'a>>| {
        let before = found.len();
        found.push(Field { name, is_hex, value });
        let fits = may_be(value, left) && fit(rest, left, false, tries, found);
        if !fits {
            found.truncate(before);
        }
        fits
    };
    match rest.first() {
        // Of two facts side by side the first one takes the text.
        None | Some(Piece::Field { .. }) => {
            let end = match rest.get(1) {
                Some(Piece::Text(t)) => text.find(t.as_ref()).unwrap_or(text.len()),
                _ => text.len(),
            };
            fits(&text[..end], &text[end..], found)
        }
        Some(Piece::Text(t)) => text.match_indices(t.as_ref()).any(|(at, _)| fits(&text[..at], &text[at..], found)),
    }
}

/// A fact that can be read back from a message.
pub(crate) trait FromMessage: Sized {
    /// Reads it.
    fn from_message(text: &str, is_hex: bool) -> Option<Self>;
}

macro_rules! numbers {
    ($($ty:ty),*) => {
        $(impl FromMessage for $ty {
            fn from_message(text: &str, is_hex: bool) -> Option<Self> {
                <$ty>::from_str_radix(text, if is_hex { 16 } else { 10 }).ok()
            }
        })*
    };
}

numbers!(u8, u16, u32, u64, usize, i32, i64);

impl FromMessage for String {
    fn from_message(text: &str, _: bool) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl FromMessage for Cow<'static, str> {
    fn from_message(text: &str, _: bool) -> Option<Self> {
        Some(Cow::Owned(text.to_owned()))
    }
}

impl FromMessage for Tnum {
    fn from_message(text: &str, _: bool) -> Option<Self> {
        let hex = |t: &str| u64::from_str_radix(t.trim().strip_prefix("0x")?, 16).ok();
        match text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
            Some(pair) => {
                let (value, mask) = pair.split_once(';')?;
                Some(Self { value: hex(value)?, mask: hex(mask)? })
            }
            None => Some(Self { value: text.parse::<i64>().ok()?.cast_unsigned(), mask: 0 }),
        }
    }
}

impl FromMessage for Outside {
    fn from_message(text: &str, _: bool) -> Option<Self> {
        let text = text.trim_end();
        if text.is_empty() {
            return Some(Self { base: RegBase::Packet, reg: 0, id: 0, off: 0, size: 0, region: -1 });
        }
        let number = |name: &str| {
            let starts = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let (at, _) =
                text.match_indices(name).find(|(at, _)| starts(*at) && text[at + name.len()..].starts_with('='))?;
            let digits = &text[at + name.len() + 1..];
            let end = digits.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(digits.len());
            digits[..end].parse::<i64>().ok()
        };
        let (base, region) = match text {
            _ if text.contains("map key") => (RegBase::MapKey, number("key_size")?),
            _ if text.contains("map value") => (RegBase::MapValue, number("value_size")?),
            _ if text.contains("packet") || text.starts_with("off=") => (RegBase::Packet, number("r")?),
            _ => (RegBase::Mem, number("mem_size")?),
        };
        let reg = text.split_once(" R").and_then(|(_, r)| r.split('(').next()?.parse().ok()).unwrap_or(0);
        let id = number("id").and_then(|n| n.try_into().ok()).unwrap_or(0);
        Some(Self { base, reg, id, off: number("off")?, size: number("size")?.try_into().ok()?, region })
    }
}

/// Words that facts have had. A verification takes them from the program text; those that are read from messages are kept
/// here, of limited length and number, as a message may hold anything.
static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

impl FromMessage for &'static str {
    fn from_message(text: &str, _: bool) -> Option<Self> {
        const WORDS_MAX: usize = 512;
        const WORD_LEN: usize = 64;
        let mut words = WORDS.lock().ok()?;
        if let Some(word) = words.get(text) {
            return Some(word);
        }
        if text.len() > WORD_LEN || words.len() >= WORDS_MAX {
            return None;
        }
        let word: &'static str = Box::leak(text.to_owned().into_boxed_str());
        words.insert(word);
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{MemoryReason, ScalarReason};

    fn reason(message: &str) -> Reason {
        recognise(message).and_then(|r| r.reason).unwrap_or_else(|| panic!("{message}"))
    }

    #[test]
    fn facts_are_read_back() {
        assert_eq!(reason("R3 !read_ok"), ScalarReason::UninitRegister { reg: 3 }.into());
        let ty = "map_value_or_null".to_owned();
        assert_eq!(
            reason("R0 invalid mem access 'map_value_or_null'"),
            MemoryReason::InvalidMemAccess { reg: 0, ty }.into()
        );
        let ty = "scalar".to_owned();
        assert_eq!(reason("R7 invalid mem access 'inv'"), MemoryReason::InvalidMemAccess { reg: 7, ty }.into());
        let detail = Outside { base: RegBase::MapValue, reg: 0, id: 0, off: 4, size: 8, region: 8 };
        assert_eq!(
            reason(&format!("{detail}\nR0 max value is outside of the allowed memory range")),
            MemoryReason::OutsideRegion { detail, reg: 0, bound: "max" }.into()
        );
        let detail = Outside { base: RegBase::Packet, reg: 2, id: 3, off: 14, size: 1, region: 0 };
        let packet = Reason::from(MemoryReason::OutsidePacket { detail, reg: 2 });
        assert_eq!(reason(&format!("{detail:#}R2 offset is outside of the packet")), packet);
        // Since Linux 7.2.
        assert_eq!(reason(&format!("{detail}\nR2 min value is outside of the allowed memory range")), packet);
    }

    #[test]
    fn the_template_with_the_most_text_counts() {
        assert_eq!(recognise("R1 type=scalar expected=fp").expect("known").variant, "NoBuffer");
        assert_eq!(recognise("R1 type=scalar expected=fp, pkt").expect("known").variant, "ArgumentKind");
        let bounds = recognise("R0 max value is outside of the allowed memory range").expect("known");
        assert_eq!((bounds.variant, bounds.reason), ("OutsideRegion", None));
        assert_eq!(recognise("no kernel says this"), None);
        assert_eq!(recognise(&"R0 ".repeat(5000)), None);
    }

    #[test]
    fn every_message_leads_to_its_code() {
        let wrong: Vec<String> = crate::reason::messages()
            .filter(|m| !m.template.is_empty())
            .filter_map(|m| {
                // Any fact that could be a number or a word.
                let text: String =
                    pieces(m.template).iter().map(|p| if let Piece::Text(t) = p { t.as_ref() } else { "7" }).collect();
                let found = recognise(&text).map(|r| r.code);
                // Some kernels word two mistakes alike; then the text leads to one of them.
                let same = |other: crate::reason::recognise::Message| {
                    other.template == m.template && found == Some(other.code)
                };
                let leads = found == Some(m.code) || crate::reason::messages().any(same);
                (!leads).then(|| format!("{text}: {found:?} in the place of {}", m.code))
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
