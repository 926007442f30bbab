//! Accesses to the context.

use super::bounds;
use crate::case::{Case, Draft};
use crate::diagnosis::Blame;
use crate::origin::{How, Location};
use crate::words;
use ebpfkit_abi::ProgType;
use ebpfkit_abi::ctx::{Context, context_of};
use ebpfkit_isa::opcode::class;
use ebpfkit_verifier::{RegBase, RegState};

/// The context has no such field, or not for this access.
pub(crate) fn access(case: &Case<'_>, off: i32, size: u32) -> Draft {
    let kind = case.program.prog_type;
    let writes = case.here().class() != class::LDX;
    let verb = if writes { "written" } else { "read" };
    let context = context_of(kind);
    let name = context.as_ref().map_or("the context", Context::name);
    let args = case.trace.details.iter().find(|d| d.contains("-th argument"));
    if let Some(detail) = args {
        return missing_argument(case, detail, off);
    }
    let at = words::range_of(off.into(), size.into());
    match context {
        Some(Context::Fields { layout, hidden, writable }) => {
            let field = u16::try_from(off).ok().and_then(|o| layout.at(o));
            match field {
                Some(f) if hidden.contains(&f.name) => Draft::new(
                    format!("{kind} programs cannot access the field '{}' of {name}", f.name),
                    format!("'{}' is not for this type of program", f.name),
                )
                .help(format!(
                    "use a program type that has '{}', or take what is needed from the packet or by a helper",
                    f.name
                )),
                Some(f) if writes && !writable.contains(&f.name) => Draft::new(
                    format!("{kind} programs cannot write the field '{}' of {name}", f.name),
                    format!("'{}' can only be read", f.name),
                )
                .help(if f.name == "len" && writable.contains(&"mark") {
                    "to make the packet longer or shorter: bpf_skb_change_tail, bpf_skb_adjust_room".to_owned()
                } else if writable.is_empty() {
                    "change the packet or the return value instead".to_owned()
                } else {
                    format!("fields that can be written: {}", writable.join(", "))
                }),
                Some(f) if u32::from(f.size) != size || !(off as u16 - f.offset).is_multiple_of(f.size) => {
                    let d = Draft::new(
                        format!(
                            "{} {verb} at byte {off} of {name}, where '{}' has {}",
                            words::bytes(size.into()) + " are",
                            f.name,
                            words::bytes(f.size.into())
                        ),
                        format!("'{}' is accessed with another width than its own", f.name),
                    );
                    let d = if size > u32::from(f.size) {
                        d.blame(Blame::Compiler)
                            .note("the compiler may have merged loads of neighbouring fields into one")
                    } else {
                        d
                    };
                    d.help(format!("access '{}' as a whole, and through a volatile pointer where the compiler merges accesses: `*(volatile __u{} *)&ctx->{}`", f.name, f.size * 8, f.name))
                }
                Some(f) => {
                    let section = &case.program.section;
                    let d = Draft::new(
                        format!("the field '{}' of {name} cannot be {verb} by a program of SEC(\"{section}\")", f.name),
                        format!("'{}' is not for programs that are attached so", f.name),
                    );
                    match elsewhere(f.name, name) {
                        Some((sections, instead)) => d.help(format!(
                            "it is for {sections}{}",
                            if instead.is_empty() { String::new() } else { format!("; here use {instead}") }
                        )),
                        None => d.help("access only what this type of program has at this attach point"),
                    }
                }
                None => Draft::new(
                    format!("{name} has no field at {at} that a {kind} program can access"),
                    format!("{at} of the context"),
                )
                .help(format!(
                    "{name} has {}; is the context declared as the struct of another program type?",
                    words::bytes(layout.size.into())
                )),
            }
        }
        Some(Context::Plain { size: whole, .. }) if i64::from(off) + i64::from(size) > i64::from(whole) || off < 0 => {
            Draft::new(
                format!("{at} of the context {verb}, which ends after {}", words::bytes(whole.into()))
                    .replace(" read,", " are read,")
                    .replace(" written,", " are written,"),
                "behind the end of the context",
            )
            .help("is the context declared as the struct of another program type or tracepoint?")
        }
        Some(Context::Plain { name, .. }) => {
            Draft::new(format!("the context ({name}) cannot be {verb} at {at}"), format!("{at} of the context"))
                .help("access it in whole, aligned words, and only where this program type allows it")
        }
        None => {
            Draft::new(format!("{kind} programs cannot access {at} of their context"), format!("{at} of the context"))
                .help("read only what this type of program has")
        }
    }
}

/// Sections whose programs have a field that others of the same type lack, and what those have in its place.
fn elsewhere(field: &str, context: &str) -> Option<(&'static str, &'static str)> {
    Some(match (context, field) {
        ("bpf_sock_addr", "user_ip6") => ("hooks of IPv6 (cgroup/connect6, bind6, sendmsg6, ...)", "user_ip4"),
        ("bpf_sock_addr", "user_ip4") => ("hooks of IPv4 (cgroup/connect4, bind4, sendmsg4, ...)", "user_ip6"),
        ("bpf_sock_addr", "msg_src_ip4") => ("SEC(\"cgroup/sendmsg4\")", ""),
        ("bpf_sock_addr", "msg_src_ip6") => ("SEC(\"cgroup/sendmsg6\")", ""),
        ("xdp_md", "egress_ifindex") => ("programs behind a device map (SEC(\"xdp/devmap\"))", "ingress_ifindex"),
        ("bpf_sockopt", "retval") => ("SEC(\"cgroup/getsockopt\")", ""),
        ("bpf_sock", "src_ip4" | "src_ip6" | "src_port" | "src_ip6[0]") => {
            ("hooks after the bind (cgroup/post_bind4, post_bind6)", "")
        }
        _ => return None,
    })
}

/// An argument that the traced function does not have.
fn missing_argument(case: &Case<'_>, detail: &str, off: i32) -> Draft {
    let target = detail.split('\'').nth(1).unwrap_or("the function");
    let nth = off / 8 + 1;
    let start = case.function_start(case.at());
    let function = case.function_at(start).unwrap_or_else(|| "the program".into());
    let target = target.trim_start_matches("bpf_trace_").trim_start_matches("btf_trace_");
    let mut d = Draft::new(
        format!(
            "{target} has no {} argument: the program takes more arguments than there are",
            words::ordinal(nth.max(0) as usize)
        ),
        format!("the {} argument is read here", words::ordinal(nth.max(0) as usize)),
    );
    d = d.span(case.span(start, format!("{function} declares more arguments than {target} has")));
    match prototype(case, target) {
        Some((all, returns)) => {
            let after = if returns.is_some() { ", and what it returns" } else { "" };
            let count = if all.len() == 1 { "one argument".to_owned() } else { format!("{} arguments", all.len()) };
            d = d.note(format!("{target} passes {count}{after}: {}", all.join(", ")));
            let all: Vec<String> = all.into_iter().chain(returns).collect();
            d.help(format!("declare only what there is, in this order: `BPF_PROG({function}, {})`", all.join(", ")))
        }
        None => d.help(format!("declare only the arguments that {target} has in the kernel that is meant (its prototype is in the kernel's BTF: `bpftool btf dump file /sys/kernel/btf/vmlinux | grep {target}`)")),
    }
}

/// The parameters of a traced function or of a tracepoint, as the kernel's types have them, and the one for the result
/// where programs get that, too.
fn prototype(case: &Case<'_>, target: &str) -> Option<(Vec<String>, Option<String>)> {
    use ebpfkit_object::btf::{Kind, Type};
    let btf = case.kernel.btf()?;
    let tracepoint = case.program.section.contains("tp_btf") || case.program.section.contains("raw_tp");
    let (name, skip) = if tracepoint { (format!("__bpf_trace_{target}"), 1) } else { (target.to_owned(), 0) };
    let Some(Type::Func { proto, .. }) = btf.get(btf.find(&name, Kind::Func)?) else { return None };
    let all = btf.params(proto).skip(skip);
    let all: Vec<String> = all
        .map(|p| {
            let kind = type_name(btf, p.ty, 0);
            let blank = if kind.ends_with('*') || p.name.is_empty() { "" } else { " " };
            format!("{kind}{blank}{}", p.name)
        })
        .collect();
    let at_exit = ["fexit", "fmod_ret"].iter().any(|k| case.program.section.starts_with(k));
    let returns = at_exit.then(|| btf.get(proto)).flatten().and_then(|t| match t {
        Type::FuncProto { ret, .. } if btf.get(ret).is_some_and(|t| !matches!(t, Type::Void)) => Some(ret),
        _ => None,
    });
    let returns = returns.map(|r| match type_name(btf, r, 0) {
        kind if kind.ends_with('*') => format!("{kind}ret"),
        kind => format!("{kind} ret"),
    });
    (!all.is_empty() && all.len() <= 12).then_some((all, returns))
}

/// A type as it is written in C, as far as parameters need it.
fn type_name(btf: &ebpfkit_object::Btf, id: u32, depth: u32) -> String {
    use ebpfkit_object::btf::Type;
    let name = btf.name(id);
    match btf.get(id) {
        _ if depth > 8 => "...".into(),
        None => "void".into(),
        Some(Type::Ptr(to)) => match type_name(btf, to, depth + 1) {
            inner if inner.ends_with('*') => format!("{inner}*"),
            inner => format!("{inner} *"),
        },
        Some(Type::Struct(_)) => format!("struct {name}"),
        Some(Type::Union(_)) => format!("union {name}"),
        Some(Type::Enum { .. } | Type::Enum64 { .. }) => format!("enum {name}"),
        Some(Type::Const(to)) => format!("const {}", type_name(btf, to, depth + 1)),
        _ if !name.is_empty() => name.to_owned(),
        _ => "void".into(),
    }
}

/// A context pointer that was moved before the access.
pub(crate) fn modified(case: &Case<'_>, reg: u8, off: i64, ty: &str) -> Draft {
    let history = case.history(reg);
    let state = case.reg(reg).copied().unwrap_or(RegState::UNKNOWN);
    let what = if ty == "ctx" { "the context" } else { "this pointer" };
    let field = case.ctx_field(off).map(|f| format!(" ('{}')", f.name)).unwrap_or_default();
    let variable = !state.var_off.is_const();
    let number = RegState { ty: ebpfkit_verifier::RegType::SCALAR, ..state };
    let moved = if variable { format!("{} was added", words::scalar(&number)) } else { format!("{off} was added") };
    let mut d = Draft::new(
        format!(
            "{what} is accessed through a pointer to which {moved}{field}; it can only be accessed at constant offsets from the pointer itself"
        ),
        "the access goes through the moved pointer",
    );
    // The line indexes an array of the context by a variable.
    let indexed = case.source(case.at()).and_then(|l| {
        let index = crate::source::index_at(&l).filter(|i| !i.chars().all(|c| c.is_ascii_digit()))?;
        let array = crate::source::last_word(&l.text[..l.text.find(&format!("[{index}]"))?])?;
        array.contains("->").then_some((array, index))
    });
    if let Some((array, index)) = indexed.filter(|_| variable && ty == "ctx") {
        d.headline = format!(
            "{array} is read at an index that is not constant ({index}): the context can only be accessed at constant offsets"
        );
        for e in history.iter().filter(|e| matches!(e.how, How::Computed { with: Some(_), .. })).take(1) {
            d = d.span(case.span(case.event_insn(e), "the index is added to the pointer here"));
        }
        return d
            .help(format!("copy the elements to a local array at constant indices first, and index that: `copy[0] = {array}[0];` and so on"))
            .help("or choose with a `switch` whose cases use constant indices");
    }
    if is_behind_fields(case) {
        let name = bounds::accessed(case).or_else(|| case.name(&history)).unwrap_or_else(|| "the pointer".into());
        d.headline = format!(
            "{name} lies behind the context's own fields, {} bytes from its start: the context can only be accessed at constant offsets",
            words::scalar(&number).replace("a number ", "")
        );
        d.label = "read directly through the context".into();
        for e in history.iter().filter(|e| matches!(e.how, How::Computed { with: Some(_), .. })).take(1) {
            d = d.span(case.span(case.event_insn(e), "the offset is added to the context here"));
        }
        return d
            .note("the low half of a `__data_loc` field is the place of a text or an array behind the event's fields, in the kernel's memory")
            .help(format!("copy it: `char text[64]; bpf_probe_read_kernel_str(text, sizeof(text), {name});` (bpf_probe_read_kernel for bytes), and use the copy"));
    }
    let mut selected = false;
    for e in history.iter().filter(|e| matches!(e.how, How::Computed { .. })).take(2) {
        let at = case.event_insn(e);
        d = d.span(case.span(at, "the offset is added to the pointer here"));
        if let How::Computed { with: Some(with), .. } = e.how {
            let inner = case.history_at(e.step, Location::Reg(with));
            for c in inner.iter().filter(|c| c.how == How::Constant) {
                d = d.span(case.span(case.event_insn(c), "the offset is chosen here"));
                selected = true;
            }
        }
    }
    for (at, label) in branches(case, 4) {
        d = d.span(case.span(at, label));
    }
    if selected || history.iter().any(|e| matches!(e.how, How::Computed { .. })) && !variable {
        d = d
            .blame(Blame::Compiler)
            .note("the compiler made one access at a chosen offset out of several accesses of fields");
        // The source itself takes the addresses of fields.
        let taken = d.spans.iter().find_map(|s| {
            let (at, context) = (s.text.find("&ctx->").or_else(|| s.text.find("&skb->"))?, &s.text);
            Some(context[at + 1..at + 4].to_owned())
        });
        if let Some(context) = taken {
            d.notes.retain(|n| !n.starts_with("the compiler"));
            return d
                .blame(Blame::Program)
                .help(format!("choose between the values, not between their addresses: read `{context}->field` into a variable on each side"))
                .help("where the compiler merges the two loads into one again, put `asm volatile(\"\" ::: \"memory\")` behind each");
        }
        let fixed = if case.program.prog_type == ProgType::Kprobe {
            "or read a fixed register (`PT_REGS_PARM1(ctx)`), or copy the fields to local variables before choosing"
        } else {
            "or copy the fields to local variables before choosing"
        };
        return d
            .help("keep one load for each field: put a different `asm volatile(\"\" ::: \"memory\")` or `barrier_var()` after each, so that they are not merged")
            .help(fixed);
    }
    d.help(format!("read the field directly through {what} (`ctx->field`), without computing a pointer to it first"))
}

/// Whether the rejected access is one behind the fields of a tracepoint's event, where its texts and arrays are.
pub(crate) fn is_behind_fields(case: &Case<'_>) -> bool {
    let state = case.here().memory_base().and_then(|r| case.reg(r));
    let event = matches!(case.program.prog_type, ProgType::Tracepoint | ProgType::RawTracepoint | ProgType::PerfEvent);
    event && state.is_some_and(|r| r.ty.base == RegBase::Ctx && !r.var_off.is_const())
}

/// The last conditional jumps on the path, as places that chose it.
pub(crate) fn branches(case: &Case<'_>, most: usize) -> Vec<(usize, String)> {
    let Some(last) = case.step() else { return Vec::new() };
    let depth = case.trace.steps[last].depth;
    let mut out: Vec<(usize, String)> = Vec::new();
    for s in (0..last).rev() {
        let at = case.trace.steps[s].insn;
        let insn = case.insn(at);
        if case.trace.steps[s].depth != depth || !insn.is_jump_class() || insn.is_call() {
            continue;
        }
        let next = insn.successors(at);
        if next.jump.is_none() || next.fallthrough.is_none() {
            continue;
        }
        if out.iter().all(|(o, _)| !case.same_line(*o, at)) && !case.same_line(at, case.at()) {
            out.push((at, "this choice leads here".into()));
        }
        if out.len() >= most {
            break;
        }
    }
    out
}

/// One instruction that accesses memory of two kinds.
pub(crate) fn different(case: &Case<'_>) -> Draft {
    let insn = case.here();
    let reg = insn.memory_base().unwrap_or(insn.src);
    let history = case.history(reg);
    let state = case.reg(reg).copied().unwrap_or(RegState::UNKNOWN);
    let subject = bounds::accessed(case).or_else(|| case.name(&history)).unwrap_or_else(|| format!("r{reg}"));
    let mut d = Draft::new(
        format!(
            "one instruction accesses {} on this path and memory of another kind on another: the kernel translates it for one of them only",
            words::value(case, &state)
        ),
        format!("{subject} is {} on this path", words::value(case, &state)),
    );
    for e in history.iter().filter(|e| matches!(e.how, How::Copied | How::Computed { .. } | How::Result)).take(2) {
        let at = case.event_insn(e);
        if !case.same_line(at, case.at()) {
            d = d.span(case.span(at, format!("{subject} is chosen here")));
        }
    }
    for (at, label) in branches(case, 1) {
        d = d.span(case.span(at, label));
    }
    d.blame(Blame::Compiler)
        .note("the compiler makes one load out of the loads on both sides of a choice")
        .help("keep two loads, one on each side, each followed by a barrier of its own (`asm volatile(\"\" ::: \"r1\")` and `asm volatile(\"\" ::: \"r2\")`): volatile alone does not keep them apart")
        .help("or copy the field of the context to a local variable before the choice")
}
