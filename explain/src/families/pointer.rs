//! Accesses through what is no pointer, may be NULL, or has lost its kind.

use super::{bounds, general, sizes};
use crate::case::{Case, Draft};
use crate::diagnosis::Blame;
use crate::origin::{Event, How, Location};
use crate::words;
use ebpfkit_abi::ctx::{Context, context_of};
use ebpfkit_abi::proto::RetBase;
use ebpfkit_abi::{ProgType, helpers};
use ebpfkit_isa::opcode::class;
use ebpfkit_verifier::{RegBase, RegState};

/// A load, store or atomic through something else than memory.
pub(crate) fn invalid(case: &Case<'_>, reg: u8, ty: &str) -> Draft {
    if ty.contains("or_null") {
        return null(case, reg, None);
    }
    let history = case.history(reg);
    let subject = bounds::accessed(case).or_else(|| case.name(&history)).unwrap_or_else(|| case.pointer_name(reg));
    let verb = if case.here().class() == class::LDX { "read" } else { "written" };
    if ty == "scalar" || ty == "?" {
        return number(
            case,
            &history,
            &subject,
            &format!("memory is {verb} through {subject}, which is a number here"),
            "used as a pointer here",
        );
    }
    let what = case.reg(reg).map_or_else(|| ty.to_owned(), |r| words::value(case, r));
    let d =
        Draft::new(format!("memory cannot be {verb} through {subject}: it is {what}"), format!("{subject} is {what}"));
    let d = general::with_origin(case, d, &history, &subject);
    match case.reg(reg).map(|r| r.ty.base) {
        Some(RegBase::PacketEnd) => {
            d.help("data_end is only there to be compared with: access the packet through pointers made from data")
        }
        Some(RegBase::ConstMap) => {
            d.help("look the element up first: bpf_map_lookup_elem gives a pointer to its value")
        }
        Some(RegBase::Func) => d.help("a function is called, not read"),
        Some(RegBase::NotInit) => d.help("set it on every path"),
        _ => {
            d.help("get a pointer of a kind that can be accessed, or copy the bytes with the helper that belongs to it")
        }
    }
}

/// Something that is used as a pointer and is a number: why it is one.
pub(crate) fn number(case: &Case<'_>, history: &[Event], subject: &str, headline: &str, label: &str) -> Draft {
    let mut d = Draft::new(headline, label);
    for e in history {
        let at = case.event_insn(e);
        let callee = || case.callee(at).unwrap_or_else(|| "this call".into());
        match e.how {
            How::TakenAway => return taken_away(case, d, e, subject, headline),
            How::Narrow { bits } => {
                d.headline = format!("{subject} was a pointer and is only its low {bits} bits now");
                d = d.span(case.span(at, format!("only the low {bits} bits are kept here: what is left is a number")));
                return d.help("keep pointers in 64-bit variables (`void *`, `unsigned long`), and cast `__u32` fields such as skb->data only by `(void *)(long)`");
            }
            How::PartlyOverwritten | How::StackLoad => {
                let text = if e.how == How::StackLoad {
                    "a part of the slot is read here"
                } else {
                    "this store overwrites a part of the pointer on the stack"
                };
                if e.how == How::PartlyOverwritten {
                    let headline = format!(
                        "{subject} was a pointer on the stack, of which a part was overwritten at {}: it is a number now",
                        case.line_of(at)
                    );
                    return Draft { headline, ..d }
                        .span(case.span(at, text))
                        .help("keep pointers whole: do not copy or change them byte by byte");
                }
                d = d.span(case.span(at, text));
                d = d.help("keep pointers whole: do not copy or change them byte by byte");
            }
            How::Result => return result(case, d, e, subject, &callee()),
            How::Returned => {
                d = d.span(case.span(at, format!("{} returned it as a number", callee())));
                return d.help("a global function returns numbers only; make the function static, or look the pointer up again in the caller");
            }
            How::WrittenByCall => {
                let text =
                    format!("{} wrote it into memory of the program, from where it comes back as a number", callee());
                return d
                    .span(case.span(at, text))
                    .help("read what it points to with bpf_probe_read_kernel or BPF_CORE_READ");
            }
            How::Constant => return constant(case, d, e, subject),
            How::Loaded { base } => return loaded(case, d, e, base, subject),
            How::Entry | How::CallbackArgument => return argument(case, d, e, subject),
            How::Computed { op, with, .. } => {
                let was = with.and_then(|w| case.trace.reg(e.step, w));
                let dst = case.trace.reg(e.step, case.insn(at).dst);
                let pointers = [dst, was].into_iter().flatten().any(|r| !r.is_scalar());
                if pointers {
                    let op = ebpfkit_verifier::log::insn::alu_str(op);
                    d = d.span(case.span(at, format!("`{op}` makes a number of the pointer")));
                    return d
                        .blame(Blame::Program)
                        .help("keep the pointer as it is, and compute offsets apart from it");
                }
            }
            How::Spilled
            | How::Filled
            | How::Copied
            | How::Passed
            | How::Bounded
            | How::NullChecked
            | How::Clobbered
            | How::NeverSet
            | How::Unknown => {}
        }
    }
    d.help("use the pointer as the kernel gave it, in one 64-bit variable on every path; read kernel memory with bpf_probe_read_kernel")
}

/// The release of an object that is used later on the path, where other paths come to that use without it: the step, and
/// the slot of the call.
pub(crate) fn released_aside(case: &Case<'_>, reg: u8) -> Option<(usize, usize)> {
    let lost = case.history(reg).into_iter().find(|e| e.how == How::TakenAway)?;
    let at = case.event_insn(&lost);
    let held = |s: usize, r: u8| case.trace.reg(s, r).filter(|r| r.ref_obj_id != 0).map(|r| r.ref_obj_id);
    let object = held(lost.step, 1)?;
    let made = case.trace.steps[..lost.step]
        .iter()
        .rposition(|s| s.held.as_ref().is_some_and(|h| h.refs.iter().all(|r| r.id != object)))?;
    let from = case.trace.steps[made].insn;
    let insns = &case.program.insns;
    // From where it was acquired to its use, not by the release.
    let mut seen = vec![false; insns.len()];
    let mut work: Vec<usize> = insns[from].successors(from).within(insns.len()).collect();
    while let Some(i) = work.pop() {
        if i == at || std::mem::replace(&mut seen[i], true) {
            continue;
        }
        if i == case.at() {
            return Some((lost.step, at));
        }
        work.extend(insns[i].successors(i).within(insns.len()));
    }
    None
}

/// A call took the kind of a pointer away.
fn taken_away(case: &Case<'_>, mut d: Draft, e: &Event, subject: &str, headline: &str) -> Draft {
    let at = case.event_insn(e);
    let callee = case.callee(at).unwrap_or_else(|| "this call".into());
    let old = match e.location {
        Location::Reg(r) => case.trace.reg(e.step, r).copied(),
        Location::Slot(off) => {
            case.trace.frame(e.step).and_then(|f| f.stack.slots.get(crate::origin::slot_index(off)?).map(|s| s.spilled))
        }
    };
    let old = old.unwrap_or(RegState::UNKNOWN);
    let earlier = case.history_at(e.step, e.location);
    let made = earlier.iter().find(|m| matches!(m.how, How::Loaded { .. } | How::Result));
    let line = case.line_of(at);
    if let Some(m) = made {
        let what = words::value(case, &RegState { off: 0, var_off: RegState::known(0).var_off, ..old });
        d = d.span(case.span(case.event_insn(m), format!("{subject} was made from this: {what}")));
    }
    if matches!(old.ty.base, RegBase::Packet | RegBase::PacketMeta | RegBase::PacketEnd) {
        let taken = made
            .map(|m| format!(" was taken from the packet at {};", case.line_of(case.event_insn(m))))
            .unwrap_or_default();
        d.headline =
            format!("{subject}{taken} {callee} at {line} may have moved the packet, so that {subject} points nowhere");
        let _ = headline;
        d = d.span(case.span(at, format!("{callee} makes all packet pointers from before it useless")));
        return d
            .help(format!("after {callee}, load data and data_end from the context again, compare them again, and make {subject} anew"))
            .help(format!("or do all that needs {subject} before {callee}"));
    }
    if old.ref_obj_id != 0
        || matches!(
            old.ty.base,
            RegBase::Mem | RegBase::Socket | RegBase::BtfId | RegBase::SockCommon | RegBase::TcpSock
        )
    {
        d.headline = format!("{subject} is used after {callee} at {line} gave it up");
        d = d.span(case.span(at, format!("{callee} ends the life of {subject}")));
        let reg = case.here().memory_base();
        if let Some((_, release)) = reg.and_then(|r| released_aside(case, r)) {
            return d.help(format!(
                "leave after {callee} at {}: what follows is for paths on which {subject} is still there",
                case.line_of(release)
            ));
        }
        return d.help(format!("use {subject} before {callee}, or acquire it again"));
    }
    d.headline = format!("{subject} lost its kind in {callee} at {line}");
    d.span(case.span(at, format!("{callee} makes {subject} a number"))).help("get the pointer again after the call")
}

/// The result of a call that is no pointer.
fn result(case: &Case<'_>, mut d: Draft, e: &Event, subject: &str, callee: &str) -> Draft {
    let at = case.event_insn(e);
    let insn = case.insn(at);
    let is_null = match e.location {
        Location::Reg(r) => case.trace.reg(e.step + 1, r).is_some_and(RegState::is_null),
        Location::Slot(_) => false,
    };
    if is_null {
        let ended = if callee.starts_with("bpf_iter_") { " where the iterator is at its end" } else { "" };
        d.headline = format!("{callee} returns NULL{ended}, and that is used without a check");
        d = d.span(
            case.span(at, format!("NULL on this path{}", if ended.is_empty() { "" } else { ": the end is reached" })),
        );
        let value = crate::case::exit_value(case, case.step().unwrap_or(0));
        return d.help(format!(
            "keep what {callee} returns in a variable, and leave where that is NULL: `if (!p) return {value};`"
        ));
    }
    d = d.span(case.span(at, format!("{subject} is what {callee} returns: a number")));
    let row = u32::try_from(insn.imm).ok().filter(|_| insn.src == 0).and_then(helpers::find);
    let integer = row.is_some_and(|h| h.prototypes.iter().all(|p| p.ret.base == RetBase::Integer));
    if insn.is_helper_call(helpers::id::GET_CURRENT_TASK) {
        d.headline = format!(
            "bpf_get_current_task returns a number, not a pointer that can be read: {subject} cannot be used as it is"
        );
        return d
            .help("read through it with BPF_CORE_READ(task, field, ...) (or bpf_probe_read_kernel)")
            .help("or take bpf_get_current_task_btf(), which returns a typed pointer");
    }
    if integer {
        d.headline = format!("{callee} returns a number, and {subject} is used as a pointer");
        return d.help(format!("read what it points to with bpf_probe_read_kernel or BPF_CORE_READ, or get a typed pointer from another helper than {callee}"));
    }
    d.help(format!("{subject} has to be the pointer that {callee} returned, unchanged"))
}

/// A constant that is used as a pointer: NULL, mostly.
fn constant(case: &Case<'_>, mut d: Draft, e: &Event, subject: &str) -> Draft {
    let at = case.event_insn(e);
    let is_null = match e.location {
        Location::Reg(r) => case.trace.reg(e.step + 1, r).is_none_or(RegState::is_null),
        Location::Slot(_) => true,
    };
    if is_null {
        d.headline = format!("{subject} is NULL on this path");
        let sets = crate::source::find_word(&case.text(at), subject).is_some();
        d = d.span(case.span(at, if sets { "set to NULL here".to_owned() } else { format!("{subject} is this zero") }));
        return d.help(format!(
            "leave this path before the access (`if (!{subject}) return`), or set {subject} to a pointer on it"
        ));
    }
    d.headline = format!("{subject} is a constant, which is no pointer that the verifier knows");
    d.span(case.span(at, "a constant")).help("read kernel memory at an address with bpf_probe_read_kernel; reach variables of the kernel by `extern ... __ksym`")
}

/// What was loaded is a number.
fn loaded(case: &Case<'_>, mut d: Draft, e: &Event, base: u8, subject: &str) -> Draft {
    let at = case.event_insn(e);
    let Some(b) = case.trace.reg(e.step, base) else { return d };
    let off = i64::from(case.insn(at).off) + i64::from(b.off);
    let from = words::memory(case, &RegState { off: 0, ..*b });
    match b.ty.base {
        RegBase::Ctx => {
            let plain = matches!(context_of(case.program.prog_type), Some(Context::Plain { .. }));
            let field = case.ctx_field(off).map(|f| f.name);
            let is_regs = case.program.prog_type == ProgType::Kprobe;
            let what = match field {
                Some(f) => format!("the field {f} of the context"),
                None if is_regs => "a register of the traced function".to_owned(),
                None if case.program.prog_type == ProgType::RawTracepoint => {
                    format!("args[{}] of the raw tracepoint", off / 8)
                }
                None if case.program.prog_type == ProgType::Tracing && !case.program.attach_target.is_empty() => {
                    format!(
                        "the {} argument of {}, no pointer to a struct",
                        words::ordinal(off as usize / 8 + 1),
                        case.program.attach_target
                    )
                }
                None => match case.source(at).and_then(|l| crate::source::word_at(&l)) {
                    Some(word) if case.text(at).contains(&format!("->{word}")) => {
                        format!("the field {word} of the context")
                    }
                    _ => format!("byte {off} of the context"),
                },
            };
            let of_user = is_user_memory(case, std::slice::from_ref(e));
            d.headline = format!(
                "{subject} is {what}, which is a number to the verifier: memory cannot be accessed through it directly"
            );
            d = d.span(case.span(at, format!("{subject} is read from the context here: a number")));
            if of_user {
                return d.help(format!(
                    "{subject} is an address of the process: copy what it points to with bpf_probe_read_user, or text with bpf_probe_read_user_str"
                ));
            }
            if case.is_rust() {
                return d.help(format!(
                    "read what {subject} points to with bpf_probe_read_kernel (`bpf_probe_read_kernel(addr_of!((*{subject}).field))`), or bpf_probe_read_user for memory of a process"
                ));
            }
            if let Some(function) = syscall_wrapper(case) {
                return d
                    .note(format!("{function} gets one argument, the registers of the process, in which the system call's own arguments are"))
                    .help("take the system call's arguments with BPF_KSYSCALL in the place of BPF_KPROBE (SEC(\"ksyscall/...\")), or with PT_REGS_PARM1_CORE_SYSCALL(regs) and its like");
            }
            if plain || field.is_none() {
                d = d.help(format!("read what {subject} points to with BPF_CORE_READ({subject}, ...) or bpf_probe_read_kernel (bpf_probe_read_user for memory of a process)"));
                if is_regs || case.program.prog_type == ProgType::Tracing {
                    return d;
                }
                return d
                    .help("or use a program type whose arguments are typed: SEC(\"tp_btf/...\"), SEC(\"fentry/...\")");
            }
            d.help("packet data is reached through data and data_end, and only where this program type has them; other fields are numbers")
        }
        RegBase::MapValue | RegBase::Mem | RegBase::Stack => {
            d.headline = format!("{subject} was kept in {from}, from where a pointer comes back as a number");
            d = d.span(case.span(at, format!("{subject} is read here, from {from}: a number")));
            d.help(format!("look {subject} up again instead of storing it, declare the field as a kptr (`__kptr`), or read through it with bpf_probe_read_kernel"))
        }
        RegBase::BtfId => {
            let field = case.member_at(b, off).map(|m| format!("{}.{m}", case.struct_name(b).unwrap_or_default()));
            let field = field.unwrap_or_else(|| from.clone());
            d.headline = format!(
                "{subject} is {field}, which the verifier takes for a number: memory cannot be accessed through it directly"
            );
            d = d.span(case.span(at, format!("{subject} is read from {from}: a number")));
            d.help(format!("read what {subject} points to with BPF_CORE_READ or bpf_probe_read_kernel (bpf_probe_read_user for pointers of a process)"))
        }
        _ => {
            d = d.span(case.span(at, format!("{subject} is read from {from}: a number")));
            d.help(format!("read what {subject} points to with bpf_probe_read_kernel or BPF_CORE_READ"))
        }
    }
}

/// The function that takes a system call in from the process, where that is what is traced: its argument is the registers.
fn syscall_wrapper<'a>(case: &Case<'a>) -> Option<&'a str> {
    let (kind, function) = case.program.section.split_once('/')?;
    let wraps = ["__x64_sys_", "__arm64_sys_", "__ia32_sys_", "__s390x_sys_"];
    (kind == "kprobe" && wraps.iter().any(|w| function.starts_with(w))).then_some(function)
}

/// An argument that is a number.
fn argument(case: &Case<'_>, mut d: Draft, e: &Event, subject: &str) -> Draft {
    let at = case.event_insn(e);
    let Location::Reg(r) = e.location else { return d };
    let start = case.function_start(case.trace.steps.get(e.step).map_or(at, |s| s.insn));
    let function = case.function_at(start).unwrap_or_else(|| "the function".into());
    if e.how == How::CallbackArgument {
        let callee = case.callee(at).unwrap_or_else(|| "the helper".into());
        d = d.span(
            case.span(at, format!("{callee} gives the callback a number as its {} argument", words::ordinal(r.into()))),
        );
        return d.help("take pointers from the callback's context argument or look them up");
    }
    d.headline = format!(
        "{subject} is a number to the verifier: {function} is checked on its own, for any argument of its types"
    );
    d = d.span(case.span(at, format!("the {} argument of {function} is a number here", words::ordinal(r.into()))));
    d.help("declare the argument as a pointer to a struct of known size (and check it for NULL), or make the function static")
}

/// A pointer that may be NULL. `passed_to` is the call that does not take it.
pub(crate) fn null(case: &Case<'_>, reg: u8, passed_to: Option<&str>) -> Draft {
    let history = case.history(reg);
    let state = case.reg(reg).copied().unwrap_or(RegState::UNKNOWN);
    // Where an address is computed the line may be that of what is accessed through another pointer.
    let name = passed_to.is_none().then(|| bounds::accessed(case)).flatten();
    let name = name.filter(|_| case.here().memory_base().is_some());
    let argument = passed_to.and_then(|_| sizes::argument_text(case, reg)).filter(|t| sizes::is_simple(t));
    let named = name.or_else(|| case.name(&history)).or(argument);
    let subject = named.clone().unwrap_or_else(|| unnamed(case, reg));
    let made = history.iter().find(|e| matches!(e.how, How::Result | How::Loaded { .. } | How::Returned | How::Entry));
    let callee = made.and_then(|e| case.callee(case.event_insn(e)));
    let map = case.map(&state).map(|m| format!(" on map '{}'", m.name)).unwrap_or_default();
    let why = match callee.as_deref() {
        Some(c) if c.contains("lookup_elem") && is_inner(case, &state) => {
            format!("{c}{map} returns NULL where no map was put under the key")
        }
        Some(c) if c.contains("lookup_elem") => format!("{c}{map} returns NULL where there is no such key"),
        Some(c) if c.contains("reserve") => format!("{c} returns NULL when the ring buffer is full"),
        Some(c) => format!("{c} may return NULL"),
        None => "it may be NULL where it comes from".into(),
    };
    let use_ = match passed_to {
        Some(to) => format!("passed to {to}"),
        None => "used".into(),
    };
    let mut d = Draft::new(
        format!("{subject} may be NULL here and is {use_} without a check"),
        format!("{subject} is {} here", words::value(case, &state)),
    );
    if let Some(e) = made {
        let at = case.event_insn(e);
        let text = match e.how {
            _ if callee.is_some() => why,
            How::Entry => "a global function is verified on its own, for any arguments: NULL is one of them".to_owned(),
            _ => format!("{subject} comes from here, and may be NULL"),
        };
        d = d.span(case.span(at, text));
    }
    for e in history.iter().filter(|e| matches!(e.how, How::Computed { .. })).take(1) {
        d = d.span(case.span(case.event_insn(e), format!("{subject} is moved here before it was checked")));
    }
    d = other_check(case, d, reg, &state, &subject);
    let step = case.step().unwrap_or(0);
    let value = crate::case::exit_value(case, step);
    let leave = crate::case::exit_text(case, step);
    let at = made.map(|e| case.event_insn(e));
    let by = callee.unwrap_or_else(|| "the call".into());
    if case.is_rust() {
        return d.help(format!(
            "take it apart before it is used: `let Some(value) = ... else {{ return {value} }};` (what maps give is an Option, which unwrap_unchecked and `&mut *p` do not look at)"
        ));
    }
    let is_code = case.source(case.at()).is_none_or(|l| crate::source::is_assembly(&l.file));
    d.help(match (at, named) {
        (Some(at), _) if is_code => {
            format!("leave before it is used: `if {subject} == 0 goto out`, after {}", case.line_of(at))
        }
        (_, None) => {
            format!("keep what {by} returns in a variable, and leave where that is NULL: `if (!p) {leave}`")
        }
        (Some(at), Some(_)) if !case.same_line(at, case.at()) => {
            format!("leave before it is used: `if (!{subject}) {leave}`, after {}", case.line_of(at))
        }
        _ => format!("leave before it is used: `if (!{subject}) {leave}`"),
    })
}

/// What a pointer without a name in the source is called.
pub(crate) fn unnamed(case: &Case<'_>, reg: u8) -> String {
    let history = case.history(reg);
    let made = history.iter().find(|e| matches!(e.how, How::Result | How::Returned)).map(|e| case.event_insn(e));
    let in_source = |m: &usize| case.source(*m).is_some_and(|l| !crate::source::is_assembly(&l.file));
    match made.filter(in_source).and_then(|m| case.callee(m)) {
        Some(callee) => format!("what {callee} returns"),
        None => format!("r{reg}"),
    }
}

/// Whether a value of a map is a map itself.
pub(crate) fn is_inner(case: &Case<'_>, state: &RegState) -> bool {
    use ebpfkit_abi::MapType;
    state.ty.base == RegBase::MapValue
        && case.map(state).is_some_and(|m| matches!(m.map_type, MapType::ArrayOfMaps | MapType::HashOfMaps))
}

/// Whether a number is an address of the process that runs: an argument of a system call or of a function of the process.
pub(crate) fn is_user_memory(case: &Case<'_>, history: &[Event]) -> bool {
    let section = case.program.section.as_str();
    let of_process = ["uprobe", "uretprobe", "usdt"].iter().any(|s| section.starts_with(s));
    // What system calls are given, and the functions of the kernel that pass it on.
    let passes = ["do_sys_", "ksys_", "__se_sys_", "__do_sys_"];
    let of_call = ["tracepoint/syscalls/sys_enter", "tp/syscalls/sys_enter"].iter().any(|s| section.starts_with(s))
        || matches!(case.program.prog_type, ProgType::Tracing | ProgType::Kprobe)
            && passes.iter().any(|p| section.split_once('/').is_some_and(|(_, f)| f.starts_with(p)));
    let from_ctx = history.iter().find_map(|e| match e.how {
        How::Loaded { base } => Some(case.trace.reg(e.step, base).is_some_and(|b| b.ty.base == RegBase::Ctx)),
        _ => None,
    });
    (of_process || of_call) && from_ctx == Some(true)
}

/// Another pointer of the same origin that was compared with NULL.
fn other_check(case: &Case<'_>, d: Draft, reg: u8, state: &RegState, subject: &str) -> Draft {
    let Some(last) = case.step() else { return d };
    let Some(frame) = case.trace.frame(last) else { return d };
    for (r, other) in frame.regs.iter().enumerate().take(10) {
        let same = other.ty.base == state.ty.base && other.extra_kind() == state.extra_kind();
        if r == usize::from(reg) || !same || other.ty.may_be_null() || other.id == state.id {
            continue;
        }
        let history = case.history_at(last, Location::Reg(r as u8));
        if let Some(check) = history.iter().find(|e| e.how == How::NullChecked) {
            let at = case.event_insn(check);
            return d
                .span(case.span(at, "this checks the result of another lookup"))
                .note(format!("each lookup may give another answer: a check of one says nothing of {subject}"));
        }
    }
    d
}

/// What kind of thing a pointer leads to, for comparing two pointers.
trait ExtraKind {
    fn extra_kind(&self) -> Option<u32>;
}

impl ExtraKind for RegState {
    fn extra_kind(&self) -> Option<u32> {
        self.map().or_else(|| self.btf().map(|(_, id)| id))
    }
}
