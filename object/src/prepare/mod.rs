//! Resolving what depends on the kernel, in libbpf's order: externs, struct_ops maps, CO-RE, maps, attach points.
//!
//! Where libbpf gives up on the whole object, every program gets the reason; where the fault is one program's, only
//! that one: the result is what each program would meet if it were loaded alone.

mod attach;
mod config;
mod externs;
mod maps;
mod struct_ops;
mod types;

use crate::core_relo::{Resolver, patch, poison};
use crate::model::{ExternKind, Map, Needs, Object, ObjectError, PendingKind, Prepared, Program, Target};
use crate::read::PERCPU_DATA;
use ebpfkit_abi::{MapType, ProgType};
use ebpfkit_isa::opcode::{self, pseudo};
use externs::Resolved;
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Immediate of calls that stand for maps that are not created; the map's number is added.
const POISON_MAP: i32 = 2_001_000_000;
/// Immediate of calls of kernel functions that do not exist; the extern's number is added.
const POISON_KFUNC: i32 = 2_002_000_000;

/// The descriptor that libbpf gives to the first map of an object when nothing else is open.
const FIRST_DESCRIPTOR: i32 = 4;

/// What of a kernel an object needs.
pub(crate) fn needs(object: &Object) -> Needs {
    let mut needs = Needs::default();
    for e in &object.externs {
        match e.kind {
            ExternKind::Config { .. } => {
                needs.config_text |= e.name.starts_with(config::PREFIX);
                needs.config = true;
            }
            ExternKind::Variable { type_id: 0 } => needs.symbols = true,
            ExternKind::Variable { .. } | ExternKind::Function { .. } => needs.types = true,
        }
    }
    let typed = |p: &Program| matches!(p.prog_type, ProgType::Tracing | ProgType::Lsm | ProgType::StructOps);
    needs.types |= object.programs.iter().any(typed)
        || object.core.iter().any(|r| r.needs_target())
        || object.btf.as_deref().is_some_and(crate::record::has_kptrs)
        || object.maps.iter().any(|m| m.map_type == MapType::StructOps);
    needs
}

/// A complaint about something that the kernel's own types lack, honest about those that were not read.
fn missing(complaint: String, target: &Target) -> String {
    if target.unread_modules {
        return format!("{complaint} (types of modules are not read here)");
    }
    complaint
}

/// Resolves an object for a kernel. What one program needs and cannot get does not hide the others.
pub(crate) fn prepare(mut object: Object, target: &Target) -> Result<Prepared, ObjectError> {
    let count = object.programs.len();
    let fail = |object: Object, why: String| Ok(Prepared { object, unloadable: vec![Some(why); count] });
    if object.endian != target.endian {
        let why = format!("object '{}': load is not supported in non-native endianness", object.name);
        return fail(object, why);
    }
    let resolved = match externs::resolve(&mut object, target) {
        Ok(resolved) => resolved,
        Err(why) => return fail(object, why),
    };
    if target.percpu_data {
        for map in object.maps.iter_mut().filter(|m| m.section.starts_with(PERCPU_DATA)) {
            map.on_demand = false;
        }
    }
    let mut unloadable: Vec<Option<String>> = vec![None; count];
    struct_ops::prepare(&mut object, target, &mut unloadable);
    // A fault in a subprogram is one of the object: libbpf relocates it whether or not it is used.
    let shared = instructions(&mut object, target, &resolved, &mut unloadable);
    static_functions(&mut object);
    let kernel_types = || target.vmlinux.clone();
    let objection = object.btf.as_deref().and_then(|btf| types::objection(btf, &kernel_types));
    let mandatory = object.maps.iter().any(|m| m.map_type == MapType::StructOps && !m.on_demand);
    let types_fault = objection.as_ref().map(|(errno, _)| {
        for map in &mut object.maps {
            let inner = map.inner.as_deref_mut().map(|m| (&mut m.key_type, &mut m.value_type));
            for (key, value) in inner.into_iter().chain([(&mut map.key_type, &mut map.value_type)]) {
                (*key, *value) = (0, 0);
            }
        }
        let errno = errno.0;
        mandatory.then(|| format!("Error loading .BTF into kernel: -{errno}. BTF is mandatory, can't proceed."))
    });
    object.types_refused = objection.map(|(_, why)| why);
    let map_fault = maps::prepare(&mut object.maps, object.btf.as_deref(), target);
    let everyone = shared.or(types_fault.flatten()).or(map_fault);
    for (index, why) in unloadable.iter_mut().enumerate() {
        if let Some(fault) = everyone.as_ref().filter(|_| why.is_none()) {
            *why = Some(fault.clone());
        }
        if why.is_none() {
            *why = attach::prepare(&mut object.programs[index], target).err();
        }
    }
    Ok(Prepared { object, unloadable })
}

/// Hidden functions become static for the verifier, which then looks at them from their callers.
fn static_functions(object: &mut Object) {
    let Some(btf) = object.btf.as_deref().filter(|_| !object.hidden.is_empty()) else { return };
    let mut edit = crate::btf::Edit::new(btf);
    let mut hidden: FxHashSet<&str> = object.hidden.iter().map(String::as_str).collect();
    for id in 1..btf.len() {
        // Of several functions of a name the first is meant.
        if matches!(btf.get(id), Some(crate::btf::Type::Func { linkage: 1, .. })) && hidden.remove(btf.name(id)) {
            edit.set_func_linkage(id, 0);
        }
    }
    if let Ok(btf) = edit.finish() {
        object.btf = Some(Arc::new(btf));
    }
}

/// Resolves every pending instruction; the first fault that concerns all programs.
fn instructions(
    object: &mut Object,
    target: &Target,
    resolved: &[Resolved],
    unloadable: &mut [Option<String>],
) -> Option<String> {
    let Object { programs, core, externs, maps, btf, .. } = object;
    let mut everyone = None;
    let mut resolver = btf.as_deref().map(|btf| Resolver::new(btf, target.vmlinux.as_deref()));
    let mut outcomes = vec![None; core.len()];
    for (program, why) in programs.iter_mut().zip(unloadable) {
        if why.is_none() {
            *why = program.refused.clone();
        }
        let mut pending = std::mem::take(&mut program.pending);
        // libbpf applies CO-RE first.
        pending.sort_by_key(|p| (!matches!(p.what, PendingKind::Core(_)), p.insn));
        for p in pending {
            match p.what {
                PendingKind::Core(number) => {
                    let (Some(resolver), Some(relocation)) = (&mut resolver, core.get(number)) else { continue };
                    let outcome = outcomes[number].get_or_insert_with(|| resolver.resolve(relocation));
                    let done = outcome.clone().and_then(|o| patch(&mut program.insns, p.insn, relocation, &o));
                    match done {
                        Ok(true) => {
                            let text = btf.as_deref().map_or_else(String::new, |btf| relocation.failure(btf));
                            program.poison.push((p.insn, text));
                        }
                        Ok(false) => {}
                        Err(fault) if relocation.shared => everyone = everyone.or(Some(fault)),
                        Err(fault) => *why = why.take().or(Some(fault)),
                    }
                }
                PendingKind::Extern(number) => {
                    if let (Some(value), Some(e)) = (resolved.get(number), externs.get(number)) {
                        patch_extern(program, p.insn, number, &e.name, value);
                    }
                }
                PendingKind::Map(number) => not_created(program, p.insn, number, maps),
            }
        }
    }
    everyone
}

fn patch_extern(program: &mut Program, at: usize, number: usize, name: &str, value: &Resolved) {
    let Some(insn) = program.insns.get(at).copied() else { return };
    if insn.code == opcode::CALL {
        program.insns[at].src = pseudo::KFUNC_CALL;
        match *value {
            Resolved::Kernel(id) => (program.insns[at].imm, program.insns[at].off) = (id as i32, 0),
            // Which module it is and where the function stands in its types is not known.
            Resolved::InModule => (program.insns[at].imm, program.insns[at].off) = (1, 1),
            _ => {
                poison(&mut program.insns[at..=at], POISON_KFUNC + number as i32);
                program.poison.push((at, format!("kfunc '{name}' is referenced but wasn't resolved")));
            }
        }
        return;
    }
    if program.insns.len() < at + 2 {
        return;
    }
    let (src, low, high) = match *value {
        Resolved::Config { map, offset } => (pseudo::MAP_VALUE, map as i32, offset as i32),
        Resolved::Kernel(id) => (pseudo::BTF_ID, id as i32, 0),
        Resolved::InModule => (insn.src, 0, 0),
        Resolved::Address(address) => (insn.src, address as i32, (address >> 32) as i32),
    };
    (program.insns[at].src, program.insns[at].imm, program.insns[at + 1].imm) = (src, low, high);
}

/// A map that libbpf does not create cannot be referred to.
fn not_created(program: &mut Program, at: usize, number: usize, maps: &[Map]) {
    let Some(map) = maps.get(number).filter(|m| m.on_demand) else { return };
    if map.map_type == MapType::PercpuArray {
        // That the kernel does not know such data is found out after instructions have been given descriptors, which
        // then are of no map.
        if let Some(insn) = program.insns.get_mut(at) {
            insn.imm = !(FIRST_DESCRIPTOR + number as i32);
        }
        return;
    }
    if let Some(slots) = program.insns.get_mut(at..at + 2) {
        poison(slots, POISON_MAP + number as i32);
        program.poison.push((at, format!("BPF map '{}' is referenced but wasn't created", map.name)));
    }
}

#[cfg(test)]
mod tests {
    use crate::{Object, Target};
    use proptest::prelude::*;

    const OBJECT: &[u8] = include_bytes!("../../../examples/xdp-firewall/firewall.o");

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
