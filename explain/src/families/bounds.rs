//! Indices without the bounds that an access needs: map values, memory, the stack behind a variable.

use super::general;
use super::sizes::{argument_text, is_simple, size_behind, too_long};
use super::story::{is_computed, promised, scale_of, story};
use crate::case::{Case, Draft};
use crate::diagnosis::SourceEdit;
use crate::members::{self, Array, array_at};
use crate::origin::{Event, How, Location};
use crate::source::{self, SourceLine};
use crate::words;
use ebpfkit_isa::opcode::{alu, class};
use ebpfkit_verifier::reason::Outside;
use ebpfkit_verifier::{RegBase, RegState, RegType};

/// What the source accesses at the rejected instruction: `p` of `p->x`, `p[i]` and `*p`.
pub(crate) fn accessed(case: &Case<'_>) -> Option<String> {
    let insn = case.here();
    if insn.is_call() {
        return None;
    }
    let line = case.access_line(case.at())?;
    let base = source::base_at(&line)?;
    // `a->b[i]`, where the pointer b was read in the same line.
    let chain = source::chain_at(&line).filter(|c| c.len() > base.len() && c.starts_with(&base));
    if let (Some(chain), Some(reg)) = (chain, insn.memory_base())
        && let Some(loaded) =
            case.history(reg).iter().find(|e| !matches!(e.how, How::Copied | How::Spilled | How::Filled))
        && matches!(loaded.how, How::Loaded { .. })
        && let Some(from) = case.source(case.event_insn(loaded))
        && from.line == line.line
        && source::word_at(&from).is_some_and(|w| chain.ends_with(&w) && chain.len() > w.len())
    {
        return Some(chain);
    }
    Some(base)
}

/// Bytes from the rejected access on that the accesses of its line through the same register reach.
pub(crate) fn line_reach(case: &Case<'_>, reg: u8, size: i64) -> i64 {
    let at = case.at();
    let here = case.here();
    if here.is_call() || here.memory_base() != Some(reg) || case.source(at).is_none() {
        return size;
    }
    let mut end = size;
    for i in at + 1..(at + 256).min(case.program.insns.len()) {
        let insn = case.insn(i);
        if insn.is_call() || insn.is_jump_class() {
            break;
        }
        // Between what an unrolled loop does for one line stands what belongs to others.
        if case.same_line(at, i) && insn.memory_base() == Some(reg) && insn.class() == here.class() {
            end = end.max(i64::from(insn.off) + crate::origin::access_size(insn) - i64::from(here.off));
        }
        if insn.writes().contains(reg) {
            break;
        }
    }
    end
}

/// The event that added a number which is not constant to a pointer, and the register of the number.
pub(crate) fn index_of(case: &Case<'_>, history: &[Event]) -> Option<(Event, u8)> {
    history.iter().find_map(|e| {
        let How::Computed { op: alu::ADD | alu::SUB, with: Some(with), .. } = e.how else { return None };
        let insn = case.insn(case.event_insn(e));
        let (a, b) = (case.trace.reg(e.step, insn.dst)?, case.trace.reg(e.step, with)?);
        let scalar = if a.is_scalar() && !b.is_scalar() { (insn.dst, a) } else { (with, b) };
        (scalar.1.is_scalar() && !scalar.1.var_off.is_const()).then_some((*e, scalar.0))
    })
}

/// What a region is called.
fn region_name(case: &Case<'_>, a: &Outside) -> (String, String) {
    let state = case.reg(a.reg);
    let found = state.and_then(|r| case.map(r));
    let map = found.map(|m| m.name.clone());
    // With an index the variable is the one where the index counts from.
    let fixed = state
        .filter(|r| !r.var_off.is_const())
        .map(|r| i64::from(r.off) + if case.here().is_call() { 0 } else { i64::from(case.here().off) });
    if let Some((name, size)) = found.and_then(|m| variable_at(case, m, fixed.unwrap_or(a.off.saturating_sub(1)))) {
        if fixed.is_some() {
            return (format!("the variable '{name}' has {}", words::bytes(size)), "value".into());
        }
        return (
            format!(
                "the variable '{name}' has {}, at the end of map '{}' ({})",
                words::bytes(size),
                map.unwrap_or_default(),
                words::bytes(a.region)
            ),
            "value".into(),
        );
    }
    match a.base {
        RegBase::MapValue => match map {
            Some(m) => (format!("map '{m}' has values of {}", words::bytes(a.region)), "value".into()),
            None => (format!("the inner map has values of {}", words::bytes(a.region)), "value".into()),
        },
        RegBase::MapKey => (format!("the map has keys of {}", words::bytes(a.region)), "key".into()),
        _ => match made_by(case, a.reg) {
            Some(callee) => (format!("the memory that {callee} gives has {}", words::bytes(a.region)), "memory".into()),
            None => (format!("the memory has {}", words::bytes(a.region)), "memory".into()),
        },
    }
}

/// The variable of a section of global data that has a byte: name and size.
pub(super) fn variable_at(case: &Case<'_>, map: &ebpfkit_object::Map, off: i64) -> Option<(String, i64)> {
    let btf = case.btf()?;
    if map.section.is_empty() {
        return None;
    }
    let var = btf
        .sec_vars(map.value_type)
        .find(|v| off >= i64::from(v.offset) && off < i64::from(v.offset) + i64::from(v.size))?;
    Some((btf.name(var.ty).to_owned(), var.size.into()))
}

fn made_by(case: &Case<'_>, reg: u8) -> Option<String> {
    let history = case.history(reg);
    let e = history.iter().find(|e| e.how == How::Result)?;
    case.callee(case.event_insn(e))
}

/// An access that is or may be outside of a map's value or of memory of known size.
pub(crate) fn outside(case: &Case<'_>, a: Outside, bound: &str) -> Draft {
    let (region, what) = region_name(case, &a);
    let history = case.history(a.reg);
    let argument = argument_text(case, a.reg).filter(|t| t.len() <= 32);
    let name = accessed(case).or(argument).or_else(|| case.name(&history));
    let subject = name.clone().unwrap_or_else(|| case.pointer_name(a.reg));
    let does = if case.here().is_call() {
        format!("{} accesses", case.callee(case.at()).unwrap_or_else(|| "the call".into()))
    } else if case.here().class() == class::LDX {
        "this reads".into()
    } else {
        "this writes".into()
    };
    let size = i64::from(a.size);
    let end = a.off.saturating_add(size);
    let reach = words::range_of(a.off, size);
    if let Some((event, reg)) = index_of(case, &history) {
        return with_index(case, &history, (event, reg), &region, a, bound);
    }
    let past = end.saturating_sub(a.region);
    let headline = match () {
        _ if a.off < 0 => format!("{region}; {does} {reach}: before its start"),
        _ if size == 0 => format!("{region}; {does} nothing at byte {}", a.off),
        _ if past > 0
            && case.reg(a.reg + 1).is_some_and(|r| {
                case.here().is_call()
                    && a.reg < 5
                    && r.is_scalar()
                    && !r.var_off.is_const()
                    && r.umax == u64::from(a.size)
            }) =>
        {
            format!(
                "{region}; {} may access {reach}: up to {} past the end",
                does.trim_end_matches(" accesses"),
                words::bytes(past)
            )
        }
        _ if past > 0 => format!("{region}; {does} {reach}: {} past the end", words::bytes(past)),
        _ => format!("{region}; {does} {reach}"),
    };
    let of = case.reg(a.reg).map_or_else(|| subject.clone(), |r| words::memory(case, &RegState { off: 0, ..*r }));
    let mut d = Draft::new(headline, format!("{reach} of {of}"));
    let plain = if subject.chars().all(|c| c.is_alphanumeric() || c == '_') { subject.as_str() } else { "the pointer" };
    d = general::with_origin(case, d, &history, plain);
    d = sized_by(case, d, &history, a.region);
    if past > 0
        && let Some(by_size) = too_long(case, &a)
    {
        d.spans.extend(by_size.spans);
        d.notes.extend(by_size.notes);
        d.help.extend(by_size.help);
        return d;
    }
    let fixed = if what == "value" {
        format!(
            "make the map's value at least {end} bytes large (is the map's value type the struct that is accessed?), or access less"
        )
    } else {
        format!(
            "reserve at least {end} bytes, or access less: is the size `sizeof` of the struct rather than of a pointer?"
        )
    };
    let mut d = tested_late(case, d);
    if let Some((text, what, len)) = too_far(case, &a) {
        d.spans.retain(|s| !s.label.contains("is moved by"));
        d = compared_too_far(case, d.note(text), &what, len);
        return match d.help.is_empty() {
            true => d.help(format!("keep it below {len}: test `{what} < {len}` before the access")),
            false => d,
        };
    }
    d.help(fixed)
}

/// An index whose value is known and too large: what is said of it, what it is called, and the number of elements.
fn too_far(case: &Case<'_>, a: &Outside) -> Option<(String, String, i64)> {
    let what = source::index_at(&case.source(case.at())?)?;
    let state = case.reg(a.reg)?;
    let last = a.off.min(a.region).checked_sub(1)?;
    let array = members::innermost_at(case, state, last).filter(|_| !case.here().is_call())?;
    let end = last + array.rest;
    if a.off < end || what.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let index = array.len + (a.off - end) / array.size.max(1);
    let name = if array.name.is_empty() { "the array".to_owned() } else { format!("'{}'", array.name) };
    let plain = what.trim_end_matches("++").to_owned();
    Some((format!("{name} has {} elements, and the index `{what}` is {index} here", array.len), plain, array.len))
}

/// An index that the same line tests only after it was used.
fn tested_late(case: &Case<'_>, d: Draft) -> Draft {
    let Some(line) = case.source(case.at()) else { return d };
    let Some(index) = source::index_at(&line).filter(|i| is_simple(i)) else { return d };
    let Some(used) = line.text.find(&format!("[{index}]")) else { return d };
    let rest = &line.text[used..];
    let Some(and) = rest.find("&&") else { return d };
    let test = rest[and + 2..].trim_start();
    let tests = ["<", "<=", "!="].iter().any(|s| test.starts_with(&format!("{index} {s}")));
    if !tests {
        return d;
    }
    let end = test.find([';', ')', '&']).unwrap_or(test.len());
    let test = test[..end].trim();
    let mut d = d.note(format!(
        "the line uses [{index}] before it tests `{test}`: the last time around the index is one too large"
    ));
    d.help.insert(0, format!("test the index first: put `{test}` before what is read at [{index}]"));
    d
}

/// The call that gave memory of a size, where the size was an argument.
fn sized_by(case: &Case<'_>, mut d: Draft, history: &[Event], region: i64) -> Draft {
    let Some(e) = history.iter().find(|e| e.how == How::Result) else { return d };
    let insn = case.event_insn(e);
    for reg in 1..=5 {
        let Some(r) = case.trace.reg(e.step, reg) else { continue };
        if r.const_value() == Some(region as u64) {
            let callee = case.callee(insn).unwrap_or_default();
            d.spans.retain(|s| s.insn != Some(insn));
            d = d.span(case.span(insn, format!("{callee} is asked for {} here", words::bytes(region))));
            let text = case.text(insn);
            if text.contains("sizeof(") && !text.contains("sizeof(*") && !text.contains("sizeof(struct") && region == 8
            {
                d = d.note("8 bytes are the size of a pointer: `sizeof(p)` of a pointer p is not the size of what it points to");
                d = d.help("write `sizeof(*p)` in the place of `sizeof(p)`");
            }
            break;
        }
    }
    d
}

/// An access at a place that a number decides.
fn with_index(case: &Case<'_>, history: &[Event], index: (Event, u8), region: &str, a: Outside, bound: &str) -> Draft {
    let (event, reg) = index;
    let moved = case.trace.reg(event.step, reg).copied().unwrap_or(RegState::UNKNOWN);
    let insn = case.event_insn(&event);
    let line = case.source(case.at());
    let index_name = line.as_ref().and_then(source::index_at).or_else(|| {
        let inner = case.history_at(event.step, Location::Reg(reg));
        case.name(&inner)
    });
    let indices = line.as_ref().map(source::indices_at).unwrap_or_default();
    let several = indices.len() > 1 && !case.here().is_call();
    let what = match several {
        true => indices.join(" and "),
        false => index_name.clone().unwrap_or_else(|| "the offset".into()),
    };
    let size = i64::from(a.size);
    let state = case.reg(a.reg).copied().unwrap_or(RegState::UNKNOWN);
    let (low, high) = (state.smin.saturating_add(0), state.umax.min(1 << 40) as i64);
    let fixed = i64::from(state.off) + i64::from(if case.here().is_call() { 0 } else { case.here().off });
    let reaches = if bound == "min" {
        format!("it may begin at byte {}", words::number(low.saturating_add(fixed)))
    } else {
        format!("it may reach to byte {}", words::number(high.saturating_add(fixed).saturating_add(size) - 1))
    };
    let headline = format!("{region}, and nothing bounds {what} so that this access stays inside: {reaches}");
    let mut d = Draft::new(
        headline,
        format!(
            "{} at an offset from {} to {}",
            words::bytes(size),
            words::number(low.saturating_add(fixed)),
            words::number(high.saturating_add(fixed))
        ),
    );
    if !case.same_line(insn, case.at()) {
        d = d.span(case.span(
            insn,
            format!(
                "{} is added here: {}",
                if index_name.is_some() { "the offset" } else { "it" },
                words::scalar(&moved)
            ),
        ));
    }
    d = story(case, d, event.step, reg, &what);
    if let Some(made) = history.iter().find(|e| matches!(e.how, How::Result | How::Constant)) {
        let what = if made.how == How::Result { "the pointer comes from here" } else { "" };
        d = d.span(case.span(case.event_insn(made), what));
    }
    let most = a.region.saturating_sub(size).saturating_sub(fixed);
    let scale = scale_of(case, event.step, reg).max(1);
    let mut limit = if most >= 0 { most / scale + 1 } else { 0 };
    let dimensions = members::dimensions_at(case, &state, fixed);
    if several && dimensions.len() >= indices.len() {
        let inner = &dimensions[dimensions.len() - indices.len()..];
        let tests: Vec<String> = indices.iter().zip(inner).map(|(i, d)| format!("`{i} < {}`", d.len)).collect();
        for array in inner {
            d = d.note(has_elements(array));
        }
        return d.help(format!("before the access, keep each index below its own number: {}", tests.join(" and ")));
    }
    if let Some(array) = array_at(case, &state, fixed, scale) {
        limit = limit.min(array.limit(line_reach(case, a.reg, size)));
        d = d.note(has_elements(&array));
    }
    if limit > 0 {
        d = compared_too_far(case, d, &what, limit);
        if what.starts_with("the ") {
            return d.help(format!("compare it right before the access: it has to be less than {limit}"));
        }
        let power = limit.count_ones() == 1 && !is_computed(&what);
        let what = if is_computed(&what) { format!("({what})") } else { what };
        let mask = if power { format!(", or mask it: `{what} &= {}`", limit - 1) } else { String::new() };
        d = d.help(format!("before the access, on an unsigned copy of it: `if ({what} >= {limit}) return`{mask}"));
    }
    d
}

/// How many elements an array has, as a sentence.
fn has_elements(array: &Array) -> String {
    let elements = if array.len == 1 { "1 element".to_owned() } else { format!("{} elements", array.len) };
    let name = if array.name.is_empty() { "the array".to_owned() } else { format!("'{}'", array.name) };
    format!("{name} has {elements} of {}", words::bytes(array.size))
}

/// An offset that may be negative, or has no upper bound.
pub(crate) fn unbounded(case: &Case<'_>, reg: u8, negative: bool) -> Draft {
    let history = case.history(reg);
    let state = case.reg(reg).copied().unwrap_or(RegState::UNKNOWN);
    let line = case.source(case.at());
    let index = index_of(case, &history);
    let inner = index.map(|(e, r)| case.history_at(e.step, Location::Reg(r))).unwrap_or_default();
    let what =
        line.as_ref().and_then(source::index_at).or_else(|| case.name(&inner)).unwrap_or_else(|| "the offset".into());
    let is_packet = matches!(state.ty.base, RegBase::Packet | RegBase::PacketMeta);
    let base = words::value(case, &RegState { var_off: RegState::known(0).var_off, off: 0, ..state });
    let headline = if negative {
        format!("{what} may be negative, so this access may lie before the start of {base}")
    } else {
        format!("{what} has no upper bound here, so this access may lie anywhere behind {base}")
    };
    let as_number = RegState { ty: RegType::SCALAR, ..state };
    let mut d = Draft::new(headline, format!("the offset is {}", words::scalar(&as_number)));
    if let Some((e, r)) = index {
        let insn = case.event_insn(&e);
        if !case.same_line(insn, case.at()) {
            d = d.span(case.span(insn, format!("{what} is added to the pointer here")));
        }
        d = story(case, d, e.step, r, &what);
    }
    let fixed = i64::from(state.off) + if case.here().is_call() { 0 } else { i64::from(case.here().off) };
    let scale = index.map_or(1, |(e, r)| scale_of(case, e.step, r).max(1));
    let array = array_at(case, &state, fixed, scale);
    let limit = match &array {
        Some(a) => Some(a.limit(size_behind(case, reg))).filter(|l| *l > 0),
        None => members::bytes_left(case, &RegState { var_off: RegState::known(0).var_off, ..state })
            .map(|b| b / scale)
            .filter(|b| *b > 0),
    };
    if let Some(array) = &array {
        d = d.note(has_elements(array));
    }
    let bound = limit.map_or_else(|| "N".to_owned(), |l| l.to_string());
    let what = if is_computed(&what) { format!("({what})") } else { what };
    let d = promised(case, d, &state, &history);
    match (negative, is_packet) {
        (_, true) => d.help(format!("make {what} unsigned and bound it before the addition: `if ({what} > 1500) return`, then compare with data_end")),
        (true, _) => d.help(format!("make {what} unsigned, or rule out negative values too, on the variable that is used: `if ({what} < 0 || {what} >= {bound}) return`")),
        (false, _) if bound == "1" => d,
        (false, _) if what.chars().all(|c| c.is_alphanumeric() || c == '_') => d.help(format!("compare it right before the access: `if ({what} >= {bound}) return`, or mask it (`{what} &= N - 1`)")),
        (false, _) => d.help(format!("compare it right before the access: `if ({what} >= {bound}) return`")),
    }
}

/// A number is added to a pointer that may not be moved so far.
pub(crate) fn arithmetic(case: &Case<'_>, kind: &str) -> Draft {
    let insn = case.here();
    let Some(step) = case.step() else { return Draft::new("a number without bounds is added to a pointer", "here") };
    let regs = [Some(insn.dst), insn.is_src_reg().then_some(insn.src)];
    let scalar = regs.into_iter().flatten().find(|&r| case.reg(r).is_some_and(RegState::is_scalar));
    let pointer = regs.into_iter().flatten().find(|&r| case.reg(r).is_some_and(|s| !s.is_scalar()));
    let Some(reg) = scalar else {
        return general::with_value(
            case,
            Draft::new(format!("a {kind} pointer is moved too far"), String::new()),
            insn.dst,
        );
    };
    let state = case.reg(reg).copied().unwrap_or(RegState::UNKNOWN);
    let history = case.history_at(step, Location::Reg(reg));
    let line = case.source(case.at());
    let what = line
        .as_ref()
        .and_then(source::index_at)
        .or_else(|| case.name(&history))
        .or_else(|| source::addend_at(line.as_ref()?))
        .unwrap_or_else(|| "the number".into());
    let to =
        pointer.and_then(|p| case.reg(p)).map(|p| words::value(case, p)).unwrap_or_else(|| format!("a {kind} pointer"));
    let why = if state.smin < 0 { "may be negative" } else { "may be too large" };
    let mut d = Draft::new(
        format!("{what} {why} where it is added to {to}"),
        format!("{what}, scaled to bytes, is {}", words::scalar(&state)),
    );
    d = story(case, d, step, reg, &what);
    if history.iter().any(|e| e.how == How::Bounded) && state.smin < 0 {
        d = d.note("a signed comparison from above leaves values below zero");
    }
    // A constant that the source subtracts from the index stands in the offset.
    let taken = what.split_once(" - ").and_then(|(_, n)| n.trim().parse::<i64>().ok()).unwrap_or(0);
    let array = pointer.and_then(|p| {
        let base = case.reg(p)?;
        let next = (case.at() + 1..(case.at() + 12).min(case.program.insns.len())).map(|i| case.insn(i));
        let then = next.take_while(|i| !i.is_call()).find(|i| i.memory_base() == Some(insn.dst));
        let scale = scale_of(case, step, reg).max(1);
        array_at(case, base, members::fixed(base) + then.map_or(0, |t| i64::from(t.off)) + taken * scale, scale)
    });
    let what = if is_computed(&what) { format!("({what})") } else { what };
    let n = array.as_ref().map_or_else(|| "N".to_owned(), |a| a.limit(1).to_string());
    if let Some(array) = &array {
        d = d.note(has_elements(array));
    }
    if pointer.and_then(|p| case.reg(p)).is_some_and(RegState::is_pkt) {
        return d.help(format!("bound it before the addition, on an unsigned variable: `if ({what} > 1500) return` (at most 65535), and compare the sum with data_end after it"));
    }
    d.help(format!("bound it on both sides before it is used as an index, on one unsigned variable: `if ({what} >= {n}) return` with `{what}` unsigned, or `if ({what} < 0 || {what} >= {n}) return`"))
}

/// A comparison before the access that lets an index be as large as the number of elements.
pub(crate) struct OffByOne {
    /// Its line.
    pub(crate) line: SourceLine,
    /// What it compares, and what it has to.
    pub(crate) old: String,
    pub(crate) new: String,
    /// The line as it has to be, where nothing else of it needs to change.
    pub(crate) edit: Option<SourceEdit>,
}

/// The comparison of an index with the number of elements that lets it be that number itself.
pub(crate) fn off_by_one(case: &Case<'_>, name: &str, count: i64) -> Option<OffByOne> {
    let here = case.source(case.at()).filter(|l| !source::is_assembly(&l.file))?;
    if !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let scope = case.scope(&here);
    let (at, old, with, text) = scope.iter().rev().filter(|(n, _)| *n < here.line).find_map(|(n, text)| {
        let test = text.trim_start();
        if !["if (", "if(", "for (", "for(", "while ("].iter().any(|w| test.starts_with(w)) {
            return None;
        }
        [" > ", " <= "].iter().find_map(|sign| {
            let old = format!("{name}{sign}");
            let at = text
                .find(&old)
                .filter(|a| !text[..*a].ends_with(|c: char| c.is_alphanumeric() || "_>.".contains(c)))?;
            let limit: String =
                text[at + old.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let value = limit.parse::<i64>().ok().or_else(|| case.constant(&limit))?;
            (value == count).then(|| (*n, old.clone() + &limit, *sign, text.clone()))
        })
    })?;
    let new = old.replacen(with, if with == " > " { " >= " } else { " < " }, 1);
    let line = SourceLine { file: here.file, line: at, column: 0, text: text.to_string() };
    // What leaves there needs no other change; what sets the index to the limit does.
    let next = case.line_text(&line.file, at + 1).unwrap_or_default();
    let leaves = |t: &str| ["return", "goto", "break", "continue"].iter().any(|w| t.contains(w));
    let plain = with == " <= " || leaves(&line.text) || leaves(&next);
    let edit = (plain && line.text.matches(&old).count() == 1).then(|| SourceEdit {
        file: line.file.clone(),
        line: at,
        old: line.text.clone(),
        new: vec![line.text.replacen(&old, &new, 1)],
    });
    Some(OffByOne { line, old, new, edit })
}

/// Says of such a comparison what it lets through.
fn compared_too_far(case: &Case<'_>, mut d: Draft, name: &str, count: i64) -> Draft {
    let Some(found) = off_by_one(case, name, count) else { return d };
    let OffByOne { line, old, new, edit } = found;
    d.spans.extend(case.span_at(
        &line.file,
        line.line,
        format!("`{old}` lets {name} be {count}, and the last element is {}", count - 1),
    ));
    let more = if edit.is_some() { "" } else { ", and set it to one less there" };
    d.help.insert(0, format!("compare with one less at line {}: `{new}`{more}", line.line));
    d
}
