//! Compatibility: whether a local type may stand for a kernel's, names aside.

use super::{INVALID, MAX_DEPTH, MAX_VISITS};
use crate::btf::{Btf, Kind, Type, TypeId, essential};

/// Same kind; the two widths of enumerations count as one.
pub(super) fn kinds_compatible(local: Option<Kind>, target: Option<Kind>) -> bool {
    let is_enum = |k| matches!(k, Some(Kind::Enum | Kind::Enum64));
    local.is_some() && (local == target || (is_enum(local) && is_enum(target)))
}

fn plain_integers(local: Option<Type>, target: Option<Type>) -> bool {
    let plain = |t| matches!(t, Some(Type::Int { encoding, .. }) if encoding.bit_offset == 0);
    plain(local) && plain(target)
}

/// For whole types: pointers, arrays and functions are followed, structs and unions are not looked into.
/// The error is libbpf's number.
pub(crate) fn types_compatible(local: &Btf, local_id: TypeId, target: &Btf, target_id: TypeId) -> Result<bool, i32> {
    compatible(local, local_id, target, target_id, MAX_DEPTH, &mut MAX_VISITS.clone())
}

fn compatible(
    local: &Btf,
    mut local_id: TypeId,
    target: &Btf,
    mut target_id: TypeId,
    level: u32,
    visits: &mut u32,
) -> Result<bool, i32> {
    if !kinds_compatible(local.kind(local_id), target.kind(target_id)) {
        return Ok(false);
    }
    for _ in 0..MAX_DEPTH {
        *visits = visits.checked_sub(1).ok_or(INVALID)?;
        (local_id, target_id) = (local.resolve(local_id), target.resolve(target_id));
        if !kinds_compatible(local.kind(local_id), target.kind(target_id)) {
            return Ok(false);
        }
        let (l, t) = (local.get(local_id), target.get(target_id));
        match (l, t) {
            (Some(Type::Int { .. }), _) => return Ok(plain_integers(l, t)),
            (Some(Type::Ptr(a)), Some(Type::Ptr(b))) => (local_id, target_id) = (a, b),
            (Some(Type::Array { elem: a, .. }), Some(Type::Array { elem: b, .. })) => (local_id, target_id) = (a, b),
            (Some(Type::FuncProto { ret: a, .. }), Some(Type::FuncProto { ret: b, .. })) => {
                let (ours, theirs) = (local.params(local_id), target.params(target_id));
                if ours.len() != theirs.len() {
                    return Ok(false);
                }
                for (p, q) in ours.zip(theirs) {
                    let level = level.checked_sub(1).ok_or(INVALID)?;
                    let (p, q) = (local.resolve(p.ty), target.resolve(q.ty));
                    if !compatible(local, p, target, q, level, visits)? {
                        return Ok(false);
                    }
                }
                (local_id, target_id) = (a, b);
            }
            (
                Some(
                    Type::Void
                    | Type::Struct(_)
                    | Type::Union(_)
                    | Type::Enum { .. }
                    | Type::Enum64 { .. }
                    | Type::Fwd { .. },
                ),
                _,
            ) => return Ok(true),
            _ => return Ok(false),
        }
    }
    Err(INVALID)
}

/// For the member that an access ends at: what is behind a pointer or inside a struct does not matter.
pub(super) fn fields_compatible(local: &Btf, mut local_id: TypeId, target: &Btf, mut target_id: TypeId) -> bool {
    for _ in 0..MAX_DEPTH {
        (local_id, target_id) = (local.resolve(local_id), target.resolve(target_id));
        let (l, t) = (local.get(local_id), target.get(target_id));
        let composite = |t| matches!(t, Some(Type::Struct(_) | Type::Union(_)));
        if composite(l) && composite(t) {
            return true;
        }
        if !kinds_compatible(local.kind(local_id), target.kind(target_id)) {
            return false;
        }
        match (l, t) {
            (Some(Type::Ptr(_) | Type::Float { .. }), _) => return true,
            (Some(Type::Fwd { .. } | Type::Enum { .. } | Type::Enum64 { .. }), _) => {
                let (a, b) = (essential(local.name(local_id)), essential(target.name(target_id)));
                return a.is_empty() || b.is_empty() || a == b;
            }
            (Some(Type::Int { .. }), _) => return plain_integers(l, t),
            (Some(Type::Array { elem: a, .. }), Some(Type::Array { elem: b, .. })) => (local_id, target_id) = (a, b),
            _ => return false,
        }
    }
    false
}
