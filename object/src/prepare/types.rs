//! Whether a kernel takes the object's types. Where they are optional, libbpf loads the programs without them.

use crate::btf::{Btf, Kind, Type, TypeId};
use crate::record::{self, KernelTypes};
use ebpfkit_abi::Errno;
use rustc_hash::FxHashMap;

/// Longest name of a type, with its zero byte (`KSYM_NAME_LEN`).
const MAX_NAME: usize = 512;

/// What the kernel objects to, and its error number; the first of what compilers are known to do.
pub(super) fn objection(btf: &Btf, kernel: KernelTypes<'_>) -> Option<(Errno, String)> {
    let all = || 1..btf.len();
    // Many functions may have one prototype.
    let mut unnamed = FxHashMap::default();
    let malformed =
        all().find_map(|id| names(btf, id)).or_else(|| all().find_map(|id| arguments(btf, id, &mut unnamed)));
    if let Some(what) = malformed {
        return Some((Errno::EINVAL, what));
    }
    // Of special fields the kernel gives no reason.
    let (id, why) = record::check_structs(btf, kernel).err()?;
    Some((why.errno, format!("struct {}: {}", btf.name(id), why.what)))
}

fn is_identifier(name: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.');
    !name.is_empty() && name.len() < MAX_NAME && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(fits)
}

fn says(btf: &Btf, id: TypeId, what: &str) -> Option<String> {
    let kind = btf.kind(id).map_or("", Kind::name).to_ascii_uppercase();
    let name = match btf.name(id) {
        "" => "(anon)",
        name => name,
    };
    let detail = match btf.get(id) {
        Some(Type::Func { proto: t, .. } | Type::Typedef(t) | Type::Var { ty: t, .. }) => format!("type_id={t}"),
        Some(Type::Struct(c) | Type::Union(c)) => format!("size={} vlen={}", c.size, c.len),
        Some(Type::Enum { size, len, .. } | Type::Enum64 { size, len, .. }) => format!("size={size} vlen={len}"),
        _ => String::new(),
    };
    Some(format!("[{id}] {kind} {name} {detail} {what}"))
}

/// Names must be identifiers, except those of integers, sections and tags.
fn names(btf: &Btf, id: TypeId) -> Option<String> {
    let name = btf.name(id);
    let wrong = match btf.kind(id)? {
        Kind::Typedef | Kind::Func | Kind::Var | Kind::Fwd => !is_identifier(name),
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => {
            let inner = btf.members(id).any(|m| !m.name.is_empty() && !is_identifier(m.name));
            (!name.is_empty() && !is_identifier(name)) || inner || btf.enum_values(id).any(|v| !is_identifier(v.name))
        }
        _ => false,
    };
    if wrong { says(btf, id, "Invalid name") } else { None }
}

/// Functions have names for all their arguments. `unnamed` has the first one without for each prototype.
fn arguments(btf: &Btf, id: TypeId, unnamed: &mut FxHashMap<TypeId, Option<usize>>) -> Option<String> {
    let Some(Type::Func { proto, .. }) = btf.get(id) else { return None };
    let first = || btf.params(proto).position(|p| p.name.is_empty() && p.ty != 0);
    let position = (*unnamed.entry(proto).or_insert_with(first))?;
    says(btf, id, &format!("Invalid arg#{}", position + 1))
}
