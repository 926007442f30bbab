//! What is known of a number: what made it, what bounded it, what lost the bound.

use crate::case::{Case, Draft};
use crate::diagnosis::Blame;
use crate::origin::{Event, How, Location};
use crate::source;
use crate::words;
use ebpfkit_isa::opcode::{alu, class};
use ebpfkit_verifier::{RegBase, RegState, RegType};

/// By how much the number in a register was multiplied last.
pub(crate) fn scale_of(case: &Case<'_>, step: usize, reg: u8) -> i64 {
    for e in case.history_at(step, Location::Reg(reg)) {
        let insn = case.insn(case.event_insn(&e));
        match e.how {
            How::Computed { op: alu::LSH, with: None, .. } => return 1i64 << (insn.imm & 31),
            How::Computed { op: alu::MUL, with: None, .. } => return insn.imm.into(),
            How::Computed { op: alu::ADD | alu::AND | alu::SUB, .. }
            | How::Copied
            | How::Spilled
            | How::Filled
            | How::Bounded => {}
            How::Narrow { .. } => {}
            _ => return 1,
        }
    }
    1
}

/// What is known of a number: what made it, what bounded it, what lost the bound.
pub(crate) fn story(case: &Case<'_>, mut d: Draft, step: usize, reg: u8, what: &str) -> Draft {
    let history = case.history_at(step, Location::Reg(reg));
    let mut bounded = 0;
    let mut shifted = None;
    let mut divided = false;
    // The expression is computed from something that has a name of its own.
    let inner = case.name(&history);
    let whole = what;
    let within = inner.as_deref().filter(|n| *n != whole && source::find_word(whole, n).is_some());
    let what = within.unwrap_or(if is_computed(whole) { "a part of it" } else { whole });
    for e in &history {
        let insn = case.event_insn(e);
        let after = |s: usize| match e.location {
            Location::Reg(r) => case.trace.reg(s, r).copied(),
            Location::Slot(_) => None,
        };
        match e.how {
            How::Bounded if bounded < 3 => {
                let Some(r) = after(e.step + 1) else { continue };
                let nothing = (r.smin, r.smax, r.umin, r.umax) == (i64::MIN, i64::MAX, 0, u64::MAX);
                // A line that does not name it is one that the compiler gave to a comparison of its own.
                if nothing && source::find_word(&case.text(insn), what).is_none() {
                    continue;
                }
                // A comparison of 32 bits tells of those.
                let is_half = case.insn(insn).class() == class::JMP32;
                let half_known = r.u32_min > 0 || r.u32_max < u32::MAX;
                if is_half && half_known && (r.smin < 0 || r.umax > u64::from(u32::MAX)) {
                    let text = format!(
                        "after this comparison the low 32 bits of {what} are from {} to {}",
                        r.u32_min,
                        words::number(r.u32_max.into())
                    );
                    d = d.span(case.span(insn, text));
                    bounded += 1;
                    continue;
                }
                let text = match nothing {
                    true => format!("this comparison tells nothing of the 64 bits of {what} that are used"),
                    false => format!("after this comparison {what} is {}", words::scalar(&r)),
                };
                d = d.span(case.span(insn, text));
                bounded += 1;
            }
            How::Narrow { bits } => {
                let (Some(old), Some(new)) = (source_state(case, e), after(e.step + 1)) else { continue };
                if old.umax > new.umax || old.smin < new.smin {
                    d = d.span(case.span(insn, format!("only the low {bits} bits are kept here")));
                }
            }
            How::Computed { op: alu::DIV | alu::MOD, .. } => {
                let (Some(old), Some(new)) = (case.trace.reg(e.step, case.insn(insn).dst), after(e.step + 1)) else {
                    continue;
                };
                if new.umax >= old.umax {
                    d = d.span(case.span(insn, "a division: the verifier knows nothing of its result".to_owned()));
                    divided = true;
                }
            }
            How::Computed { op: alu::LSH | alu::MUL, .. } => shifted = Some(insn),
            How::Computed { op: alu::RSH | alu::ARSH, .. } if shifted.is_none() => {}
            How::Loaded { base } => {
                let base_state = case.trace.reg(e.step, base);
                let from = base_state.map(|b| words::memory(case, b)).unwrap_or_default();
                d = d.span(case.span(
                    insn,
                    format!(
                        "{what} is read here, from {from}: {}",
                        after(e.step + 1).map(|r| words::value(case, &r)).unwrap_or_default()
                    ),
                ));
                d = other_load(case, d, e, base, what);
            }
            How::Result => {
                let callee = case.callee(insn).unwrap_or_else(|| "a call".into());
                let r = after(e.step + 1).map(|r| words::scalar(&r)).unwrap_or_default();
                d = d.span(case.span(insn, format!("{what} is what {callee} returns: {r}")));
            }
            How::Returned => {
                d = d
                    .span(case.span(insn, format!("{what} is what {} returned", case.callee(insn).unwrap_or_default())))
            }
            How::Entry => d = d.span(case.span(insn, format!("{what} is an argument of which nothing is known"))),
            How::CallbackArgument => {
                let callee = case.callee(insn).unwrap_or_else(|| "the kernel".into());
                d =
                    d.span(case.span(
                        insn,
                        format!("{what} is what {callee} gives to the callback, of which nothing is known"),
                    ));
            }
            How::PartlyOverwritten => {
                d = d.span(
                    case.span(insn, format!("this store overwrites {what} on the stack, and what was known of it")),
                )
            }
            How::WrittenByCall => {
                let callee = case.callee(insn).unwrap_or_else(|| "the call".into());
                d = d.span(case.span(insn, format!("{callee} writes it: anything may be in it")));
            }
            _ => {}
        }
    }
    // The compiler leaves comparisons out where arithmetic tells it the range.
    if divided {
        let spans = d.spans.len();
        d = dropped_check(case, d, what);
        if d.spans.len() > spans {
            d.blame = Blame::Compiler;
            d = d.note(format!(
                "the compiler knows the range of a quotient or remainder and leaves out comparisons of {what} that it takes for needless"
            )).help(format!("keep the comparison visible: put `asm volatile(\"\" : \"+r\"({what}));` between the division and the comparison, or mask {what}"));
        }
    }
    checked_copy(case, d, step, reg, &history, whole)
}

/// Whether an expression is made of several.
pub(super) fn is_computed(text: &str) -> bool {
    [" + ", " - ", " & ", " | ", " * ", " / ", " % ", " << ", " >> "].iter().any(|o| text.contains(o))
}

/// A comparison of a variable that stands in the source before the access, and of which no instruction is left.
fn dropped_check(case: &Case<'_>, mut d: Draft, what: &str) -> Draft {
    let (Some(btf), Some(file), Some(here)) = (case.btf(), case.main_file(), case.source(case.at())) else { return d };
    if !what.chars().all(|c| c.is_alphanumeric() || c == '_') || here.file != file {
        return d;
    }
    for (number, text) in case.function_lines(case.at()) {
        let compares = text.trim_start().starts_with("if")
            && text.contains(['<', '>'])
            && source::find_word(&text, what).is_some();
        let kept = case.program.line_info.iter().any(|l| l.line == number && btf.str_at(l.file_name) == file);
        if number < here.line && compares && !kept {
            d.spans.extend(case.span_at(
                file,
                number,
                format!("no instruction is left of this comparison of {what}: the compiler took it for needless"),
            ));
            d.blame = Blame::Compiler;
        }
    }
    d
}

/// What a copy was copied from, before it.
fn source_state(case: &Case<'_>, e: &Event) -> Option<RegState> {
    let insn = case.insn(case.event_insn(e));
    case.trace.reg(e.step, insn.src).copied()
}

/// An earlier load of the same memory whose value was compared.
fn other_load(case: &Case<'_>, d: Draft, load: &Event, base: u8, what: &str) -> Draft {
    let this = case.insn(case.event_insn(load));
    let Some(through) = case.trace.reg(load.step, base) else { return d };
    for step in (0..load.step).rev() {
        let at = case.trace.steps[step].insn;
        let insn = case.insn(at);
        if insn.class() != class::LDX || at == case.event_insn(load) {
            continue;
        }
        let Some(b) = case.trace.reg(step, insn.src) else { continue };
        let same = b.ty == through.ty
            && b.extra == through.extra
            && b.id == through.id
            && i64::from(b.off) + i64::from(insn.off) == i64::from(through.off) + i64::from(this.off)
            && b.var_off == through.var_off;
        if !same || b.ty.base == RegBase::Stack {
            continue;
        }
        // Was this one compared?
        let compared = (step + 1..load.step).find(|&s| {
            let j = case.insn(case.trace.steps[s].insn);
            j.is_jump_class()
                && !j.is_call()
                && j.dst == insn.dst
                && case.trace.steps[s].depth == case.trace.steps[step].depth
        });
        let Some(compared) = compared else { continue };
        let check = case.trace.steps[compared].insn;
        let mut d = d.span(case.span(check, format!("this compares another load of the same memory, not {what}")));
        d.blame = if case.same_line(at, case.event_insn(load)) { Blame::Compiler } else { Blame::Program };
        return d
            .note(
                "the memory may have changed between the two loads, so what was compared says nothing of what is used",
            )
            .help("read it once into a local variable, then compare and use that variable");
    }
    d
}

/// Another register or slot that holds the same value with tighter bounds.
fn checked_copy(case: &Case<'_>, d: Draft, step: usize, reg: u8, history: &[Event], what: &str) -> Draft {
    let (Some(made), Some(mine), Some(frame)) = (history.last(), case.trace.reg(step, reg), case.trace.frame(step))
    else {
        return d;
    };
    let locations = (0..10u8).map(|r| (Location::Reg(r), frame.regs[usize::from(r)]));
    for (location, state) in locations {
        if location == Location::Reg(reg) || state.ty != RegType::SCALAR || state.var_off.is_const() {
            continue;
        }
        let tighter = state.umax < mine.umax && mine.umax > u64::from(u16::MAX) || state.smin >= 0 && mine.smin < 0;
        if !tighter {
            continue;
        }
        let other = case.history_at(step, location);
        if other.last() != Some(made) && other.last().map(|e| (e.step, e.how)) != Some((made.step, made.how)) {
            continue;
        }
        if let Some(check) = other.iter().find(|e| e.how == How::Bounded) {
            let at = case.event_insn(check);
            let mut d = d
                .span(case.span(at, format!("this compares a copy of {what}: that copy is {}", words::scalar(&state))));
            d.blame = Blame::Compiler;
            return d
                .note(format!("the compiler compares one copy of {what} and uses another, to which the bound does not carry over"))
                .help(format!("tie them together: `asm volatile(\"\" : \"+r\"({what}));` before the comparison, or use an unsigned 64-bit variable for it"));
        }
    }
    d
}

/// What a parameter of a global function promises that an access goes beyond.
pub(super) fn promised(case: &Case<'_>, d: Draft, state: &RegState, history: &[Event]) -> Draft {
    let size = match state.extra {
        ebpfkit_verifier::RegExtra::Mem { size, .. } if state.ty.base == RegBase::Mem => size,
        _ => return d,
    };
    let Some(Event { how: How::Entry, location: Location::Reg(r), .. }) = history.last() else { return d };
    let start = case.function_start(case.at());
    let params = case.params(start);
    let Some((name, _)) = params.get(usize::from(*r).wrapping_sub(1)) else { return d };
    let function = case.function_at(start).unwrap_or_else(|| "the function".into());
    let mut d = d.note(format!(
        "{function} is a global function: it is verified on its own, and the type of {name} promises {} and no more",
        words::bytes(size.into())
    ));
    d.help.insert(0, format!("make {function} static (`static __noinline`), or declare {name} as a pointer to all that is accessed: `struct data *{name}`, `char (*{name})[16]`"));
    d
}
