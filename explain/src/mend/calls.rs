//! Mends of calls: RCU regions around them, maps that belong to their timers, releases that come too early.

use super::patch::Edit;
use super::{Around, Mend, code, plain, release, source};
use crate::case::Case;
use crate::diagnosis::SourceEdit;
use crate::origin::How;
use ebpfkit_isa::opcode::{class, pseudo};
use ebpfkit_isa::{Insn, RegSet};
use ebpfkit_verifier::Reason;
use ebpfkit_verifier::reason::{CallReason, KfuncReason, MemoryReason, ResourceReason};
use ebpfkit_verifier::state::RefKind;

/// Most lines that a release is moved over.
const MOST_LINES: u32 = 8;

pub(crate) fn candidates(case: &Case<'_>) -> Vec<Mend> {
    let Some(step) = case.step().filter(|_| case.is_reached()) else { return Vec::new() };
    let found = match case.reason() {
        Reason::Kfunc(KfuncReason::NotRcu { reg }) if crate::families::left_region(case, *reg).is_some() => {
            crate::families::left_region(case, *reg).and_then(|unlock| unlocked_later(case, step, unlock))
        }
        Reason::Kfunc(KfuncReason::NotRcu { reg }) => {
            let loaded = case.history(*reg).into_iter().find(|e| matches!(e.how, How::Loaded { .. }));
            loaded.and_then(|e| in_region(case, e.step, step))
        }
        Reason::Kfunc(KfuncReason::NeedsRcu { .. }) => in_region(case, step, step),
        Reason::Call(CallReason::OtherMapThanTimer { .. }) => own_map(case),
        Reason::Call(CallReason::NotConstant { reg }) => largest(case, *reg),
        Reason::Memory(MemoryReason::CannotWrite { reg, .. }) => writable_slice(case, *reg),
        Reason::Call(CallReason::SleepsInNonSleepable { .. }) | Reason::Kfunc(KfuncReason::NeedsSleepable { .. }) => {
            sleepable(case)
        }
        Reason::Memory(MemoryReason::InvalidMemAccess { reg, .. }) => {
            left_after(case, step, *reg).or_else(|| later(case, step, *reg))
        }
        Reason::Call(CallReason::ArgumentKind { reg, .. } | CallReason::UnacquiredArgument { reg }) => {
            left_after(case, step, *reg)
        }
        Reason::Resource(ResourceReason::CallUnderLock {}) => before_lock(case, step),
        _ => None,
    };
    found.into_iter().chain(awake(case)).chain(license(case)).collect()
}

/// Puts the object under the license that a call asks for.
fn license(case: &Case<'_>) -> Option<Mend> {
    const GPL: &str = "GPL";
    let Reason::Call(CallReason::GplOnly {}) = case.reason() else { return None };
    let old = format!("\"{}\"", case.object.license);
    let is_license =
        |t: &str| (t.contains("SEC(\"license\")") || t.trim_start().starts_with(".license")) && t.contains(&old);
    let line = case.find_line(&is_license, "license")?;
    let edit = Some(source::replace_in(&line, &old, &format!("\"{GPL}\""))?);
    let text = "declare the license as GPL, if that is what the program is under";
    Some(Mend { license: Some(GPL), ..Mend::new(text, Vec::new()).source(edit) })
}

/// Calls what does the same without sleeping.
fn awake(case: &Case<'_>) -> Option<Mend> {
    let Reason::Call(CallReason::SleepsInNonSleepable { .. }) = case.reason() else { return None };
    let name = case.callee(case.at())?;
    let other = crate::families::without_sleep(&name)?;
    let call = code::helper(ebpfkit_abi::helpers::by_name(other)?.id);
    let edit = source::replace(case, case.at(), &format!("{name}("), &format!("{other}("));
    Some(
        Mend::new(format!("call {other}, which does not sleep"), vec![Edit::Replace(case.at(), plain(vec![call]))])
            .source(edit),
    )
}

/// Makes a call that gets no arguments before the lock is taken, and uses its result where the call stood.
fn before_lock(case: &Case<'_>, step: usize) -> Option<Mend> {
    let at = case.at();
    let call = case.here();
    let helper = ebpfkit_abi::helpers::find(u32::try_from(call.imm).ok().filter(|_| call.src == 0)?)?;
    if helper.prototypes.iter().any(|p| p.arg_count() != 0) {
        return None;
    }
    let held = case.trace.steps[step].held.as_ref()?;
    let taken = held.refs.iter().filter(|r| r.kind == RefKind::Lock).map(|r| r.insn).max()?;
    let s = (0..step).rev().find(|&s| case.trace.steps[s].insn == taken)?;
    if case.trace.steps[s].depth != case.trace.steps[step].depth {
        return None;
    }
    let around = Around::new(case, s);
    let used = around.stack_used();
    let slot = code::slot_below(used)?;
    let (before, after) = code::around(RegSet::of(1), used + 8)?;
    let first = [before, vec![call, code::store(10, slot, 0)], after].concat();
    let edits = vec![Edit::Before(taken, plain(first)), Edit::Replace(at, plain(vec![code::load(0, 10, slot)]))];
    let callee = case.callee(at)?;
    let edit = called_before(case, taken, at, &callee);
    let mut mend = Mend::new(format!("call {callee} before the lock is taken at {}", case.line_of(taken)), edits);
    mend.source.extend(edit.into_iter().flatten());
    Some(mend)
}

/// The lines of that: a declaration moves as a whole, what is called inside of another statement gets a variable.
fn called_before(case: &Case<'_>, lock: usize, at: usize, callee: &str) -> Option<Vec<SourceEdit>> {
    let line = case.source(at).filter(source::is_c)?;
    let call = format!("{callee}()");
    if line.text.matches(&call).count() != 1 {
        return None;
    }
    let statement = line.text.trim();
    let declares =
        statement.strip_suffix(&format!(" = {call};")).is_some_and(|t| t.contains(' ') && !t.contains(['>', '.']));
    if declares {
        let first = source::before(case, lock, &[statement.to_owned()])?;
        let gone = SourceEdit { file: line.file.clone(), line: line.line, old: line.text.clone(), new: Vec::new() };
        return Some(vec![first, gone]);
    }
    let name = ["now", "number", "value"].into_iter().find(|n| !case.is_named_around(&line, n))?;
    let first = source::before(case, lock, &[format!("__u64 {name} = {call};")])?;
    let then = source::replace_in(&line, &call, name)?;
    Some(vec![first, then])
}

/// Begins an RCU region before one step and ends it after another, or after the iterator that begins there is destroyed.
fn in_region(case: &Case<'_>, from: usize, to: usize) -> Option<Mend> {
    let held = case.trace.steps[from].held.as_ref()?;
    if held.active_rcu_locks != 0 || case.trace.steps[from].depth != case.trace.steps[to].depth {
        return None;
    }
    let (lock, unlock) = (release::kfunc(case, "bpf_rcu_read_lock")?, release::kfunc(case, "bpf_rcu_read_unlock")?);
    let (first, last) = (case.trace.steps[from].insn, case.trace.steps[to].insn);
    let destroy = case.callee(last).and_then(|c| Some(format!("{}_destroy", c.strip_suffix("_new")?)));
    // Destroying returns nothing that has to be kept.
    let result = if destroy.is_some() { RegSet::EMPTY } else { RegSet::of(0) };
    let ends: Vec<usize> = match destroy {
        Some(name) => (0..case.program.insns.len()).filter(|&i| case.callee(i).as_ref() == Some(&name)).collect(),
        None => vec![last],
    };
    let around = Around::new(case, from);
    let frame = case.trace.frame(from)?;
    // What was never set cannot be kept.
    let live = around.live().iter().filter(|&r| !super::is_unset(&frame.regs[usize::from(r)]));
    let live = live.fold(RegSet::EMPTY, |s, r| s.union(RegSet::of(r)));
    let (before, after) = code::around(live, around.stack_used())?;
    let mut edits = vec![Edit::Before(first, plain([before, vec![lock], after].concat()))];
    for end in &ends {
        let used = around.stack_used() + 64;
        let (keep, restore) = code::around(result, used)?;
        edits.push(Edit::After(*end, plain([keep, vec![unlock], restore].concat())));
    }
    let known = case.uses_word("bpf_rcu_read_lock") && case.uses_word("bpf_rcu_read_unlock");
    let edit = match ends.as_slice() {
        [end] if case.same_line(first, *end) => {
            let lines = source::before(case, first, &["bpf_rcu_read_lock();".into()]);
            let behind = source::after(case, *end, &["bpf_rcu_read_unlock();".into()]);
            lines.zip(behind).map(|(mut l, b)| {
                l.new.extend(b.new.into_iter().skip(1));
                l
            })
        }
        _ => None,
    };
    let declared = edit.as_ref().filter(|_| !known).map(|_| {
        let lines = ["bpf_rcu_read_lock", "bpf_rcu_read_unlock"].map(|n| format!("extern void {n}(void) __ksym;"));
        source::before_program(case, &lines)
    });
    let edit = if declared == Some(None) { None } else { edit };
    let text = match known || edit.is_some() {
        true => "open an RCU region around it with bpf_rcu_read_lock and bpf_rcu_read_unlock",
        false => {
            "open an RCU region around it with bpf_rcu_read_lock and bpf_rcu_read_unlock (`extern void bpf_rcu_read_lock(void) __ksym;`, and the other likewise)"
        }
    };
    Some(Mend::new(text, edits).source(edit).source(declared.flatten()))
}

/// Takes a slice that may be written to.
fn writable_slice(case: &Case<'_>, reg: u8) -> Option<Mend> {
    const TO_READ: &str = "bpf_dynptr_slice";
    const TO_WRITE: &str = "bpf_dynptr_slice_rdwr";
    let made = case.history(reg).into_iter().find(|e| e.how == How::Result)?;
    let at = case.event_insn(&made);
    if case.callee(at)? != TO_READ {
        return None;
    }
    let edit =
        source::replace(case, at, &format!("{TO_READ}("), &format!("{TO_WRITE}(")).filter(|_| case.uses_word(TO_WRITE));
    let declared = if edit.is_some() { "" } else { ", which has the same prototype" };
    let call = vec![release::kfunc(case, TO_WRITE)?];
    Some(
        Mend::new(format!("take the slice with {TO_WRITE}{declared}"), vec![Edit::Replace(at, plain(call))])
            .source(edit),
    )
}

/// Makes the program one that may sleep.
fn sleepable(case: &Case<'_>) -> Option<Mend> {
    let section = &case.program.section;
    let new = crate::families::sleepable_section(section)?;
    let old = format!("SEC(\"{section}\")");
    let edit = case
        .find_line(&|t: &str| t.contains(&old), &case.program.name)
        .and_then(|l| source::replace_in(&l, &old, &format!("SEC(\"{new}\")")));
    let text = format!("make the program one that may sleep: SEC(\"{new}\")");
    Some(Mend { sleepable: Some(new), ..Mend::new(text, Vec::new()).source(edit) })
}

/// Reserves as much as the size may be at most.
fn largest(case: &Case<'_>, reg: u8) -> Option<Mend> {
    let size = case.reg(reg).filter(|r| r.is_scalar() && r.umax <= 1 << 16)?.umax as i32;
    if case.callee(case.at())? != "bpf_ringbuf_reserve" || reg != 2 {
        return None;
    }
    let size = (size + 7) / 8 * 8;
    let at = case.at();
    let edit = crate::families::argument_text(case, reg)
        .and_then(|t| source::replace(case, at, &format!(", {t}, "), &format!(", {size}, ")));
    let text = format!("reserve {size} bytes each time, the most that are needed");
    Some(Mend::new(text, vec![Edit::Before(at, plain(vec![code::set(reg, size)]))]).source(edit))
}

/// Ends an RCU region after the rejected call rather than before.
fn unlocked_later(case: &Case<'_>, step: usize, unlock: usize) -> Option<Mend> {
    let around = Around::new(case, step);
    let (before, after) = code::around(RegSet::of(0), around.stack_used())?;
    let call = case.insn(unlock);
    let edits = vec![
        Edit::Replace(unlock, plain(vec![code::set(0, 0)])),
        Edit::After(case.at(), plain([before, vec![call], after].concat())),
    ];
    let text = format!("call bpf_rcu_read_unlock after {}", case.line_of(case.at()));
    Some(Mend::new(text, edits).source(moved_line(case, unlock)))
}

/// Passes the map in whose value the timer lies.
fn own_map(case: &Case<'_>) -> Option<Mend> {
    let at = case.at();
    let timer = case.reg(1)?;
    let number = *case.trace.maps.get(timer.map()? as usize)?;
    let map = case.map(timer)?;
    let load = vec![Insn::new(class::LD | 0x18, 2, pseudo::MAP_FD, 0, i32::try_from(number).ok()?), Insn::default()];
    let edit = crate::families::argument_text(case, 2)
        .and_then(|t| source::replace(case, at, &format!(", {t}"), &format!(", &{}", map.name)));
    let text = format!("pass the map in whose value it lies, '{}'", map.name);
    Some(Mend::new(text, vec![Edit::Before(at, plain(load))]).source(edit))
}

/// Leaves after a release that only some paths come by.
fn left_after(case: &Case<'_>, step: usize, reg: u8) -> Option<Mend> {
    let (lost, at) = crate::families::released_aside(case, reg)?;
    let next = lost + 1;
    if case.trace.steps.get(next)?.depth != case.trace.steps[step].depth {
        return None;
    }
    let leave = Around::new(case, next).leave()?;
    let callee = case.callee(at)?;
    let lines = source::leaving(case, next, at, "1", 0)?;
    let [_, leave_line] = lines.as_slice() else { return None };
    let edit = source::after(case, at, &[leave_line.trim_start().to_owned()]);
    let text = format!("leave after {callee} at {}", case.line_of(at));
    Some(Mend::new(text, vec![Edit::After(at, plain(leave))]).source(edit))
}

/// Gives an object back after its last use rather than before.
fn later(case: &Case<'_>, step: usize, reg: u8) -> Option<Mend> {
    let lost = case.history(reg).into_iter().find(|e| e.how == How::TakenAway)?;
    let at = case.event_insn(&lost);
    let call = case.insn(at);
    let callee = case.callee(at)?;
    let object = case.trace.reg(lost.step, 1).copied()?;
    let used = case.trace.reg(lost.step, reg).copied()?;
    let here = case.here();
    // The register that is used has the object itself, and has it still afterwards.
    let same = object.ref_obj_id != 0 && used.ref_obj_id == object.ref_obj_id && used.off == object.off;
    if !same || here.is_call() || here.writes().contains(reg) || !(6..10).contains(&reg) {
        return None;
    }
    if case.trace.steps[lost.step].depth != case.trace.steps[step].depth || case.trace.steps[step].insn <= at {
        return None;
    }
    let around = Around::new(case, step);
    let live = around.live().union(here.writes());
    let (before, after) = code::around(live, around.stack_used())?;
    let mut moved = before;
    moved.push(code::mov(1, reg));
    let zero = case.trace.reg(lost.step, 2).filter(|r| r.is_scalar()).and_then(|r| r.const_value());
    if let Some(flags) = zero.filter(|_| callee.contains("ringbuf") || callee.ends_with("_impl")) {
        moved.push(code::set(2, i32::try_from(flags).ok()?));
    }
    moved.push(call);
    moved.extend(after);
    // The call left nothing in r1 to r5, and without it they keep what they have.
    let edits = vec![Edit::Replace(at, plain(vec![code::set(0, 0)])), Edit::After(case.at(), plain(moved))];
    let text = format!("call {callee} after {}", case.line_of(case.at()));
    Some(Mend::new(text, edits).source(moved_line(case, at)))
}

/// The line of a call after the line of the rejected instruction.
fn moved_line(case: &Case<'_>, call: usize) -> Option<SourceEdit> {
    let (from, to) = (case.source(call)?, case.source(case.at())?);
    if from.file != to.file || to.line <= from.line || to.line - from.line > MOST_LINES || !source::is_c(&from) {
        return None;
    }
    let lines: Vec<String> =
        (from.line..=to.line).map(|n| case.line_text(&from.file, n)).collect::<Option<Vec<String>>>()?;
    let indent = |t: &str| t.len() - t.trim_start().len();
    // All in one block, statement by statement.
    let plain = lines.iter().all(|t| {
        t.trim().is_empty() || indent(t) == indent(&from.text) && t.trim_end().ends_with(';') && !t.contains("return")
    });
    let (first, rest) = lines.split_first()?;
    let mut new = rest.to_vec();
    new.push(first.clone());
    plain.then(|| SourceEdit { file: from.file, line: from.line, old: lines.join("\n"), new })
}
