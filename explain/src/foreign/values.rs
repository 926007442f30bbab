//! Where a register's value comes from, by the instructions of a log.

use super::log::{Log, Step};

/// What an instruction of a log does to a register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is the result of this call.
    Result(String),
    /// This call gave it up.
    Clobbered(String),
    /// It is loaded from memory.
    Loaded,
    /// It is a constant.
    Constant,
    /// It is computed.
    Computed,
}

/// Most copies and computations that are followed back.
const DEPTH: usize = 64;

/// The register at the start of a text: `r3` or `w3`, and the rest.
fn reg(text: &str) -> Option<(u8, &str)> {
    let rest = text.strip_prefix(['r', 'w'])?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((rest[..end].parse().ok()?, &rest[end..]))
}

/// The callee of a call, without its number.
fn callee(step: &Step) -> Option<String> {
    let name = step.text.strip_prefix("call ")?;
    Some(name.split('#').next().unwrap_or(name).trim().to_owned())
}

/// What a step does to a register; for a copy, and for a value that is loaded from the stack, what it is copied from.
enum Effect<'a> {
    Nothing,
    Event(Event),
    Copy(u8),
    Fill(&'a str),
}

fn effect(step: &Step, of: u8) -> Effect<'_> {
    if let Some(callee) = callee(step) {
        return match of {
            0 => Effect::Event(Event::Result(callee)),
            1..=5 => Effect::Event(Event::Clobbered(callee)),
            _ => Effect::Nothing,
        };
    }
    let Some((to, rest)) = reg(&step.text) else { return Effect::Nothing };
    if to != of {
        return Effect::Nothing;
    }
    let Some(value) = rest.strip_prefix(" = ") else { return Effect::Event(Event::Computed) };
    match reg(value) {
        Some((from, "")) => Effect::Copy(from),
        Some(_) => Effect::Event(Event::Computed),
        None => match value.split_once("(r10 ") {
            Some((_, slot)) if value.starts_with('*') => Effect::Fill(slot),
            _ if value.starts_with('*') => Effect::Event(Event::Loaded),
            _ => Effect::Event(Event::Constant),
        },
    }
}

/// The steps that made a register's value before step `before`, the last one first.
pub fn history(log: &Log, before: usize, of: u8) -> Vec<(usize, Event)> {
    let mut events = Vec::new();
    let (mut reg_now, mut at) = (of, before);
    while events.len() < DEPTH && at > 0 {
        at -= 1;
        let step = &log.steps[at];
        if step.frame_changes {
            break;
        }
        match effect(step, reg_now) {
            Effect::Nothing => {}
            Effect::Copy(from) => reg_now = from,
            Effect::Fill(slot) => {
                // The store that left it there.
                let stored = log.steps[..at].iter().rposition(|s| {
                    s.text.starts_with('*') && s.text.split_once("(r10 ").is_some_and(|(_, p)| p.starts_with(slot))
                });
                let from = stored.and_then(|s| Some((s, reg(log.steps[s].text.rsplit_once(" = ")?.1)?.0)));
                match from {
                    Some((s, from)) => (at, reg_now) = (s, from),
                    None => {
                        events.push((at, Event::Loaded));
                        break;
                    }
                }
            }
            Effect::Event(event) => {
                let goes_on = event == Event::Computed;
                events.push((at, event));
                if !goes_on {
                    break;
                }
            }
        }
    }
    events
}

/// What was known of a register before a step, in the kernel's words.
pub fn state(log: &Log, before: usize, of: u8) -> Option<String> {
    let path = log.steps[..before].iter().rev().take_while(|s| !s.frame_changes);
    for step in path {
        if let Some((_, state)) = step.regs.iter().find(|(r, _)| *r == of) {
            return Some(state.clone());
        }
        // Older kernels do not say what came of it.
        if !matches!(effect(step, of), Effect::Nothing) {
            return None;
        }
    }
    None
}
