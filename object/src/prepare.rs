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

#[cfg(test)]
mod tests {
    use crate::{Object, Target};
    use proptest::prelude::*;

    const OBJECT: &[u8] = include_bytes!("../../examples/xdp-firewall/firewall.o");

    #[test]
    fn the_example_opens() {
        let object = Object::open("firewall.o", OBJECT).expect("a valid object");
        assert_eq!(object.license, "Dual MIT/GPL");
        assert_eq!(object.maps.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["blocked"]);
        assert_eq!((object.maps[0].key_size, object.maps[0].value_size, object.maps[0].max_entries), (4, 8, 1024));
        let program = &object.programs[0];
        assert_eq!((program.name.as_str(), program.section.as_str()), ("firewall", "xdp"));
        assert_eq!(program.func_info.len(), 1);
        assert!(!program.line_info.is_empty());
        let prepared = object.prepare(&Target::default()).expect("nothing to resolve");
        assert_eq!(prepared.unloadable, [None]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Broken files give an error or an object, never a panic.
        #[test]
        fn mutated_objects_are_harmless(changes in prop::collection::vec((0..OBJECT.len(), any::<u8>()), 1..12), cut in 0..OBJECT.len() * 4) {
            let mut bytes = OBJECT.to_vec();
            for (at, value) in changes {
                bytes[at] = value;
            }
            bytes.truncate(cut);
            if let Ok(object) = Object::open("x.o", &bytes) {
                let _ = object.prepare(&Target::default());
            }
        }
    }
}
