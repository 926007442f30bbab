//! Mends of indices and sizes.

use super::patch::{Edit, New};
use super::{Around, Mend, code, plain, source};
use crate::case::Case;
use crate::diagnosis::SourceEdit;
use crate::families::index_of;
use crate::members::{array_at, bytes_left, declared_at, fixed};
use crate::origin::{Event, How, Location, access_size};
use crate::source::index_at;
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{alu, class, jmp};
use ebpfkit_object::btf::Kind;
use ebpfkit_verifier::reason::{MemoryReason, Outside, ScalarReason};
use ebpfkit_verifier::{Reason, RegBase, RegState, RegType};

pub(crate) fn candidates(case: &Case<'_>) -> Vec<Mend> {
    let Some(step) = case.step().filter(|_| case.is_reached()) else { return Vec::new() };
    let mut out = Vec::new();
    match case.reason() {
        Reason::Memory(MemoryReason::OutsideRegion { detail, .. }) => {
            let mut larger = Vec::new();
            reserve(case, detail, &mut larger);
            // What a line says of a size that was taken of a pointer comes first.
            out.extend(
                larger.extract_if(.., |m| m.source.iter().any(|e| e.new.iter().any(|l| l.contains("sizeof(*")))),
            );
            if case.here().is_call() {
                sizes(case, step, detail.reg, &mut out);
            }
            index(case, step, detail.reg, detail.size.into(), &mut out);
            out.extend(larger);
        }
        Reason::Memory(MemoryReason::NegativeIndex { reg } | MemoryReason::UnboundedAccess { reg }) => {
            if case.here().is_call() {
                sizes(case, step, *reg, &mut out);
            }
            index(case, step, *reg, crate::families::size_behind(case, *reg), &mut out);
        }
        Reason::Memory(MemoryReason::StackUnbounded { reg, .. }) => {
            index(case, step, *reg, access_size(case.here()), &mut out)
        }
        Reason::Memory(MemoryReason::StackVariable { reg, size, .. }) => {
            if case.here().is_call() {
                sizes(case, step, *reg, &mut out);
            }
            index(case, step, *reg, (*size).into(), &mut out);
        }
        Reason::Memory(MemoryReason::OutsideStack { reg, size, .. } | MemoryReason::BeyondStack { reg, size, .. }) => {
            if case.here().is_call() {
                sizes(case, step, *reg, &mut out);
            }
            index(case, step, *reg, (*size).into(), &mut out);
        }
        Reason::Memory(MemoryReason::NegativeSize { reg } | MemoryReason::UnboundedSize { reg }) => {
            size(case, step, *reg, reg.saturating_sub(1), &mut out)
        }
        Reason::Memory(MemoryReason::ZeroSize { reg, .. }) => {
            if let Some(leave) = Around::new(case, step).leave() {
                let code = code::unless(code::jump_imm(jmp::JNE, *reg, 0, 0), &leave);
                let name = size_name(case, *reg);
                let history = case.history(*reg);
                let edit = name
                    .as_ref()
                    .and_then(|n| bounded_line(case, step, *reg, n, &history, &|n| vec![format!("{n} == 0")]));
                let shown = name.unwrap_or_else(|| unnamed(case, *reg, "the size"));
                out.push(
                    Mend::new(format!("leave where {shown} is zero"), vec![Edit::Before(case.at(), plain(code))])
                        .source(edit),
                );
            }
            size(case, step, *reg, reg.saturating_sub(1), &mut out);
        }
        Reason::Scalar(
            ScalarReason::PointerMathUnbounded { .. }
            | ScalarReason::PointerMathTooFar { .. }
            | ScalarReason::PointerOutOfBounds { .. },
        ) => {
            unbounded_math(case, step, &mut out);
        }
        Reason::Kfunc(ebpfkit_verifier::reason::KfuncReason::BadBuffer { index, size: len }) => {
            size(case, step, *len as u8 + 1, *index as u8 + 1, &mut out);
        }
        _ => {}
    }
    out
}

/// The name of a size or index in the source, if it is a plain one.
fn size_name(case: &Case<'_>, reg: u8) -> Option<String> {
    let text = crate::families::argument_text(case, reg)?;
    if crate::families::is_simple(&text) {
        return Some(text);
    }
    // What is computed of variables alone can be compared as it is written.
    let plain = text.len() <= 40 && text.chars().all(|c| is_word(c) || " +-*&|<>->.()".contains(c));
    let calls = text.match_indices('(').any(|(at, _)| text[..at].ends_with(is_word) && !text[..at].ends_with("sizeof"));
    let named = text.contains(|c: char| c.is_ascii_lowercase()) && !text.starts_with(['&', '(']);
    (plain && !calls && named && text.contains(' ')).then(|| format!("({text})"))
}

/// Leaves where a number that is added to a pointer is too large, or negative.
fn bound_at(case: &Case<'_>, step: usize, reg: u8, most: i64, named: Option<String>, out: &mut Vec<Mend>) {
    let Ok(limit) = i32::try_from(most) else { return };
    if limit < 0 {
        return;
    }
    let Some(leave) = Around::new(case, step).leave() else { return };
    let at = case.trace.steps[step].insn;
    let scale = crate::families::scale_of(case, step, reg).max(1);
    let count = most / scale + 1;
    // A bound that leaves a single index is none that anybody wants.
    if count <= 1 {
        return;
    }
    // The register holds the index as it is written, or without a constant that is added elsewhere: the comparison holds
    // for both.
    let history = case.history_at(step, Location::Reg(reg));
    let condition = named.as_deref().and_then(|n| condition(case, n, count));
    let edit = match (&condition, named.as_deref()) {
        (Some(c), _) => {
            let mut lines = barrier(case, step, reg, named.as_deref(), &history);
            source::leaving(case, step, case.at(), c, 0).and_then(|l| {
                lines.extend(l);
                source::before(case, case.at(), &lines)
            })
        }
        (None, Some(n)) => bounded_line(case, step, reg, n, &history, &|n| vec![format!("{n} >= {count}")]),
        (None, None) => None,
    };
    let text = match (&edit, &condition) {
        // An edit of a comparison that is there already.
        (Some(e), Some(c)) if !case.is_rust() && !e.new.iter().any(|l| l.contains(c.as_str())) => {
            match e.new.iter().any(|l| l.contains("asm volatile")) {
                true => {
                    format!("keep the compiler from leaving out the comparison of {}", named.as_deref().unwrap_or("it"))
                }
                false => format!("compare {} from below, too", named.as_deref().unwrap_or("it")),
            }
        }
        (_, Some(c)) if !case.is_rust() => format!("leave where {c}"),
        _ => {
            let named = named.filter(|n| crate::families::is_simple(n));
            let shown = named.unwrap_or_else(|| unnamed(case, reg, "the index"));
            format!("leave where {shown} is not from 0 to {}", count - 1)
        }
    };
    out.push(Mend::new(text, vec![Edit::Before(at, plain(code::at_most(reg, limit, &leave)))]).source(edit));
}

/// What a number without a name is called: by its register where the line is an instruction.
fn unnamed(case: &Case<'_>, reg: u8, what: &str) -> String {
    let is_source = case.source(case.at()).is_some_and(|l| !crate::source::is_assembly(&l.file));
    if is_source { what.to_owned() } else { format!("r{reg}") }
}

/// Comparisons of a number before the line that uses it. One that is not a plain variable is kept in a variable of its own
/// first: otherwise the compiler may compare one copy of it and use another.
fn bounded_line(
    case: &Case<'_>,
    step: usize,
    reg: u8,
    name: &str,
    history: &[Event],
    conditions: &dyn Fn(&str) -> Vec<String>,
) -> Option<SourceEdit> {
    let is_plain = name.chars().all(is_word);
    let line = case.source(case.at())?;
    let choice = if case.here().is_call() { ["size", "bytes", "count"] } else { ["index", "slot", "number"] };
    let local = choice.into_iter().find(|n| !case.is_named_around(&line, n)).filter(|_| !is_plain);
    if !is_plain && (local.is_none() || crate::source::is_rust(&line.file)) {
        return None;
    }
    let used = name.strip_prefix('(').and_then(|n| n.strip_suffix(')')).unwrap_or(name);
    let variable = local.unwrap_or(name);
    let keep = format!("asm volatile(\"\" : \"+r\"({variable}));");
    let mut lines = match local {
        Some(n) => vec![format!("__u64 {n} = {used};"), keep.clone()],
        None => barrier(case, step, reg, Some(name), history),
    };
    for (n, condition) in conditions(variable).iter().enumerate() {
        // Two comparisons of one number become one of another.
        if n > 0 {
            lines.push(keep.clone());
        }
        lines.extend(source::leaving(case, step, case.at(), condition, 0)?);
    }
    let mut edit = source::before(case, case.at(), &lines)?;
    if let Some(n) = local {
        let last = edit.new.iter_mut().rfind(|l| **l == line.text)?;
        let callee = case.callee(case.at());
        *last = match callee {
            // The last argument that is written so is the size.
            Some(_) if line.text.matches(used).count() >= 1 => {
                let at = line.text.rfind(used)?;
                format!("{}{n}{}", &line.text[..at], &line.text[at + used.len()..])
            }
            None if line.text.matches(&format!("[{used}]")).count() == 1 => {
                line.text.replacen(&format!("[{used}]"), &format!("[{n}]"), 1)
            }
            None if line.text.matches(used).count() == 1 => line.text.replacen(used, n, 1),
            _ => return None,
        };
    }
    Some(edit)
}

/// What keeps the compiler from comparing another copy of a variable than the one that is used: needed where only a part
/// of a register is meant, or where the compiler knows more of the number than the verifier.
fn barrier(case: &Case<'_>, step: usize, reg: u8, name: Option<&str>, history: &[Event]) -> Vec<String> {
    // A variable of 32 bits in a register of which all 64 bits are used.
    let is_half = || {
        let line = case.source(case.at())?;
        let scope = case.scope(&line);
        scope.iter().rev().find_map(|(_, t)| crate::source::declares_half(t, name?))
    };
    let wide = case.trace.reg(step, reg).is_some_and(|r| r.umax > u64::from(u32::MAX));
    let apart = wide && is_half() == Some(true)
        || history.iter().any(|e| {
            matches!(e.how, How::Narrow { bits: 32 } | How::Computed { op: alu::DIV | alu::MOD | alu::ARSH, .. })
        });
    let plain = name.filter(|n| n.chars().all(is_word) && !n.is_empty() && !case.is_rust());
    plain.filter(|_| apart).map(|n| format!("asm volatile(\"\" : \"+r\"({n}));")).into_iter().collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The comparison that keeps an index below a count, for plain variables and variables with a constant beside them.
fn condition(case: &Case<'_>, index: &str, count: i64) -> Option<String> {
    let index = index.trim();
    let plain = |t: &str| {
        let t = t.strip_prefix('*').unwrap_or(t);
        !t.is_empty() && t.chars().all(|c| is_word(c) || c == '.') && !t.starts_with(|c: char| c.is_ascii_digit())
    };
    if plain(index) {
        return Some(format!("{}{index} >= {count}", below_zero(case, index)));
    }
    let (variable, constant) = index.split_once(" - ")?;
    let least: i64 = constant.trim().parse().ok()?;
    (plain(variable.trim()) && least > 0).then(|| format!("{0} < {least} || {0} >= {count}", variable.trim()))
}

/// The part of a condition that rules out negative numbers; nothing for unsigned variables.
fn below_zero(case: &Case<'_>, name: &str) -> String {
    let unsigned = case.source(case.at()).is_some_and(|l| case.is_unsigned(&l, name));
    if unsigned { String::new() } else { format!("{name} < 0 || ") }
}

/// A number that decides where an access lies.
fn index(case: &Case<'_>, step: usize, reg: u8, size: i64, out: &mut Vec<Mend>) {
    let history = case.history(reg);
    let Some(state) = case.reg(reg).copied() else { return };
    let found = index_of(case, &history).or_else(|| constant_index(case, &history));
    let Some((event, index)) = found else { return };
    if case.trace.steps[event.step].depth != case.trace.steps[step].depth {
        return;
    }
    // What is added after the index and by the instruction itself.
    let here = if case.here().is_call() { 0 } else { i64::from(case.here().off) };
    let insn = case.insn(case.event_insn(&event));
    let base_reg = if insn.dst == index { insn.src } else { insn.dst };
    let (Some(base), Some(added)) =
        (case.trace.reg(event.step, base_reg).copied(), case.trace.reg(event.step, index).copied())
    else {
        return;
    };
    let base_off = i64::from(base.off) + if base.var_off.is_const() { base.var_off.value as i64 } else { 0 };
    // Constants that are added to the pointer after the index has been.
    let now = i64::from(state.off);
    let added_const = if added.var_off.is_const() { 0 } else { now - i64::from(base.off) };
    let Some(whole) = bytes_left(case, &RegState { off: 0, var_off: RegState::known(0).var_off, ..base }) else {
        return;
    };
    let size = crate::families::line_reach(case, reg, size);
    let most = whole - size - here - base_off - added_const;
    // The array that is meant may end before the memory does.
    let scale = crate::families::scale_of(case, event.step, index).max(1);
    let start = fixed(&base) + added_const + here;
    let by_type = || {
        let line = case.source(case.at()).filter(|_| base.ty.base == RegBase::Stack)?;
        declared_at(case, &line, &index_at(&line)?).map(|a| a.0).filter(|a| a.size == scale)
    };
    let array = array_at(case, &base, start, scale).or_else(by_type);
    let most = array.map_or(most, |a| most.min((a.limit(size) - 1) * scale));
    let most = match base.ty.base {
        RegBase::Stack => declared_length(case).map_or(most, |n| most.min((n - 1) * scale)),
        _ => most,
    };
    let line = case.source(case.at());
    let named = line
        .as_ref()
        .and_then(index_at)
        .filter(|n| crate::families::is_simple(n) || n.len() < 24 && !n.contains(['(', '[']));
    // A method gets the index there.
    let named = named.or_else(|| {
        let name = case.name(&case.history_at(event.step, Location::Reg(index))).filter(|_| case.is_rust())?;
        line.as_ref().filter(|l| crate::source::find_word(&l.text, &name).is_some()).map(|_| name)
    });
    if let Some(n) = &named {
        out.extend(tested_first(case, (event.step, index), most, n, most / scale + 1));
        if let Some(edit) = crate::families::off_by_one(case, n, most / scale + 1).and_then(|o| o.edit) {
            let tried = out.len();
            bound_at(case, event.step, index, most, named.clone(), out);
            if let Some(mend) = out.get_mut(tried) {
                mend.text = "compare it with one less".into();
                mend.source = vec![edit];
            }
            return;
        }
    }
    bound_at(case, event.step, index, most, named, out);
}

/// The test of an index in the condition of a loop, put before what the condition reads at it: where it fails the loop
/// ends.
fn tested_first(case: &Case<'_>, number: (usize, u8), most: i64, name: &str, count: i64) -> Option<Mend> {
    let (step, reg) = number;
    let line = case.source(case.at()).filter(source::is_c)?;
    let text = line.text.trim_start();
    let is_loop = ["while (", "while(", "for (", "for("].iter().any(|w| text.starts_with(w));
    if !is_loop || case.here().class() != class::LDX || !name.chars().all(is_word) {
        return None;
    }
    let open = line.text.find('(')?;
    let close = line.text.rfind(')')?;
    let inner = line.text.get(open + 1..close)?;
    // The condition among the parts of a `for`.
    let (first, condition, last) = match text.starts_with("for") {
        true => {
            let (first, rest) = inner.split_once(';')?;
            let (condition, last) = rest.split_once(';')?;
            (format!("{first};"), condition.trim(), format!(";{last}"))
        }
        false => (String::new(), inner.trim(), String::new()),
    };
    if !condition.contains(&format!("[{name}]")) || condition.contains("++") {
        return None;
    }
    let is_test = |t: &str| ["<", "<=", "!="].iter().any(|o| t.trim().starts_with(&format!("{name} {o} ")));
    let parts: Vec<&str> = condition.split("&&").map(str::trim).collect();
    let test = parts.iter().find(|p| is_test(p)).map(|p| (*p).to_owned());
    let others: Vec<&str> = parts.iter().copied().filter(|p| !is_test(p)).collect();
    let rest = match others.as_slice() {
        [one] if one.contains("||") => format!("({one})"),
        several => several.join(" && "),
    };
    let test = test.unwrap_or_else(|| format!("{name} < {count}"));
    let blank = if first.is_empty() { "" } else { " " };
    let new = format!("{}{first}{blank}{test} && {rest}{last}{}", &line.text[..=open], &line.text[close..]);
    // Where the loop ends: the side of the test of what was read that the path did not take the other times.
    let here = case.here();
    let jump = (case.at() + 1..(case.at() + 8).min(case.program.insns.len()))
        .find(|&i| case.insn(i).is_jump_class() && !case.insn(i).is_call())?;
    let tests = case.insn(jump);
    if tests.dst != here.dst || tests.is_src_reg() {
        return None;
    }
    let next = tests.successors(jump);
    let taken = case.trace.steps.iter().zip(case.trace.steps.iter().skip(1)).rev();
    let on = taken.filter(|(a, _)| a.insn == jump).map(|(_, b)| b.insn).next()?;
    let exit = [usize::try_from(next.jump?).ok()?, next.fallthrough?].into_iter().find(|&n| n != on)?;
    let limit = i32::try_from(most).ok()?;
    let at = case.trace.steps[step].insn;
    let code = vec![New::Jump(code::jump_imm(jmp::JGT, reg, limit, 0), exit)];
    let edit = SourceEdit { file: line.file.clone(), line: line.line, old: line.text.clone(), new: vec![new] };
    let text = format!("test `{test}` before what is read at [{name}]");
    Some(Mend::new(text, vec![Edit::Before(at, code)]).source(Some(edit)))
}

/// The elements of the local array that the line accesses, as it is declared.
fn declared_length(case: &Case<'_>) -> Option<i64> {
    let line = case.source(case.at())?;
    let index = index_at(&line)?;
    let name = crate::source::last_word(&line.text[..line.text.find(&format!("[{index}]"))?])?;
    case.scope(&line).iter().filter(|(n, _)| *n < line.line).find_map(|(_, text)| {
        let at = crate::source::find_word(text, &name)? + name.len();
        let inner = text[at..].strip_prefix('[')?;
        let (count, rest) = inner.split_once(']')?;
        let declares = rest.trim_start().starts_with([';', '=', ',']) && text[..at - name.len()].ends_with([' ', '*']);
        declares.then(|| count.trim().parse().ok()).flatten().filter(|n| *n > 0)
    })
}

/// The register of a constant that was added to a pointer: an index of a loop, followed value by value.
fn constant_index(case: &Case<'_>, history: &[Event]) -> Option<(Event, u8)> {
    history.iter().find_map(|e| {
        let How::Computed { op: alu::ADD, with: Some(with), .. } = e.how else { return None };
        let insn = case.insn(case.event_insn(e));
        let scalar =
            [insn.dst, with].into_iter().find(|&r| case.trace.reg(e.step, r).is_some_and(RegState::is_scalar))?;
        Some((*e, scalar))
    })
}

/// A number without bounds that is added to a pointer here.
fn unbounded_math(case: &Case<'_>, step: usize, out: &mut Vec<Mend>) {
    let insn = case.here();
    if !insn.is_src_reg() {
        return;
    }
    let regs = [insn.dst, insn.src];
    let Some(index) = regs.into_iter().find(|&r| case.reg(r).is_some_and(RegState::is_scalar)) else { return };
    let Some(base) = regs.into_iter().find(|&r| r != index).and_then(|r| case.reg(r)) else { return };
    // A constant that is too large is so always.
    if case.reg(index).is_some_and(|r| r.var_off.is_const()) {
        return;
    }
    // How far accesses through the sum reach in the instructions that follow.
    let reach = (case.at() + 1..(case.at() + 12).min(case.program.insns.len()))
        .map(|i| case.insn(i))
        .take_while(|i| !i.is_call())
        .filter(|i| i.memory_base() == Some(insn.dst))
        .map(|i| i64::from(i.off) + access_size(i))
        .max();
    // The constant part of where they lie.
    let after = (case.at() + 1..(case.at() + 12).min(case.program.insns.len()))
        .map(|i| case.insn(i))
        .take_while(|i| !i.is_call())
        .find(|i| i.memory_base() == Some(insn.dst))
        .map_or(0, |i| i64::from(i.off));
    let whole = match bytes_left(case, base) {
        Some(w) => w,
        None if matches!(base.ty.base, RegBase::Packet | RegBase::PacketMeta) => 0x3fff,
        None => return,
    };
    let line = case.source(case.at());
    let named = line.as_ref().and_then(index_at).filter(|n| n.len() < 24 && !n.contains(['(', '[']));
    // A variable that the line adds.
    let added = || {
        let line = line.as_ref()?;
        let name = case.name(&case.history_at(step, Location::Reg(index)));
        let name = name.filter(|n| n.chars().all(is_word) && line.text.contains(&format!("+ {n}")));
        name.or_else(|| crate::source::addend_at(line))
    };
    let named = named.or_else(added);
    let reach = reach.unwrap_or(1).max(1);
    let scale = crate::families::scale_of(case, step, index).max(1);
    let array = array_at(case, base, fixed(base) + after, scale);
    let most = array.map_or(whole - reach, |a| (whole - reach).min((a.limit(1) - 1) * scale));
    bound_at(case, step, index, most, named, out);
}

/// A size that a call gets together with a pointer.
fn size(case: &Case<'_>, step: usize, reg: u8, buffer: u8, out: &mut Vec<Mend>) {
    let most = crate::families::buffer_size(case, buffer).filter(|m| (1..=1 << 29).contains(m)).unwrap_or(4095);
    let (Some(leave), Ok(limit)) = (Around::new(case, step).leave(), i32::try_from(most)) else { return };
    let name = size_name(case, reg);
    let history = case.history(reg);
    let above = |n: &str| match case.reg(reg) {
        // A variable of its own is unsigned.
        Some(r) if n.chars().all(is_word) && Some(n) == name.as_deref() && (r.smin < 0 || r.umax > i32::MAX as u64) => {
            format!("{}{n} > {most}", below_zero(case, n))
        }
        _ => format!("{n} > {most}"),
    };
    let edit = name.as_ref().and_then(|n| bounded_line(case, step, reg, n, &history, &|n| vec![above(n)]));
    let both_lines = |n: &str| vec![above(n), format!("{n} == 0")];
    let both_edit = name.as_ref().and_then(|n| bounded_line(case, step, reg, n, &history, &both_lines));
    let shown = name.unwrap_or_else(|| unnamed(case, reg, "the size"));
    out.push(
        Mend::new(
            format!("leave where {shown} is not from 0 to {most}"),
            vec![Edit::Before(case.at(), plain(code::at_most(reg, limit, &leave)))],
        )
        .source(edit),
    );
    // Some sizes must not be zero either.
    let mut both = code::at_most(reg, limit, &leave);
    both.extend(code::unless(code::jump_imm(jmp::JNE, reg, 0, 0), &leave));
    out.push(
        Mend::new(format!("leave where {shown} is not from 1 to {most}"), vec![Edit::Before(case.at(), plain(both))])
            .source(both_edit),
    );
}

/// The sizes that follow a pointer among the arguments of a call.
fn sizes(case: &Case<'_>, step: usize, pointer: u8, out: &mut Vec<Mend>) {
    let next = pointer + 1;
    // A constant that another line has set is one of several that the size may have.
    let varies = |r: &RegState| !r.var_off.is_const() || crate::families::set_elsewhere(case, next).is_some();
    if next <= 5 && case.reg(next).is_some_and(|r| r.ty == RegType::SCALAR && !varies(r)) {
        fixed_size(case, pointer, next, out);
    }
    if next <= 5 && case.reg(next).is_some_and(|r| r.ty == RegType::SCALAR && varies(r)) {
        size(case, step, next, pointer, out);
    }
}

/// Passes the size of the buffer where a larger constant was passed.
fn fixed_size(case: &Case<'_>, pointer: u8, size: u8, out: &mut Vec<Mend>) {
    let named = crate::families::named_size(case, pointer).or_else(|| crate::families::stack_left(case, pointer));
    let Some(left) = named.filter(|r| (1..1 << 20).contains(r)) else { return };
    let Some(passed) = case.reg(size).and_then(RegState::const_value) else { return };
    if u64::try_from(left).is_ok_and(|r| r >= passed) {
        return;
    }
    let at = case.at();
    let text = crate::families::argument_text(case, size);
    let buffer = crate::families::argument_text(case, pointer).map(|t| t.trim_start_matches('&').to_owned());
    // Of an array or a variable of its own the name has that size; behind a member stands more than the member.
    let whole =
        crate::families::argument_text(case, pointer).is_some_and(|t| !t.starts_with('&') || !t.contains(['>', '.']));
    let edit = text.zip(buffer.filter(|b| crate::families::is_simple(b))).and_then(|(old, buffer)| {
        let new = if whole { format!("sizeof({buffer})") } else { left.to_string() };
        source::replace(case, at, &format!(", {old}"), &format!(", {new}"))
    });
    let by_name = edit.as_ref().filter(|_| whole).and_then(|e: &SourceEdit| {
        let at = e.new.first()?.find("sizeof(")?;
        Some(e.new.first()?[at..].split(')').next()?.to_owned() + ")")
    });
    let text = match by_name {
        Some(size) => format!("pass {size} as the size"),
        None => format!("pass {left} as the size: that is what is left there"),
    };
    out.push(Mend::new(text, vec![Edit::Before(at, plain(vec![code::set(size, left as i32)]))]).source(edit));
}

/// Makes the map's values as large as the struct that is accessed in them.
fn larger_value(case: &Case<'_>, a: &Outside, out: &mut Vec<Mend>) {
    let Some(reg) = case.reg(a.reg).filter(|r| r.ty.base == RegBase::MapValue && r.var_off.is_const()) else { return };
    let (Some(map), Some(number)) = (case.map(reg), reg.map().and_then(|m| case.trace.maps.get(m as usize).copied()))
    else {
        return;
    };
    let needed = a.off.saturating_add(a.size.into());
    if case.here().is_call() || !map.section.is_empty() || !(1..1 << 16).contains(&needed) {
        return;
    }
    // The struct that the pointer is declared to lead to.
    let line = case.access_line(case.at());
    let kind = line.as_ref().and_then(|l| {
        let name = crate::source::base_at(l)?;
        let declared = |t: &str| {
            let at = crate::source::find_word(t, &name)?;
            let kind = t[..at].trim_end().strip_suffix('*')?.trim().to_owned();
            let named = !kind.is_empty() && kind.chars().all(|c| is_word(c) || c == ' ');
            named.then_some(kind)
        };
        case.scope(l).iter().rev().find_map(|(_, t)| declared(t))
    });
    let Some(kind) = kind else { return };
    let plain =
        [(1, "__u8 u8 char"), (2, "__u16 u16"), (4, "__u32 u32 int __s32 s32"), (8, "__u64 u64 long __s64 s64")];
    let whole = match kind.strip_prefix("struct ") {
        Some(name) => case.btf().and_then(|b| b.size_of(b.find(name, Kind::Struct)?)).map(i64::from),
        None => match plain.iter().find(|p| p.1.split(' ').any(|k| k == kind)) {
            Some((size, _)) => Some(*size),
            None => return,
        },
    };
    // They are of that struct already.
    if whole.is_some_and(|w| w < needed || w == i64::from(map.value_size)) {
        return;
    }
    let size = whole.filter(|w| *w >= needed).unwrap_or((needed + 7) / 8 * 8);
    let near = map.name.clone();
    let found = case.find_line(&|t: &str| t.contains("__type(value, "), &near);
    let edit = found.and_then(|l| {
        let at = l.text.find("__type(value, ")? + "__type(value, ".len();
        let old = l.text[at..].split(')').next()?.to_owned();
        source::replace_in(&l, &format!("__type(value, {old})"), &format!("__type(value, {kind})"))
    });
    let text = format!("declare '{near}' with values of {kind}");
    let map = Some((number, map.map_type, map.key_size, size as u32));
    out.push(Mend { map, ..Mend::new(text, Vec::new()).source(edit) });
}

/// Asks for more memory where too little was asked for.
fn reserve(case: &Case<'_>, a: &Outside, out: &mut Vec<Mend>) {
    let history = case.history(a.reg);
    larger_value(case, a, out);
    let Some(made) = history.iter().find(|e| e.how == How::Result) else { return };
    let call = case.event_insn(made);
    let needed = a.off.saturating_add(a.size.into());
    if !(0..1 << 20).contains(&needed) {
        return;
    }
    for reg in 1..=5u8 {
        let Some(state) = case.trace.reg(made.step, reg) else { continue };
        if state.const_value() != Some(a.region as u64) {
            continue;
        }
        let set = case.history_at(made.step, Location::Reg(reg));
        let Some(constant) = set.iter().find(|e| e.how == How::Constant) else { return };
        let at = case.event_insn(constant);
        let insn = case.insn(at);
        if insn.is_ld_imm64() {
            return;
        }
        let text = case.text(call);
        // The struct that the line declares a pointer to.
        let whole = text.split("struct ").nth(1).and_then(|rest| {
            let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
            let btf = case.btf()?;
            btf.size_of(btf.find(name, Kind::Struct)?)
        });
        let size = whole.map(i64::from).filter(|w| *w >= needed && *w < 1 << 20).unwrap_or((needed + 7) / 8 * 8);
        let edit = text.find("sizeof(").and_then(|s| {
            let rest = &text[s + "sizeof(".len()..];
            let close = rest.find(')')?;
            let inner = rest[..close].trim();
            let assigned = case.callee(call).and_then(|c| crate::source::assigned(&text, &c));
            let is_pointer = assigned.as_deref() == Some(inner);
            is_pointer
                .then(|| {
                    source::replace(case, call, &format!("sizeof({})", &rest[..close]), &format!("sizeof(*{inner})"))
                })
                .flatten()
        });
        let callee = case.callee(call).unwrap_or_else(|| "the call".into());
        let replaced = Insn { imm: size as i32, ..insn };
        out.push(
            Mend::new(format!("ask {callee} for {size} bytes"), vec![Edit::Replace(at, plain(vec![replaced]))])
                .source(edit),
        );
        return;
    }
}
