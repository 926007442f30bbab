//! Mends of pointers: NULL checks, packet pointers, numbers that are used as pointers.

use super::patch::{Edit, New};
use super::{Around, Mend, code, exit_text, plain, slot_state, source};
use crate::case::{Case, stack_used};
use crate::families::{behind, edge_at, edge_name, edges, size_of_pointer};
use crate::origin::{Event, How, Location, access_size};
use crate::source::base_at;
use ebpfkit_abi::helpers::id;
use ebpfkit_isa::opcode::{class, jmp};
use ebpfkit_isa::{Insn, RegSet};
use ebpfkit_verifier::reason::{CallReason, GlobalReason, KfuncReason, MemoryReason, ScalarReason, TypeReason};
use ebpfkit_verifier::{Reason, RegBase, RegState, RegType};

pub(crate) fn candidates(case: &Case<'_>) -> Vec<Mend> {
    let Some(step) = case.step().filter(|_| case.is_reached()) else { return Vec::new() };
    let mut out = Vec::new();
    match case.reason() {
        Reason::Memory(MemoryReason::InvalidMemAccess { reg, .. }) => pointer(case, step, *reg, &mut out),
        Reason::Call(
            CallReason::ArgumentKind { reg, .. }
            | CallReason::PossiblyNull { reg }
            | CallReason::NotReferenced { reg, .. },
        ) => {
            pointer(case, step, *reg, &mut out);
            if let Reason::Call(CallReason::ArgumentKind { reg, expected, .. }) = case.reason() {
                stored_context(case, step, *reg, expected, &mut out);
                by_address(case, step, *reg, &mut out);
                own_update(case, step, *reg, &mut out);
                by_reference(case, step, *reg, expected, &mut out);
                if expected.contains("fp") && expected.contains("mem") {
                    copied(case, step, *reg, &mut out);
                }
            }
        }
        Reason::Global(GlobalReason::PossiblyNull { reg }) => pointer(case, step, *reg, &mut out),
        Reason::Kfunc(KfuncReason::PossiblyNull { index }) => pointer(case, step, *index as u8 + 1, &mut out),
        Reason::Global(GlobalReason::InvalidArgs { .. }) => {
            for reg in 1..=5 {
                if case.reg(reg).is_some_and(|r| r.ty.may_be_null()) {
                    pointer(case, step, reg, &mut out);
                }
            }
        }
        Reason::Scalar(ScalarReason::TwoPointers { op, .. }) if *op == "|=" && crate::families::merged_checks(case) => {
            check_both(case, step, &mut out);
        }
        Reason::Scalar(ScalarReason::PointerArithmeticNull { .. }) => {
            for reg in [case.here().dst, case.here().src] {
                if case.reg(reg).is_some_and(|r| r.ty.may_be_null()) {
                    pointer(case, step, reg, &mut out);
                }
            }
        }
        Reason::Memory(MemoryReason::OutsidePacket { detail, .. }) => {
            let reach = crate::families::line_reach(case, detail.reg, i64::from(detail.size));
            packet_check(case, step, detail.reg, detail.off + reach, &mut out);
        }
        Reason::Scalar(ScalarReason::PointerArithmeticKind { .. }) => end_minus(case, step, &mut out),
        Reason::Type(
            TypeReason::BeyondStruct { .. }
            | TypeReason::NoMember { .. }
            | TypeReason::BeyondMember { .. }
            | TypeReason::NegativeStructOffset { .. },
        ) => {
            if let Some(base) = case.here().memory_base() {
                probe(case, step, base, &mut out);
            }
        }
        _ => {}
    }
    out
}

fn pointer(case: &Case<'_>, step: usize, reg: u8, out: &mut Vec<Mend>) {
    let Some(state) = case.reg(reg) else { return };
    if state.ty.may_be_null() {
        return null_check(case, step, reg, out);
    }
    let history = case.history(reg);
    for e in &history {
        let at = case.event_insn(e);
        match e.how {
            How::TakenAway => return reload(case, e, out),
            How::Result if case.insn(at).is_helper_call(id::GET_CURRENT_TASK) => {
                let call = Insn { imm: id::GET_CURRENT_TASK_BTF as i32, ..case.insn(at) };
                let edit = source::replace(case, at, "bpf_get_current_task(", "bpf_get_current_task_btf(");
                out.push(
                    Mend::new("take the current task as a typed pointer", vec![Edit::Replace(at, plain(vec![call]))])
                        .source(edit),
                );
            }
            How::Constant | How::Result if state.is_null() => null_check(case, step, reg, out),
            _ => {}
        }
    }
    if state.is_scalar() && !state.is_null() {
        probe(case, step, reg, out);
    }
}

/// Passes the context that lies on the stack, in the place of its address.
fn stored_context(case: &Case<'_>, step: usize, reg: u8, expected: &str, out: &mut Vec<Mend>) {
    let Some(off) = crate::families::stored_context(case, reg).filter(|_| expected == "ctx") else { return };
    let at = case.trace.steps[step].insn;
    let text = crate::families::argument_text(case, reg);
    let named = text.as_deref().and_then(|t| t.strip_prefix('&'));
    let shown = named.unwrap_or("the context");
    let edit = named.and_then(|n| {
        let callee = case.callee(at)?;
        source::replace(case, at, &format!("{callee}(&{n}"), &format!("{callee}({n}"))
    });
    out.push(
        Mend::new(format!("pass {shown} itself"), vec![Edit::Before(at, plain(vec![code::load(reg, 10, off as i16)]))])
            .source(edit),
    );
}

/// Copies what a call is to read from memory that programs cannot pass on.
fn copied(case: &Case<'_>, step: usize, reg: u8, out: &mut Vec<Mend>) {
    let (Some(state), Some(size)) = (case.reg(reg), crate::families::copied_size(case, reg)) else { return };
    let history = case.history(reg);
    let untrusted = matches!(state.ty.base, RegBase::BtfId | RegBase::Mem);
    let loaded = history.iter().any(|e| matches!(e.how, How::Loaded { .. } | How::WrittenByCall));
    let behind = state.ty.base == RegBase::Ctx && !state.var_off.is_const();
    let takes = untrusted || behind || state.is_scalar() && loaded;
    if state.is_null() || !takes || crate::families::by_value(case, reg).is_some() {
        return;
    }
    let of_user = crate::families::is_user_memory(case, &history);
    let at = case.trace.steps[step].insn;
    let Some(frame) = case.trace.frame(step) else { return };
    let set = (1..=5u8).filter(|&r| r != reg && !super::is_unset(&frame.regs[usize::from(r)]));
    let keep = set.fold(RegSet::EMPTY, |s, r| s.union(RegSet::of(r)));
    let used = stack_used(case, at);
    let bytes = (size as usize).div_ceil(8) * 8;
    let Some((before, after)) = code::around(keep, used + bytes) else { return };
    let Some(buffer) = code::slot_below(used + bytes - 8) else { return };
    let mut first = before;
    first.extend([
        code::mov(3, reg),
        code::mov(1, 10),
        code::add(1, buffer.into()),
        code::set(2, size as i32),
        code::helper(if of_user { id::PROBE_READ_USER } else { id::PROBE_READ_KERNEL }),
    ]);
    first.extend(after);
    first.extend([code::mov(reg, 10), code::add(reg, buffer.into())]);
    let by = if of_user { "bpf_probe_read_user" } else { "bpf_probe_read_kernel" };
    let lines = crate::families::argument_text(case, reg).and_then(|text| {
        let lines = [format!("char copy[{size}];"), format!("{by}(copy, sizeof(copy), {text});")];
        let line = case.source(at)?;
        let callee = case.callee(at)?;
        let place = line.text.find(&callee)? + callee.len();
        let place = place + crate::source::find_word(&line.text[place..], &text)?;
        if case.is_known_at(&line, "copy") {
            return None;
        }
        let mut edit = source::before(case, at, &lines)?;
        let last = edit.new.iter_mut().find(|l| **l == line.text)?;
        *last = format!("{}copy{}", &line.text[..place], &line.text[place + text.len()..]);
        Some(edit)
    });
    out.push(
        Mend::new(format!("copy the {size} bytes with {by}, and pass the copy"), vec![Edit::Before(at, plain(first))])
            .source(lines),
    );
}

/// Passes the address of a number where the number itself was passed, to calls that read a key or a value there.
fn by_address(case: &Case<'_>, step: usize, reg: u8, out: &mut Vec<Mend>) {
    let Some(size) = crate::families::by_value(case, reg) else { return };
    let at = case.trace.steps[step].insn;
    let Some(slot) = code::slot_below(stack_used(case, at)) else { return };
    let name = crate::families::plain_variable(case, reg);
    let edit = name.as_ref().and_then(|name| {
        let text = crate::families::argument_text(case, reg)?;
        if name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return source::replace(case, at, &format!(", {text}"), &format!(", &{name}"));
        }
        // A member, of the context or of the kernel's memory, has no address that can be passed.
        let line = case.source(at)?;
        let what = if reg == 2 { "key" } else { "value" };
        if case.is_known_at(&line, what) || line.text.matches(&format!(", {text}")).count() != 1 {
            return None;
        }
        let bits = [1, 2, 4, 8].into_iter().find(|b| *b == size)? * 8;
        let mut edit = source::before(case, at, &[format!("__u{bits} {what} = {name};")])?;
        let last = edit.new.iter_mut().rfind(|l| **l == line.text)?;
        *last = last.replacen(&format!(", {text}"), &format!(", &{what}"), 1);
        Some(edit)
    });
    let shown = name.unwrap_or_else(|| "the number".into());
    if size > 8 {
        return;
    }
    let first = vec![code::store(10, slot, reg), code::mov(reg, 10), code::add(reg, slot.into())];
    let text = match edit.as_ref().is_some_and(|e| e.new.len() > 1) {
        true => format!("put {shown} into a variable, and pass the address of that"),
        false => format!("pass the address of {shown}"),
    };
    out.push(Mend::new(text, vec![Edit::Before(at, plain(first))]).source(edit));
}

/// Programs on sockets put the socket of their context into a map by a helper of their own.
fn own_update(case: &Case<'_>, step: usize, reg: u8, out: &mut Vec<Mend>) {
    let Some(helper) = crate::families::socket_update(case, reg) else { return };
    let at = case.trace.steps[step].insn;
    let Some(found) = ebpfkit_abi::helpers::by_name(helper) else { return };
    // The context comes first; what is not the result of the call is free after it.
    let first = vec![code::mov(0, 1), code::mov(1, 3), code::mov(3, 2), code::mov(2, 0), code::helper(found.id)];
    let edit = (1..=4).map(|r| crate::families::argument_text(case, r)).collect::<Option<Vec<String>>>();
    let edit = edit.and_then(|a| {
        let old = format!("bpf_map_update_elem({})", a.join(", "));
        source::replace(case, at, &old, &format!("{helper}({}, {}, {}, {})", a[2], a[0], a[1], a[3]))
    });
    out.push(
        Mend::new(format!("put the socket into the map with {helper}"), vec![Edit::Replace(at, plain(first))])
            .source(edit),
    );
}

/// Passes the context to a callback by the address of a variable.
fn by_reference(case: &Case<'_>, step: usize, reg: u8, expected: &str, out: &mut Vec<Mend>) {
    let at = case.trace.steps[step].insn;
    let is_ctx = case.reg(reg).is_some_and(|r| r.ty.base == RegBase::Ctx && r.off == 0 && r.var_off.is_const());
    let Some(slot) = code::slot_below(stack_used(case, at)) else { return };
    if expected != "fp" || !is_ctx || !case.here().is_helper_call(id::LOOP) || reg != 3 {
        return;
    }
    let made = case.history(2).into_iter().find(|e| e.how == How::Constant);
    let function = made.and_then(|e| {
        let load = case.event_insn(&e);
        case.insn(load).is_func_address().then(|| case.insn(load).function(load)).flatten()
    });
    let Some(callback) = function.and_then(|f| usize::try_from(f).ok()) else { return };
    let first = vec![code::store(10, slot, reg), code::mov(reg, 10), code::add(reg, slot.into())];
    let shown = crate::families::argument_text(case, reg);
    let text = format!(
        "pass the address of a variable that has {}, and take it from there in the callback",
        shown.as_deref().unwrap_or("the context")
    );
    let edits = vec![Edit::Before(at, plain(first)), Edit::Entry(callback, plain(vec![code::load(2, 2, 0)]))];
    let lines = shown.zip(case.function_at(callback)).and_then(|(ctx, name)| {
        let parameter = case.params(callback).get(1)?.0.clone();
        let (file, number, head) = case.declaration(&name)?;
        let open =
            (number..number + 2).find(|n| case.line_text(&file, *n).is_some_and(|t| t.trim_end().ends_with('{')))?;
        let old = case.line_text(&file, open)?;
        let inside = crate::diagnosis::SourceEdit {
            file,
            line: open,
            new: vec![old.clone(), format!("\t{parameter} = *(void **){parameter};")],
            old,
        };
        let outside = source::replace(case, at, &format!(", {ctx},"), &format!(", &{ctx},"))?;
        let plain = ctx.chars().all(|c| c.is_alphanumeric() || c == '_') && head.contains("void *");
        plain.then_some([inside, outside])
    });
    let mut mend = Mend::new(text, edits);
    mend.source.extend(lines.into_iter().flatten());
    out.push(mend);
}

/// Checks each of two pointers whose checks were made one.
fn check_both(case: &Case<'_>, step: usize, out: &mut Vec<Mend>) {
    let (at, insn) = (case.at(), case.here());
    let reference = |r: u8| case.reg(r).map_or(0, |s| s.ref_obj_id);
    let Some(leave) = Around::new(case, step).leave_without(reference(insn.dst).max(reference(insn.src))) else {
        return;
    };
    let mut code = Vec::new();
    for reg in [insn.dst, insn.src] {
        code.extend(code::unless(code::jump_imm(jmp::JNE, reg, 0, 0), &leave));
    }
    // What was made of both was only compared with zero.
    code.push(code::set(insn.dst, 1));
    let line = case.source(at);
    let edit = line.as_ref().and_then(|l| {
        let negated = l.text.matches("&& !").count() == 1 && !l.text.contains("||");
        let plain = l.text.matches(" || ").count() == 1 && !l.text.contains(['!', '&']);
        match (negated, plain) {
            (true, _) => source::replace_in(l, "&& !", "|| !"),
            (_, true) => source::replace_in(l, " || ", " && "),
            _ => None,
        }
    });
    out.push(Mend::new("leave where either pointer is NULL", vec![Edit::Replace(at, plain(code))]).source(edit));
}

/// Leaves where a pointer is NULL.
fn null_check(case: &Case<'_>, step: usize, reg: u8, out: &mut Vec<Mend>) {
    let around = Around::new(case, step);
    let reference = case.reg(reg).map_or(0, |r| r.ref_obj_id);
    let Some(leave) = around.leave_without(reference) else { return };
    let at = case.trace.steps[step].insn;
    let history = case.history_at(step, Location::Reg(reg));
    let made = history
        .iter()
        .find(|e| matches!(e.how, How::Result | How::Loaded { .. } | How::Returned))
        .map(|e| case.event_insn(e));
    let accessed = || base_at(&case.source(at).filter(|_| case.insn(at).memory_base() == Some(reg))?);
    let name = case.name(&history).or_else(accessed);
    let shown = name.clone().unwrap_or_else(|| crate::families::unnamed(case, reg));
    let edit = name.as_ref().and_then(|n| {
        if let Some(edit) = super::rust::looked_at(case, step, n) {
            return Some(edit);
        }
        if let Some(edit) = kept_first(case, step, reg, n, reference) {
            return Some(edit);
        }
        let lines = source::leaving(case, step, at, &format!("!{n}"), reference)?;
        let sets = |m: &usize| {
            let text = case.text(*m);
            text.contains(n.as_str()) && (!case.same_line(*m, at) || case.name(&history).as_ref() == Some(n))
        };
        made.filter(sets).and_then(|m| source::after(case, m, &lines)).or_else(|| source::before(case, at, &lines))
    });
    let code = code::unless(code::jump_imm(jmp::JNE, reg, 0, 0), &leave);
    out.push(Mend::new(format!("leave where {shown} is NULL"), vec![Edit::Before(at, plain(code))]).source(edit));
}

/// Compares with the end of the packet, or of the metadata, right before the access.
fn packet_check(case: &Case<'_>, step: usize, reg: u8, end: i64, out: &mut Vec<Mend>) {
    let around = Around::new(case, step);
    let at = case.trace.steps[step].insn;
    let Some(state) = case.reg(reg).copied() else { return };
    let Some(leave) = around.leave() else { return };
    // The register has the fixed part of the offset in it already.
    let need = end - i64::from(state.off);
    let Ok(need32) = i32::try_from(need) else { return };
    let free = around.free(RegSet::of(reg));
    // Metadata ends where the packet begins.
    let Some((start_field, end_field)) = edges(case) else { return };
    let (edge, field) = match state.ty.base {
        RegBase::PacketMeta => (RegBase::Packet, start_field),
        _ => (RegBase::PacketEnd, end_field),
    };
    let is_end = |r: &RegState| r.ty == RegType::of(edge) && r.off == 0 && r.var_off.is_const() && r.var_off.value == 0;
    let is_ctx = |r: &RegState| r.ty == RegType::of(RegBase::Ctx) && r.off == 0 && r.var_off.is_const();
    let (Some(&scratch), second) = (free.first(), free.get(1).copied()) else { return };
    let mut first = vec![code::mov(scratch, reg), code::add(scratch, need32)];
    let mut kept = None;
    let end_reg = if let Some(location) = around.find(is_end) {
        let Some(other) = second.or(match location {
            Location::Reg(r) => Some(r),
            Location::Slot(_) => None,
        }) else {
            return;
        };
        let (load, end) = around.fetch(location, other);
        first.extend(load);
        end
    } else {
        let Some(other) = second else { return };
        let ctx = match around.find(is_ctx) {
            Some(location) => {
                let (load, ctx) = around.fetch(location, other);
                first.extend(load);
                ctx
            }
            // The context is kept where the program begins.
            None => {
                let whole = case.trace.start == 0 && case.trace.steps[step].depth == 0;
                let Some(slot) = code::slot_below(around.stack_used()).filter(|_| whole) else { return };
                kept = Some(Edit::Entry(0, plain(vec![code::store(10, slot, 1)])));
                first.push(code::load(other, 10, slot));
                other
            }
        };
        first.push(code::load_field(other, ctx, field));
        other
    };
    first.extend(code::unless(code::jump_reg(jmp::JLE, scratch, end_reg, 0), &leave));
    let reach = crate::families::line_reach(case, reg, access_size(case.here()));
    let edit = packet_line(case, step, edge, field.name, reach);
    let named = edge_name(case, edge, field.name).unwrap_or_else(|| field.name.to_owned());
    let what = match state.var_off.is_const() {
        true => format!(" ({})", crate::words::bytes(end)),
        false => String::new(),
    };
    out.push(
        Mend::new(
            format!("compare with {named} right before the access{what}"),
            kept.iter().cloned().chain([Edit::Before(at, plain(first.clone()))]).collect(),
        )
        .source(edit),
    );
    // An offset that may be too large has to be bounded first.
    let history = case.history(reg);
    if state.umax > 0x7fff
        && let Some((e, index)) = crate::families::index_of(case, &history)
        && case.trace.steps[e.step].depth == case.trace.steps[step].depth
        && let Some(early) = Around::new(case, e.step).leave()
    {
        let bound = Edit::Before(case.event_insn(&e), plain(code::at_most(index, 0x3fff, &early)));
        let mend = Mend::new(
            format!("bound the offset before it is added, and compare with {named} right before the access{what}"),
            kept.into_iter().chain([bound, Edit::Before(at, plain(first))]).collect(),
        );
        out.push(mend);
    }
}

/// The condition right before an access that compares the pointer itself with the end, made to compare what lies behind.
fn compared_itself(
    case: &Case<'_>,
    line: &crate::source::SourceLine,
    end: &str,
) -> Option<crate::diagnosis::SourceEdit> {
    let name = crate::source::base_at(line).filter(|n| n.chars().all(|c| c.is_alphanumeric() || c == '_'))?;
    // Elements behind the pointer are another matter.
    let itself = line.text.contains(&format!("*{name}")) || line.text.contains(&format!("{name}->"));
    let head = crate::source::SourceLine {
        file: line.file.clone(),
        line: line.line.checked_sub(1)?,
        column: 0,
        text: case.line_text(&line.file, line.line - 1)?,
    };
    itself.then(|| source::replace_in(&head, &format!("{name} < {end}"), &format!("({name} + 1) <= {end}"))).flatten()
}

/// A pointer that a line reads from a struct and uses at once, kept in a variable of its own and checked.
fn kept_first(
    case: &Case<'_>,
    step: usize,
    reg: u8,
    name: &str,
    reference: u32,
) -> Option<crate::diagnosis::SourceEdit> {
    let (_, member) = name.rsplit_once("->")?;
    let line = case.source(case.at())?;
    let of = match case.reg(reg)?.ty.base {
        RegBase::Socket => "bpf_sock".to_owned(),
        RegBase::BtfId => case.struct_name(case.reg(reg)?)?,
        _ => return None,
    };
    let used = format!("{name}->");
    if line.text.matches(&used).count() != 1 || case.is_known_at(&line, member) {
        return None;
    }
    let mut lines = vec![format!("struct {of} *{member} = {name};")];
    lines.extend(source::leaving(case, step, case.at(), &format!("!{member}"), reference)?);
    let mut edit = source::before(case, case.at(), &lines)?;
    let last = edit.new.last_mut()?;
    *last = last.replacen(&used, &format!("{member}->"), 1);
    Some(edit)
}

/// The comparison with the end as it is written in the line before the access, where all of its names are known there.
fn packet_line(
    case: &Case<'_>,
    step: usize,
    edge: RegBase,
    field: &str,
    reach: i64,
) -> Option<crate::diagnosis::SourceEdit> {
    let at = case.trace.steps[step].insn;
    let line = case.access_line(at)?;
    if case.is_rust() {
        let reg = case.here().memory_base()?;
        let (data, end) = edges(case)?;
        let check = crate::families::last_check(case, reg, &case.history(reg)).map(|c| c.0);
        let state = case.reg(reg).filter(|r| r.var_off.is_const() && edge == RegBase::PacketEnd)?;
        let bytes = crate::members::fixed(state) + i64::from(case.here().off) + reach;
        let whole = check.and_then(|c| super::rust::whole_type(case, c));
        return whole.or_else(|| super::rust::compared(case, step, bytes, (data.name, end.name)));
    }
    // A size that was taken of the pointer is mended where it is written.
    if let Some((line, text)) = crate::source::base_at(&line).and_then(|b| size_of_pointer(case, &b)) {
        return source::replace_in(&line, &text, &text.replacen('(', "(*", 1));
    }
    let end = edge_at(case, step, &line, edge, field)?;
    if let Some(edit) = compared_itself(case, &line, &end) {
        return Some(edit);
    }
    let behind = behind(&line, reach)?;
    let lines = source::leaving(case, step, at, &format!("{behind} > (void *){end}"), 0)?;
    source::before(case, at, &lines)
}

/// Loads packet pointers again after the call that moved the packet.
fn reload(case: &Case<'_>, lost: &Event, out: &mut Vec<Mend>) {
    let step = lost.step;
    let at = case.event_insn(lost);
    let next = step + 1;
    let (Some((data, end)), Some(frame)) = (edges(case), case.trace.frame(step)) else { return };
    if case.trace.steps.get(next).is_none_or(|n| n.depth != case.trace.steps[step].depth) {
        return;
    }
    let around = Around::new(case, next);
    let is_ctx = |r: &RegState| r.ty == RegType::of(RegBase::Ctx) && r.off == 0;
    let Some(leave) = around.leave() else { return };
    let is_packet = |r: &RegState| matches!(r.ty.base, RegBase::Packet | RegBase::PacketEnd) && r.var_off.is_const();
    // r1 to r5 are free right after a call.
    let (base, limit, probe) = (1u8, 2u8, 3u8);
    let mut kept = None;
    let (load, ctx) = match around.find(is_ctx) {
        Some(location) => around.fetch(location, base),
        // The context is kept where the program begins.
        None => {
            let whole = case.trace.start == 0 && case.trace.steps[step].depth == 0;
            let Some(slot) = code::slot_below(around.stack_used()).filter(|_| whole) else { return };
            kept = Some(Edit::Entry(0, plain(vec![code::store(10, slot, 1)])));
            (vec![code::load(base, 10, slot)], base)
        }
    };
    let mut first = load;
    first.push(code::load_field(limit, ctx, end));
    first.push(code::load_field(base, ctx, data));
    let whole = |r: &RegState| i64::from(r.off) + r.var_off.value as i64;
    let mut most = 0;
    let mut set = Vec::new();
    for r in 6..10u8 {
        let old = frame.regs[usize::from(r)];
        if !is_packet(&old) || !around.live().contains(r) {
            continue;
        }
        if old.ty.base == RegBase::PacketEnd {
            set.push(code::mov(r, limit));
        } else {
            most = most.max(i64::from(old.range()));
            set.extend([code::mov(r, base), code::add(r, whole(&old) as i32)]);
        }
    }
    for (n, _) in frame.stack.slots.iter().enumerate() {
        let off = -8 * (n as i64 + 1);
        let Some(old) = slot_state(case, step, off).copied().filter(|s| is_packet(s)) else { continue };
        if old.ty.base == RegBase::PacketEnd {
            set.push(code::store(10, off as i16, limit));
        } else {
            most = most.max(i64::from(old.range()));
            set.extend([
                code::mov(probe, base),
                code::add(probe, whole(&old) as i32),
                code::store(10, off as i16, probe),
            ]);
        }
    }
    if set.is_empty() {
        return;
    }
    let Ok(most) = i32::try_from(most) else { return };
    first.extend([code::mov(probe, base), code::add(probe, most)]);
    first.extend(code::unless(code::jump_reg(jmp::JLE, probe, limit, 0), &leave));
    first.extend(set);
    let callee = case.callee(at).unwrap_or_else(|| "the call".into());
    let ctx_name = case.params(case.function_start(at)).first().map(|p| p.0.clone()).unwrap_or_else(|| "ctx".into());
    let edit = packet_names(case, step).and_then(|(start, end_name)| {
        let mut lines = vec![
            format!("{start} = (void *)(long){ctx_name}->data;"),
            format!("{end_name} = (void *)(long){ctx_name}->data_end;"),
            format!("if ({start} + {most} > {end_name})"),
            format!("\t{}", exit_text(case, next)),
        ];
        lines.extend(made_again(case, at, &start)?);
        source::after(case, at, &lines).or_else(|| source::after_leaving(case, at, &lines))
    });
    out.push(
        Mend::new(
            format!(
                "load the packet's pointers again after {callee}, and compare again ({})",
                crate::words::bytes(most.into())
            ),
            kept.into_iter().chain([Edit::After(at, plain(first))]).collect(),
        )
        .source(edit),
    );
}

/// Assignments before an instruction that make pointers of the start of the packet which are used behind it; none where
/// one of them does more than count bytes.
fn made_again(case: &Case<'_>, at: usize, start: &str) -> Option<Vec<String>> {
    let line = case.source(at)?;
    let lines = case.file(&line.file)?;
    let behind = || (line.line as usize..).map_while(|n| lines.get(n)).take_while(|t| !t.starts_with('}'));
    let mut known = vec![start.to_owned()];
    let mut out = Vec::new();
    for (n, text) in case.scope(&line) {
        let Some((target, value)) = text.split_once('=').filter(|(_, v)| n < line.line && !v.starts_with('=')) else {
            continue;
        };
        let value = value.trim();
        let (Some(name), Some(value)) = (crate::source::last_word(target), value.strip_suffix(';')) else { continue };
        // Other variables may be declared behind it.
        let value = match value.split_once(',') {
            Some((first, _)) if first.matches('(').count() == first.matches(')').count() => first,
            _ => value,
        };
        if name == start || !known.iter().any(|k| crate::source::find_word(value, k).is_some()) {
            continue;
        }
        // A comparison, or the length of the packet.
        if target.contains(['(', '<', '>', '!']) || value.contains(" - ") {
            continue;
        }
        // A number that was read there, or what a call returned, is none of these pointers.
        let called = value
            .match_indices('(')
            .any(|(at, _)| value[..at].ends_with(crate::source::is_word) && !value[..at].ends_with("sizeof"));
        if called || value.contains("->") && !value.contains("*)") {
            continue;
        }
        known.push(name.clone());
        if !behind().any(|t| crate::source::find_word(t, &name).is_some()) {
            continue;
        }
        if value.contains("->") || value.contains(['?', ',']) || target.contains(',') {
            return None;
        }
        out.push(format!("{name} = {value};"));
    }
    Some(out)
}

/// What the source calls the start and the end of the packet.
fn packet_names(case: &Case<'_>, before: usize) -> Option<(String, String)> {
    let (mut start, mut end) = (None, None);
    for (s, step) in case.trace.steps.iter().enumerate().take(before) {
        let insn = case.insn(step.insn);
        let Some(after) = case.trace.reg(s + 1, insn.dst).filter(|_| insn.class() == class::LDX) else { continue };
        match after.ty.base {
            RegBase::Packet => start = start.or_else(|| crate::source::assigned(&case.text(step.insn), "data")),
            RegBase::PacketEnd => end = end.or_else(|| crate::source::assigned(&case.text(step.insn), "data_end")),
            _ => {}
        }
    }
    Some((start?, end?))
}

/// Reads through a helper in the place of a load.
pub(super) fn probe(case: &Case<'_>, step: usize, base: u8, out: &mut Vec<Mend>) {
    let insn = case.here();
    let at = case.trace.steps[step].insn;
    if insn.class() != class::LDX || insn.src != base {
        return;
    }
    let around = Around::new(case, step);
    let of_user = crate::families::is_user_memory(case, &case.history(base));
    let keep = around.live().union(RegSet::of(base)).difference(RegSet::of(insn.dst));
    let used = around.stack_used();
    let Some(buffer) = code::slot_below(used) else { return };
    let Some((before, after)) = code::around(keep, used + 8) else { return };
    let mut first = before;
    first.extend([
        code::mov(3, base),
        code::add(3, insn.off.into()),
        code::mov(1, 10),
        code::add(1, buffer.into()),
        code::set(2, access_size(insn) as i32),
        code::helper(if of_user { id::PROBE_READ_USER } else { id::PROBE_READ_KERNEL }),
    ]);
    first.extend(after);
    first.push(Insn { src: 10, off: buffer, ..insn });
    let line = case.source(at);
    let edit = line
        .as_ref()
        .filter(|_| !of_user)
        .and_then(|l| Some(of_bits(case, l, core_read(&l.text)?)))
        .and_then(|(old, new)| source::replace(case, at, &old, &new));
    let by = match of_user {
        true => "bpf_probe_read_user",
        false if case.is_rust() || case.reg(base).is_some_and(|r| r.ty.base == RegBase::Ctx) => "bpf_probe_read_kernel",
        false => "bpf_probe_read_kernel (BPF_CORE_READ)",
    };
    // The macro's header comes with the edit where the file does not have it.
    let header =
        edit.as_ref().filter(|_| !case.uses_word("bpf_core_read")).map(|_| source::header(case, "bpf_core_read.h"));
    let edit = if header == Some(None) { None } else { edit };
    out.push(
        Mend::new(format!("read it with {by}"), vec![Edit::Replace(at, plain(first))])
            .source(edit)
            .source(header.flatten()),
    );
}

/// The read of a bit-field, which has a macro of its own.
fn of_bits(case: &Case<'_>, line: &crate::source::SourceLine, read: (String, String)) -> (String, String) {
    let (old, new) = read;
    let is_bits = || {
        let (base, member) = old.split_once("->")?;
        let declared = |t: &str| {
            let at = crate::source::find_word(t, base)?;
            let kind = t[..at].trim_end().strip_suffix('*')?.trim_end();
            crate::source::last_word(kind).filter(|_| kind.contains("struct "))
        };
        let scope = case.scope(line);
        let name = scope.iter().rev().find_map(|(_, t)| declared(t))?;
        let btf = case.kernel.btf()?;
        let ty = btf.find(&name, ebpfkit_object::btf::Kind::Struct)?;
        let found = btf.members(ty).find(|m| m.name == member)?;
        Some(found.bitfield_size != 0)
    };
    match is_bits() {
        Some(true) => {
            let new = new.replacen("BPF_CORE_READ(", "BPF_CORE_READ_BITFIELD_PROBED(", 1);
            (old, new)
        }
        _ => (old, new),
    }
}

/// The chain of members of a line, and the same with BPF_CORE_READ.
fn core_read(text: &str) -> Option<(String, String)> {
    let right = text.find('=').filter(|&e| text.as_bytes().get(e + 1) != Some(&b'=')).map_or(0, |e| e + 1);
    let at = right + text[right..].find("->")?;
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let start = at - text[..at].chars().rev().take_while(|c| word(*c)).map(char::len_utf8).sum::<usize>();
    let base = &text[start..at];
    if base.is_empty() || text[..start].ends_with(['&', '.']) {
        return None;
    }
    let mut members = Vec::new();
    let mut end = at;
    while let Some(rest) = text[end..].strip_prefix("->").or_else(|| text[end..].strip_prefix('.')) {
        let skip = text[end..].len() - rest.len();
        let len = rest.find(|c| !word(c)).unwrap_or(rest.len());
        if len == 0 {
            return None;
        }
        match (skip, members.last_mut()) {
            // A member of a struct that lies inside of another.
            (1, Some(outer)) => *outer = format!("{outer}.{}", &rest[..len]),
            _ => members.push(rest[..len].to_owned()),
        }
        end += skip + len;
    }
    let follows = text[end..].trim_start();
    if follows.starts_with(['[', '('])
        || follows.starts_with("++")
        || follows.starts_with("=") && !follows.starts_with("==")
    {
        return None;
    }
    Some((text[start..end].to_owned(), format!("BPF_CORE_READ({base}, {})", members.join(", "))))
}

/// Moves a number that is subtracted from data_end to the other side of the comparison.
fn end_minus(case: &Case<'_>, step: usize, out: &mut Vec<Mend>) {
    let insn = case.here();
    let at = case.trace.steps[step].insn;
    if insn.is_src_reg() || case.reg(insn.dst).is_none_or(|r| r.ty.base != RegBase::PacketEnd) {
        return;
    }
    use ebpfkit_isa::opcode::alu;
    let moved = match insn.op() {
        alu::ADD => -i64::from(insn.imm),
        alu::SUB => i64::from(insn.imm),
        _ => return,
    };
    // The comparison that uses it.
    let end = (at + 1..(at + 16).min(case.program.insns.len())).find(|&i| {
        let j = case.insn(i);
        j.is_jump_class() && j.is_src_reg() && !j.is_call() && (j.dst == insn.dst || j.src == insn.dst)
    });
    let Some(compare) = end else { return };
    let jump = case.insn(compare);
    let other = if jump.dst == insn.dst { jump.src } else { jump.dst };
    let around = Around::new(case, step);
    let taken = RegSet::of(other).union(RegSet::of(insn.dst));
    let mut busy = taken;
    for i in at..=compare {
        busy = busy.union(case.insn(i).writes()).union(case.insn(i).reads());
    }
    let Some(scratch) = around.free(busy).first().copied() else { return };
    let Some(target) = jump.successors(compare).jump.and_then(|t| usize::try_from(t).ok()) else { return };
    let replaced = if jump.dst == insn.dst { Insn { src: scratch, ..jump } } else { Insn { dst: scratch, ..jump } };
    let Ok(moved32) = i32::try_from(moved) else { return };
    let code =
        vec![New::Insn(code::mov(scratch, other)), New::Insn(code::add(scratch, moved32)), New::Jump(replaced, target)];
    let line = case.source(at);
    let edit = line.as_ref().and_then(|l| {
        // `a > end - n` becomes `a + n > end`.
        let minus = l.text.find("data_end - ")?;
        let sign = l.text[..minus].rfind(['>', '<'])?;
        let close = l.text.rfind(')')?;
        let n = l.text.get(minus + "data_end - ".len()..close)?.trim().to_owned();
        let left = l.text[..sign].trim_end();
        let old = l.text.get(left.len()..close)?.to_owned();
        Some((old.clone(), format!(" + {n} {}", old.trim_start().replace(&format!(" - {n}"), ""))))
    });
    let edit = edit.and_then(|(old, new)| source::replace(case, at, &old, &new));
    out.push(
        Mend::new(
            format!("add {moved} to the other side of the comparison"),
            vec![Edit::Replace(at, Vec::new()), Edit::Replace(compare, code)],
        )
        .source(edit),
    );
}
