//! Externs: values from the configuration, kernel functions and variables by BTF id or address.

use super::{config, missing};
use crate::btf::{Btf, Kind, Type};
use crate::core_relo::types_compatible;
use crate::model::{Extern, ExternKind, MapInit, Object, Target};
use ebpfkit_abi::kfuncs;
use rustc_hash::FxHashMap;

/// First kernel with cookies of attachments (5.15), as a version code.
const BPF_COOKIE: u32 = 5 << 16 | 15 << 8;

/// What an extern turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolved {
    /// A place in the `.kconfig` map.
    Config {
        /// The map.
        map: usize,
        /// Byte offset in its value.
        offset: u32,
    },
    /// A function of a module whose types are not read.
    InModule,
    /// A kernel function or variable by BTF id.
    Kernel(u32),
    /// An address; zero for what is weak and missing.
    Address(u64),
}

/// Resolves all externs, in libbpf's order of attempts; its complaint about the first that is missing.
pub(super) fn resolve(object: &mut Object, target: &Target) -> Result<Vec<Resolved>, String> {
    let Object { externs, maps, btf, .. } = object;
    let config_map = maps.iter().position(|m| m.section == ".kconfig");
    let mut found: Vec<Option<Resolved>> = vec![None; externs.len()];
    let configured = |e: &Extern| matches!(e.kind, ExternKind::Config { .. });
    if let Some(map) = config_map
        && let MapInit::Data(data) = &mut maps[map].init
    {
        let set = configuration(externs, target, data)?;
        for (number, e) in externs.iter().enumerate() {
            if let ExternKind::Config { offset, .. } = e.kind {
                // What is weak and not set is zero, at the same place.
                if set[number] || e.is_weak {
                    found[number] = Some(Resolved::Config { map, offset });
                }
            }
        }
    }
    addresses(externs, target, &mut found)?;
    for (number, e) in externs.iter().enumerate() {
        let missing = found[number].is_none();
        match (e.kind, btf.as_deref()) {
            (ExternKind::Variable { type_id }, Some(local)) if type_id != 0 => {
                found[number] = variable(e, type_id, local, target)?.or(found[number]);
            }
            (ExternKind::Function { proto }, Some(local)) if missing => {
                found[number] = function(e, proto, local, target)?;
            }
            _ => {}
        }
    }
    for (e, found) in externs.iter().zip(&mut found) {
        if found.is_none() {
            if !e.is_weak || configured(e) {
                return Err(format!("extern '{}' (strong): not resolved", e.name));
            }
            *found = Some(Resolved::Address(0));
        }
    }
    Ok(found.into_iter().flatten().collect())
}

/// Configuration values and libbpf's own; which ones were set.
fn configuration(externs: &[Extern], target: &Target, data: &mut [u8]) -> Result<Vec<bool>, String> {
    let mut needs_text = false;
    let mut own = vec![false; externs.len()];
    for (number, e) in externs.iter().enumerate() {
        let Some((bytes, form)) = config::bytes_of(e, data) else { continue };
        let value = match e.name.as_str() {
            name if name.starts_with(config::PREFIX) => {
                needs_text = true;
                continue;
            }
            "LINUX_KERNEL_VERSION" if target.version_code == 0 => {
                return Err(format!("extern (kcfg) '{}': failed to get kernel version", e.name));
            }
            "LINUX_KERNEL_VERSION" => target.version_code.into(),
            "LINUX_HAS_BPF_COOKIE" => (target.version_code >= BPF_COOKIE).into(),
            "LINUX_HAS_SYSCALL_WRAPPER" => target.syscall_wrapper.into(),
            name if name.starts_with("LINUX_") && e.is_weak => 0,
            _ => return Err(format!("extern (kcfg) '{}': unrecognized virtual extern", e.name)),
        };
        config::number_value(bytes, form, value).map_err(|why| format!("extern (kcfg) '{}': {why}", e.name))?;
        own[number] = true;
    }
    if needs_text {
        let Some(text) = &target.kconfig else { return Err("failed to open system Kconfig".into()) };
        let set = config::read(externs, text, data)?;
        own.iter_mut().zip(set).for_each(|(a, b)| *a |= b);
    }
    Ok(own)
}

/// Addresses of variables, if any is wanted.
fn addresses(externs: &[Extern], target: &Target, found: &mut [Option<Resolved>]) -> Result<(), String> {
    let is_variable = |e: &&Extern| matches!(e.kind, ExternKind::Variable { .. });
    if !externs.iter().any(|e| matches!(e.kind, ExternKind::Variable { type_id: 0 })) {
        return Ok(());
    }
    let Some(lookup) = &target.kallsyms else { return Err("failed to open /proc/kallsyms: -2".into()) };
    let names: Vec<&str> = externs.iter().filter(is_variable).map(|e| e.name.as_str()).collect();
    let answers = lookup(&names);
    let answer_of: FxHashMap<&str, usize> = names.iter().enumerate().rev().map(|(i, n)| (*n, i)).collect();
    for (number, e) in externs.iter().enumerate().filter(|(_, e)| is_variable(e)) {
        let Some(all) = answer_of.get(e.name.as_str()).and_then(|&i| answers.get(i)) else { continue };
        let Some(&first) = all.first() else { continue };
        if let Some(other) = all.iter().find(|&&a| a != first) {
            return Err(format!("extern (ksym) '{}': resolution is ambiguous: {first:#x} or {other:#x}", e.name));
        }
        found[number] = Some(Resolved::Address(first));
    }
    Ok(())
}

fn kernel_types(target: &Target) -> Result<&Btf, String> {
    target.vmlinux.as_deref().ok_or_else(|| "Error loading vmlinux BTF: -3".into())
}

/// A typed variable; nothing when it is weak and missing.
fn variable(e: &Extern, type_id: u32, local: &Btf, target: &Target) -> Result<Option<Resolved>, String> {
    let kernel = kernel_types(target)?;
    let Some(id) = kernel.find(&e.name, Kind::Var) else {
        return match e.is_weak {
            true => Ok(None),
            false => Err(missing(format!("extern (var ksym) '{}': not found in kernel BTF", e.name), target)),
        };
    };
    let Some(Type::Var { ty, .. }) = kernel.get(id) else { return Ok(None) };
    let theirs = kernel.resolve(ty);
    if types_compatible(local, type_id, kernel, theirs) == Ok(true) {
        return Ok(Some(Resolved::Kernel(id)));
    }
    let kind = |btf: &Btf, id| btf.kind(id).map_or("unknown", Kind::name);
    Err(format!(
        "extern (var ksym) '{}': incompatible types, expected [{type_id}] {} {}, but kernel has [{theirs}] {} {}",
        e.name,
        kind(local, type_id),
        local.name(type_id),
        kind(kernel, theirs),
        kernel.name(theirs)
    ))
}

/// Whether a function that the kernel's types lack is one that a module has. Where the types include functions of
/// modules, as those of bundled kernels do, none is.
fn is_in_unread_module(name: &str, kernel: &Btf, target: &Target) -> bool {
    let is_newer = kfuncs::since(name).is_some_and(|v| v.code() > target.version_code);
    let has_others =
        || kfuncs::all().any(|k| kfuncs::is_in_module(k.name) && kernel.find(k.name, Kind::Func).is_some());
    kfuncs::is_in_module(name) && !is_newer && !has_others()
}

/// A kernel function; nothing when it is weak and missing or different.
fn function(e: &Extern, proto: u32, local: &Btf, target: &Target) -> Result<Option<Resolved>, String> {
    let kernel = kernel_types(target)?;
    let Some(id) = kernel.find(crate::btf::essential(&e.name), Kind::Func) else {
        let in_module = target.unread_modules && is_in_unread_module(crate::btf::essential(&e.name), kernel, target);
        return match e.is_weak {
            _ if in_module => Ok(Some(Resolved::InModule)),
            true => Ok(None),
            false => {
                Err(missing(format!("extern (func ksym) '{}': not found in kernel or module BTFs", e.name), target))
            }
        };
    };
    let Some(Type::Func { proto: theirs, .. }) = kernel.get(id) else { return Ok(None) };
    if types_compatible(local, proto, kernel, theirs) == Ok(true) {
        return Ok(Some(Resolved::Kernel(id)));
    }
    match e.is_weak {
        true => Ok(None),
        false => {
            Err(format!("extern (func ksym) '{}': func_proto [{proto}] incompatible with vmlinux [{theirs}]", e.name))
        }
    }
}
