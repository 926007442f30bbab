//! Resolving what depends on the kernel.

use crate::btf::Kind;
use crate::model::{Object, ObjectError, Prepared, Program, Target};
use ebpfkit_abi::{AttachType, ProgType};

/// Resolves an object for a kernel. What one program needs and cannot get does not hide the others.
pub(crate) fn prepare(mut object: Object, target: &Target) -> Result<Prepared, ObjectError> {
    let unloadable = object.programs.iter_mut().map(|p| program(p, target).err()).collect();
    Ok(Prepared { object, unloadable })
}

fn program(program: &mut Program, target: &Target) -> Result<(), String> {
    if program.prog_type == ProgType::Unspec {
        return Err(format!(
            "prog '{}': missing BPF prog type, check ELF section name '{}'",
            program.name, program.section
        ));
    }
    if let Some(why) = &program.refused {
        return Err(why.clone());
    }
    if program.has_core_relocations {
        return Err("CO-RE relocations are not supported yet".into());
    }
    attach_point(program, target)
}

/// Finds the kernel type of the attach point, where the program type has one.
fn attach_point(program: &mut Program, target: &Target) -> Result<(), String> {
    let (prefix, kind) = match (program.prog_type, program.attach_type) {
        (ProgType::Tracing, AttachType::TraceRawTp) => ("btf_trace_", Kind::Typedef),
        (ProgType::Tracing, AttachType::TraceIter) => ("bpf_iter_", Kind::Func),
        (ProgType::Tracing, _) => ("", Kind::Func),
        (ProgType::Lsm, _) => ("bpf_lsm_", Kind::Func),
        _ => return Ok(()),
    };
    if program.attach_target.is_empty() {
        return Err(format!("prog '{}': no target to attach to in its section name", program.name));
    }
    let Some(btf) = &target.vmlinux else {
        return Err(format!("prog '{}': attaching to {} needs kernel BTF", program.name, program.attach_target));
    };
    let name = format!("{prefix}{}", program.attach_target);
    program.attach_btf_id = btf.find(&name, kind).ok_or_else(|| {
        format!("prog '{}': failed to find kernel BTF type ID of '{}'", program.name, program.attach_target)
    })?;
    Ok(())
}
