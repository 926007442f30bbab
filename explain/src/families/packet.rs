//! Accesses to the packet that no comparison with its end covers.

use super::bounds;
use crate::case::{Case, Draft};
use crate::diagnosis::Blame;
use crate::origin::{Event, How, Location};
use crate::source;
use crate::words;
use ebpfkit_isa::opcode::{alu, class};
use ebpfkit_verifier::reason::Outside;
use ebpfkit_verifier::{RegBase, RegExtra};

/// Offsets from which on a comparison with the end proves nothing (`MAX_PACKET_OFF`).
const MOST: u64 = 0xffff;

/// An access outside of what is known to be there.
pub(crate) fn outside(case: &Case<'_>, a: Outside) -> Draft {
    let history = case.history(a.reg);
    let name = bounds::accessed(case).or_else(|| case.name(&history));
    let subject = name.clone().unwrap_or_else(|| format!("r{}", a.reg));
    // The compiler may access what the line asks for in pieces.
    let reach = bounds::line_reach(case, a.reg, i64::from(a.size));
    let end = a.off.saturating_add(reach);
    let meta = a.base == RegBase::PacketMeta;
    let (whole, edge) = if meta { ("metadata", "data") } else { ("packet", "data_end") };
    let check = last_check(case, a.reg, &history);
    let state = case.reg(a.reg);
    let variable = state.filter(|r| !r.var_off.is_const());
    let label = match variable {
        Some(_) => format!("this needs {} at {subject}, wherever that is now", words::bytes(reach)),
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
        let one_too_few = end - a.region == 1 && reach == 1;
        let (checked, proves) = match variable {
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
                    "the check at {} lets {subject} be {edge} itself, and this accesses a byte there",
                    case.line_of(at)
                ),
                format!("this allows {subject} to be {edge}"),
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
            d = d.note(format!("one byte too few: the check allows {subject} to be {edge} itself, where no byte is"));
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
    if let Some(r) = variable {
        draft = moved_by(case, draft, &history, &subject, r.umax);
    }
    if a.region <= 0 {
        draft = other_checks(case, draft, a.reg, &subject, edge);
        draft = length_compared(case, draft, a.reg);
    }
    draft = source_of(case, draft, &history, &subject);
    let condition = condition(case, &subject, reach, edge);
    if case.is_rust() {
        return draft.help(match variable {
            Some(_) => format!("compare right before the access, after {subject} was moved: all {} of it have to end before data_end", words::bytes(reach)),
            None => format!("check all {end} bytes before the access: `if start + {end} > end {{ return }}`; a function like `ptr_at::<T>(ctx, offset)` has to compare `offset + size_of::<T>()`"),
        });
    }
    draft.help(match (variable, condition) {
        (Some(_), Some(c)) => format!("compare right before the access, after {subject} was moved: `if ({c}) return`"),
        (Some(_), None) => format!("compare what is accessed with {edge} right before the access, after it was moved: all of its {} have to lie before {edge}", words::bytes(reach)),
        (None, _) if meta => format!("compare with data, where the metadata ends: `if ((void *){subject} + {end} > data) return`"),
        (None, Some(c)) => format!("check all {end} bytes before the access: `if ({c}) return`"),
        (None, _) => format!("check all {end} bytes before the access: `if (data + {end} > data_end) return`, with a `void *data`"),
    })
}

/// The comparison that covers an access through a variable, as it would be written.
fn condition(case: &Case<'_>, subject: &str, reach: i64, edge: &str) -> Option<String> {
    let line = case.source(case.at())?;
    if !bounds::is_simple(subject) {
        return None;
    }
    if source::is_assembly(&line.file) {
        return Some(format!("{subject} + {} > {edge}", reach + i64::from(case.here().off)));
    }
    let through_member = line.text.contains(&format!("{subject}->"));
    Some(match (through_member, source::index_at(&line)) {
        (true, _) => format!("(void *)({subject} + 1) > {edge}"),
        (false, Some(index)) if line.text.contains(&format!("{subject}[{index}]")) => {
            format!("(void *)(&{subject}[{index}] + 1) > {edge}")
        }
        _ => format!("(void *){subject} + {reach} > {edge}"),
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
fn last_check(case: &Case<'_>, reg: u8, history: &[Event]) -> Option<(usize, i32)> {
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
            let text = format!("this comparison with {edge} proves nothing on the way that is taken here");
            draft.spans.push(case.span(case.trace.steps[step].insn, text));
            break;
        }
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
