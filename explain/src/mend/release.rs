//! Mends of what is not closed: releases on the path that forgets them.

use super::patch::Edit;
use super::{Around, Mend, code, plain, source};
use crate::case::Case;
use crate::origin::Location;
use ebpfkit_abi::helpers::id;
use ebpfkit_isa::{Insn, RegSet};
use ebpfkit_object::btf::Kind;
use ebpfkit_verifier::Reason;
use ebpfkit_verifier::reason::ResourceReason;
use ebpfkit_verifier::state::{RefKind, Reference};

/// How something acquired is given back.
#[derive(Clone, Copy)]
enum Release {
    /// A helper with the object, and a zero as its second argument where it has flags.
    Helper(u32, bool),
    /// A kernel function with the object, and perhaps a zero.
    Kfunc(&'static str, bool),
}

/// What gives back what a call acquired.
fn release_of(acquired_by: &str) -> Option<Release> {
    Some(match acquired_by {
        "bpf_ringbuf_reserve" => Release::Helper(id::RINGBUF_DISCARD, true),
        "bpf_sk_lookup_tcp" | "bpf_sk_lookup_udp" | "bpf_skc_lookup_tcp" | "bpf_map_lookup_elem" => {
            Release::Helper(id::SK_RELEASE, false)
        }
        "bpf_task_acquire" | "bpf_task_from_pid" | "bpf_task_from_vpid" => Release::Kfunc("bpf_task_release", false),
        "bpf_cgroup_acquire" | "bpf_cgroup_ancestor" | "bpf_cgroup_from_id" | "bpf_task_get_cgroup1" => {
            Release::Kfunc("bpf_cgroup_release", false)
        }
        "bpf_cpumask_create" | "bpf_cpumask_acquire" => Release::Kfunc("bpf_cpumask_release", false),
        "bpf_obj_new_impl" | "bpf_refcount_acquire_impl" => Release::Kfunc("bpf_obj_drop_impl", true),
        "bpf_skb_ct_lookup" | "bpf_xdp_ct_lookup" => Release::Kfunc("bpf_ct_release", false),
        "bpf_crypto_ctx_create" | "bpf_crypto_ctx_acquire" => Release::Kfunc("bpf_crypto_ctx_release", false),
        "bpf_get_task_exe_file" => Release::Kfunc("bpf_put_file", false),
        _ => return None,
    })
}

/// A call of a kernel function.
fn kfunc(case: &Case<'_>, name: &str) -> Option<Insn> {
    let number = case.kernel.btf()?.find(name, Kind::Func)?;
    let pseudo = ebpfkit_isa::opcode::pseudo::KFUNC_CALL;
    Some(Insn::new(ebpfkit_isa::opcode::CALL, 0, pseudo, 0, i32::try_from(number).ok()?))
}

/// Code that gives back one thing at a step; the name of what it calls.
fn one(case: &Case<'_>, around: &Around<'_, '_>, r: &Reference) -> Option<(Vec<Insn>, String)> {
    if r.kind == RefKind::Lock {
        return unlock(case, around, r);
    }
    if r.kind != RefKind::Ptr {
        return None;
    }
    let by = case.callee(r.insn)?;
    if let Some(found) = on_stack(case, around, r, &by) {
        return Some(found);
    }
    let release = release_of(&by)?;
    let place = around.find(|s| s.ref_obj_id == r.id && !s.ty.may_be_null() && s.off == 0 && s.var_off.is_const())?;
    let mut out = match place {
        Location::Reg(reg) => vec![code::mov(1, reg)],
        Location::Slot(off) => vec![code::load(1, 10, off as i16)],
    };
    let (flags, call, name) = match release {
        Release::Helper(number, flags) => (flags, code::helper(number), ebpfkit_abi::helper_name(number)?.to_owned()),
        Release::Kfunc(name, flags) => (flags, kfunc(case, name)?, name.to_owned()),
    };
    if flags {
        out.push(code::set(2, 0));
    }
    out.push(call);
    Some((out, name))
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
    let same = |s: &ebpfkit_verifier::RegState| {
        s.ty == lock.ty && s.extra == lock.extra && s.id == lock.id && s.var_off.is_const()
    };
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

/// Code that gives back all that is open at a step, for leaving there; none where something cannot be given back.
pub(crate) fn all(case: &Case<'_>, step: usize, without: u32) -> Option<Vec<Insn>> {
    let held = case.trace.steps[step].held.as_ref()?;
    if held.active_rcu_locks != 0 || held.active_preempt_locks != 0 || held.active_irq_id != 0 {
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
        out.extend(one(case, &around, r)?.0);
    }
    Some(out)
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
        if Some(at) == opened || out.len() > 8 {
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
        let Some((code, names)) = releasing(case, after) else { continue };
        let edit = match s {
            _ if s == last => Edit::Before(at, plain(code)),
            _ if case.trace.steps[after].insn == at + 1 => Edit::After(at, plain(code)),
            _ => Edit::Taken(at, plain(code)),
        };
        let by = opened.and_then(|o| case.callee(o)).unwrap_or_default();
        let text = match opened {
            Some(o) => {
                format!("call {} on this path, for what {by} opened at {}", names.join(" and "), case.line_of(o))
            }
            None => format!("call {} on this path", names.join(" and ")),
        };
        let fix = match s {
            _ if s == last => None,
            _ if leads => statement(case, opened, &names).and_then(|text| super::source::after(case, at, &[text])),
            _ => release_line(case, s, opened, &names),
        };
        out.push(Mend::new(text, vec![edit]).source(fix));
    }
    out
}

/// Whether something that is open is read after a step of the path.
fn used_after(case: &Case<'_>, step: usize, held: &ebpfkit_verifier::state::Resources) -> bool {
    let after = case.trace.steps.iter().enumerate().skip(step + 1);
    let mut read = after.flat_map(|(s, t)| case.insn(t.insn).reads().iter().map(move |r| (s, r)).collect::<Vec<_>>());
    read.any(|(s, r)| {
        let id = case.trace.reg(s, r).map_or(0, |state| state.ref_obj_id);
        id != 0 && held.refs.iter().any(|h| h.id == id)
    })
}

/// The statement that gives back the one thing that is open.
fn statement(case: &Case<'_>, opened: Option<usize>, names: &[String]) -> Option<String> {
    let [name] = names else { return None };
    if matches!(name.as_str(), "bpf_rcu_read_unlock" | "bpf_preempt_enable") {
        return Some(format!("{name}();"));
    }
    let opened = opened?;
    let by = case.callee(opened)?;
    let text = case.text(opened);
    let what = match name.as_str() {
        "bpf_spin_unlock" => crate::source::argument(&text, &by, 0)?,
        "bpf_ringbuf_discard_dynptr" => crate::source::argument(&text, &by, 3)?,
        _ if name.ends_with("_destroy") => crate::source::argument(&text, &by, 0)?,
        _ => crate::source::assigned(&text, &by)?,
    };
    let flags = if name.contains("ringbuf") { ", 0" } else { "" };
    Some(format!("{name}({what}{flags});"))
}

/// The `return` after a branch, with the release before it.
fn release_line(
    case: &Case<'_>,
    step: usize,
    opened: Option<usize>,
    names: &[String],
) -> Option<crate::diagnosis::SourceEdit> {
    let branch = case.trace.steps[step].insn;
    let line = case.source(branch)?;
    let release = statement(case, opened, names)?;
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
    if !next.trim_start().starts_with("return") || !next.trim_end().ends_with(';') || !source::is_c(&line) {
        return None;
    }
    let pad = &next[..next.len() - next.trim_start().len()];
    let outer = &line.text[..line.text.len() - line.text.trim_start().len()];
    let braced = line.text.trim_end().ends_with('{');
    let mut new = Vec::new();
    if !braced {
        // The condition gets a block of its own.
        let edit = crate::diagnosis::SourceEdit {
            file: line.file.clone(),
            line: line.line,
            old: format!("{}\n{}", line.text, next),
            new: vec![
                format!("{} {{", line.text.trim_end()),
                format!("{pad}{release}"),
                next.clone(),
                format!("{outer}}}"),
            ],
        };
        return Some(edit);
    }
    new.push(format!("{pad}{release}"));
    new.push(next.clone());
    Some(crate::diagnosis::SourceEdit { file: line.file, line: line.line + 1, old: next, new })
}

/// Code that gives everything back and keeps all registers that are read later.
fn releasing(case: &Case<'_>, step: usize) -> Option<(Vec<Insn>, Vec<String>)> {
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
    let (mut out, mut names) = (before, Vec::new());
    if held.active_rcu_locks != 0 {
        out.push(kfunc(case, "bpf_rcu_read_unlock")?);
        names.push("bpf_rcu_read_unlock".to_owned());
    }
    if held.active_preempt_locks != 0 {
        out.push(kfunc(case, "bpf_preempt_enable")?);
        names.push("bpf_preempt_enable".to_owned());
    }
    for r in held.refs.iter().rev() {
        let (code, name) = one(case, &around, r)?;
        out.extend(code);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return None;
    }
    out.extend(after);
    Some((out, names))
}
