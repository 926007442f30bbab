//! Attach points: the kernel type that a program is for.

use crate::btf::Kind;
use crate::model::{Program, Target};
use ebpfkit_abi::Errno;
use ebpfkit_abi::{AttachType, ProgType};

/// Longest name of an attach point, with its prefix and zero byte.
const MAX_NAME: usize = 128;
/// `ENAMETOOLONG`, as messages print it.
const NAME_TOO_LONG: i32 = -Errno::ENAMETOOLONG.0;
/// `ESRCH`, as messages print it.
const NOT_FOUND: i32 = -Errno::ESRCH.0;
/// First kernel that links probes of user space in groups (6.6), as a version code.
const UPROBE_MULTI: u32 = 6 << 16 | 6 << 8;

/// Checks a program's type and finds its attach point.
pub(super) fn prepare(program: &mut Program, target: &Target) -> Result<(), String> {
    let name = &program.name;
    match program.prog_type {
        ProgType::Unspec => {
            Err(format!("prog '{name}': missing BPF prog type, check ELF section name '{}'", program.section))
        }
        ProgType::StructOps if program.attach_btf_id == 0 => Err(format!(
            "prog '{name}': SEC(\"struct_ops\") program isn't referenced anywhere, did you forget to use it?"
        )),
        ProgType::Kprobe if is_usdt(&program.section) && target.version_code >= UPROBE_MULTI => {
            program.attach_type = AttachType::TraceUprobeMulti;
            Ok(())
        }
        // What attaches to many functions names none when it is loaded.
        ProgType::Tracing if is_multi(program.attach_type) => Ok(()),
        ProgType::Tracing | ProgType::Lsm | ProgType::Ext if program.attach_btf_id == 0 => kernel_type(program, target),
        _ => Ok(()),
    }
}

fn is_multi(attach_type: AttachType) -> bool {
    matches!(attach_type, AttachType::TraceFentryMulti | AttachType::TraceFexitMulti | AttachType::TraceFsessionMulti)
}

fn is_usdt(section: &str) -> bool {
    matches!(section.split('/').next(), Some("usdt" | "usdt.s"))
}

fn kernel_type(program: &mut Program, target: &Target) -> Result<(), String> {
    let name = &program.name;
    if program.attach_target.is_empty() && !program.section.ends_with('/') {
        return Err(format!(
            "prog '{name}': no BTF-based attach target is specified, use bpf_program__set_attach_target()"
        ));
    }
    let attach = program.attach_target.as_str();
    if program.prog_type == ProgType::Ext {
        return Err(format!("prog '{name}': attach program FD is not set"));
    }
    let (prefix, kind) = match program.attach_type {
        AttachType::TraceRawTp => ("btf_trace_", Kind::Typedef),
        AttachType::LsmMac | AttachType::LsmCgroup => ("bpf_lsm_", Kind::Func),
        AttachType::TraceIter => ("bpf_iter_", Kind::Func),
        _ => ("", Kind::Func),
    };
    let Some(btf) = &target.vmlinux else {
        return Err("Error loading vmlinux BTF: -3".into());
    };
    // A module's name may come first; an abbreviation of `vmlinux` stands for the kernel itself.
    let function = match attach.split_once(':') {
        Some((module, function)) if "vmlinux".starts_with(module) => Some(function),
        Some(_) => None,
        None => Some(attach),
    };
    let full = function.map(|f| format!("{prefix}{f}"));
    let found = match &full {
        Some(full) if full.len() >= MAX_NAME => Err(NAME_TOO_LONG),
        Some(full) => btf.find(full, kind).ok_or(NOT_FOUND),
        None => Err(NOT_FOUND),
    };
    match found {
        Ok(id) => {
            program.attach_btf_id = id;
            Ok(())
        }
        Err(error) => Err(super::missing(
            format!("prog '{name}': failed to find kernel BTF type ID of '{attach}': {error}"),
            target,
        )),
    }
}
