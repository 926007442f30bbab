//! What can be said of any rejection: the class of its message, and where the values came from that it names.

use crate::case::{Case, Draft};
use crate::catalogue;
use crate::origin::{Event, How, Location};
use crate::words;
use ebpfkit_isa::opcode::{self, alu};

/// Explains a rejection that no family knows better.
pub(crate) fn explain(case: &Case<'_>, message: Option<&str>) -> Draft {
    let text = case.rejection.text.clone();
    let last = message.or(text.trim_end().lines().last()).unwrap_or_default();
    let entry = catalogue::find(last);
    let headline = entry.map_or_else(|| last.to_owned(), |e| e.cause.to_owned());
    let mut draft = Draft::new(headline, String::new());
    for reg in operands(case) {
        draft = with_value(case, draft, reg);
    }
    if draft.label.is_empty() {
        draft.label = "refused here".into();
    }
    match entry {
        Some(e) => draft.help(e.remedy),
        None => draft,
    }
}

/// Registers that the rejected instruction uses.
fn operands(case: &Case<'_>) -> Vec<u8> {
    let insn = case.here();
    if let Some(base) = insn.memory_base() {
        return vec![base];
    }
    if insn.is_call() || insn.code == opcode::EXIT {
        Vec::new()
    } else {
        insn.reads().iter().filter(|&r| r < 10).collect()
    }
}

/// Says what a register holds at the rejected instruction, and where that comes from.
pub(crate) fn with_value(case: &Case<'_>, mut draft: Draft, reg: u8) -> Draft {
    let Some(state) = case.reg(reg) else { return draft };
    let history = case.history(reg);
    let what = words::value(case, state);
    let name = case.name(&history);
    let subject = name.clone().unwrap_or_else(|| format!("r{reg}"));
    if draft.label.is_empty() {
        draft.label = format!("{subject} is {what} here");
    } else {
        draft.notes.push(format!("{subject} is {what}"));
    }
    with_origin(case, draft, &history, &subject)
}

/// Adds where a value was made and what changed it on the way.
pub(crate) fn with_origin(case: &Case<'_>, mut draft: Draft, history: &[Event], subject: &str) -> Draft {
    let mut said = 0;
    for event in history {
        let insn = case.event_insn(event);
        if said >= 4 {
            break;
        }
        if let Some(label) = label(case, event, subject) {
            draft.spans.push(case.span(insn, label));
            said += 1;
        }
    }
    draft
}

/// What is to be said of an event; nothing of plain copies.
pub(crate) fn label(case: &Case<'_>, event: &Event, subject: &str) -> Option<String> {
    let insn = case.event_insn(event);
    let callee = || case.callee(insn).unwrap_or_else(|| "a call".into());
    Some(match event.how {
        How::Entry => match event.location {
            Location::Reg(1) if event.step != 0 => format!("{subject} is what the program was given"),
            _ => return None,
        },
        How::NeverSet => return None,
        How::Constant | How::Copied | How::Spilled | How::Filled | How::Passed => return None,
        How::Narrow { bits } => format!("only the low {bits} bits of {subject} are kept here"),
        How::StackLoad => format!("{subject} is read from a part of what was stored"),
        How::Computed { op, with, .. } => {
            let Some(with) = with.and_then(|w| case.trace.reg(event.step, w)) else {
                return match op {
                    alu::ADD | alu::SUB => None,
                    _ => Some(format!("{subject} is computed here")),
                };
            };
            match with.const_value() {
                Some(n) => format!("{subject} is moved by {} here", words::number(n as i64)),
                None => format!("{} takes part in {subject} here", words::value(case, with)),
            }
        }
        How::Loaded { base } => {
            let base = case.trace.reg(event.step, base)?;
            let after = case.trace.reg(event.step + 1, case.insn(insn).dst);
            match after {
                Some(a) if !a.is_scalar() => format!("{subject} is loaded here: {}", words::value(case, a)),
                _ => format!("{subject} is loaded here, through {}", words::value(case, base)),
            }
        }
        How::Result => format!("{subject} is what {} returns", callee()),
        How::Returned => format!("{subject} is what {} returned", callee()),
        How::CallbackArgument => format!("{subject} is given to the callback by {}", callee()),
        How::Clobbered => format!("{} leaves nothing in r1 to r5", callee()),
        How::WrittenByCall => format!("{} writes it", callee()),
        How::TakenAway => format!("{} makes {subject} useless", callee()),
        How::Bounded | How::NullChecked => return None,
        How::PartlyOverwritten => format!("this store overwrites a part of {subject}"),
        How::Unknown => return None,
    })
}
