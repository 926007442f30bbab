//! Whether what an object expects is what another one defines.

use super::Input;
use super::symbols::{Globals, is_global};
use crate::btf::{Btf, Kind, Type, TypeId};
use crate::core_relo::types_compatible;
use crate::model::{Map, ObjectError};
use crate::read::elf::refused;
use crate::read::map_def;

/// A variable or function of this name.
pub(super) fn declared(btf: &Btf, name: &str) -> Option<TypeId> {
    btf.find(name, Kind::Func).or_else(|| btf.find(name, Kind::Var))
}

/// Compares every reference with the definition that was chosen for it.
pub(crate) fn definitions(inputs: &[Input<'_>], globals: &Globals<'_>) -> Result<(), ObjectError> {
    for (number, input) in inputs.iter().enumerate() {
        for s in input.file.symbols.iter().filter(|s| is_global(&input.file, s) && s.is_extern) {
            let Some(global) = globals.get(s.name).filter(|g| g.owner.0 != number) else { continue };
            let owner = &inputs[global.owner.0];
            let (Some(ours), Some(theirs)) = (&input.btf, &owner.btf) else { continue };
            let (Some(a), Some(b)) = (declared(ours, s.name), declared(theirs, s.name)) else { continue };
            one(s.name, ours, a, theirs, b)?;
        }
    }
    Ok(())
}

fn one(name: &str, ours: &Btf, a: TypeId, theirs: &Btf, b: TypeId) -> Result<(), ObjectError> {
    let fail = |why: String| Err(refused(format!("global '{name}': {why}")));
    let kind = |btf: &Btf, id| btf.kind(id).map_or("unknown", Kind::name);
    match (ours.get(a), theirs.get(b)) {
        (Some(Type::Func { proto: p, .. }), Some(Type::Func { proto: q, .. })) => {
            if types_compatible(ours, p, theirs, q) != Ok(true) {
                return fail("incompatible func_proto".into());
            }
        }
        (Some(Type::Var { ty: p, .. }), Some(Type::Var { ty: q, .. })) => {
            if in_maps(ours, a) || in_maps(theirs, b) {
                let mut refusals = Vec::new();
                let (m, n) = (
                    map_def::parse(ours, name, ours.resolve(p), true, &mut refusals)?,
                    map_def::parse(theirs, name, theirs.resolve(q), true, &mut refusals)?,
                );
                if let Some(why) = refusals.pop() {
                    return Err(refused(why));
                }
                return difference(&m, &n).map_or(Ok(()), |what| fail(format!("map {what} mismatch")));
            }
            let (k, l) = (kind(ours, ours.resolve(p)), kind(theirs, theirs.resolve(q)));
            if k != l {
                return fail(format!("incompatible BTF kinds {k} and {l}"));
            }
            let (m, n) = (ours.size_of(p), theirs.size_of(q));
            if m != n && m.unwrap_or(0) != 0 {
                return fail(format!("incompatible {k} size {} and {}", m.unwrap_or(0), n.unwrap_or(0)));
            }
        }
        _ => return fail(format!("incompatible BTF kinds {} and {}", kind(ours, a), kind(theirs, b))),
    }
    Ok(())
}

fn in_maps(btf: &Btf, var: TypeId) -> bool {
    btf.find(".maps", Kind::Datasec).is_some_and(|s| btf.sec_vars(s).any(|v| v.ty == var))
}

/// The first attribute in which two definitions of a map differ.
fn difference(a: &Map, b: &Map) -> Option<&'static str> {
    let pairs = [
        ("type", u64::from(a.map_type.0), u64::from(b.map_type.0)),
        ("key_size", a.key_size.into(), b.key_size.into()),
        ("value_size", a.value_size.into(), b.value_size.into()),
        ("max_entries", a.max_entries.into(), b.max_entries.into()),
        ("map_flags", a.flags.into(), b.flags.into()),
        ("numa_node", a.numa_node.into(), b.numa_node.into()),
        ("pinning", a.pinning.into(), b.pinning.into()),
        ("map_extra", a.extra, b.extra),
    ];
    if let Some((what, ..)) = pairs.iter().find(|(_, x, y)| x != y) {
        return Some(what);
    }
    match (&a.inner, &b.inner) {
        (Some(x), Some(y)) => difference(x, y),
        (None, None) => None,
        _ => Some("inner map"),
    }
}
