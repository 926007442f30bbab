//! References, locks and regions that are not closed, or closed wrongly.

use crate::case::{Case, Draft};
use crate::words;
use ebpfkit_abi::releases::{self, Release};
use ebpfkit_isa::Insn;
use ebpfkit_object::btf::BtfRef;
use ebpfkit_verifier::reason::ResourceReason;
use ebpfkit_verifier::state::RefKind;

/// What gives an acquired object back, as a program calls it: macros of the headers hide an argument.
fn as_called(name: &str) -> &str {
    name.strip_suffix("_impl").unwrap_or(name)
}

/// What gives something back that a call has opened, in words.
fn releases(case: &Case<'_>, opened: usize, by: &str) -> String {
    if let Some(iterator) = by.strip_suffix("_new").filter(|_| by.starts_with("bpf_iter_")) {
        return format!("{iterator}_destroy");
    }
    match release_at(case, opened) {
        Some(Release { by, or: Some(or), .. }) => format!("{or} or {by}"),
        Some(release) if by == "bpf_kptr_xchg" => {
            format!("{} (where it is not NULL)", as_called(release.by))
        }
        Some(release) => as_called(release.by).to_owned(),
        None if by == "bpf_kptr_xchg" => {
            "the release function of its type (or bpf_kptr_xchg back into the map)".to_owned()
        }
        None => "the function that belongs to it".to_owned(),
    }
}

/// What gives back what the call at a slot acquired; exchanged pointers by the struct that they lead to.
pub(crate) fn release_at(case: &Case<'_>, opened: usize) -> Option<&'static Release> {
    let by = case.callee(opened)?;
    if by != "bpf_kptr_xchg" {
        return releases::release_of(&by);
    }
    let step = case.trace.steps.iter().rposition(|s| s.insn == opened)?;
    let got = case.trace.reg(step + 1, 0)?;
    let (origin, _) = got.btf()?;
    match origin {
        BtfRef::Vmlinux => releases::release_of_struct(&case.struct_name(got)?),
        BtfRef::Program => releases::release_of("bpf_obj_new_impl"),
    }
}

/// Something is not closed where the path ends or calls.
fn open(case: &Case<'_>, prefix: &str) -> Option<Draft> {
    let last = case.step()?;
    let held = case.trace.steps[last].held.as_ref()?;
    let exits = prefix.contains("BPF_EXIT");
    let refs: Vec<_> = held.refs.iter().filter(|r| r.kind == RefKind::Ptr || r.kind == RefKind::Irq).collect();
    let first = refs.first()?;
    let by = case.callee(first.insn).unwrap_or_else(|| "a call".into());
    let named = opened_by(case, first.insn, &by);
    let what = named.clone().unwrap_or_else(|| format!("what {by} returned"));
    let where_ = case.line_of(first.insn);
    let end = returned(case, last);
    let ends = if exits {
        format!("the return in {}", case.line_of(end))
    } else {
        format!("{} in {}", prefix.trim_end_matches(" instruction"), case.line_of(case.at()))
    };
    let verb = if by.contains("reserve") { "reserved" } else { "acquired" };
    let mut d = Draft::new(
        match named {
            Some(_) => format!("{what} is {verb} by {by} at {where_} and still open at {ends}"),
            None => format!("{what} at {where_} is still open at {ends}"),
        },
        if exits {
            format!("the program returns here with {what} still open")
        } else {
            format!("{what} is still open here")
        },
    );
    if exits {
        d = d.at(end);
        // The last line that was walked before a `return` that stands for several paths.
        if let Some((file, line)) = implied_return(case, last, end) {
            d.headline = d.headline.replace(&format!("in {}", case.line_of(end)), &format!("in line {line}"));
            d.place = case.span_at(&file, line, "");
        }
    }
    for r in &refs {
        let by = case.callee(r.insn).unwrap_or_else(|| "a call".into());
        d = d.span(case.span(r.insn, format!("{verb} here by {by}")));
    }
    d = decided(case, d, first.insn, last);
    if by.contains("dynptr") {
        d = d.note(format!("what {by} has made is to be submitted or discarded where the call failed, too"));
    }
    let close = releases(case, first.insn, &by);
    if by == "bpf_kptr_xchg" {
        d = d.note("bpf_kptr_xchg returns the pointer that was in the map before, which now belongs to the program");
    }
    Some(d.help(format!("call {close} on {what} before this path returns")))
}

/// What the source calls something that a call has opened: the variable that has its result, or in which it lies.
fn opened_by(case: &Case<'_>, at: usize, by: &str) -> Option<String> {
    let text = case.text(at);
    let place = match by {
        "bpf_ringbuf_reserve_dynptr" => Some(3),
        _ if by.starts_with("bpf_iter_") || by == "bpf_local_irq_save" => Some(0),
        _ => None,
    };
    let lies = place.and_then(|n| crate::source::argument(&text, by, n));
    let lies = lies.map(|t| t.trim_start_matches('&').to_owned());
    lies.or_else(|| crate::source::assigned(&text, by))
}

/// The instruction on the path that stands for the return: the last line before the common exit.
pub(crate) fn returned(case: &Case<'_>, last: usize) -> usize {
    let exit = case.trace.steps[last].insn;
    let depth = case.trace.steps[last].depth;
    for s in (0..last).rev() {
        let at = case.trace.steps[s].insn;
        if case.trace.steps[s].depth != depth {
            continue;
        }
        let text = case.text(at);
        if text.trim_start().starts_with("return") && !case.same_line(at, exit) {
            return at;
        }
        let insn = case.insn(at);
        if insn.is_call() || insn.successors(at).jump.is_some() && insn.successors(at).fallthrough.is_some() {
            break;
        }
    }
    exit
}

/// The `return` that comes right after the last line of a path, where the exit has no line of a `return`.
fn implied_return(case: &Case<'_>, last: usize, end: usize) -> Option<(String, u32)> {
    if case.text(end).trim_start().starts_with("return") {
        return None;
    }
    let depth = case.trace.steps[last].depth;
    let steps = case.trace.steps[..last].iter().rev().filter(|s| s.depth == depth);
    // Unconditional jumps belong to no line that anybody wrote.
    let jumps = |i: usize| case.insn(i).is_jump_class() && case.insn(i).successors(i).fallthrough.is_none();
    let before = steps.map(|s| s.insn).find(|&i| !case.same_line(i, end) && !jumps(i))?;
    let line = case.source(before)?;
    let insn = case.insn(before);
    // Where a branch goes is not said by its line.
    if insn.is_jump_class() && !insn.is_call() {
        return None;
    }
    let lines = case.function_lines(before);
    let rest = lines.iter().filter(|(n, _)| *n > line.line).find(|(_, t)| !matches!(t.trim(), "" | "}"))?;
    (case.main_file()? == line.file && rest.1.trim_start().starts_with("return")).then_some((line.file, rest.0))
}

/// The `return` that a path takes right after a branch, where no instruction stands for it: the number of its line.
pub(crate) fn early_return(case: &Case<'_>, branch: usize) -> Option<(String, u32, String)> {
    let line = case.source(branch)?;
    if !line.text.contains("if") {
        return None;
    }
    // The body of the branch is the next line, or the rest of this one.
    let next = case.line_text(&line.file, line.line + 1)?;
    next.trim_start().starts_with("return").then_some((line.file, line.line + 1, next))
}

/// Moves the place of a return to the line that says so.
pub(crate) fn at_return(case: &Case<'_>, mut d: Draft, branch: Option<usize>) -> Draft {
    if let Some((file, line, _)) = branch.and_then(|b| early_return(case, b))
        && let Some(span) = case.span_at(&file, line, d.label.clone())
    {
        let from = d.at.unwrap_or(case.at());
        d.headline = d.headline.replace(&format!("in {}", case.line_of(from)), &format!("in line {line}"));
        d.place = Some(span);
    }
    d
}

/// The branch after which the release could no longer be reached.
fn decided(case: &Case<'_>, d: Draft, from: usize, last: usize) -> Draft {
    let depth = case.trace.steps[last].depth;
    let releasing = |i: &Insn, at: usize| i.is_call() && case.callee(at).is_some_and(|c| is_release(&c));
    let insns = &case.program.insns;
    for s in (0..last).rev() {
        let at = case.trace.steps[s].insn;
        if at == from {
            break;
        }
        let insn = insns[at];
        let next = insn.successors(at);
        if case.trace.steps[s].depth != depth || insn.is_call() || next.jump.is_none() || next.fallthrough.is_none() {
            continue;
        }
        let went = case.trace.steps[s + 1].insn;
        let other = next.within(insns.len()).find(|&n| n != went);
        let Some(other) = other else { continue };
        if reaches(insns, other, &releasing) && !reaches(insns, went, &releasing) {
            let d = d.span(case.span(at, "the other way here leads to the release, this one does not"));
            return if case.here().code == ebpfkit_isa::opcode::EXIT { at_return(case, d, Some(at)) } else { d };
        }
    }
    let opened = case.trace.steps[..last].iter().rposition(|s| s.insn == from);
    let after = |at: usize| case.trace.steps[..last].iter().rposition(|s| s.insn == at) > opened;
    match super::ctx::branches(case, 1).into_iter().next().filter(|(at, _)| after(*at)) {
        Some((at, _)) => d.span(case.span(at, "this branch leads to the return")),
        None => d,
    }
}

fn is_release(callee: &str) -> bool {
    ["release", "submit", "discard", "drop", "destroy", "unlock", "put", "restore", "enable", "kptr_xchg"]
        .iter()
        .any(|w| callee.contains(w))
}

/// Whether an instruction that fits can be reached inside of the function.
fn reaches(insns: &[Insn], from: usize, fits: &dyn Fn(&Insn, usize) -> bool) -> bool {
    let mut seen = vec![false; insns.len()];
    let mut work = vec![from];
    while let Some(at) = work.pop() {
        if at >= insns.len() || std::mem::replace(&mut seen[at], true) {
            continue;
        }
        if fits(&insns[at], at) {
            return true;
        }
        work.extend(insns[at].successors(at).within(insns.len()));
    }
    false
}

/// A lock is still held.
fn locked(case: &Case<'_>, prefix: &str) -> Option<Draft> {
    let last = case.step()?;
    let held = case.trace.steps[last].held.as_ref()?;
    let lock = held.refs.iter().rfind(|r| matches!(r.kind, RefKind::Lock | RefKind::ResLock | RefKind::ResLockIrq))?;
    let by = case.callee(lock.insn).unwrap_or_else(|| "a lock".into());
    let exits = prefix.contains("BPF_EXIT");
    let unlock = match lock.kind {
        RefKind::Lock => "bpf_spin_unlock",
        RefKind::ResLock => "bpf_res_spin_unlock",
        _ => "bpf_res_spin_unlock_irqrestore",
    };
    let text = case.text(lock.insn);
    let what = crate::source::argument(&text, &by, 0).unwrap_or_else(|| "the lock".into());
    // The function that took it may have returned before.
    let taken = (0..last).rev().find(|&s| case.trace.steps[s].insn == lock.insn);
    let left = taken.and_then(|t| {
        let depth = case.trace.steps[t].depth;
        (t + 1..=last).find(|&s| case.trace.steps[s].depth < depth).map(|s| s - 1)
    });
    let end = if exits { returned(case, left.unwrap_or(last)) } else { case.at() };
    let function = left.filter(|_| exits).and_then(|_| case.function_at(end));
    let does = if let Some(name) = function {
        format!("{name} returns")
    } else if exits {
        "the program returns".to_owned()
    } else {
        format!("{} is called", case.callee(case.at()).unwrap_or_else(|| prefix.to_owned()))
    };
    let d = Draft::new(
        format!("{does} in {} while the lock taken at {} is held", case.line_of(end), case.line_of(lock.insn)),
        format!("{what} is still held here"),
    )
    .at(end)
    .span(case.span(lock.insn, format!("{what} is taken here")));
    let d = decided(case, d, lock.insn, left.unwrap_or(last));
    Some(if exits {
        d.help(format!("call {unlock}({what}) before this return"))
    } else {
        d.note("between a lock and its unlock only few calls are allowed")
            .help(format!("call it before the lock is taken or after {unlock}({what})"))
    })
}

/// Explains what is known of references, locks and regions.
pub(crate) fn explain(case: &Case<'_>, reason: &ResourceReason) -> Option<Draft> {
    use ResourceReason as R;
    let callee = || case.callee(case.at()).unwrap_or_else(|| "this call".into());
    let opened = |words: &[&str]| case.last_call(words);
    let with_opener = |d: Draft, words: &[&str], label: &str| match opened(words) {
        Some(at) => d.span(case.span(at, label)),
        None => d,
    };
    Some(match reason {
        R::ReferenceLeak { prefix, .. } => return open(case, prefix),
        R::ReleasedBefore { insn, .. } => Draft::new(
            format!("{} releases what {} rests on, which is not released yet", callee(), case.line_of(*insn)),
            "released too early",
        )
        .span(case.span(*insn, "acquired here, and not released"))
        .help("release what was acquired last first"),
        R::InsideLock { prefix } => return locked(case, prefix),
        R::InsideRegion { prefix, region } => {
            let (open, close) = region_calls(region);
            let exits = prefix.contains("BPF_EXIT");
            let last = case.step()?;
            let end = if exits { returned(case, last) } else { case.at() };
            let does = if exits { "the program returns" } else { "this is" };
            let since = opened(&[open]).map(|at| format!(" opened at {}", case.line_of(at))).unwrap_or_default();
            let d = Draft::new(
                format!("{does} in {} inside of the {region} region{since}", case.line_of(end)),
                format!("the {region} region is still open"),
            )
            .at(end);
            let d = with_opener(d, &[open], "the region begins here");
            let d = match opened(&[open]).filter(|_| exits) {
                Some(from) => decided(case, d, from, last),
                None => d,
            };
            let before = if exits { "this return" } else { "this" };
            d.help(format!("call {close} before {before}"))
        }
        R::CallUnderLock {} if callee() == "bpf_spin_lock" => {
            let held = opened(&["spin_lock"]);
            let of = |at: usize| crate::source::argument(&case.text(at), "bpf_spin_lock", 0);
            let (first, second) = (held.and_then(of), of(case.at()));
            let since = held.map(|h| format!(" since {}", case.line_of(h))).unwrap_or_default();
            let headline = match (&first, &second) {
                (Some(a), Some(b)) if a == b => {
                    format!("{b} is taken again: it is held{since}, and would be waited for for ever")
                }
                (Some(a), Some(b)) => {
                    format!("{b} is taken while {a} is held{since}: a program holds one bpf_spin_lock at a time")
                }
                _ => format!("a second lock is taken while one is held{since}"),
            };
            let d = Draft::new(headline, "a lock is held here");
            with_opener(d, &["spin_lock"], "the lock is taken here")
                .help(
                    "give the first lock back before the second is taken, or keep what belongs together under one lock",
                )
                .help("bpf_res_spin_lock allows more than one, and fails rather than waiting for ever")
        }
        R::CallUnderLock {} | R::GlobalUnderLock {} => {
            let d = Draft::new(format!("{} is called while a lock is held", callee()), "a lock is held here");
            with_opener(d, &["spin_lock"], "the lock is taken here").help("call it before the lock is taken or after it is given back; static functions may be called under a lock")
        }
        R::UnlockWithoutLock { lock } => {
            Draft::new(format!("{lock}_unlock is called, and no lock is held on this path"), "nothing to unlock")
                .help(format!("take the lock with {lock}_lock on every path that leads here, or do not unlock"))
        }
        R::UnlockOther { lock } => {
            let of = |at: usize, by: &str| crate::source::argument(&case.text(at), by, 0);
            let held = opened(&["spin_lock"]).and_then(|h| of(h, &case.callee(h)?));
            let given = of(case.at(), &callee());
            let headline = match (held, given) {
                (Some(held), Some(given)) if held != given => {
                    format!("{given} is given back, and the lock that is held is {held}")
                }
                _ => format!("{lock}_unlock gets another lock than the one that is held"),
            };
            let d = Draft::new(headline, "another lock");
            with_opener(d, &["spin_lock"], "this lock is held")
                .note("a second lookup gives another pointer, and so another lock, even with the same key")
                .help("unlock through the pointer with which the lock was taken")
        }
        R::UnlockOutOfOrder { lock } => Draft::new(
            format!("{lock}_unlock is called for an outer lock while an inner one is held"),
            "an inner lock is still held",
        )
        .help("unlock in the reverse order of locking"),
        R::TwoLocks {} | R::LockAlreadyHeld {} => {
            let d = Draft::new("a second lock is taken while one is held", "the second lock");
            with_opener(d, &["spin_lock"], "the first lock is taken here")
                .help("give the first lock back before the second is taken; bpf_res_spin_lock allows more than one")
        }
        R::UnmatchedRcuUnlock { func } => {
            Draft::new(format!("{func} is called, and no RCU region is open on this path"), "no RCU region is open")
                .help("open it with bpf_rcu_read_lock on every path that leads here")
        }
        R::UnmatchedPreemptEnable { func } => {
            Draft::new(format!("{func} is called, and preemption is not off on this path"), "preemption is on already")
                .help("call bpf_preempt_disable on every path that leads here")
        }
        R::NestedRcuLock { func } => {
            let d = Draft::new(
                format!("{func} is called inside of an RCU region, and this kernel does not nest them"),
                "an RCU region is open already",
            );
            with_opener(d, &["rcu_read_lock"], "it is opened here")
                .help("one bpf_rcu_read_lock covers all that follows: leave the second one out")
        }
        R::SleepableKfunc { func, region } | R::SleepableHelper { func, region, .. } => {
            let (open, close) = region_calls(region);
            let d = Draft::new(
                format!("{func} may sleep, and is called inside of {} {region} region", words::article(region)),
                format!("nothing may sleep in the {region} region"),
            );
            with_opener(d, &[open], "the region begins here")
                .help(format!("call it before the region or after {close}"))
        }
        R::SleepableGlobal { .. } => Draft::new(
            format!("{} may sleep, and is called where nothing may sleep", callee()),
            "nothing may sleep here",
        )
        .help("make it a static function, or call it outside of RCU, lock and preemption regions"),
        R::LockInTreeCallback {} | R::RcuInTreeCallback {} => {
            let d = Draft::new(
                format!("{} is called while a tree compares its nodes, under the lock of the tree", callee()),
                "called in the comparison",
            );
            d.help("only compare in the callback of bpf_rbtree_add")
        }
        R::LockNotConstant { reg, field } => Draft::new(
            format!("the place of {field} is not constant: r{reg} was moved by a variable"),
            "the place is not known",
        )
        .help("take the address of the field from the start of the value"),
        R::MapWithoutBtf { map, field } => {
            Draft::new(format!("map '{map}' has no types, which {field} needs"), "a map without types")
                .help("declare the map with __type(key, ...) and __type(value, ...), and compile with -g")
        }
        R::NoLock { owner, name, lock } => {
            Draft::new(format!("the values of {owner} '{name}' have no member `struct {lock}_lock`"), "no lock here")
                .help(format!("add a member `struct {lock}_lock` to the value's struct"))
        }
        R::WrongLockOffset { off, lock, at } => Draft::new(
            format!("byte {off} is not the `struct {lock}_lock`, which is at byte {at}"),
            format!("byte {off}"),
        )
        .help("pass the address of the lock member"),
        _ => return None,
    })
}

/// What opens and closes a region.
fn region_calls(region: &str) -> (&'static str, &'static str) {
    match region {
        r if r.contains("rcu") => ("rcu_read_lock", "bpf_rcu_read_unlock"),
        r if r.contains("preempt") => ("preempt_disable", "bpf_preempt_enable"),
        r if r.contains("irq") => ("irq_save", "bpf_local_irq_restore"),
        _ => ("spin_lock", "bpf_spin_unlock"),
    }
}
