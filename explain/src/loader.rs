//! What loaders complain of before a kernel sees a program, and what they do not look at: names that do not exist.

use ebpfkit_abi::{ProgType, helpers, kfuncs};
use ebpfkit_object::btf::Kind;
use ebpfkit_object::{Btf, Program, nearest};

/// Functions and macros that headers of libbpf define, by header. Where the header is missing, a C compiler takes such a
/// name for a function of another object.
const HEADERS: &[(&str, &[&str])] = &[
    (
        "bpf/bpf_helpers.h",
        &[
            "bpf_printk",
            "bpf_for",
            "bpf_for_each",
            "bpf_repeat",
            "bpf_tail_call_static",
            "bpf_ksym_exists",
            "bpf_throw",
        ],
    ),
    ("bpf/bpf_endian.h", &["bpf_htons", "bpf_ntohs", "bpf_htonl", "bpf_ntohl", "bpf_cpu_to_be64", "bpf_be64_to_cpu"]),
    (
        "bpf/bpf_core_read.h",
        &[
            "BPF_CORE_READ",
            "BPF_CORE_READ_INTO",
            "BPF_CORE_READ_STR_INTO",
            "BPF_PROBE_READ",
            "bpf_core_read",
            "bpf_core_read_str",
            "bpf_core_field_exists",
            "bpf_core_field_size",
            "bpf_core_type_exists",
            "bpf_core_enum_value",
            "bpf_core_cast",
        ],
    ),
    (
        "bpf/bpf_tracing.h",
        &[
            "BPF_PROG",
            "BPF_KPROBE",
            "BPF_KRETPROBE",
            "BPF_KSYSCALL",
            "PT_REGS_PARM1",
            "PT_REGS_PARM2",
            "PT_REGS_PARM3",
            "PT_REGS_PARM4",
            "PT_REGS_PARM5",
            "PT_REGS_RC",
            "PT_REGS_IP",
            "BPF_SEQ_PRINTF",
            "BPF_SNPRINTF",
        ],
    ),
    ("bpf/usdt.bpf.h", &["bpf_usdt_arg", "bpf_usdt_arg_cnt", "bpf_usdt_cookie", "BPF_USDT"]),
    (
        "string.h: the compiler's __builtin_memcpy, __builtin_memset",
        &["memcpy", "memset", "memmove", "memcmp", "strlen", "strcmp"],
    ),
];

/// The name between two quotes behind a text.
fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(before)?;
    rest.split_once('\'').map(|(name, _)| name)
}

/// What can be done about a loader's complaint, if it is about a name.
pub fn help(why: &str, kernel: Option<&Btf>) -> Option<String> {
    for before in ["extern (func ksym) '", "failed to find BTF for extern '", "extern (var ksym) '"] {
        if let Some(name) = quoted(why, before) {
            return external(name, why, kernel);
        }
    }
    let target = quoted(why, "failed to find kernel BTF type ID of '")?;
    let like = kernel.and_then(|btf| similar(target, btf, Kind::Func, ""));
    let or = "it may have another name in this kernel, be inlined everywhere, or be of a module that is not loaded";
    Some(match like {
        Some(like) => format!("did you mean `{like}`? Otherwise {or}"),
        None => or.to_owned(),
    })
}

/// What an extern that no kernel has was probably meant to be.
fn external(name: &str, why: &str, kernel: Option<&Btf>) -> Option<String> {
    if helpers::by_name(name).is_some() {
        return Some(format!(
            "`{name}` is a helper, not a function of the kernel: include <bpf/bpf_helpers.h>, and do not declare it"
        ));
    }
    if let Some((header, _)) = HEADERS.iter().find(|(_, names)| names.contains(&name)) {
        return Some(match header.split_once(": ") {
            Some((_, instead)) => format!("programs have no C library; use {instead}"),
            None => format!("`{name}` is defined in <{header}>: include it"),
        });
    }
    if why.contains("incompatible") {
        return Some(format!(
            "`{name}` has other parameters in this kernel; take its declaration from this kernel's vmlinux.h"
        ));
    }
    if kfuncs::find(name).is_some() {
        return Some(format!(
            "this kernel does not have `{name}`: it is too old or too new for it, or was built without it; declare it `__weak` and test it with bpf_ksym_exists"
        ));
    }
    let known = kfuncs::all().map(|k| k.name).chain(helpers::helper_names().map(|(_, n)| n));
    let headers = HEADERS.iter().flat_map(|(_, names)| names.iter().copied());
    let like = nearest(name, known.chain(headers)).map(str::to_owned);
    if let Some(like) = like.or_else(|| similar(name, kernel?, Kind::Func, "")) {
        return Some(format!("did you mean `{like}`?"));
    }
    let is_undeclared = why.contains("failed to find BTF for extern");
    is_undeclared.then(|| format!("`{name}` is in no object: link the one that has it (`ebpfkit link`), or, if it is a function of the kernel, declare it with `__ksym`"))
}

/// The name of a kind of kernel types that is most like another, without `prefix`.
fn similar(name: &str, btf: &Btf, kind: Kind, prefix: &str) -> Option<String> {
    let near = |n: &&str| {
        let ends = n.get(..2) == name.get(..2)
            || n.get(n.len().saturating_sub(3)..) == name.get(name.len().saturating_sub(3)..);
        n.len().abs_diff(name.len()) <= 3 && ends
    };
    let names =
        (1..btf.len()).filter(|&id| btf.kind(id) == Some(kind)).filter_map(|id| btf.name(id).strip_prefix(prefix));
    nearest(name, names.filter(near)).map(str::to_owned)
}

/// What is doubtful about where a program is to be attached, where nobody looks before it is: kprobes and tracepoints
/// that the kernel's types do not know. `has_symbol` says whether the kernel has a symbol, if that is known.
pub fn doubt(program: &Program, btf: &Btf, has_symbol: &dyn Fn(&str) -> Option<bool>) -> Option<String> {
    let target = program.attach_target.as_str();
    let plain = !target.is_empty()
        && target.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'/' | b'+' | b'.'));
    if !plain {
        return None;
    }
    let kind = program.section.split('/').next()?;
    match (program.prog_type, kind) {
        (ProgType::Kprobe, "kprobe" | "kretprobe") => {
            let function = target.split('+').next()?;
            if btf.find(function, Kind::Func).is_some() || has_symbol(function) == Some(true) {
                return None;
            }
            let like = similar(function, btf, Kind::Func, "");
            let meant =
                like.map_or_else(|| "it may be inlined or not be there".to_owned(), |l| format!("did you mean `{l}`?"));
            Some(format!("the kernel's types have no function `{function}` for the probe: {meant}"))
        }
        (ProgType::Kprobe, "ksyscall" | "kretsyscall") => (!has_syscall(btf, target)).then(|| no_syscall(btf, target)),
        (ProgType::Tracepoint, _) => {
            let (category, event) = target.split_once('/')?;
            if category == "syscalls" {
                let call = event.strip_prefix("sys_enter_").or_else(|| event.strip_prefix("sys_exit_"))?;
                return (!has_syscall(btf, call)).then(|| no_syscall(btf, call));
            }
            tracepoint(btf, event)
        }
        (ProgType::RawTracepoint, _) => tracepoint(btf, target),
        _ => None,
    }
}

/// Prefixes of the functions that are system calls, by architecture.
const SYSCALLS: &[&str] =
    &["__x64_sys_", "__arm64_sys_", "__riscv_sys_", "__s390x_sys_", "__se_sys_", "__do_sys_", "sys_"];

fn has_syscall(btf: &Btf, name: &str) -> bool {
    SYSCALLS.iter().any(|prefix| btf.find(&format!("{prefix}{name}"), Kind::Func).is_some())
}

fn no_syscall(btf: &Btf, name: &str) -> String {
    let like = SYSCALLS.iter().find_map(|prefix| similar(name, btf, Kind::Func, prefix));
    let meant = like.map(|l| format!("; did you mean `{l}`?")).unwrap_or_default();
    format!("the kernel's types have no system call `{name}`{meant}")
}

fn tracepoint(btf: &Btf, name: &str) -> Option<String> {
    const PREFIX: &str = "btf_trace_";
    if btf.find(&format!("{PREFIX}{name}"), Kind::Typedef).is_some() || matches!(name, "sys_enter" | "sys_exit") {
        return None;
    }
    let like = similar(name, btf, Kind::Typedef, PREFIX);
    let meant = like.map_or_else(|| "it may be of a module".to_owned(), |l| format!("did you mean `{l}`?"));
    Some(format!("the kernel's types have no tracepoint `{name}`: {meant}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_were_meant() {
        let said = |why: &str| help(why, None).unwrap_or_default();
        assert!(
            said("extern (func ksym) 'bpf_map_lookup_elem': not found in kernel or module BTFs")
                .contains("bpf_helpers.h")
        );
        assert!(said("failed to find BTF for extern 'bpf_htons' [7] section: -2").contains("<bpf/bpf_endian.h>"));
        assert!(said("failed to find BTF for extern 'memcpy' [7] section: -2").contains("__builtin_memcpy"));
        assert!(
            said("extern (func ksym) 'bpf_task_from_pidd': not found in kernel or module BTFs")
                .contains("`bpf_task_from_pid`")
        );
        assert!(said("extern (func ksym) 'bpf_task_from_pid': not found in kernel or module BTFs").contains("__weak"));
        assert!(said("failed to find BTF for extern 'helper_of_mine' [7] section: -2").contains("ebpfkit link"));
        assert_eq!(help("something else", None), None);
    }
}
