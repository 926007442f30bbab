//! Mends of values that were never set, return values, loops, maps and global functions.

use super::patch::{Edit, New};
use super::{Around, Mend, code, exit_value, plain, source, stack_used};
use crate::case::Case;
use crate::diagnosis::SourceEdit;
use crate::origin::{How, Location};
use ebpfkit_abi::{MapType, ProgType};
use ebpfkit_isa::opcode::{self, alu, class, jmp};
use ebpfkit_isa::{Insn, RegSet};
use ebpfkit_verifier::reason::{CallReason, ExploreReason, GlobalReason, MemoryReason, ProgramReason, ScalarReason};
use ebpfkit_verifier::{Reason, RegBase};

pub(crate) fn candidates(case: &Case<'_>) -> Vec<Mend> {
    let mut out = Vec::new();
    match case.reason() {
        Reason::Scalar(ScalarReason::UninitRegister { reg }) => unset(case, *reg, &mut out),
        Reason::Explore(ExploreReason::ReturnRange { min, max, .. })
        | Reason::Call(CallReason::CallbackReturn { min, max, .. }) => {
            returned(case, *min, *max, &mut out);
        }
        Reason::Explore(ExploreReason::InfiniteLoop { .. } | ExploreReason::TooManyBranches { .. }) => {
            endless(case, &mut out)
        }
        Reason::Explore(ExploreReason::TooLarge { .. }) if crate::families::runaway_loop(case) => {
            endless(case, &mut out)
        }
        Reason::Call(CallReason::MapType { name, .. }) => map_type(case, name, &mut out),
        Reason::Call(CallReason::NoProgArray {}) => map_type(case, "bpf_tail_call", &mut out),
        // A number in the place of a pointer is none in a static function either.
        Reason::Global(GlobalReason::InvalidArgs { name, .. })
            if !case.trace.because.iter().any(|b| b.to_string().contains("type=scalar")) =>
        {
            make_static(case, name, &mut out)
        }
        Reason::Explore(ExploreReason::CallbackNotStatic {}) => {
            let callback = case.here().is_func_address().then(|| case.here().function(case.at())).flatten();
            if let Some(name) = callback.and_then(|f| case.function_at(usize::try_from(f).ok()?)) {
                make_static(case, &name, &mut out);
            }
        }
        Reason::Explore(ExploreReason::SubprogReturnNoScalar { .. }) => {
            if let Some(name) = case.function_at(case.at()) {
                make_static(case, &name, &mut out);
            }
        }
        Reason::Program(ProgramReason::GlobalReturn { func } | ProgramReason::GlobalArgKind { func, .. }) => {
            make_static(case, func, &mut out)
        }
        Reason::Memory(MemoryReason::StackReadByCall { off, size, .. }) => {
            zero_stack(case, *off, (*size).into(), &mut out)
        }
        Reason::Memory(MemoryReason::StackRead { off, size, .. }) => zero_stack(case, *off, (*size).into(), &mut out),
        Reason::Memory(MemoryReason::DifferentPointers {}) => own_load(case, &mut out),
        _ => {}
    }
    out
}

/// First slot of the function around the rejected instruction.
fn start(case: &Case<'_>) -> usize {
    case.function_start(case.at())
}

/// A register that has no value.
fn unset(case: &Case<'_>, reg: u8, out: &mut Vec<Mend>) {
    let history = case.history(reg);
    let begin = start(case);
    if let Some(lost) = history.iter().find(|e| e.how == How::Clobbered) {
        let call = case.event_insn(lost);
        if let Some(slot) = code::slot_below(stack_used(case, call)) {
            let edits = vec![
                Edit::Before(call, plain(vec![code::store(10, slot, reg)])),
                Edit::After(call, plain(vec![code::load(reg, 10, slot)])),
            ];
            let callee = case.callee(call).unwrap_or_else(|| "the call".into());
            out.push(Mend::new(format!("keep r{reg} on the stack around {callee}"), edits));
        }
    }
    let original = match history.last().map(|e| e.location) {
        Some(Location::Reg(r)) => r,
        _ => reg,
    };
    if begin == case.trace.start && (2..=5).contains(&original) && history.iter().all(|e| e.how != How::Clobbered) {
        parameters(case, begin, original, out);
    }
    // What a call was to be given is not for others to choose.
    if case.here().is_call() {
        return;
    }
    let what = if reg == 0 { "the return value" } else { "it" };
    let value = if reg == 0 { case.step().map_or(0, |s| exit_value(case, s)) } else { 0 };
    out.push(Mend::new(
        format!("give {what} a value where the function begins (r{original} = {value})"),
        vec![Edit::Entry(begin, plain(vec![code::set(original, value)]))],
    ));
    if original != reg {
        out.push(Mend::new(
            format!("give {what} a value where the function begins (r{reg} = {value})"),
            vec![Edit::Entry(begin, plain(vec![code::set(reg, value)]))],
        ));
    }
    out.push(Mend::new(
        format!("give {what} a value right before it is used (r{reg} = {value})"),
        vec![Edit::Before(case.at(), plain(vec![code::set(reg, value)]))],
    ));
}

/// Takes arguments of the traced function from the context.
fn parameters(case: &Case<'_>, begin: usize, reg: u8, out: &mut Vec<Mend>) {
    let params = case.params(begin);
    let regs = ["di", "si", "dx", "cx", "r8"];
    let kind = case.program.prog_type;
    let is_array = matches!(kind, ProgType::Tracing | ProgType::Lsm | ProgType::RawTracepoint | ProgType::StructOps);
    if kind != ProgType::Kprobe && !is_array {
        return;
    }
    // All that the function is declared with, the last first: r1 is needed until the end.
    let mut load = Vec::new();
    let last = params.len().clamp(usize::from(reg), 5);
    // Where the first is no context, the function is declared as the traced one is.
    let named = |p: &(String, u32)| matches!(p.0.as_str(), "ctx" | "regs" | "context" | "");
    let is_regs = |p: &(String, u32)| {
        let btf = case.btf();
        btf.and_then(|b| b.get(b.resolve(p.1)).map(|t| (b, t))).is_some_and(|(b, t)| match t {
            ebpfkit_object::btf::Type::Ptr(to) => b.name(b.resolve(to)) == "pt_regs",
            _ => false,
        })
    };
    let has_ctx = params.first().is_none_or(|p| named(p) || is_regs(p));
    let first = if has_ctx { 2 } else { 1 };
    for r in (first..=last as u8).rev() {
        let number = usize::from(r - first);
        let off = if is_array { Some(8 * number as i16) } else { regs_offset(case, regs[number]) };
        let Some(off) = off else { return };
        load.push(code::load(r, 1, off));
    }
    let function = case.function_at(begin).unwrap_or_default();
    let macro_name = if is_array { "BPF_PROG" } else { "BPF_KPROBE" };
    let edit = case.declaration(&function).and_then(|(file, number, text)| {
        let open = text.find('(')?;
        let close = text.rfind(')')?;
        let head = text[..open].trim_end();
        let head = head.strip_suffix(function.as_str())?;
        let all = text.get(open + 1..close)?;
        let rest = if has_ctx { all.split_once(',')?.1 } else { all }.trim().to_owned();
        let new = format!("{head}{macro_name}({function}, {rest}{}", &text[close..]);
        Some(SourceEdit { file, line: number, old: text.clone(), new: vec![new] })
    });
    let header =
        edit.as_ref().filter(|_| !case.uses_word("bpf_tracing")).map(|_| source::header(case, "bpf_tracing.h"));
    let edit = if header == Some(None) { None } else { edit };
    out.push(
        Mend::new(
            format!("take the arguments from the context, as {macro_name} does"),
            vec![Edit::Entry(begin, plain(load))],
        )
        .source(edit)
        .source(header.flatten()),
    );
}

/// The offset of a register in the kernel's struct pt_regs.
fn regs_offset(case: &Case<'_>, name: &str) -> Option<i16> {
    use ebpfkit_object::btf::Kind;
    let btf = case.kernel.btf()?;
    let regs = btf.find("pt_regs", Kind::Struct)?;
    let member = btf.members(regs).find(|m| m.name == name)?;
    i16::try_from(member.bit_offset / 8).ok()
}

/// A return value that is not allowed.
fn returned(case: &Case<'_>, min: i32, max: i32, out: &mut Vec<Mend>) {
    if !case.is_reached() {
        return;
    }
    let history = case.history(0);
    let state = case.reg(0).copied();
    if let Some(made) = history.iter().find(|e| e.how == How::Constant) {
        let at = case.event_insn(made);
        let insn = case.insn(at);
        if matches!(insn.class(), class::ALU | class::ALU64)
            && insn.op() == alu::MOV
            && history.iter().all(|e| !matches!(e.how, How::Computed { .. }))
        {
            // What was meant as an error refuses, where that has a value.
            let negative = insn.imm.checked_neg().filter(|n| insn.imm > max && *n >= min && min < 0);
            let value = if let Some(negative) = negative {
                negative
            } else if (insn.imm < min || insn.imm > max) && insn.imm < 0 {
                min
            } else {
                max.min(insn.imm.max(min))
            };
            let edit = case.return_line(case.at(), insn.imm).map(|(file, line, text)| {
                let pad = &text[..text.len() - text.trim_start().len()];
                SourceEdit { file, line, old: text.clone(), new: vec![format!("{pad}return {value};")] }
            });
            let edit = edit.or_else(|| named_return(case, insn.imm, value));
            out.push(
                Mend::new(
                    format!("return {value} in the place of {}", insn.imm),
                    vec![Edit::Replace(at, plain(vec![Insn { imm: value, ..insn }]))],
                )
                .source(edit),
            );
        }
    }
    if state.is_some_and(|s| s.is_scalar()) && min >= 0 {
        let mut clamp = vec![code::jump_imm(jmp::JLE, 0, max, 1), code::set(0, min)];
        if min > 0 {
            clamp.extend([code::jump_imm(jmp::JGE, 0, min, 1), code::set(0, min)]);
        }
        let range = if min == max { format!("{min}") } else { format!("from {min} to {max}") };
        out.push(Mend::new(
            format!("return {min} where the value is not {range}"),
            vec![Edit::Before(case.at(), plain(clamp))],
        ));
    } else if state.is_some_and(|s| s.is_scalar()) {
        // From a negative number on.
        let clamp = vec![
            code::jump_imm(jmp::JSLE, 0, max, 1),
            code::set(0, max),
            code::jump_imm(jmp::JSGE, 0, min, 1),
            code::set(0, min),
        ];
        out.push(Mend::new(
            format!("keep the value between {min} and {max}"),
            vec![Edit::Before(case.at(), plain(clamp))],
        ));
    } else {
        out.push(Mend::new(format!("return {min}"), vec![Edit::Before(case.at(), plain(vec![code::set(0, min)]))]));
    }
}

/// The refused return of a constant that is written as a name: with another sign, or with the value itself.
fn named_return(case: &Case<'_>, constant: i32, value: i32) -> Option<SourceEdit> {
    let line = case.source(case.at()).filter(source::is_c)?;
    let returned = line.text.trim().strip_prefix("return ")?.strip_suffix(';')?.trim();
    let (sign, name) = returned.strip_prefix('-').map_or(("", returned), |n| ("-", n));
    let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    // The line is that of this constant.
    let known = case.constant(name).map(|n| if sign.is_empty() { n } else { -n });
    if !is_name || name.is_empty() || known.is_some_and(|k| k != i64::from(constant)) {
        return None;
    }
    let new = match (constant.checked_neg() == Some(value), sign) {
        (true, "") => format!("return -{name};"),
        (true, _) => format!("return {name};"),
        _ => format!("return {value};"),
    };
    source::replace_in(&line, &format!("return {returned};"), &new)
}

/// A loop without an end that can be seen gets a counter; one that does nothing is left.
fn endless(case: &Case<'_>, out: &mut Vec<Mend>) {
    let steps = &case.trace.steps;
    let closing = (1..steps.len()).rev().take(4096).find(|&s| {
        let (from, to) = (steps[s - 1].insn, steps[s].insn);
        to <= from
            && steps[s - 1].depth == steps[s].depth
            && case.insn(from).is_jump_class()
            && !case.insn(from).is_call()
    });
    // A jump to itself is verified once, and no step leads back.
    let at = case.at();
    let itself = |at: usize| case.insn(at).successors(at).jump == Some(at as i64);
    let last = case.step().map(|s| steps[s].insn).unwrap_or(at);
    if let Some(at) = [at, last].into_iter().find(|&a| itself(a)) {
        let leave = code::leave(case.step().map_or(0, |s| exit_value(case, s)), &[]);
        super::rust::panics(case, at, &leave, out);
        out.push(Mend::new("return where the program would loop for ever", vec![Edit::Replace(at, plain(leave))]));
        return;
    }
    let Some(s) = closing else { return };
    let (from, head) = (steps[s - 1].insn, steps[s].insn);
    let around = Around::new(case, s);
    let Some(slot) = code::slot_below(stack_used(case, from)) else { return };
    let Some(scratch) = around.free(RegSet::EMPTY).into_iter().find(|&r| !around.live().contains(r)) else { return };
    let Some(leave) = around.leave() else { return };
    for most in [32, 8] {
        let mut count = vec![code::load(scratch, 10, slot), code::add(scratch, 1), code::store(10, slot, scratch)];
        count.extend(code::at_most(scratch, most, &leave));
        let begin = case.function_start(from);
        let edits =
            vec![Edit::Entry(begin, plain(vec![code::store_imm(10, slot, 0)])), Edit::Taken(from, plain(count))];
        let edit = loop_line(case, head, from, most);
        out.push(Mend::new(format!("leave the loop after {most} iterations"), edits).source(edit));
    }
}

/// The loop's condition with a counter.
fn loop_line(case: &Case<'_>, head: usize, from: usize, most: i32) -> Option<SourceEdit> {
    let at = (head..=from).find(|&i| case.text(i).trim_start().starts_with("while"))?;
    let line = case.source(at)?;
    let open = line.text.find('(')?;
    let close = line.text.rfind(')')?;
    let condition = line.text.get(open + 1..close)?.trim();
    let new = format!(
        "{}for (int i = 0; i < {most} && ({condition}); i++){}",
        &line.text[..line.text.len() - line.text.trim_start().len()],
        &line.text[close + 1..]
    );
    Some(SourceEdit { file: line.file.clone(), line: line.line, old: line.text.clone(), new: vec![new] })
}

/// Another type for the map of a call.
fn map_type(case: &Case<'_>, name: &str, out: &mut Vec<Mend>) {
    let fits: Vec<MapType> = match name {
        "bpf_tail_call" => vec![MapType::ProgArray],
        _ => {
            let Some(helper) = ebpfkit_abi::helpers::by_name(name) else { return };
            MapType::ALL.iter().copied().filter(|t| helper.maps.contains(*t)).collect()
        }
    };
    let number = (1..=5).find_map(|r| {
        let reg = case.reg(r).filter(|r| r.ty.base == RegBase::ConstMap)?;
        case.trace.maps.get(reg.map()? as usize).copied()
    });
    let Some(map) = number.and_then(|n| Some((n, case.object.maps.get(n)?))) else { return };
    // Plain elements in the place of what such a map is for, or another map for programs that use this one too.
    let by_others = case.object.programs.iter().any(|p| {
        !std::ptr::eq(p, case.program)
            && p.name != case.program.name
            && p.insns
                .iter()
                .any(|i| i.is_ld_imm64() && matches!(i.src, 1 | 2) && usize::try_from(i.imm).is_ok_and(|n| n == map.0))
    });
    if fits.len() > crate::families::SPECIAL_MAPS || by_others {
        return;
    }
    for kind in fits.into_iter().take(4) {
        let (key, value) = match kind {
            MapType::ProgArray | MapType::PerfEventArray | MapType::CgroupArray => (4, 4),
            MapType::Ringbuf | MapType::UserRingbuf => (0, 0),
            _ => (map.1.key_size, map.1.value_size),
        };
        let edit = case.find_line(
            &|t: &str| t.contains("__uint(type") && t.contains(map.1.map_type.kernel_name().unwrap_or("?")),
            &map.1.name,
        );
        let edit = edit.and_then(|l| source::replace_in(&l, map.1.map_type.kernel_name()?, kind.kernel_name()?));
        let text = format!("declare '{}' as {} map", map.1.name, kind.kernel_name().unwrap_or("another"));
        out.push(Mend { map: Some((map.0, kind, key, value)), ..Mend::new(text, Vec::new()).source(edit) });
    }
}

/// A global function becomes a static one.
fn make_static(case: &Case<'_>, name: &str, out: &mut Vec<Mend>) {
    let edit = case.declaration(name).map(|(file, line, text)| SourceEdit {
        file,
        line,
        new: vec![format!("static {text}")],
        old: text,
    });
    out.push(Mend {
        make_static: Some(name.to_owned()),
        ..Mend::new(format!("make {name} static"), Vec::new()).source(edit)
    });
}

/// Stack bytes are set where the function begins.
fn zero_stack(case: &Case<'_>, off: i64, size: i64, out: &mut Vec<Mend>) {
    if !(-512..0).contains(&off) || size <= 0 || size > 512 {
        return;
    }
    let first = off.div_euclid(8) * 8;
    let end = (off + size).min(0);
    let slots: Vec<Insn> = (first..end).step_by(8).map(|o| code::store_imm(10, o as i16, 0)).collect();
    let text = format!("set all {size} bytes of the buffer to zero where the function begins");
    let reg = match case.reason() {
        Reason::Memory(MemoryReason::StackReadByCall { reg, .. }) => *reg,
        _ => 0,
    };
    let name = crate::families::argument_text(case, reg)
        .map(|t| t.trim_start_matches('&').to_owned())
        .filter(|t| crate::families::is_simple(t));
    let edit = name.and_then(|n| {
        let line = case.find_line(&|t: &str| t.trim_end().ends_with(&format!(" {n};")) && !t.contains("return"), &n)?;
        source::replace_in(&line, &format!(" {n};"), &format!(" {n} = {{}};"))
    });
    out.push(Mend::new(text, vec![Edit::Entry(start(case), plain(slots))]).source(edit));
}

/// A load that two ways share is made twice.
fn own_load(case: &Case<'_>, out: &mut Vec<Mend>) {
    let Some(last) = case.step().filter(|_| case.is_reached()) else { return };
    let at = case.at();
    // The straight line that leads to the load, back to where ways meet.
    for s in (0..last).rev().take(12) {
        let from = case.trace.steps[s].insn;
        let insn = case.insn(from);
        if insn.is_call() || !insn.is_jump_class() {
            continue;
        }
        let entered = case.trace.steps[s + 1].insn;
        if entered > at || (entered..at).any(|i| case.insn(i).is_jump_class()) {
            break;
        }
        // The ways meet at the last instruction that a jump leads to.
        let is_target = |slot: usize| {
            case.program.insns.iter().enumerate().any(|(i, insn)| insn.successors(i).jump == Some(slot as i64))
        };
        let meets = (entered..=at).rev().find(|&m| is_target(m)).unwrap_or(entered);
        let mut code: Vec<New> = (meets..=at).map(|i| New::Insn(case.insn(i))).collect();
        code.push(New::Jump(Insn::new(opcode::JA, 0, 0, 0, 0), at + case.insn(at).slots()));
        let by_jump = meets == entered && insn.successors(from).jump == Some(meets as i64);
        let edit = if by_jump { Edit::Taken(from, code) } else { Edit::After(meets.saturating_sub(1), code) };
        out.push(Mend::new("keep a load of its own on each side of the choice", vec![edit]));
    }
}
