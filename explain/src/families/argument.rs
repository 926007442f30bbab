//! Arguments of calls that are not of the kind that is asked for.

use super::{bounds, general, pointer, sizes, story};
use crate::case::{Case, Draft};
use crate::diagnosis::Blame;
use crate::words;
use ebpfkit_abi::kfuncs::sched_ext;
use ebpfkit_abi::{MapType, ProgType};
use ebpfkit_verifier::reason::{CallReason, KfuncReason};
use ebpfkit_verifier::{RegBase, RegState};

/// The kinds that a call takes, from the kernel's names.
fn expected_words(expected: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for kind in expected.split(',').map(str::trim) {
        let word = match kind {
            "scalar" => "a number",
            "fp" => "the address of a variable on the stack",
            "pkt" | "pkt_meta" => "packet data",
            "map_key" | "map_value" => "a map's value",
            "map_ptr" => "a map",
            "ctx" => "the context",
            "ringbuf_mem" if expected == "ringbuf_mem" => "a record that bpf_ringbuf_reserve has returned",
            "mem" | "ringbuf_mem" | "rdonly_mem" | "buf" | "rdonly_buf" => "memory of known size",
            "func" => "a function of the program",
            "sock" | "sock_common" | "tcp_sock" | "xdp_sock" => "a socket",
            "trusted_ptr_" | "ptr_" | "rcu_ptr_" => "a typed pointer to a kernel object",
            "percpu_ptr_" | "percpu_rcu_ptr_" | "percpu_trusted_ptr_" => "a per-CPU variable of the kernel",
            "arena" => "an address in the arena",
            "dynptr_ptr" => "a dynptr",
            other => other,
        };
        if !out.iter().any(|w| w == word) {
            out.push(word.to_owned());
        }
    }
    match out.len() {
        0 => "something else".into(),
        1 => out.remove(0),
        n => format!("{} or {}", out[..n - 1].join(", "), out[n - 1]),
    }
}

/// The subject of a sentence about an argument: its text in the source, or what it is called, or its register.
pub(crate) fn subject(case: &Case<'_>, reg: u8) -> String {
    let text =
        sizes::argument_text(case, reg).filter(|t| t.len() <= 32 && !t.starts_with(|c: char| c.is_ascii_digit()));
    text.or_else(|| case.name(&case.history(reg))).unwrap_or_else(|| pointer::unnamed(case, reg))
}

fn callee(case: &Case<'_>) -> String {
    case.callee(case.at()).unwrap_or_else(|| "the call".into())
}

/// The bytes that a call reads behind an argument which was given as a number rather than by its address: keys and values
/// of maps, which lie in the program's own memory.
pub(crate) fn by_value(case: &Case<'_>, reg: u8) -> Option<i64> {
    let state = case.reg(reg).filter(|r| r.is_scalar() && !r.is_null())?;
    let map = case.map(case.reg(1).filter(|r| r.ty.base == RegBase::ConstMap)?)?;
    let size = match (case.callee(case.at())?.as_str(), reg) {
        ("bpf_map_lookup_elem" | "bpf_map_delete_elem" | "bpf_map_update_elem", 2) => map.key_size,
        ("bpf_map_update_elem" | "bpf_map_push_elem", r) if r == 3 || map.key_size == 0 => map.value_size,
        _ => return None,
    };
    // Addresses are large, and come from where the kernel keeps them.
    let made = case.history(reg).into_iter().find(|e| {
        matches!(e.how, crate::origin::How::Loaded { .. } | crate::origin::How::Result | crate::origin::How::Constant)
    });
    let is_small = state.smin >= i64::from(i32::MIN) && state.smax <= i64::from(u32::MAX);
    let is_number = state.umax <= u64::from(u32::MAX)
        || is_small
        || made.is_some_and(|e| {
            let name = case.callee(case.event_insn(&e)).unwrap_or_default();
            name.starts_with("bpf_get_") && !name.contains("task") || name.contains("ktime") || name.contains("random")
        });
    is_number.then_some(i64::from(size))
}

/// The variable that an argument is, without the casts before it.
pub(crate) fn plain_variable(case: &Case<'_>, reg: u8) -> Option<String> {
    let mut text = sizes::argument_text(case, reg)?;
    while let Some(rest) = text.strip_prefix('(') {
        text = rest.split_once(')')?.1.trim_start().to_owned();
    }
    let plain = sizes::is_simple(&text) && !text.contains(['*', '[']);
    plain.then_some(text)
}

/// Where on the stack the context lies whose address is passed in its place.
pub(crate) fn stored_context(case: &Case<'_>, reg: u8) -> Option<i64> {
    let step = case.step()?;
    let state = case.reg(reg).filter(|r| r.ty.base == RegBase::Stack && r.var_off.is_const())?;
    let off = i64::from(state.off) + state.var_off.value as i64;
    let frame = case.trace.frame(step).filter(|_| state.frameno as usize == case.trace.steps[step].depth)?;
    let slot = frame.stack.slots.get(crate::origin::slot_index(off)?).filter(|s| s.is_spill())?;
    (slot.spilled.ty.base == RegBase::Ctx && slot.spilled.off == 0).then_some(off)
}

/// The helper by which a program on sockets puts the socket of its context, which it passes as a value, into a map.
pub(crate) fn socket_update(case: &Case<'_>, reg: u8) -> Option<&'static str> {
    let is_ctx = case.reg(reg).is_some_and(|r| r.ty.base == RegBase::Ctx && r.off == 0);
    let map = case.map(case.reg(1).filter(|r| r.ty.base == RegBase::ConstMap)?)?;
    let update = case.callee(case.at())? == "bpf_map_update_elem" && reg == 3;
    if !is_ctx || !update || case.program.prog_type != ProgType::SockOps {
        return None;
    }
    match map.map_type {
        MapType::Sockmap => Some("bpf_sock_map_update"),
        MapType::Sockhash => Some("bpf_sock_hash_update"),
        _ => None,
    }
}

/// Bytes that a call reads through an argument, where that is a constant: a size that follows, or a key's or value's.
pub(crate) fn copied_size(case: &Case<'_>, reg: u8) -> Option<i64> {
    let following = case.reg(reg + 1).filter(|_| reg < 5).filter(|r| r.is_scalar()).and_then(RegState::const_value);
    let map = case.reg(1).filter(|r| r.ty.base == RegBase::ConstMap).and_then(|r| case.map(r));
    let size = match (map, case.callee(case.at())?.as_str(), reg) {
        (Some(m), "bpf_map_lookup_elem" | "bpf_map_delete_elem" | "bpf_map_update_elem", 2) => i64::from(m.key_size),
        (Some(m), "bpf_map_update_elem", 3) => i64::from(m.value_size),
        _ => i64::try_from(following?).ok()?,
    };
    (1..=256).contains(&size).then_some(size)
}

/// A number where the address of one is wanted.
fn number_by_value(case: &Case<'_>, reg: u8, size: i64) -> Draft {
    let name = callee(case);
    let shown = plain_variable(case, reg).or_else(|| case.name(&case.history(reg)));
    let what = if reg == 2 && !name.contains("push") { "key" } else { "value" };
    let is_code = case.source(case.at()).is_none_or(|l| crate::source::is_assembly(&l.file));
    let subject = shown.clone().unwrap_or_else(|| if is_code { format!("r{reg}") } else { "what is passed".into() });
    let has = case.reg(reg).map(|r| words::value(case, r)).unwrap_or_default();
    let d = Draft::new(
        format!(
            "{name} wants the address of the {what} as its {} argument, and gets the {what} itself: {subject} is a number",
            words::ordinal(reg.into())
        ),
        format!("{subject} is {has} here"),
    );
    let d = general::with_origin(case, d, &case.history(reg), &subject);
    d.help(match shown {
        Some(n) if n.contains("->") => {
            format!(
                "put it into a variable of {}, and pass the address of that: `{what} = {n};`, then `&{what}`",
                words::bytes(size)
            )
        }
        Some(n) => format!("pass its address: `&{n}`, of a variable that has {}", words::bytes(size)),
        None => format!("put it into a variable of {} and pass the address of that", words::bytes(size)),
    })
}

/// A helper's argument of the wrong kind.
pub(crate) fn kind(case: &Case<'_>, reg: u8, ty: &str, expected: &str) -> Draft {
    let name = callee(case);
    let shown = subject(case, reg);
    let nth = words::ordinal(reg.into());
    let wants = expected_words(expected);
    let history = case.history(reg);
    if ty.contains("or_null")
        && expected.split(", ").any(|k| ty.replace("_or_null", "") == k || ty.replace("or_null_", "") == k)
    {
        return pointer::null(case, reg, Some(&name));
    }
    // A map that was looked up.
    if expected.contains("map_ptr") && case.reg(reg).is_some_and(|r| r.ty.may_be_null() && pointer::is_inner(case, r)) {
        return pointer::null(case, reg, Some(&name));
    }
    if let Some(size) = by_value(case, reg) {
        return number_by_value(case, reg, size);
    }
    let has = case.reg(reg).map_or_else(|| ty.to_owned(), |r| words::value(case, r));
    let headline = format!("{name} wants {wants} as its {nth} argument; {shown} is {has}");
    if ty == "scalar" {
        let mut d = pointer::number(case, &history, &shown, &headline, &format!("{shown} is {has} here"));
        if d.headline != headline {
            d = d.note(format!("{name} wants {wants} as its {nth} argument"));
        }
        if case.here().is_helper_call(ebpfkit_abi::helpers::id::TASK_STORAGE_GET)
            || d.headline.contains("bpf_get_current_task ")
        {
            d.help.retain(|h| !h.contains("bpf_get_current_task_btf"));
            d.help.insert(0, "take bpf_get_current_task_btf() in the place of bpf_get_current_task(): it returns a typed pointer to the task".into());
        }
        let loaded = case
            .history(reg)
            .iter()
            .any(|e| matches!(e.how, crate::origin::How::Loaded { .. } | crate::origin::How::WrittenByCall));
        let moved = case.history(reg).iter().any(|e| e.how == crate::origin::How::TakenAway);
        if loaded && !moved && expected.contains("fp") && expected.contains("mem") {
            let size = copied_size(case, reg).map_or_else(|| "n".to_owned(), |n| n.to_string());
            d.help.clear();
            d = d.help(format!("copy the bytes first: `char copy[{size}]; bpf_probe_read_kernel(copy, sizeof(copy), {shown});` (bpf_probe_read_user for memory of a process), and pass the copy"));
        }
        if expected.contains("map_ptr") {
            d.help.insert(0, "pass the address of a map that is declared in the section .maps, and load the object with a loader that fills it in".into());
        }
        return d;
    }
    let d = Draft::new(headline, format!("{shown} is {has}"));
    let d = general::with_origin(case, d, &history, &shown);
    if expected.contains("map_ptr") {
        return d.help(
            "pass the map itself: `&map` of a map in the section .maps, not an address that was copied or computed",
        );
    }
    if let Some(itself) = shown.strip_prefix('&').filter(|_| expected == "ctx" && stored_context(case, reg).is_some()) {
        return d.help(format!("pass `{itself}`, which is the context, and not the address of the variable"));
    }
    if expected == "ctx" {
        return d.help("pass the context as the program was given it, without adding to it");
    }
    if expected == "scalar" {
        return d.help("pass the number itself rather than its address");
    }
    let untrusted = case.reg(reg).is_some_and(|r| r.ty.has(ebpfkit_abi::TypeFlags::UNTRUSTED));
    let in_map = expected.contains("map_value")
        && !expected.contains("fp")
        && case.reg(reg).is_some_and(|r| r.ty.base == RegBase::Stack);
    match case.reg(reg).map(|r| r.ty.base) {
        _ if expected == "ringbuf_mem" => d.help(format!(
            "{name} takes what bpf_ringbuf_reserve returned; data that lies elsewhere is sent with bpf_ringbuf_output"
        )),
        Some(RegBase::Stack) if in_map && wants_text(&name, reg) => {
            let line = case.source(case.at()).and_then(|here| {
                let scope = case.scope(&here);
                let (n, _) = scope.iter().rev().find(|(_, t)| {
                    crate::source::find_word(t, &shown).is_some_and(|at| t[at..].contains('=') && t[..at].contains("char "))
                })?;
                case.span_at(&here.file, *n, format!("{shown} is a variable on the stack, and is filled when the program runs"))
            });
            let mut d = d;
            d.spans.extend(line);
            d.headline = format!("{name} wants constant text as its {nth} argument; {shown} lies on the stack");
            d.help(format!("declare it as `static const char {shown}[] = \"...\";`, or pass the string literal itself: both lie in .rodata"))
        }
        Some(RegBase::Stack) if in_map => d.help(format!(
            "what {name} works on is shared: make it a member of a map's value, look that up, and pass the member's address"
        )),
        Some(RegBase::Mem) if untrusted => {
            d.help("copy it to the stack first (bpf_probe_read_kernel, for text bpf_probe_read_kernel_str), and pass that copy")
        }
        Some(RegBase::BtfId) => {
            d.help("copy the bytes to the stack first (bpf_probe_read_kernel, BPF_CORE_READ_INTO), and pass that copy")
        }
        Some(RegBase::Ctx) if socket_update(case, reg).is_some() => {
            let all: Vec<String> = [3, 1, 2, 4].into_iter().filter_map(|r| sizes::argument_text(case, r)).collect();
            let helper = socket_update(case, reg).unwrap_or_default();
            d.help(format!("put the context's socket into the map with {helper}: `{helper}({})`", all.join(", ")))
        }
        Some(RegBase::Ctx) if expected == "fp" => d.help(format!(
            "pass the address of a variable: `struct {{ void *ctx; }} arg = {{ {shown} }};` and `&arg`; the callback takes the context from there. NULL will do where it needs nothing"
        )),
        Some(RegBase::Ctx) if case.reg(reg).is_some_and(|r| !r.var_off.is_const()) => d
            .note("what a `__data_loc` field tells the place of lies behind the context's own fields")
            .help(format!("copy it first: `char text[64]; bpf_probe_read_kernel_str(text, sizeof(text), {shown});`, and pass the copy")),
        Some(RegBase::Ctx) => d.help("copy the field to a variable on the stack, and pass the variable's address"),
        _ => d.help(format!("pass {wants}")),
    }
}

/// Whether a helper wants text that does not change.
fn wants_text(helper: &str, reg: u8) -> bool {
    let Some(found) = ebpfkit_abi::helpers::by_name(helper) else { return false };
    let arg = found.prototypes.first().and_then(|p| p.args.get(usize::from(reg) - 1));
    arg.is_some_and(|a| a.base == ebpfkit_abi::proto::ArgBase::ConstStr)
}

/// The map of a call is not of a type that it works on.
pub(crate) fn map_type(case: &Case<'_>, number: u32, name: &str) -> Draft {
    let kind = MapType(number).to_string();
    let helper = ebpfkit_abi::helpers::by_name(name);
    let fits: Vec<String> = helper
        .map(|h| MapType::ALL.iter().filter(|t| h.maps.contains(**t)).map(ToString::to_string).collect())
        .unwrap_or_default();
    let map = (1..=5).find_map(|r| {
        let reg = case.reg(r)?;
        (reg.ty.base == RegBase::ConstMap).then(|| case.map(reg)).flatten()
    });
    let shown = map.map_or_else(|| "this map".to_owned(), |m| format!("map '{}'", m.name));
    // Helpers for plain elements.
    if fits.len() > SPECIAL_MAPS {
        let d = Draft::new(
            format!("{name} does not work on {shown}, which is declared as {kind}: its elements are no plain values"),
            format!("{shown} is {} {kind} map", words::article(&kind)),
        );
        return d.help(instead(MapType(number), map.map_or("map", |m| m.name.as_str())));
    }
    let wants = if fits.is_empty() { String::new() } else { format!("; it works on {}", list(&fits)) };
    let d = Draft::new(
        format!("{name} does not work on {shown}, which is declared as {kind}{wants}"),
        format!("{shown} is {} {kind} map", words::article(&kind)),
    );
    match (map, fits.as_slice()) {
        (Some(m), [one]) => {
            let d = d.help(format!("declare '{}' with `__uint(type, BPF_MAP_TYPE_{})`", m.name, one.to_uppercase()));
            match MapType(number) {
                MapType::Ringbuf => {
                    d.help(format!("or keep it, and use what belongs to it: {}", instead(MapType(number), &m.name)))
                }
                _ => d,
            }
        }
        (Some(m), [_, ..]) => d.help(format!(
            "declare '{}' with one of these types, or use the helper that belongs to {kind} maps",
            m.name
        )),
        _ => d.help(format!("use the helper that belongs to {kind} maps")),
    }
}

/// More types of maps than this are not what a helper is made for, but all that have plain elements.
pub(crate) const SPECIAL_MAPS: usize = 6;

/// What a map without plain elements is used by.
fn instead(kind: MapType, name: &str) -> String {
    match kind {
        MapType::ProgArray => {
            format!("programs only jump through it (`bpf_tail_call(ctx, &{name}, index)`); user space fills it in")
        }
        MapType::PerfEventArray => {
            format!("programs send to it (`bpf_perf_event_output(ctx, &{name}, BPF_F_CURRENT_CPU, data, size)`)")
        }
        MapType::Ringbuf => format!(
            "programs send to it: bpf_ringbuf_reserve(&{name}, size, 0) and bpf_ringbuf_submit, or bpf_ringbuf_output"
        ),
        MapType::UserRingbuf => format!("programs take from it: bpf_user_ringbuf_drain(&{name}, callback, ctx, 0)"),
        MapType::TaskStorage => format!("bpf_task_storage_get(&{name}, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE)"),
        MapType::SkStorage => format!("bpf_sk_storage_get(&{name}, sk, 0, BPF_SK_STORAGE_GET_F_CREATE)"),
        MapType::Queue | MapType::Stack => {
            format!("bpf_map_push_elem, bpf_map_pop_elem and bpf_map_peek_elem on &{name}")
        }
        MapType::StackTrace => format!("bpf_get_stackid(ctx, &{name}, flags)"),
        _ => format!("use the helper that belongs to {kind} maps, or a map of plain values"),
    }
}

fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => format!("{one} maps"),
        [first @ .., last] => format!("{} and {last} maps", first.join(", ")),
    }
}

/// Other rejections of a helper's arguments.
pub(crate) fn helper(case: &Case<'_>, reason: &CallReason) -> Option<Draft> {
    use CallReason as R;
    let name = callee(case);
    let arg = |reg: u8, what: String, label: &str| {
        let shown = subject(case, reg);
        let d = Draft::new(what.replace("{}", &shown), format!("{shown} {label}"));
        general::with_origin(case, d, &case.history(reg), &shown)
    };
    let nth = |reg: u8| words::ordinal(reg.into());
    let has = |reg: u8| case.reg(reg).map(|r| words::value(case, r)).unwrap_or_default();
    Some(match reason {
        R::PossiblyNull { reg } => pointer::null(case, *reg, Some(&name)),
        R::OtherStruct { reg, name: has, expected } => {
            arg(*reg, format!("{name} wants a struct {expected} as its {} argument; {{}} is a struct {has}", nth(*reg)), &format!("is a pointer to struct {has}"))
                .help(format!("get a pointer to struct {expected} by the helper or member that gives one; a C cast does not change what the verifier knows"))
        }
        R::ReleasedMoved { reg } => arg(*reg, format!("{name} wants {{}} as it was acquired, and it was moved: it is {}", has(*reg)), "was moved")
            .help("keep the pointer that the acquiring call returned, and pass that"),
        R::NotReferenced { reg, .. } => arg(*reg, format!("{name} releases its {} argument, and {{}} holds nothing to release: it is {}", nth(*reg), has(*reg)), "was not acquired")
            .help("release only what an acquiring call returned, once, on the same path"),
        R::NotConstant { reg } => {
            let shown = sizes::argument_text(case, *reg)
                .filter(|t| t.len() <= 40)
                .unwrap_or_else(|| subject(case, *reg));
            let state = case.reg(*reg).copied().unwrap_or(RegState::UNKNOWN);
            let d = Draft::new(
                format!("the {} argument of {name} has to be a constant; {shown} is {}", nth(*reg), words::scalar(&state)),
                format!("{shown} is {}", words::scalar(&state)),
            );
            story::story(case, d, case.step().unwrap_or(0), *reg, &shown)
                .help("use a compile-time constant; for records of variable size use bpf_ringbuf_output or bpf_ringbuf_reserve_dynptr")
        }
        R::PacketArgument {} => {
            let reg = (1..=5).find(|&r| case.reg(r).is_some_and(RegState::is_pkt)).unwrap_or(1);
            arg(reg, format!("{name} takes no pointers into the packet in this type of program; {{}} is {}", has(reg)), "points into the packet")
                .help("copy the bytes to the stack first, and pass the copy")
        }
        R::LeaksAddress { reg } => arg(*reg, format!("{name} would be given an address as a number: {{}} is {}", has(*reg)), "is a pointer")
            .help("pass a number, or load the program with CAP_PERFMON"),
        R::MayWriteInto { func, reg, ty } => arg(*reg, format!("{func} may write to its {} argument, and {{}} is {} ({ty}), which programs may only read", nth(*reg), has(*reg)), "may only be read")
            .help("copy the data to the stack or a map's value, and pass the copy"),
        R::StringPerCpu { reg } | R::StringNotReadOnly { reg } | R::StringNotConstant { reg } => arg(*reg, format!("{name} wants constant text as its {} argument; {{}} is {}", nth(*reg), has(*reg)), "is no constant text")
            .help("make it a string literal or a `static const char[]`, so that it lies in .rodata"),
        R::LocalStorageFlags {} => arg(2, format!("{name} has no flags yet: its second argument has to be 0; {{}} is {}", has(2)), "is not zero").help("pass 0 as flags"),
        R::UnacquiredArgument { reg } => arg(*reg, format!("{name} releases its {} argument, and {{}} holds nothing to release", nth(*reg)), "was not acquired, or was released before")
            .help("release a record or dynptr once, and only where it was acquired on the same path"),
        R::UnownedDynptr {} => arg(1, format!("{name} releases a dynptr, and {{}} was given to the program by the kernel"), "is not the program's own").help("leave the release to the kernel"),
        R::OtherMapThanTimer { .. } => arg(1, format!("the timer that {name} gets lies in a value of another map than the one that is passed: {{}} is {}", has(1)), "lies in another map").help(format!("pass the map in whose value the timer lies: {}", case.reg(1).and_then(|r| case.map(r)).map_or_else(|| "the one that was looked up in".to_owned(), |m| format!("`&{}`", m.name)))),
        R::StringUnterminated {} => arg(3, format!("the text that {name} gets has no terminating zero: {{}} is {}", has(3)), "has no zero at its end").help("use a string literal, or make the array one longer than the text"),
        R::DynptrSource { ty } => arg(1, format!("{name} makes dynptrs over values of maps alone; {{}} is {} ({ty})", has(1)), "is no value of a map").help("put the data into a map's value, and make the dynptr over that"),
        R::NoKptr { reg, .. } => arg(*reg, format!("{name} exchanges a kernel pointer, and there is none in what {{}} leads to: {}", has(*reg)), "holds no kernel pointer").help("declare the member with __kptr, and pass its address"),
        R::NotAtKptr { off } | R::KptrNotReferenced { off } => arg(1, format!("{name} exchanges a kernel pointer, and byte {off} of what {{}} leads to is none that owns its object"), "is no such pointer").help("declare the member with __kptr, and pass its address"),
        R::FormatString {} => arg(1, format!("{name} cannot use this format: {{}} has a conversion that it does not know, or more conversions than values"), "is the format").help("use %d %u %x %ld %lld %s %p %pks %pus %pi4 %pI6, with one value of eight bytes for each"),
        R::NoTimer { map } => Draft::new(format!("the values of map '{map}' have no bpf_timer"), "no timer").help("add a member `struct bpf_timer` to the value's struct"),
        R::WrongTimerOffset { off, at } => {
            let member = case.reg(1).and_then(|r| {
                let (btf, ty) = (case.btf()?, case.map(r)?.value_type);
                let m = btf.members(btf.resolve(ty)).find(|m| i64::from(m.bit_offset / 8) == i64::from(*at))?;
                Some(m.name.to_owned())
            });
            let named = case.name(&case.history(1)).unwrap_or_else(|| "value".into());
            let address = member.map_or_else(|| "the address of the timer".to_owned(), |m| format!("`&{named}->{m}`"));
            Draft::new(format!("byte {off} of the value is not its bpf_timer, which is at byte {at}"), format!("byte {off}")).help(format!("pass {address}"))
        }
        R::MapReadOnly {} => {
            let map = (1..=5).find_map(|r| {
                case.reg(r).filter(|s| s.ty.base == RegBase::ConstMap).and_then(|s| case.map(s))
            });
            let shown = map.map_or_else(|| "a map".to_owned(), |m| format!("map '{}'", m.name));
            Draft::new(
                format!("{name} writes to {shown}, which programs may only read"),
                format!("{shown} is declared so that programs only read it"),
            )
            .help(format!("declare {shown} without BPF_F_RDONLY_PROG, if programs are to write it; or let user space write it"))
        }
        R::MapType { map_type, name, .. } => self::map_type(case, *map_type, name),
        R::NoProgArray {} => self::map_type_of_tail_call(case),
        _ => return None,
    })
}

fn map_type_of_tail_call(case: &Case<'_>) -> Draft {
    let map = case.reg(2).and_then(|r| case.map(r));
    let shown = map.map_or_else(
        || "the map".to_owned(),
        |m| format!("map '{}', {} {} map,", m.name, words::article(&m.map_type.to_string()), m.map_type),
    );
    Draft::new(format!("bpf_tail_call jumps through a program array; {shown} is none"), "no program array")
        .help("declare the map with `__uint(type, BPF_MAP_TYPE_PROG_ARRAY)`")
}

/// Arguments of kernel functions.
pub(crate) fn kfunc(case: &Case<'_>, reason: &KfuncReason) -> Option<Draft> {
    use KfuncReason as R;
    let name = callee(case);
    let about = |reg: u8, headline: String| {
        let shown = subject(case, reg);
        let has = case.reg(reg).map(|r| words::value(case, r)).unwrap_or_default();
        let d = Draft::new(headline.replace("{}", &shown).replace("{has}", &has), format!("{shown} is {has}"));
        general::with_origin(case, d, &case.history(reg), &shown)
    };
    let nth = |reg: u8| words::ordinal(reg.into());
    Some(match reason {
        R::PossiblyNull { index } => pointer::null(case, *index as u8 + 1, Some(&name)),
        R::Trap {} => super::uninit::trap(case),
        R::NotTrusted { reg } | R::NotRcu { reg } if other_struct(case, &name, *reg).is_some() => {
            let (want, has) = other_struct(case, &name, *reg).unwrap_or_default();
            about(*reg, format!("{name} wants a struct {want} as its {} argument; {{}} is a struct {has}", nth(*reg)))
                .help(format!("get a pointer to struct {want}: a C cast does not change what the verifier knows"))
        }
        R::NotTrusted { reg } => about(*reg, format!("{name} wants a pointer that the kernel vouches for as its {} argument; {{}} is {{has}}", nth(*reg)))
            .help("pass a pointer that an acquiring kernel function returned, or an argument of a tp_btf or LSM program (those of fentry and fexit are not vouched for); pointers that were read from structs are trusted only where the kernel says so")
            .help("acquire it first (bpf_task_acquire, bpf_cgroup_acquire, ...) inside of bpf_rcu_read_lock, check the result for NULL, and release it"),
        R::NotRcu { reg } if left_region(case, *reg).is_some() => {
            let unlock = left_region(case, *reg).unwrap_or_default();
            let shown = subject(case, *reg);
            about(*reg, format!("{{}} is used after bpf_rcu_read_unlock at {}: outside of the RCU region nothing keeps what it points to", case.line_of(unlock)))
                .note(format!("{name} wants a pointer that RCU protects as its {} argument", nth(*reg)))
                .help(format!("call {name} on {shown} before bpf_rcu_read_unlock"))
        }
        R::NotRcu { reg } => about(*reg, format!("{name} wants a pointer that RCU protects as its {} argument; {{}} is {{has}}", nth(*reg)))
            .help("read the pointer between bpf_rcu_read_lock and bpf_rcu_read_unlock, and use it there"),
        R::NotConstant { reg } | R::SizeNotConstant { reg } => {
            let shown = subject(case, *reg);
            let d = about(*reg, format!("the {} argument of {name} has to be a constant; {{}} is {{has}}", nth(*reg)));
            story::story(case, d, case.step().unwrap_or(0), *reg, &shown).help("use a compile-time constant")
        }
        R::ReleasesNothing { func } => {
            let reg = 1;
            about(reg, format!("{func} releases its argument, and {{}} was not acquired: it is {{has}}"))
                .help("release only what an acquiring function returned, once, on the same path")
        }
        R::NotContext { index, .. } => about(*index as u8 + 1, format!("{name} wants the context as its {} argument; {{}} is {{has}}", nth(*index as u8 + 1)))
            .help("pass the context that the program was given"),
        R::OtherStruct { index, want, has, func, .. } => {
            about(*index as u8 + 1, format!("{func} wants a struct {want} as its {} argument; {{}} is a struct {has}", nth(*index as u8 + 1)))
                .help(format!("get a pointer to struct {want}; a C cast does not change what the verifier knows"))
        }
        R::BadBuffer { index, size } => bad_buffer(case, &name, *index, *size),
        R::NotAllowed { func } if sched_ext::is_function(func) && case.program.prog_type == ProgType::StructOps => {
            let callers: Vec<&str> = sched_ext::callers(func).collect();
            Draft::new(
                format!("{func} is not offered to the operation {}", case.program.section),
                format!("{func} cannot be called from here"),
            )
            .help(format!("call {func} from another operation: {}", callers.join(", ")))
        }
        R::NotAllowed { func } => Draft::new(
            format!("{func} is not offered to {} programs", case.program.prog_type),
            format!("{func} cannot be called from a program of this type"),
        )
        .blame(Blame::Environment)
        .help(format!("call {func} from a program type that has it, or do without")),
        R::LockNotHeld { lock, root } => {
            let reg = 1;
            let shown = subject(case, reg);
            let has = case.reg(reg).map(|r| words::value(case, r)).unwrap_or_default();
            let taken = held_lock(case);
            let own = if *lock < 0 { "its own struct".to_owned() } else { format!("its own struct (at byte {lock})") };
            let d = Draft::new(
                format!("{name} changes the {} at {shown}, and the bpf_spin_lock in {own} is not held", root_word(root)),
                format!("{shown} is {has}"),
            );
            let d = match taken {
                Some(at) => d.span(case.span(at, "this lock is held: another one, or one of another object")),
                None => d.note("no lock is held on this path"),
            };
            let global = case
                .reg(reg)
                .and_then(|r| case.map(r))
                .and_then(|m| bounds::variable_at(case, m, i64::from(*lock)))
                .map(|(name, _)| name);
            d.help(match global {
                Some(variable) => format!("call bpf_spin_lock(&{variable}) before this and bpf_spin_unlock(&{variable}) after it"),
                None => format!("take the lock that lies in the same struct as the {} (bpf_spin_lock(&x->lock)) before, through the same pointer, and give it back after", root_word(root)),
            })
        }
        R::ThrowInCallback { insn, subprog } => {
            let function = case.local_starts().get(*subprog).and_then(|&s| case.function_at(s)).unwrap_or_else(|| "the callback".into());
            Draft::new(format!("{function} runs as a callback and throws (bpf_throw), which only functions that are called directly may do"), "an exception is thrown here")
                .at(*insn)
                .help("return an error from the callback, and throw where it is seen")
        }
        R::LocalTypeNoStruct {} | R::LocalTypeRange {} | R::PercpuNoScalars {} | R::PercpuSpecialFields {} | R::PercpuTooLarge { .. } | R::UnknownCastType { .. } | R::CastType {} | R::NeedsProgramBtf {} => {
            let reg = if name.contains("cast") { 2 } else { 1 };
            let id = case.reg(reg).and_then(RegState::const_value);
            let ty = id.and_then(|id| Some(case.btf()?.name(u32::try_from(id).ok()?).to_owned())).filter(|n| !n.is_empty());
            let of = ty.map_or_else(|| "the type that is named".to_owned(), |t| format!("'{t}'"));
            let wants = match reason {
                R::LocalTypeNoStruct {} => "which is no struct of the program".to_owned(),
                R::LocalTypeRange {} => "whose number is out of range".to_owned(),
                R::PercpuNoScalars {} => "which does not consist of numbers alone".to_owned(),
                R::PercpuSpecialFields {} => "which has special fields (locks, lists, kptrs)".to_owned(),
                R::PercpuTooLarge { size, max } => format!("which has {size} bytes, and at most {max} are given"),
                R::NeedsProgramBtf {} => "and the object has no types (-g)".to_owned(),
                _ => "which is neither a struct of the kernel nor void".to_owned(),
            };
            Draft::new(format!("{name} is asked for {of}, {wants}"), "the type is named here").help("name a struct that the call can take: `bpf_obj_new(typeof(*p))` with p a pointer to a struct of the program, `bpf_rdonly_cast(p, bpf_core_type_id_kernel(struct x))`")
        }
        R::FieldNotFound { field, off } => {
            let reg = if field.contains("node") { 2 } else { 1 };
            about(reg, format!("there is no {field} at byte {off} of what {{}} leads to: {{has}}")).help(format!("pass the address of a member that is declared as `struct {field}`"))
        }
        R::OtherElement { root, node, at, element, off, has } => about(2, format!("the {root} holds struct {element} by its {node} at byte {at}, and {{}} is at byte {off} of struct {has}"))
            .help(format!("add elements of struct {element}, by the {node} that the {root} is declared with (__contains)")),
        R::OtherNode { off, node, at, element } => about(2, format!("the {node} of struct {element} is at byte {at}, and {{}} is at byte {off}")).help("pass the node that __contains names"),
        R::NodeNotBorrowed { func } => about(2, format!("{func} takes a node that lies in a tree, and {{}} is {{has}}")).help("get the node from the tree first (bpf_rbtree_first, or by bpf_refcount_acquire), under its lock"),
        R::NotInTreeCallback { func } => Draft::new(format!("{func} changes a tree while the tree compares its nodes"), "called in the comparison").help("only compare in the callback of bpf_rbtree_add"),
        R::LockInTreeCallback {} => Draft::new(format!("{name} is called while a tree compares its nodes"), "called in the comparison").help("only compare in the callback of bpf_rbtree_add"),
        R::CssTaskIter {} => Draft::new(format!("{name} is for LSM, iterator and sleepable programs only; this is {} {}", words::article(&case.program.prog_type.to_string()), case.program.prog_type), "called here").blame(Blame::Environment).help("use another iterator, or another program type"),
        R::NeedsDevice {} => Draft::new(format!("{name} asks a device for the packet's metadata, and the program is bound to none"), "called here").blame(Blame::Environment).help("load the program for one device (bpf_program__set_ifindex and BPF_F_XDP_DEV_BOUND_ONLY)"),
        R::PacketWrites {} => Draft::new(format!("{name} would let the program write to the packet, which {} programs may not", case.program.prog_type), "called here").blame(Blame::Environment).help("read only (bpf_dynptr_slice in the place of bpf_dynptr_slice_rdwr), or use tc or XDP"),
        R::NeedsRcu { func } => Draft::new(format!("{func} needs an RCU region, and none is open on this path"), "outside of an RCU region").help("call bpf_rcu_read_lock before, and bpf_rcu_read_unlock after"),
        R::NotAcquired { func, .. } => about(1, format!("{func} releases what was never acquired: {{}} is {{has}}")).help("release only what an acquiring function returned, once, on the same path"),
        R::OtherMap { what, .. } => Draft::new(format!("the {what} belongs to the value of one map, and {name} is given another map"), "another map").help("pass the map in whose value it lies"),
        R::NoField { map, field } => Draft::new(format!("the values of map '{map}' have no {field}"), "no such field").help(format!("add a member `struct {field}` to the value's struct")),
        R::WrongFieldOffset { off, field, at } => Draft::new(format!("byte {off} of the value is not its {field}, which is at byte {at}"), format!("byte {off}")).help(format!("pass the address of the {field}")),
        R::NeedsSleepable { func } => Draft::new(format!("{func} may sleep, and this program may not"), "called where nothing may sleep")
            .help(super::environment::sleepable(&case.program.section)),
        R::NeedsGpl {} => Draft::new(
            format!("{name} is a kernel function, which only programs under the GPL may call; the license is '{}'", case.object.license),
            "a kernel function is called here",
        )
        .blame(Blame::Environment)
        .help("declare `char LICENSE[] SEC(\"license\") = \"GPL\";`"),
        _ => {
            let (index, _) = indexed(&case.reason().to_string())?;
            let reg = index + 1;
            let text = case.reason().to_string();
            let what = text.lines().last().unwrap_or_default().split_once(' ').map_or("", |(_, rest)| rest).to_owned();
            about(reg, format!("the {} argument of {name} {}; {{}} is {{has}}", nth(reg), what.replace("expected pointer", "has to be a pointer")))
        }
    })
}

/// The struct that a kernel function's argument leads to, and that of what it is given, where they are two.
fn other_struct(case: &Case<'_>, function: &str, reg: u8) -> Option<(String, String)> {
    use ebpfkit_object::btf::{Kind, Type};
    let has = case.struct_name(case.reg(reg)?)?;
    let btf = case.kernel.btf()?;
    let Some(Type::Func { proto, .. }) = btf.get(btf.find(function, Kind::Func)?) else { return None };
    let param = btf.params(proto).nth(usize::from(reg).checked_sub(1)?)?;
    let Some(Type::Ptr(to)) = btf.get(btf.resolve(param.ty)) else { return None };
    let want = btf.name(btf.resolve(to)).to_owned();
    (!want.is_empty() && want != has).then_some((want, has))
}

/// The call that ended the RCU region in which a pointer was read.
pub(crate) fn left_region(case: &Case<'_>, reg: u8) -> Option<usize> {
    let lost = case.history(reg).into_iter().find(|e| e.how == crate::origin::How::TakenAway)?;
    let at = case.event_insn(&lost);
    (case.callee(at)? == "bpf_rcu_read_unlock").then_some(at)
}

/// What a root is called.
fn root_word(root: &str) -> &'static str {
    if root.contains("list") { "list" } else { "tree" }
}

/// The call that took the lock which is held here.
fn held_lock(case: &Case<'_>) -> Option<usize> {
    use ebpfkit_verifier::state::RefKind;
    let held = case.trace.steps[case.step()?].held.as_ref()?;
    held.refs.iter().rfind(|r| !matches!(r.kind, RefKind::Ptr | RefKind::Irq)).map(|r| r.insn)
}

/// The number of the argument that a kernel's message about one begins with.
fn indexed(text: &str) -> Option<(u8, usize)> {
    let rest = text.lines().last()?.strip_prefix("arg#")?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..end].parse().ok().filter(|n| *n < 5).map(|n| (n, end))
}

fn bad_buffer(case: &Case<'_>, name: &str, index: usize, size: usize) -> Draft {
    let (buffer, length) = (index as u8 + 1, size as u8 + 1);
    let has = |reg: u8| case.reg(reg).map(|r| words::value(case, r)).unwrap_or_default();
    let (b, l) = (subject(case, buffer), subject(case, length));
    let d = Draft::new(
        format!(
            "the buffer that {name} gets as its {} argument is not as large as its {} argument says",
            words::ordinal(buffer.into()),
            words::ordinal(length.into())
        ),
        format!("{b} is {}, and {l} is {}", has(buffer), has(length)),
    );
    let d = story::story(case, d, case.step().unwrap_or(0), length, &l);
    d.help(format!("pass the size of the buffer (`sizeof`), or bound {l} by it before the call"))
}
