//! What the kernel or the way of building does not offer: helpers, kernel functions, types, rights.

use crate::case::{Case, Draft};
use crate::diagnosis::Blame;
use ebpfkit_abi::{Callers, ProgType, helpers};
use ebpfkit_isa::opcode;
use ebpfkit_object::ProgramFlags;
use ebpfkit_verifier::reason::{AttachReason, CallReason, ProgramReason};

/// Program types that have a helper, by their names.
fn types_with(name: &str) -> Vec<String> {
    let Some(row) = helpers::by_name(name) else { return Vec::new() };
    let offered = |kind: &ProgType| row.prototype(Callers::of(*kind, ebpfkit_abi::AttachType::default())).is_some();
    ProgType::ALL.iter().filter(|t| offered(t)).map(ToString::to_string).collect()
}

/// Helpers that do the same elsewhere.
fn instead(name: &str, kind: ProgType) -> Option<&'static str> {
    let tracing = matches!(
        kind,
        ProgType::Kprobe
            | ProgType::Tracepoint
            | ProgType::RawTracepoint
            | ProgType::PerfEvent
            | ProgType::Tracing
            | ProgType::Lsm
    );
    Some(match (name, kind) {
        ("bpf_skb_store_bytes" | "bpf_skb_load_bytes", ProgType::Xdp) => {
            "XDP programs use bpf_xdp_store_bytes and bpf_xdp_load_bytes, or packet pointers"
        }
        ("bpf_l3_csum_replace" | "bpf_l4_csum_replace", ProgType::Xdp) => {
            "XDP programs update checksums themselves, with bpf_csum_diff and packet pointers"
        }
        ("bpf_redirect" | "bpf_redirect_map" | "bpf_xdp_adjust_head", _) if tracing => {
            "tracing programs only observe: packets are changed in XDP and tc programs"
        }
        ("bpf_skb_load_bytes", _) if tracing => {
            "tracing programs read the sk_buff's memory with bpf_probe_read_kernel or BPF_CORE_READ"
        }
        ("bpf_get_current_pid_tgid" | "bpf_get_current_comm" | "bpf_get_current_uid_gid", _) => {
            "packets are not handled in the context of a process: these programs cannot ask for the current one"
        }
        ("bpf_get_socket_cookie" | "bpf_get_socket_uid", _) if tracing => {
            "read the socket's fields with BPF_CORE_READ, or use a fentry program"
        }
        (
            "bpf_probe_read_user"
            | "bpf_probe_read_kernel"
            | "bpf_probe_read"
            | "bpf_probe_read_user_str"
            | "bpf_probe_read_kernel_str",
            _,
        ) => "programs of the network see their packet and maps alone; kernel memory is read in tracing programs",
        ("bpf_override_return", _) => {
            "it is for kprobes at functions that allow error injection, in kernels with CONFIG_BPF_KPROBE_OVERRIDE; fmod_ret and LSM programs change return values too"
        }
        ("bpf_send_signal", _) => "it is for tracing programs",
        _ => return None,
    })
}

/// A helper that this program may not call.
fn not_offered(case: &Case<'_>, name: &str) -> Draft {
    let kind = case.program.prog_type;
    let types = types_with(name);
    // Programs of this type have it, but not this one.
    let here = types.contains(&kind.to_string());
    let mut d = match here {
        true => Draft::new(
            format!("{name} is not offered to this {kind} program (SEC(\"{}\"))", case.program.section),
            format!("{name} is not there for it"),
        )
        .note(match name {
            "bpf_d_path" => "bpf_d_path takes locks, so that it is offered where none of them can be held: in LSM programs at hooks that may sleep, in iterators, and at security_file_permission, security_inode_getattr, security_file_open, security_path_truncate, vfs_truncate, vfs_fallocate, dentry_open, vfs_getattr and filp_close".to_owned(),
            _ => format!("{kind} programs have {name} at certain attach points, and in kernels that are built with it"),
        }),
        false => Draft::new(
            format!("{name} is not offered to {kind} programs (SEC(\"{}\"))", case.program.section),
            format!("{kind} programs do not have {name}"),
        ),
    }
    .blame(Blame::Environment);
    if here {
        // Nothing more is known.
    } else if types.is_empty() {
        d = d.note(format!("{name} is offered at certain attach points only"));
    } else {
        let shown: Vec<&str> = types.iter().take(12).map(String::as_str).collect();
        let more = if types.len() > 12 { format!(" and {} more", types.len() - 12) } else { String::new() };
        d = d.note(format!("types that have it: {}{more}", shown.join(", ")));
    }
    if let Some(text) = instead(name, kind) {
        d = d.help(text);
    }
    if let Some(row) = helpers::by_name(name)
        && row.since > case.kernel.version
    {
        d = d.note(format!("{name} came with Linux {}", row.since));
    }
    if let Some(text) = typed_section(case, &types) {
        return d.help(text);
    }
    d.help("move the call to a program of a type that has the helper, or use what this type offers instead")
}

/// The section in which the same function is traced with typed arguments, where such programs have the helper.
fn typed_section(case: &Case<'_>, types: &[String]) -> Option<String> {
    let (kind, rest) = case.program.section.split_once('/')?;
    if case.program.prog_type == ProgType::Tracepoint && types.iter().any(|t| t == "tracing") {
        let (_, name) = rest.split_once('/')?;
        return Some(format!(
            "use SEC(\"tp_btf/{name}\") with BPF_PROG, whose arguments are typed pointers: such programs have it"
        ));
    }
    let new = match kind {
        "kprobe" => "fentry",
        "kretprobe" => "fexit",
        "raw_tp" | "raw_tracepoint" => "tp_btf",
        _ => return None,
    };
    types.iter().any(|t| t == "tracing").then(|| {
        format!("use SEC(\"{new}/{rest}\") with BPF_PROG, whose arguments are typed pointers: such programs have it")
    })
}

/// How a program of a section is made one that may sleep.
pub(crate) fn sleepable(section: &str) -> String {
    match sleepable_section(section) {
        Some(new) => format!("make the program sleepable: SEC(\"{new}\")"),
        None => "call it from a sleepable program (SEC(\"fentry.s/...\"), SEC(\"lsm.s/...\"), SEC(\"syscall\")): this type cannot sleep".into(),
    }
}

/// The section of the same program as one that may sleep, where programs of its type can.
pub(crate) fn sleepable_section(section: &str) -> Option<String> {
    let (kind, rest) = section.split_once('/').unwrap_or((section, ""));
    let can = ["fentry", "fexit", "fmod_ret", "lsm", "iter", "uprobe", "uretprobe", "usdt"];
    can.contains(&kind).then(|| if rest.is_empty() { format!("{kind}.s") } else { format!("{kind}.s/{rest}") })
}

/// The helper that does the same as one that may sleep, without that.
pub(crate) fn without_sleep(helper: &str) -> Option<&'static str> {
    match helper {
        "bpf_copy_from_user" => Some("bpf_probe_read_user"),
        _ => None,
    }
}

/// Explains rejections of calls by what is offered.
pub(crate) fn call(case: &Case<'_>, reason: &CallReason, message: Option<&str>) -> Option<Draft> {
    use CallReason as R;
    let name = || case.callee(case.at()).unwrap_or_else(|| "this helper".into());
    Some(match reason {
        R::UnknownHelper { id, .. } => unknown(case, *id, message),
        R::HelperNotOffered { name, .. } | R::WrongType { name, .. } | R::TrampolineOnly { name, .. } => {
            not_offered(case, name)
        }
        R::NotInThisProbe {} => not_offered(case, &name()),
        R::SleepsInNonSleepable { .. } => {
            let d =
                Draft::new(format!("{} may sleep, and this program may not", name()), "called where nothing may sleep")
                    .blame(Blame::Environment);
            let section = sleepable(&case.program.section);
            match without_sleep(&name()) {
                Some(other) => d
                    .help(format!("use {other}, which takes the same arguments and does not sleep: it fails where the memory is not there at once"))
                    .help(format!("or {section}")),
                None => d.help(section),
            }
        }
        R::GplOnly {} => Draft::new(
            format!(
                "{} is for programs under the GPL only, and the license of this object is '{}'",
                name(),
                case.object.license
            ),
            "a helper for programs under the GPL",
        )
        .blame(Blame::Environment)
        .help("declare `char LICENSE[] SEC(\"license\") = \"GPL\";` if that is the license of the program"),
        _ => return None,
    })
}

/// Members of the kernel's struct with much the same name as one that it lacks.
fn renamed(case: &Case<'_>, what: &str) -> Option<String> {
    let (of, member) = what.strip_prefix("struct ")?.split_once('.')?;
    let of = of.split("___").next()?;
    let btf = case.kernel.btf()?;
    let ty = btf.find(of, ebpfkit_object::btf::Kind::Struct)?;
    let plain = |n: &str| n.trim_matches('_').to_owned();
    let near: Vec<String> = btf
        .members(ty)
        .filter(|m| !m.name.is_empty() && plain(m.name) == plain(member))
        .map(|m| m.name.to_owned())
        .collect();
    let [name] = near.as_slice() else { return None };
    Some(format!(
        "struct {of} of this kernel has a member '{name}': it may have been renamed; `struct {of}___new {{ ... {name}; }}` reads that"
    ))
}

/// A call of a number that no helper has: mostly what stands for something that is missing.
fn unknown(case: &Case<'_>, id: i32, message: Option<&str>) -> Draft {
    match message {
        Some(text) => {
            let relocation = text.contains("relocation") || text.contains("CO-RE");
            let first = text.lines().next().unwrap_or(text).trim_start_matches("<").trim_end_matches(">");
            let d = Draft::new(
                if relocation {
                    let what = named(text).unwrap_or_else(|| "what this access was compiled for".into());
                    format!("the kernel's types lack {what}, and nothing checks for that before it is used")
                } else {
                    format!("something that the program expects of the kernel is missing: {first}")
                },
                "the loader put a call of no helper here, because this cannot be resolved",
            )
            .blame(Blame::Environment);
            if relocation {
                let what = named(text).unwrap_or_default();
                let what = what.trim_matches('\'');
                let (test, member) = guard(what);
                // The line that names it may be another than the one that is refused.
                let line = member.as_deref().and_then(|m| {
                    let here = case.source(case.at())?;
                    if crate::source::find_word(&here.text, m).is_some() {
                        return None;
                    }
                    let lines = case.function_lines(case.at());
                    let (number, _) = lines.iter().find(|(_, t)| crate::source::find_word(t, m).is_some())?;
                    case.span_at(&here.file, *number, format!("{m} is accessed here"))
                });
                let d = match line {
                    Some(span) => d.span(span),
                    None => d,
                };
                let d = match renamed(case, what) {
                    Some(text) => d.help(text),
                    None => d,
                };
                let d =
                    d.help(format!("guard it with `if ({test})`, so that it is only reached where the kernel has it"));
                if what.contains("::") {
                    return d;
                }
                d.help("or declare the other form of the struct too (`struct name___v2 { ... } __attribute__((preserve_access_index))`)")
            } else {
                d.help("declare the extern `__weak` and test it before the call (`if (bpf_ksym_exists(f))`), or load the program on a kernel that has it")
            }
        }
        None => {
            let newer = u32::try_from(id).is_ok_and(|n| n > helpers::LAST);
            let d = Draft::new(format!("no helper has the number {id} in this kernel"), "called here")
                .blame(Blame::Environment);
            if newer && id == 195_896_080 {
                return d
                    .note("the number is the one that libbpf puts where a CO-RE relocation could not be resolved")
                    .help("look at the loader's messages for the relocation that failed; guard the access with bpf_core_field_exists");
            }
            d.help("use a helper that the kernel has (the number may belong to a newer kernel), or rebuild with matching headers")
        }
    }
}

/// The test whether something of the kernel's types is there, and the member or value that is meant.
fn guard(what: &str) -> (String, Option<String>) {
    if let Some((kind, value)) = what.split_once("::") {
        let value = value.split([' ', '=']).next().unwrap_or(value);
        return (format!("bpf_core_enum_value_exists({kind}, {value})"), Some(value.to_owned()));
    }
    match what.split_once('.') {
        Some((kind, path)) => {
            let last = path.rsplit('.').next().unwrap_or(path).split('[').next().unwrap_or(path);
            (format!("bpf_core_field_exists({kind}, {path})"), Some(last.to_owned()))
        }
        None if what.is_empty() => ("bpf_core_field_exists(...)".into(), None),
        None => (format!("bpf_core_type_exists({what})"), None),
    }
}

/// The type and member that a loader's text about a relocation names.
fn named(text: &str) -> Option<String> {
    let at = ["struct ", "union ", "enum "].iter().find_map(|k| text.find(k))?;
    let rest = &text[at..];
    let end = rest.find(" (").or_else(|| rest.find('\n')).unwrap_or(rest.len());
    Some(format!("'{}'", rest[..end].trim_end_matches('>')))
}

/// Explains rejections before the walk by the way of building or loading.
pub(crate) fn program(case: &Case<'_>, reason: &ProgramReason) -> Option<Draft> {
    use ProgramReason as R;
    let env = |headline: String, label: &str| Draft::new(headline, label).blame(Blame::Environment);
    Some(match reason {
        R::UnknownOpcode { code } => {
            let at = case.program.insns.iter().position(|i| i.code == *code).unwrap_or(case.at());
            if *code == opcode::CALLX {
                // Addresses of functions are loaded where a program calls through its own pointers.
                if case.program.insns.iter().any(|i| i.is_func_address()) {
                    let d = env(
                        format!(
                            "{} calls through a pointer to a function (callx), which the kernel does not know",
                            case.line_of(at)
                        ),
                        "an indirect call",
                    );
                    let chosen: Vec<String> = (0..case.program.insns.len())
                        .filter(|&i| case.insn(i).is_func_address())
                        .filter_map(|i| case.function_at(usize::try_from(case.insn(i).function(i)?).ok()?))
                        .collect();
                    let d = match chosen.is_empty() {
                        true => d,
                        false => d.note(format!("what may be called: {}", chosen.join(", "))),
                    };
                    return Some(d.at(at).help("call the functions by their names, chosen by `if` or `switch`").help(
                        "or make programs of them, and choose among those with bpf_tail_call and a program array",
                    ));
                }
                // The function is taken from a table or a member.
                let text = case.text(at);
                if text.contains("](") || text.contains("->") && !text.contains('=') && text.contains(")(") {
                    let d = env(
                        format!(
                            "{} calls a function that is only known when the program runs (callx), which the kernel does not do",
                            case.line_of(at)
                        ),
                        "an indirect call",
                    );
                    return Some(d.at(at).help("call the functions by their names, chosen by `if` or `switch`").help(
                        "or make programs of them, and choose among those with bpf_tail_call and a program array",
                    ));
                }
                let d = env(
                    format!(
                        "{} calls through a register (callx), which the kernel does not know: the program was compiled without optimisation",
                        case.line_of(at)
                    ),
                    "an indirect call",
                );
                return Some(d.at(at).note("without optimisation clang loads a helper's number into a register and calls through it").help("compile with -O2").help("calls through function pointers have to be resolved at compile time: call the function by its name, or inline it"));
            }
            env(format!("the kernel does not know the opcode {code:#04x}"), "unknown to the kernel")
                .at(at)
                .help("compile for a cpu version that the kernel knows (-mcpu=v1, v2 or v3)")
        }
        R::FuncInfoCount {}
        | R::FuncInfoLayout {}
        | R::FuncInfoFirst { .. }
        | R::FuncInfoOrder { .. }
        | R::FuncInfoType { .. } => env(
            "the object's records of functions (BTF) do not fit its code".into(),
            "first function",
        )
        .help(
            "rebuild all sources with -g and with one version of clang; do not strip or edit .BTF.ext apart from .BTF",
        ),
        R::LineInfoOffset { .. }
        | R::LineInfoInsn { .. }
        | R::LineInfoText { .. }
        | R::LineInfoMissing { .. }
        | R::LineInfoEnds { .. } => {
            env(format!("the object's records of source lines do not fit its code: {reason}"), "here")
                .help("compile all of the sources with -g, or none; strip .BTF.ext from objects that were edited")
        }
        R::NoKernelSymbol { name } => {
            env(format!("the kernel has no variable '{name}' with an address"), "its address is loaded here")
                .help(format!("declare '{name}' `__weak` and test its address, or use a kernel that has it"))
        }
        R::MissingAttachBtf {} => {
            env("the function to attach to is not named, or the kernel's types do not have it".into(), "the program")
                .help("name it in SEC(\"fentry/FUNCTION\"), and load with a kernel that has BTF")
        }
        R::TypeNeedsCapability { kind, capability } => {
            env(format!("programs of type {kind} need {capability}"), "the program")
                .help(format!("load it with {capability}"))
        }
        R::MapNeedsCapability { name, kind, capability } => {
            env(format!("map '{name}' of type {kind} needs {capability}"), "the program")
                .help(format!("load it with {capability}"))
        }
        R::CallsNeedCapability {} => env("calls of functions need CAP_BPF".into(), "called here")
            .help("load the program with CAP_BPF, or inline the function"),
        R::ArenaNeedsCapability {} => {
            env("arenas need CAP_BPF and CAP_PERFMON".into(), "the program").help("load it with both")
        }
        R::NotSleepable {} => env(format!("{} programs cannot be sleepable", case.program.prog_type), "the program")
            .help("take `.s` from the section's name"),
        R::SleepableMap {} => {
            env("a sleepable program uses a map of a type that is not for sleepable programs".into(), "the program")
                .help("use array, hash, ring buffer or storage maps")
        }
        R::OtherOwner { map, owner, what } => {
            env(format!("map '{map}' belongs to programs like '{owner}', and does not take {what}"), "the program")
                .help("give each kind of program a map of its own")
        }
        R::StructOpsMap {} => {
            env("a map of operations cannot be used from a program".into(), "here").help("keep the data in another map")
        }
        R::NoMapDescriptor { fd } => {
            env(format!("{fd} names no map: the address of a map was not filled in"), "loaded here").help(
                "load the object with libbpf (or a loader that relocates maps), and declare maps in the section .maps",
            )
        }
        _ => return None,
    })
}

/// Explains rejections by attach points.
pub(crate) fn attach(case: &Case<'_>, reason: &AttachReason) -> Draft {
    let target = &case.program.attach_target;
    let name = if target.is_empty() { case.program.section.clone() } else { target.clone() };
    let text = reason.to_string();
    if let AttachReason::UnsupportedMember { member, name } = reason {
        let sleeps = case.program.flags.has(ProgramFlags::SLEEPABLE);
        let (what, help) = match sleeps {
            true => ("is no operation that may sleep", "take `.s` from the section's name"),
            false => ("is no operation that a program may be", "leave it out: the kernel has its own"),
        };
        return Draft::new(format!("{member} of struct {name} {what}"), "the program begins here")
            .blame(Blame::Environment)
            .help(help);
    }
    Draft::new(
        format!("the program cannot be attached to '{name}': {}", text.trim_end().lines().last().unwrap_or_default()),
        "the program begins here",
    )
    .blame(Blame::Environment)
    .help(attach_help(reason))
}

fn attach_help(reason: &AttachReason) -> &'static str {
    use AttachReason as R;
    match reason {
        R::LsmGpl {} | R::StructOpsGpl {} => {
            "declare `char LICENSE[] SEC(\"license\") = \"GPL\";` if that is the license of the program"
        }
        R::NotModifiable { .. } => {
            "fmod_ret works at functions that allow error injection and at security hooks: use fentry or fexit, or another function"
        }
        R::NoAddress { .. } | R::NotFunction { .. } => {
            "attach to a function that the kernel has and that was not inlined"
        }
        R::Denied { .. } | R::NoReturn { .. } | R::DisabledHook { .. } => {
            "attach to another function: the kernel does not open this one"
        }
        R::NotSleepableHere { .. } => "take `.s` from the section's name, or attach to a function that may sleep",
        R::SyscallSleeps {} => "load it as a sleepable program",
        R::UnknownHook { .. } => "use an attach type that the kernel has for this type of program",
        R::TooManyArgs { .. } | R::ReturnType { .. } | R::VariableArgs { .. } | R::ArgType { .. } => {
            "attach to a function with plain arguments, or use a kprobe"
        }
        _ => "look up the name in the kernel's types (`bpftool btf dump file /sys/kernel/btf/vmlinux`)",
    }
}
