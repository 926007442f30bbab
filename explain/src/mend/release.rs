//! Mends of what is not closed: releases on the path that forgets them.

use super::patch::Edit;
use super::{Around, Mend, code, plain, source};
use crate::case::Case;
use crate::origin::Location;
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::releases::Takes;
use ebpfkit_isa::{Insn, RegSet};
use ebpfkit_object::btf::Kind;
use ebpfkit_verifier::reason::ResourceReason;
use ebpfkit_verifier::state::{RefKind, Reference, Resources};
use ebpfkit_verifier::{Reason, RegState};

/// How one thing is released.
struct Release {
    /// The code for it.
    code: Vec<Insn>,
    /// What that calls.
    by: String,
    /// The call that had opened it.
    opened: usize,
    /// It is only done where there is something to give back.
    is_tested: bool,
}

/// A call of a kernel function.
pub(crate) fn kfunc(case: &Case<'_>, name: &str) -> Option<Insn> {
    let number = case.kernel.btf()?.find(name, Kind::Func)?;
    let pseudo = ebpfkit_isa::opcode::pseudo::KFUNC_CALL;
    Some(Insn::new(ebpfkit_isa::opcode::CALL, 0, pseudo, 0, i32::try_from(number).ok()?))
}

/// Code that gives back one thing at a step.
fn one(case: &Case<'_>, around: &Around<'_, '_>, r: &Reference) -> Option<Release> {
    let release = |(code, by): (Vec<Insn>, String)| Release { code, by, opened: r.insn, is_tested: false };
    if r.kind == RefKind::Lock {
        return unlock(case, around, r).map(release);
    }
    if r.kind != RefKind::Ptr {
        return None;
    }
    let by = case.callee(r.insn)?;
    if let Some(found) = on_stack(case, around, r, &by) {
        return Some(release(found));
    }
    let is_it = |s: &RegState| s.ref_obj_id == r.id && s.off == 0 && s.var_off.is_const();
    let place = around.find(|s| is_it(s) && !s.ty.may_be_null()).or_else(|| around.find(is_it))?;
    let (load, state) = match place {
        Location::Reg(reg) => (code::mov(1, reg), case.trace.frame(around.step)?.regs[usize::from(reg)]),
        Location::Slot(off) => (code::load(1, 10, off as i16), *super::slot_state(case, around.step, off)?),
    };
    let (call, name) = giving(case, r.insn)?;
    // What was not compared with NULL yet is now.
    let is_tested = state.ty.may_be_null();
    let mut out = vec![load];
    if is_tested {
        out.push(code::jump_imm(ebpfkit_isa::opcode::jmp::JEQ, 1, 0, call.len() as i16));
    }
    out.extend(call);
    Some(Release { code: out, by: name, opened: r.insn, is_tested })
}

/// The call that gives back what the call at a slot opened, with the object in r1.
fn giving(case: &Case<'_>, opened: usize) -> Option<(Vec<Insn>, String)> {
    let release = crate::families::release_at(case, opened)?;
    let call = match ebpfkit_abi::helpers::by_name(release.by) {
        Some(helper) => code::helper(helper.id),
        None => kfunc(case, release.by)?,
    };
    match release.takes {
        Takes::Object => Some((vec![call], release.by.to_owned())),
        Takes::ObjectAndZero => Some((vec![code::set(2, 0), call], release.by.to_owned())),
        Takes::Other => None,
    }
}

/// Ends a dynptr or an iterator, which lie on the stack.
fn on_stack(case: &Case<'_>, around: &Around<'_, '_>, r: &Reference, by: &str) -> Option<(Vec<Insn>, String)> {
    use ebpfkit_verifier::state::SlotKind;
    let kind = match by {
        "bpf_ringbuf_reserve_dynptr" => SlotKind::Dynptr,
        _ if by.starts_with("bpf_iter_") => SlotKind::Iter,
        _ => return None,
    };
    let frame = case.trace.frame(around.step)?;
    // It begins in the lowest of its slots.
    let slot = frame.stack.slots.iter().rposition(|s| s.kinds[7] == kind && s.spilled.ref_obj_id == r.id)?;
    let off = i32::try_from(-8 * (slot as i64 + 1)).ok()?;
    let mut out = vec![code::mov(1, 10), code::add(1, off)];
    if kind == SlotKind::Dynptr {
        out.extend([code::set(2, 0), code::helper(id::RINGBUF_DISCARD_DYNPTR)]);
        return Some((out, "bpf_ringbuf_discard_dynptr".into()));
    }
    let name = format!("{}_destroy", by.strip_suffix("_new")?);
    out.push(kfunc(case, &name)?);
    Some((out, name))
}

/// Gives back a lock: through the register that it was taken by, if that still has the pointer.
fn unlock(case: &Case<'_>, around: &Around<'_, '_>, r: &Reference) -> Option<(Vec<Insn>, String)> {
    let taken = (0..around.step).rev().find(|&s| case.trace.steps[s].insn == r.insn)?;
    let lock = case.trace.reg(taken, 1).copied()?;
    // Any pointer to the same value will do, at its own distance from the lock.
    let same = |s: &RegState| s.ty == lock.ty && s.extra == lock.extra && s.id == lock.id && s.var_off.is_const();
    let frame = case.trace.frame(around.step)?;
    let location = around.find(|s| same(s))?;
    let off = match location {
        Location::Reg(r) => frame.regs[usize::from(r)].off,
        Location::Slot(o) => super::slot_state(case, around.step, o)?.off,
    };
    let mut out = match location {
        Location::Reg(reg) => vec![code::mov(1, reg)],
        Location::Slot(o) => vec![code::load(1, 10, o as i16)],
    };
    if lock.off != off {
        out.push(code::add(1, lock.off - off));
    }
    out.push(code::helper(id::SPIN_UNLOCK));
    Some((out, "bpf_spin_unlock".into()))
}

/// All that is open at a step, given back for leaving there; none where something cannot be given back.
fn open_at(case: &Case<'_>, step: usize, without: u32) -> Option<Vec<Release>> {
    let held = case.trace.steps[step].held.as_ref()?;
    if held.active_irq_id != 0 {
        return None;
    }
    let around = Around::new(case, step);
    let mut out = Vec::new();
    for r in held.refs.iter().rev().filter(|r| without == 0 || r.id != without) {
        // A function of the program leaves what its callers hold to them.
        if case.trace.steps[step].depth > 0
            && case.trace.steps.iter().take(step).any(|s| s.insn == r.insn && s.depth < case.trace.steps[step].depth)
        {
            continue;
        }
        out.push(one(case, &around, r)?);
    }
    if case.trace.steps[step].depth == 0 {
        out.extend(regions(case, held)?);
    }
    Some(out)
}

/// The regions that are open, closed.
fn regions(case: &Case<'_>, held: &Resources) -> Option<Vec<Release>> {
    let mut out = Vec::new();
    for (open, by) in
        [(held.active_rcu_locks, "bpf_rcu_read_unlock"), (held.active_preempt_locks, "bpf_preempt_enable")]
    {
        if open != 0 {
            out.push(Release { code: vec![kfunc(case, by)?], by: by.to_owned(), opened: 0, is_tested: false });
        }
    }
    Some(out)
}

/// Code that gives back all that is open at a step, for leaving there; none where something cannot be given back.
pub(crate) fn all(case: &Case<'_>, step: usize, without: u32) -> Option<Vec<Insn>> {
    Some(open_at(case, step, without)?.into_iter().flat_map(|g| g.code).collect())
}

/// The same as statements.
pub(crate) fn lines(case: &Case<'_>, step: usize, without: u32) -> Option<Vec<String>> {
    statements(case, &open_at(case, step, without)?)
}

pub(crate) fn candidates(case: &Case<'_>) -> Vec<Mend> {
    let leaks = matches!(
        case.reason(),
        Reason::Resource(
            ResourceReason::ReferenceLeak { .. }
                | ResourceReason::InsideLock { .. }
                | ResourceReason::InsideRegion { .. }
        )
    );
    let Some(last) = case.step().filter(|_| leaks && case.is_reached()) else { return Vec::new() };
    if case.here().code != ebpfkit_isa::opcode::EXIT {
        return Vec::new();
    }
    let Some(held) = case.trace.steps[last].held.clone() else { return Vec::new() };
    let depth = case.trace.steps[last].depth;
    let mut out = Vec::new();
    let opened = held.refs.iter().map(|r| r.insn).max();
    for s in (0..=last).rev() {
        let at = case.trace.steps[s].insn;
        if Some(at) == opened {
            out.extend(at_once(case, s, &held));
            break;
        }
        if out.len() > 8 {
            break;
        }
        if case.trace.steps[s].depth != depth {
            continue;
        }
        let insn = case.insn(at);
        let next = insn.successors(at);
        let is_branch = insn.is_jump_class() && !insn.is_call() && next.jump.is_some() && next.fallthrough.is_some();
        // The last place of this path before others come in, on which nothing is open.
        let leads = s != last && !is_branch && s < last && {
            let entered = case.trace.steps[s + 1].insn;
            case.trace.steps[s + 1].depth == depth
                && (!insn.is_jump_class() || insn.is_call())
                && (0..case.program.insns.len()).any(|i| case.insn(i).successors(i).jump == Some(entered as i64))
        };
        if s != last && !is_branch && !leads {
            continue;
        }
        // What is used later is not given back yet.
        if used_after(case, s, &held) {
            continue;
        }
        // The state after the branch.
        let after = if s == last { last } else { s + 1 };
        let Some((code, releases)) = releasing(case, after) else { continue };
        let edit = match s {
            _ if s == last => Edit::Before(at, plain(code)),
            _ if case.trace.steps[after].insn == at + 1 => Edit::After(at, plain(code)),
            _ => Edit::Taken(at, plain(code)),
        };
        let mut names: Vec<&str> = releases.iter().map(|g| g.by.as_str()).collect();
        names.dedup();
        let by = opened.and_then(|o| case.callee(o)).unwrap_or_default();
        let text = match opened {
            Some(o) => {
                format!("call {} on this path, for what {by} opened at {}", names.join(" and "), case.line_of(o))
            }
            None => format!("call {} on this path", names.join(" and ")),
        };
        let fix = match s {
            _ if s == last => None,
            _ if leads => statements(case, &releases).and_then(|text| super::source::after(case, at, &text)),
            _ => release_line(case, s, &releases),
        };
        let fix = fix.or_else(|| at_return(case, s, &releases));
        out.push(Mend::new(text, vec![edit]).source(fix));
    }
    out.extend(after_last_use(case, last, &held));
    out
}

/// Gives back right behind the last instruction of the path that uses what is open.
fn after_last_use(case: &Case<'_>, last: usize, held: &Resources) -> Option<Mend> {
    let [r] = held.refs.as_slice() else { return None };
    let depth = case.trace.steps[last].depth;
    let uses = |s: &usize| {
        let step = &case.trace.steps[*s];
        let mut read = case.insn(step.insn).reads().iter();
        step.depth == depth && read.any(|reg| case.trace.reg(*s, reg).is_some_and(|v| v.ref_obj_id == r.id))
    };
    let s = (0..last).rev().find(uses)?;
    let at = case.trace.steps[s].insn;
    if case.insn(at).is_jump_class() || at == r.insn {
        return None;
    }
    let (code, releases) = releasing(case, s + 1)?;
    let by = releases.first()?.by.clone();
    let text = format!("call {by} after {}, which uses it last", case.line_of(at));
    let plain_line = case.text(at).trim_end().ends_with(';') && !case.text(at).trim_start().starts_with("return");
    let edit =
        if plain_line { statements(case, &releases).and_then(|l| super::source::after(case, at, &l)) } else { None };
    Some(Mend::new(text, vec![Edit::After(at, plain(code))]).source(edit))
}

/// Whether something that is open is read after a step of the path.
fn used_after(case: &Case<'_>, step: usize, held: &Resources) -> bool {
    let after = case.trace.steps.iter().enumerate().skip(step + 1);
    let mut read = after.flat_map(|(s, t)| case.insn(t.insn).reads().iter().map(move |r| (s, r)).collect::<Vec<_>>());
    read.any(|(s, r)| {
        let id = case.trace.reg(s, r).map_or(0, |state| state.ref_obj_id);
        id != 0 && held.refs.iter().any(|h| h.id == id)
    })
}

/// Gives back right where it was opened what nothing uses.
fn at_once(case: &Case<'_>, step: usize, held: &Resources) -> Option<Mend> {
    let at = case.trace.steps[step].insn;
    let [r] = held.refs.as_slice() else { return None };
    if r.kind != RefKind::Ptr || r.insn != at || used_after(case, step, held) {
        return None;
    }
    let (call, mut by) = giving(case, at)?;
    let got = case.trace.reg(step + 1, 0).filter(|s| s.ref_obj_id == r.id)?;
    // What was made is used rather than thrown away, where the program never does either.
    let or = crate::families::release_at(case, at)?.or.filter(|_| case.callee(at).is_some());
    let calls = |name: &str| (0..case.program.insns.len()).any(|i| case.callee(i).as_deref() == Some(name));
    let mut call = call;
    if let Some(or) = or.filter(|_| !calls(&by))
        && let (Some(helper), Some(last)) = (ebpfkit_abi::helpers::by_name(or), call.last_mut())
    {
        (*last, by) = (code::helper(helper.id), or.to_owned());
    }
    let around = Around::new(case, step + 1);
    let keep = around.live().difference(RegSet::of(0));
    let (before, after) = code::around(keep, around.stack_used())?;
    let mut code = before;
    code.push(code::mov(1, 0));
    if got.ty.may_be_null() {
        code.push(code::jump_imm(ebpfkit_isa::opcode::jmp::JEQ, 1, 0, call.len() as i16));
    }
    code.extend(call);
    code.extend(after);
    let release = Release { code: Vec::new(), by: by.clone(), opened: at, is_tested: got.ty.may_be_null() };
    let lines = statements(case, std::slice::from_ref(&release));
    let edit = match lines {
        Some(lines) => super::source::after(case, at, &lines),
        None => kept(case, at, &release),
    };
    let opener = case.callee(at).unwrap_or_default();
    let text = format!("call {by} on what {opener} returns at {}", case.line_of(at));
    Some(Mend::new(text, vec![Edit::After(at, plain(code))]).source(edit))
}

/// A call whose result is thrown away, with a variable for it and its release.
fn kept(case: &Case<'_>, at: usize, release: &Release) -> Option<crate::diagnosis::SourceEdit> {
    let line = case.source(at)?;
    let callee = case.callee(at)?;
    let text = line.text.trim();
    let of = crate::families::release_at(case, at)?.of;
    if of.is_empty() || !text.starts_with(&format!("{callee}(")) || !text.ends_with(");") {
        return None;
    }
    let pad = &line.text[..line.text.len() - line.text.trim_start().len()];
    let mut edit = super::source::after(case, at, &release_of("old", release))?;
    edit.new[0] = format!("{pad}struct {of} *old = {text}");
    Some(edit)
}

/// The statement that gives back a variable, in one line or two.
fn release_of(what: &str, release: &Release) -> Vec<String> {
    let by = release.by.strip_suffix("_impl").unwrap_or(&release.by);
    let flags = if by.contains("ringbuf") { ", 0" } else { "" };
    let call = format!("{by}({what}{flags});");
    if release.is_tested { vec![format!("if ({what})"), format!("\t{call}")] } else { vec![call] }
}

/// The statements that give back all that is open.
fn statements(case: &Case<'_>, releases: &[Release]) -> Option<Vec<String>> {
    let mut out = Vec::new();
    for g in releases {
        if matches!(g.by.as_str(), "bpf_rcu_read_unlock" | "bpf_preempt_enable") {
            out.push(format!("{}();", g.by));
            continue;
        }
        let by = case.callee(g.opened)?;
        let text = case.text(g.opened);
        let what = match g.by.as_str() {
            "bpf_spin_unlock" => crate::source::argument(&text, &by, 0)?,
            "bpf_ringbuf_discard_dynptr" => crate::source::argument(&text, &by, 3)?,
            name if name.ends_with("_destroy") => crate::source::argument(&text, &by, 0)?,
            // Macros of the headers hide an argument.
            _ => crate::source::assigned(&text, by.strip_suffix("_impl").unwrap_or(&by))
                .or_else(|| crate::source::assigned(&text, &by))?,
        };
        out.extend(release_of(&what, g));
    }
    Some(out)
}

/// The `return` that the rejected path ends in, with the release before it: where the path branches on that line, or where
/// the function has no other.
fn at_return(case: &Case<'_>, step: usize, releases: &[Release]) -> Option<crate::diagnosis::SourceEdit> {
    let last = case.step()?;
    let at = crate::families::returned(case, last);
    let line = case.source(at).filter(source::is_c)?;
    if !line.text.trim_start().starts_with("return") {
        return None;
    }
    let own = case.same_line(case.trace.steps[step].insn, at);
    let returns = case.function_lines(at).iter().filter(|(_, t)| t.trim_start().starts_with("return")).count();
    if !own && returns != 1 {
        return None;
    }
    // On other paths that come by there may be nothing to give back.
    let releases: Vec<Release> = releases
        .iter()
        .map(|g| {
            let is_object = !g.by.ends_with("_destroy") && !g.by.contains("dynptr") && !g.by.contains("lock");
            Release { code: Vec::new(), by: g.by.clone(), is_tested: g.is_tested || is_object, ..*g }
        })
        .collect();
    source::before(case, at, &statements(case, &releases)?)
}

/// The `return` after a branch, with the release before it.
fn release_line(case: &Case<'_>, step: usize, releases: &[Release]) -> Option<crate::diagnosis::SourceEdit> {
    let branch = case.trace.steps[step].insn;
    let line = case.source(branch)?;
    // One of several conditions leads there, and not all of it needs to be open then.
    let several = line.text.contains("||");
    let releases: Vec<Release> = releases
        .iter()
        .map(|g| Release { code: Vec::new(), by: g.by.clone(), is_tested: g.is_tested || several, ..*g })
        .collect();
    let release = statements(case, &releases)?;
    // Nothing but this return may follow on the path.
    let exit = case.source(case.at())?;
    let depth = case.trace.steps[step].depth;
    let after = case.trace.steps.iter().skip(step + 1).filter(|s| s.depth == depth);
    let only = after
        .map(|s| case.source(s.insn))
        .all(|l| l.is_some_and(|l| l.file == line.file && [line.line, line.line + 1, exit.line].contains(&l.line)));
    if !only || exit.line == line.line + 2 && exit.text.trim() != "}" {
        return None;
    }
    let next = case.line_text(&line.file, line.line + 1)?;
    let leaves = ["return", "goto "].iter().any(|w| next.trim_start().starts_with(w));
    if !leaves || !next.trim_end().ends_with(';') || !source::is_c(&line) {
        return None;
    }
    let pad = &next[..next.len() - next.trim_start().len()];
    let outer = &line.text[..line.text.len() - line.text.trim_start().len()];
    let braced = line.text.trim_end().ends_with('{');
    let mut new = Vec::new();
    if !braced {
        // The condition gets a block of its own.
        new.push(format!("{} {{", line.text.trim_end()));
        new.extend(release.iter().map(|r| format!("{pad}{r}")));
        new.extend([next.clone(), format!("{outer}}}")]);
        let old = format!("{}\n{}", line.text, next);
        return Some(crate::diagnosis::SourceEdit { file: line.file, line: line.line, old, new });
    }
    new.extend(release.iter().map(|r| format!("{pad}{r}")));
    new.push(next.clone());
    Some(crate::diagnosis::SourceEdit { file: line.file, line: line.line + 1, old: next, new })
}

/// Code that gives everything back and keeps all registers that are read later.
fn releasing(case: &Case<'_>, step: usize) -> Option<(Vec<Insn>, Vec<Release>)> {
    let held = case.trace.steps[step].held.as_ref()?;
    let around = Around::new(case, step);
    let mut keep = around.live();
    if case.insn(case.trace.steps[step].insn).code == ebpfkit_isa::opcode::EXIT {
        keep = RegSet::of(0);
    }
    // What was never set cannot be kept.
    let frame = case.trace.frame(step)?;
    let set: Vec<u8> = keep.iter().filter(|&r| !super::is_unset(&frame.regs[usize::from(r)])).collect();
    let keep = set.into_iter().fold(RegSet::EMPTY, |s, r| s.union(RegSet::of(r)));
    let (before, after) = code::around(keep, around.stack_used())?;
    let mut releases = Vec::new();
    // What the path closes itself later is left to it.
    let last = case.trace.steps.iter().rev().find_map(|s| s.held.as_ref())?;
    for r in held.refs.iter().rev().filter(|r| last.refs.iter().any(|l| l.id == r.id)) {
        releases.push(one(case, &around, r)?);
    }
    let still = Resources {
        active_rcu_locks: held.active_rcu_locks.min(last.active_rcu_locks),
        active_preempt_locks: held.active_preempt_locks.min(last.active_preempt_locks),
        ..Resources::clone(held)
    };
    releases.extend(regions(case, &still)?);
    let mut out = before;
    out.extend(releases.iter().flat_map(|g| g.code.clone()));
    if releases.is_empty() {
        return None;
    }
    out.extend(after);
    Some((out, releases))
}
