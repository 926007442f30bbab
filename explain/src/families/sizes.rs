//! Sizes of buffers that calls get: without bounds, or larger than the buffer.

use super::story::{is_computed, story};
use crate::case::{Case, Draft};
use crate::members;
use crate::origin::How;
use crate::source;
use crate::words;
use ebpfkit_verifier::reason::Outside;
use ebpfkit_verifier::{RegBase, RegState};

/// Bytes that the rejected instruction accesses through a register: a call's by the size that follows the pointer.
pub(crate) fn size_behind(case: &Case<'_>, reg: u8) -> i64 {
    if !case.here().is_call() {
        return crate::origin::access_size(case.here());
    }
    let size = case.reg(reg + 1).filter(|r| reg < 5 && r.is_scalar()).map_or(1, |r| r.umax);
    i64::try_from(size).unwrap_or(1).clamp(1, 1 << 20)
}

/// What the size of a call that reaches too far comes from, where it is the size that is to be mended.
pub(super) fn too_long(case: &Case<'_>, a: &Outside) -> Option<Draft> {
    let size = a.reg + 1;
    let state = case.reg(size).filter(|r| size <= 5 && r.is_scalar())?;
    if state.umax != u64::from(a.size) {
        return None;
    }
    let what = argument_text(case, size).unwrap_or_else(|| "the size".into());
    let left = buffer_size(case, a.reg)?;
    let start = case.reg(a.reg).map_or(0, members::fixed);
    let mut d = Draft::default();
    if !state.var_off.is_const() {
        d = d.note(format!("{what} is {}", words::scalar(state)));
        d = story(case, d, case.step()?, size, &what);
        let shown = if is_computed(&what) { format!("({what})") } else { what };
        return Some(
            d.help(format!("bound it by what the buffer has, before the call: `if ({shown} > {left}) return`")),
        );
    }
    if let Some(at) = set_elsewhere(case, size) {
        d = d.span(case.span(at, format!("{what} is {} on this path", words::number(a.size.into()))));
        return Some(d.help(format!("bound it by what the buffer has: `if ({what} > {left}) {what} = {left};`")));
    }
    if start > 0 && i64::from(a.size) == a.region {
        return Some(
            d.note(format!(
                "the size is that of the whole {}, and the pointer begins {} behind its start",
                words::bytes(a.region),
                words::bytes(start)
            ))
            .help(format!("pass the start of it with this size, or at most {} from here", words::bytes(left))),
        );
    }
    // What holds the buffer is counted with the buffer, and what is in that once more.
    if let Some(rest) = what.strip_prefix("sizeof(").filter(|t| t.contains(" + "))
        && let Some((of, more)) = rest.split_once(')')
    {
        let more = more.trim_start_matches([' ', '+']);
        return Some(
            d.note(format!("`{what}` is {} here: sizeof({of}) counts the whole buffer already, and {more} comes on top", words::bytes(a.size.into())))
                .help(format!("count what stands before the buffer, and what is in it: `offsetof({of}, buffer) + {more}`, with {more} bounded by the buffer's size")),
        );
    }
    Some(d.help(format!("pass at most {}: that is what is left there", words::bytes(left))))
}

/// Where the constant that a register holds at a call was set, if that is another line than the call's.
pub(crate) fn set_elsewhere(case: &Case<'_>, reg: u8) -> Option<usize> {
    let history = case.history(reg);
    let set = history.iter().find(|e| e.how == How::Constant).map(|e| case.event_insn(e))?;
    let known = case.source(set).is_some() && !case.same_line(set, case.at());
    // Arguments are often set early; what was compared is no plain constant.
    let head = case
        .source(set)
        .is_some_and(|l| argument_text(case, reg).is_some_and(|t| source::find_word(&l.text, &t).is_some()));
    (known && head).then_some(set)
}

/// Bytes that a pointer argument of a call leads to: those of the array that is named, or else all that is left.
pub(crate) fn buffer_size(case: &Case<'_>, reg: u8) -> Option<i64> {
    let state = case.reg(reg)?;
    let whole = members::bytes_left(case, state)?;
    let is_member = argument_text(case, reg).is_some_and(|t| t.contains("->") || t.contains(['.', '[']));
    let array = members::innermost_at(case, state, members::fixed(state)).filter(|_| is_member);
    Some(array.map_or(whole, |a| a.rest.min(whole)))
}

/// Bytes of the buffer that an argument of a call names: of an array in memory of known size, or of a variable on the stack
/// as it is declared.
pub(crate) fn named_size(case: &Case<'_>, reg: u8) -> Option<i64> {
    let state = case.reg(reg)?;
    if state.ty.base != RegBase::Stack {
        let text = argument_text(case, reg)?;
        let is_array = text.contains("->") || text.contains('.');
        return array_named(case, &text).or_else(|| buffer_size(case, reg).filter(|_| is_array));
    }
    let text = argument_text(case, reg)?;
    let line = case.source(case.at())?;
    let scope = case.scope(&line);
    let name = text.trim_start_matches('&');
    if !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return array_named(case, name);
    }
    let btf = case.btf()?;
    scope.iter().rev().find_map(|(_, t)| {
        let at = source::find_word(t, name)?;
        let before = t[..at].trim();
        let kind = before.split([',', '=']).next()?.trim();
        let count =
            t[at + name.len()..].strip_prefix('[').and_then(|r| r.split_once(']')?.0.trim().parse::<i64>().ok());
        if let Some(of) = kind.strip_prefix("struct ").map(|s| s.split_whitespace().next().unwrap_or_default()) {
            let size = btf.size_of(btf.find(of, ebpfkit_object::btf::Kind::Struct)?)?;
            return (!before.contains('*')).then_some(i64::from(size) * count.unwrap_or(1));
        }
        matches!(kind, "char" | "unsigned char" | "__u8" | "u8").then_some(count).flatten()
    })
}

/// Bytes from a variable on the stack to the end of the stack, which it has at most.
pub(crate) fn stack_left(case: &Case<'_>, reg: u8) -> Option<i64> {
    let state = case.reg(reg).filter(|r| r.ty.base == RegBase::Stack && r.var_off.is_const())?;
    Some(-members::fixed(state)).filter(|r| *r > 0)
}

/// The size of an array that a path of members names: `e->comm`.
fn array_named(case: &Case<'_>, path: &str) -> Option<i64> {
    let line = case.source(case.at())?;
    let (array, _) = members::declared_path(case, &line, path.trim_start_matches('&'))?;
    Some(array.len * array.size)
}

/// The size of a buffer that is given to a call.
pub(crate) fn size(case: &Case<'_>, reg: u8, fault: SizeFault) -> Draft {
    let callee = case.callee(case.at()).unwrap_or_else(|| "the call".into());
    let state = case.reg(reg).copied().unwrap_or(RegState::UNKNOWN);
    let history = case.history(reg);
    let what = argument_text(case, reg)
        .filter(|t| is_simple(t))
        .or_else(|| case.name(&history))
        .unwrap_or_else(|| "the size".into());
    let known = words::scalar(&state);
    let code = if what.contains(' ') { "size" } else { what.as_str() };
    let text = argument_text(case, reg).filter(|t| t.len() <= 40 && !is_simple(t));
    let left = reg.checked_sub(1).and_then(|b| buffer_size(case, b)).filter(|r| *r > 0);
    let limit = left.map_or_else(|| "sizeof(buf)".to_owned(), |r| r.to_string());
    let buffer = reg.checked_sub(1).and_then(|b| argument_text(case, b)).filter(|t| is_simple(t));
    let fails =
        history.iter().find(|e| e.how == How::Result && state.smin < 0).and_then(|e| case.callee(case.event_insn(e)));
    let (headline, help) = match fault {
        SizeFault::Negative => (
            format!("the size that {callee} gets as its {} argument may be negative", words::ordinal(reg.into())),
            match fails {
                Some(by) => format!(
                    "{by} returns a negative number on errors: leave then, before the call: `if ({code} < 0) return`"
                ),
                None => format!(
                    "make {what} unsigned, or rule it out before the call: `if ({code} < 0) return`; a mask (`{code} &= 0xff`) works too"
                ),
            },
        ),
        SizeFault::Zero => (
            format!(
                "the size that {callee} gets as its {} argument may be zero, which it does not take",
                words::ordinal(reg.into())
            ),
            format!("rule it out before the call: `if ({code} == 0) return`, or make it at least one"),
        ),
        SizeFault::Unbounded => {
            // A negative number is a large one here.
            let signed = case.source(case.at()).is_some_and(|l| is_simple(code) && case.is_signed(&l, code));
            let below = if signed { format!("{code} < 0 || ") } else { String::new() };
            (
                format!(
                    "the size that {callee} gets as its {} argument has no upper bound",
                    words::ordinal(reg.into())
                ),
                format!(
                    "compare it with the size of the buffer right before the call: `if ({below}{code} > {limit}) return`, or mask it"
                ),
            )
        }
    };
    // A size without a name, or in a language with other words.
    let help = match (case.is_rust() || code == "the size" && fault != SizeFault::Zero, left) {
        (true, Some(left)) if fault != SizeFault::Zero => {
            format!("compare the size before the call, as an unsigned number: it has to be at most {left}")
        }
        _ => help,
    };
    let mut d =
        Draft::new(headline, format!("{} is {known} here", text.as_deref().map_or(what.clone(), |t| format!("`{t}`"))));
    if let (Some(b), Some(r), SizeFault::Unbounded) = (buffer, left, fault) {
        d = d.note(format!("there is room for {} at {b}", words::bytes(r)));
    }
    let narrow = history.iter().any(|e| matches!(e.how, How::Narrow { bits: 32 }));
    if fault == SizeFault::Unbounded && narrow && history.iter().any(|e| e.how == How::Bounded) {
        d = d.note(format!("as an unsigned number a negative {what} is about four billion: a comparison from above alone, of a signed variable, does not rule that out"));
    }
    let step = case.step().unwrap_or(0);
    story(case, d, step, reg, &what).help(help)
}

/// What is wrong with a size.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SizeFault {
    Negative,
    Zero,
    Unbounded,
}

/// Whether an expression is short enough to stand in a sentence.
pub(crate) fn is_simple(text: &str) -> bool {
    text.len() <= 24
        && !text.is_empty()
        && !text.starts_with('&')
        && text.chars().all(|c| c.is_alphanumeric() || "_->.[]*".contains(c))
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// The text of an argument of the call in the rejected line, where the call is written there.
pub(crate) fn argument_text(case: &Case<'_>, reg: u8) -> Option<String> {
    let callee = case.callee(case.at())?;
    source::argument(&case.text(case.at()), &callee, usize::from(reg).checked_sub(1)?)
}
