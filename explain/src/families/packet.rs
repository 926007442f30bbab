//! Accesses to the packet that no comparison with its end covers.

use super::{bounds, sizes, story};
use crate::case::{Case, Draft};
use crate::diagnosis::Blame;
use crate::origin::{Event, How, Location};
use crate::source::{self, SourceLine};
use crate::words;
use ebpfkit_abi::ctx::{Context, Field, FieldKind, context_of};
use ebpfkit_isa::opcode::{alu, class};
use ebpfkit_verifier::reason::Outside;
use ebpfkit_verifier::{RegBase, RegExtra, RegType};

/// Offsets from which on a comparison with the end proves nothing (`MAX_PACKET_OFF`).
const MOST: u64 = 0xffff;

/// The fields of the context with the start and the end of what packet pointers lead to.
pub(crate) fn edges(case: &Case<'_>) -> Option<(&'static Field, &'static Field)> {
    let Context::Fields { layout, .. } = context_of(case.program.prog_type)? else { return None };
    let of = |kinds: [FieldKind; 2]| layout.fields.iter().find(|f| kinds.contains(&f.kind));
    Some((of([FieldKind::PacketData, FieldKind::OptVal])?, of([FieldKind::PacketEnd, FieldKind::OptValEnd])?))
}

/// What the source calls the end of the packet, or its start: a variable that has just that.
pub(crate) fn edge_name(case: &Case<'_>, edge: RegBase, field: &str) -> Option<String> {
    case.trace.steps.iter().enumerate().find_map(|(s, step)| {
        let insn = case.insn(step.insn);
        let after = case.trace.reg(s + 1, insn.dst);
        if insn.class() != class::LDX || after.is_none_or(|r| r.ty != RegType::of(edge)) {
            return None;
        }
        let text = case.text(step.insn);
        let name = source::assigned(&text, field)?;
        // Nothing is computed of it on the way.
        let from = text.rfind(&format!("->{field}"))?;
        let rest = text[from + 2 + field.len()..].trim_start();
        let set = text[..from].rfind('=')?;
        let plain = rest.starts_with([',', ';']) && !text[set..from].contains(['+', '-']);
        (plain && name.chars().all(|c| c.is_alphanumeric() || c == '_')).then_some(name)
    })
}

/// The end as it can be written at a line: a variable that is known there, or the field of the context.
pub(crate) fn edge_at(case: &Case<'_>, step: usize, line: &SourceLine, edge: RegBase, field: &str) -> Option<String> {
    edge_name(case, edge, field).filter(|n| case.is_known_at(line, n)).or_else(|| {
        let whole = case.trace.start == 0 && case.trace.steps[step].depth == 0;
        let ctx = case.params(case.function_start(case.at())).first()?.0.clone();
        (whole && case.is_known_at(line, &ctx)).then(|| format!("(long){ctx}->{field}"))
    })
}

/// The address behind what a line accesses at its column, as it can be compared: `p + 1`, `&p[i] + 1`.
pub(crate) fn behind(line: &SourceLine, reach: i64) -> Option<String> {
    if let Some(address) = source::address_at(line) {
        // Bytes are counted from an address of bytes.
        return Some(format!("(void *)({address}) + {reach}"));
    }
    let name = source::expression_at(line).filter(|n| !n.contains(' ') || n.starts_with("(("))?;
    Some(match source::index_at(line).filter(|i| line.text.contains(&format!("{name}[{i}]"))) {
        // The pointer itself, where it leads to an array rather than being one.
        Some(i) => format!("(void *)(&{name}[{i}] + 1)"),
        None if line.text.contains(&format!("{name}->")) || line.text.contains(&format!("*{name}")) => {
            format!("(void *)({name} + 1)")
        }
        None => return None,
    })
}

/// What of the packet a line accesses, as an address: `&p[i]`, `p + i`, or the pointer alone.
fn place(case: &Case<'_>, subject: &str) -> String {
    let Some(line) =
        case.access_line(case.at()).or_else(|| case.source(case.at())).filter(|l| !source::is_assembly(&l.file))
    else {
        return subject.to_owned();
    };
    if let Some(address) = source::address_at(&line) {
        return format!("`{address}`");
    }
    match source::index_at(&line) {
        Some(i) if line.text.contains(&format!("{subject}[{i}]")) => format!("{subject}[{i}]"),
        _ => subject.to_owned(),
    }
}

/// How often the path has been at the access since an earlier instruction of it.
fn iterations(case: &Case<'_>, check: usize) -> usize {
    let steps = &case.trace.steps;
    let Some(from) = steps.iter().rposition(|s| s.insn == check) else { return 1 };
    steps[from..].iter().filter(|s| s.insn == case.at()).count()
}

/// A size that is taken of the pointer where that of what it points to is meant: the line, and what is written there.
pub(crate) fn size_of_pointer(case: &Case<'_>, subject: &str) -> Option<(SourceLine, String)> {
    let line = case.source(case.at())?;
    let written = format!("sizeof({subject})");
    let scope = case.scope(&line);
    let points = scope.iter().any(|(_, t)| {
        source::find_word(t, subject).is_some_and(|at| t[..at].trim_end().ends_with('*') && !t[..at].contains('='))
    });
    let (number, text) = scope.iter().rfind(|(_, t)| t.contains(&written) && t.contains(['<', '>']))?.clone();
    points.then(|| (SourceLine { file: line.file.clone(), line: number, column: 0, text: text.to_string() }, written))
}

/// A call that accesses as many bytes of the packet as a number says.
fn by_size(case: &Case<'_>, a: &Outside, edge: &str) -> Option<Draft> {
    let size = case.reg(a.reg + 1).filter(|r| a.reg < 5 && r.is_scalar() && !r.var_off.is_const())?;
    if !case.here().is_call() || size.umax != u64::from(a.size) {
        return None;
    }
    let callee = case.callee(case.at())?;
    let shown = sizes::argument_text(case, a.reg).unwrap_or_else(|| format!("r{}", a.reg));
    let what = sizes::argument_text(case, a.reg + 1).unwrap_or_else(|| "the size".into());
    let mut d = Draft::new(
        format!(
            "{callee} accesses as many bytes at {shown} as {what} says, which is {}: so many are not compared with {edge}",
            words::scalar(size)
        ),
        format!("up to {} of the packet", words::bytes(a.size.into())),
    );
    let history = case.history(a.reg);
    if let Some((at, _)) = last_check(case, a.reg, &history) {
        d = d.span(case.span(at, format!("this proves {} from the start of the packet on", words::bytes(a.region))));
    }
    d = story::story(case, d, case.step()?, a.reg + 1, &what);
    Some(
        d.note(format!("a comparison of `pointer + {what}` with {edge} is about another pointer: the verifier does not derive from it how many bytes lie behind {shown}"))
            .help("copy the bytes to a buffer of constant size first (bpf_skb_load_bytes, bpf_xdp_load_bytes), which check the packet's length themselves, with a size that is bounded by the buffer")
            .help("or go through the packet in steps of constant size, and compare with the end before each"),
    )
}

/// An access outside of what is known to be there.
pub(crate) fn outside(case: &Case<'_>, a: Outside) -> Draft {
    if let Some(d) = by_size(case, &a, edges(case).map_or("data_end", |e| e.1.name)) {
        return d;
    }
    let history = case.history(a.reg);
    let line = case.access_line(case.at()).or_else(|| case.source(case.at())).filter(|l| !source::is_assembly(&l.file));
    let written = bounds::accessed(case).or_else(|| Some(format!("`{}`", source::address_at(line.as_ref()?)?)));
    let name = written.clone().or_else(|| case.name(&history));
    let subject = name.clone().unwrap_or_else(|| format!("r{}", a.reg));
    // The compiler may access what the line asks for in pieces.
    let reach = bounds::line_reach(case, a.reg, i64::from(a.size));
    let end = a.off.saturating_add(reach);
    let meta = a.base == RegBase::PacketMeta;
    let end_field = edges(case).map_or("data_end", |e| e.1.name);
    let (whole, edge) = match () {
        _ if meta => ("metadata", "data"),
        _ if end_field == "optval_end" => ("option's value", end_field),
        _ => ("packet", end_field),
    };
    let check = last_check(case, a.reg, &history);
    let state = case.reg(a.reg);
    let variable = state.filter(|r| !r.var_off.is_const());
    let label = match variable {
        Some(_) => format!("this needs {} at {subject}, wherever that is now", words::bytes(reach)),
        None if end == 1 => format!("this needs the first byte of the {whole}"),
        None => format!("this needs the first {} of the {whole}", words::bytes(end)),
    };
    let mut draft = if a.region < 0 {
        let d = Draft::new(
            format!("{subject} is known to lie at or behind {edge} on this path"),
            "nothing of the packet is left here",
        );
        match check {
            Some((at, _)) => {
                let text = format!(
                    "this comparison leads here when {subject} has reached {edge}: one side of it is the wrong one"
                );
                d.span(case.span(at, text))
            }
            None => d,
        }
    } else if let (Some((at, _)), true) = (check, a.region > 0) {
        let again = iterations(case, at);
        let place = place(case, &subject);
        let said =
            source::find_word(&case.text(at), subject.trim_matches('`').split(' ').next().unwrap_or("")).is_some();
        let one_too_few = end - a.region == 1 && reach == 1 && again <= 1 && said;
        let (checked, proves) = match variable {
            _ if again > 1 => (
                format!(
                    "the check at {} covers what the first {} of the loop access here, and the {again}{} goes {} beyond it",
                    case.line_of(at),
                    if again == 2 { "iteration".to_owned() } else { format!("{} iterations", again - 1) },
                    nth(again),
                    words::bytes(end - a.region)
                ),
                "this is compared once, however often the loop goes around".to_owned(),
            ),
            None => (
                format!(
                    "{} checked at {}, {} needed here",
                    words::are(a.region),
                    case.line_of(at),
                    words::are_short(end)
                ),
                format!("this proves {}", words::bytes(a.region)),
            ),
            Some(_) if one_too_few => (
                format!(
                    "the check at {} lets {place} be {edge} itself, and this accesses a byte there",
                    case.line_of(at)
                ),
                format!("this allows {place} to be {edge}"),
            ),
            Some(_) => (
                format!(
                    "the check at {} covers {} fewer than are accessed here through {subject}",
                    case.line_of(at),
                    words::bytes(end - a.region)
                ),
                format!("this comparison ends {} too early", words::bytes(end - a.region)),
            ),
        };
        let mut d = Draft::new(checked, label).span(case.span(at, proves));
        if one_too_few {
            d = d.note(format!("one byte too few: the check allows {place} to be {edge} itself, where no byte is"));
        }
        d
    } else {
        let headline = match variable {
            Some(_) => format!(
                "{subject} was moved by a variable, and is not compared with {edge} after that: {} needed there",
                words::are(reach)
            ),
            None => format!("{subject} is not compared with {edge} on this path: {} needed here", words::are(end)),
        };
        Draft::new(headline, label)
    };
    if variable.is_none() && a.region > 0 {
        draft = by_length(case, draft, &subject, edge);
    }
    if let Some(r) = variable {
        draft = moved_by(case, draft, &history, &subject, r.umax);
    }
    if a.region <= 0 {
        draft = other_checks(case, draft, a.reg, &subject, edge);
        draft = length_compared(case, draft, a.reg);
    }
    draft = source_of(case, draft, &history, &subject);
    draft = read_for(case, draft);
    if let Some((line, text)) = size_of_pointer(case, &subject) {
        let label = format!("`{text}` is 8, the size of the pointer, and not that of what it points to");
        draft.spans.extend(case.span_at(&line.file, line.line, label));
        draft = draft.help(format!("write `sizeof(*{subject})` in the place of `{text}` at line {}", line.line));
    }
    let origin = written.is_none().then_some(name).flatten();
    let condition = condition(case, &subject, origin.as_deref(), reach, end, edge);
    let all = if end == 1 { "the byte".to_owned() } else { format!("all {end} bytes") };
    if case.is_rust() {
        return draft.help(match variable {
            Some(_) => format!("compare right before the access, after {subject} was moved: all {} of it have to end before data_end", words::bytes(reach)),
            None => format!("check {all} before the access: `if start + {end} > end {{ return }}`; a function like `ptr_at::<T>(ctx, offset)` has to compare `offset + size_of::<T>()`"),
        });
    }
    draft.help(match (variable, condition) {
        (Some(_), Some(c)) => format!("compare right before the access, after {subject} was moved: `if ({c}) return`"),
        (Some(_), None) => format!("compare what is accessed with {edge} right before the access, after it was moved: all of its {} have to lie before {edge}", words::bytes(reach)),
        (None, _) if meta => format!("compare with data, where the metadata ends: `if ((void *){subject} + {end} > data) return`"),
        (None, Some(c)) => format!("check {all} before the access: `if ({c}) return`"),
        (None, _) => format!("check {all} before the access: `if (data + {end} > {edge}) return`, with a `void *data`"),
    })
}

/// Comparisons with the end of a pointer to which a number was added that the run decides: it may be zero.
fn by_length(case: &Case<'_>, mut draft: Draft, subject: &str, edge: &str) -> Draft {
    let Some(last) = case.step() else { return draft };
    for step in (0..last).rev() {
        let at = case.trace.steps[step].insn;
        let insn = case.insn(at);
        if !insn.is_jump_class() || !insn.is_src_reg() || insn.is_call() {
            continue;
        }
        let (Some(a), Some(b)) = (case.trace.reg(step, insn.dst), case.trace.reg(step, insn.src)) else { continue };
        let other = match (a.ty.base, b.ty.base) {
            (RegBase::PacketEnd, RegBase::Packet) => b,
            (RegBase::Packet, RegBase::PacketEnd) => a,
            _ => continue,
        };
        if other.var_off.is_const() || case.same_line(at, case.at()) {
            continue;
        }
        draft.spans.push(case.span(at, format!("this compares a pointer that a length was added to: it says nothing of {subject}, since the length may be anything")));
        return draft.note(format!("the verifier knows how many bytes lie before {edge} by constants alone: what is accessed in a loop is compared in the loop"));
    }
    draft
}

fn nth(n: usize) -> &'static str {
    match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

/// The comparison that covers an access, as it would be written. `origin` is the variable with the start of the packet,
/// where the line does not say through what it accesses; `end` counts from there.
fn condition(case: &Case<'_>, subject: &str, origin: Option<&str>, reach: i64, end: i64, edge: &str) -> Option<String> {
    let line = case.access_line(case.at()).or_else(|| case.source(case.at()))?;
    if source::is_assembly(&line.file) {
        return Some(format!("{subject} + {} > {edge}", reach + i64::from(case.here().off)));
    }
    let base = if edge == "data" { RegBase::Packet } else { RegBase::PacketEnd };
    let edge = edge_at(case, case.step()?, &line, base, edge).unwrap_or_else(|| edge.to_owned());
    let edge = if edge.starts_with("(long)") { format!("(void *){edge}") } else { edge };
    if let Some(start) = origin {
        return sizes::is_simple(start).then(|| format!("(void *){start} + {end} > {edge}"));
    }
    if let Some(behind) = behind(&line, reach) {
        return Some(format!("{behind} > {edge}"));
    }
    if !sizes::is_simple(subject) {
        return None;
    }
    let index = source::index_at(&line).filter(|i| line.text.contains(&format!("{subject}[{i}]")));
    Some(match index {
        _ if line.text.contains(&format!("{subject}->")) => format!("(void *)({subject} + 1) > {edge}"),
        Some(index) => format!("(void *)(&{subject}[{index}] + 1) > {edge}"),
        None => format!("(void *){subject} + {reach} > {edge}"),
    })
}

/// The length of the packet was computed as a number and compared.
fn length_compared(case: &Case<'_>, draft: Draft, reg: u8) -> Draft {
    if case.reg(reg).is_none() || draft.spans.iter().any(|s| s.label.contains("comparison")) {
        return draft;
    }
    let Some(last) = case.step() else { return draft };
    for step in (0..last).rev() {
        let at = case.trace.steps[step].insn;
        let insn = case.insn(at);
        if !matches!(insn.class(), class::ALU64 | class::ALU) || insn.op() != alu::SUB || !insn.is_src_reg() {
            continue;
        }
        let (Some(a), Some(b)) = (case.trace.reg(step, insn.dst), case.trace.reg(step, insn.src)) else { continue };
        if a.ty.base == RegBase::PacketEnd && b.ty.base == RegBase::Packet {
            return draft
                .span(case.span(at, "the length is a number from here on: comparing it says nothing of the pointers"))
                .note("the verifier follows comparisons of packet pointers with data_end, not of their difference");
        }
    }
    draft
}

/// The last comparison on the path of a pointer of the same origin with the end of the packet, and how much it proved.
pub(crate) fn last_check(case: &Case<'_>, reg: u8, history: &[Event]) -> Option<(usize, i32)> {
    let state = case.reg(reg)?;
    let last = case.step()?;
    let latest = (0..last).rev().find_map(|s| {
        let at = case.trace.steps[s].insn;
        let insn = case.insn(at);
        if !insn.is_jump_class() || !insn.is_src_reg() || insn.is_call() {
            return None;
        }
        let (a, b) = (case.trace.reg(s, insn.dst)?, case.trace.reg(s, insn.src)?);
        let other = match (a.ty.base, b.ty.base) {
            (RegBase::PacketEnd, _) => b,
            (_, RegBase::PacketEnd) => a,
            _ => return None,
        };
        let same = other.ty == state.ty && other.id == state.id && i64::from(other.off) <= i64::from(state.range());
        same.then_some((at, state.range()))
    });
    latest.or_else(|| {
        history.iter().filter(|e| e.how == How::Bounded).find_map(|e| {
            let Location::Reg(r) = e.location else { return Some((case.event_insn(e), 0)) };
            let (old, new) = (case.trace.reg(e.step, r)?, case.trace.reg(e.step + 1, r)?);
            (old.extra != new.extra).then(|| (case.event_insn(e), new.range()))
        })
    })
}

/// The variable offset that was added to a pointer.
fn moved_by(case: &Case<'_>, mut draft: Draft, history: &[Event], subject: &str, most: u64) -> Draft {
    let Some((event, reg)) = bounds::index_of(case, history) else { return draft };
    let added = case.trace.reg(event.step, reg);
    if let Some(added) = added {
        let text = format!(
            "{subject} is moved here by {}: checks before this say nothing of where it points now",
            words::scalar(added)
        );
        draft.spans.push(case.span(case.event_insn(&event), text));
    }
    if most > MOST {
        draft.blame = Blame::Program;
        draft = draft
            .note(format!(
                "the offset may be as large as {}; above 65535 a comparison with data_end proves nothing",
                words::number(most as i64)
            ))
            .help("bound the offset first (`off &= 0x3fff`, or `if (off > 1500) return`), then compare");
    }
    draft
}

/// Comparisons with the end of the packet on the path that were about another pointer.
fn other_checks(case: &Case<'_>, mut draft: Draft, reg: u8, subject: &str, edge: &str) -> Draft {
    let Some(last) = case.step() else { return draft };
    let id = case.reg(reg).map_or(0, |r| r.id);
    for step in (0..last).rev() {
        let insn = case.insn(case.trace.steps[step].insn);
        if !insn.is_jump_class() || !insn.is_src_reg() || insn.is_call() {
            continue;
        }
        let (Some(a), Some(b)) = (case.trace.reg(step, insn.dst), case.trace.reg(step, insn.src)) else { continue };
        let other = match (a.ty.base, b.ty.base) {
            (RegBase::PacketEnd, _) => b,
            (_, RegBase::PacketEnd) => a,
            _ => continue,
        };
        if edge == "data" && other.ty.base == RegBase::PacketMeta {
            let text = format!("{subject} is compared with data_end here, and metadata ends where data begins");
            draft.spans.push(case.span(case.trace.steps[step].insn, text));
            break;
        }
        if matches!(other.extra, RegExtra::Range(_)) && other.id != id {
            let text = format!(
                "this compares another pointer with {edge}: {subject} was moved by a variable since, or comes from elsewhere"
            );
            draft.spans.push(case.span(case.trace.steps[step].insn, text));
            break;
        }
        if matches!(other.extra, RegExtra::Range(_)) {
            let offset = |r: &ebpfkit_verifier::RegState| i64::from(r.off) + r.var_off.value as i64;
            let itself = case.reg(reg).is_some_and(|r| offset(r) == offset(other));
            let text = match itself {
                true => {
                    format!("this compares {subject} itself with {edge}, and says nothing of the bytes from there on")
                }
                false => format!("this comparison with {edge} proves nothing on the way that is taken here"),
            };
            draft.spans.push(case.span(case.trace.steps[step].insn, text));
            break;
        }
    }
    draft
}

/// The line that reads what a condition tests, where the compiler has given the load to the condition's line.
fn read_for(case: &Case<'_>, mut draft: Draft) -> Draft {
    let (Some(line), Some(btf)) = (case.source(case.at()).filter(|_| case.here().class() == class::LDX), case.btf())
    else {
        return draft;
    };
    let text = line.text.trim_start();
    let tests = ["if", "while", "for", "switch"].iter().any(|w| text.starts_with(w));
    if !tests || bounds::accessed(case).is_some() || source::is_assembly(&line.file) {
        return draft;
    }
    // Assignments of the function around the line that read through a pointer what the line names.
    let assigns = |t: &str| {
        let (target, value) = t.split_once(" = ")?;
        let name = source::last_word(target)?;
        let reads = value.contains("->") || value.contains('*') || value.contains('[');
        (reads && !value.contains("ctx->") && source::find_word(text, &name).is_some()).then_some(name)
    };
    let Some(lines) = case.file(&line.file) else { return draft };
    let first = case.scope(&line).first().map_or(1, |h| h.0);
    let body = (first as usize..).map_while(|n| Some((n as u32 + 1, lines.get(n)?)));
    let body = body.take_while(|(_, t)| !t.starts_with('}'));
    let known = |n: u32| case.program.line_info.iter().any(|l| l.line == n && btf.str_at(l.file_name) == line.file);
    // Those that the condition comes after in a loop are the ones without instructions of their own.
    let found: Vec<(u32, String)> =
        body.filter_map(|(n, t)| Some((n, assigns(t)?))).filter(|(n, _)| !known(*n)).collect();
    for (number, name) in found.into_iter().take(3) {
        draft.spans.extend(case.span_at(&line.file, number, format!("{name}, which is tested there, is read here")));
    }
    draft
}

/// Where a packet pointer was loaded from the context.
fn source_of(case: &Case<'_>, mut draft: Draft, history: &[Event], subject: &str) -> Draft {
    if let Some(e) = history.iter().find(|e| matches!(e.how, How::Loaded { .. })) {
        draft.spans.push(case.span(case.event_insn(e), format!("{subject} comes from here")));
    }
    draft
}
