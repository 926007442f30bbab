//! `bpf_core_type_matches`: whether a kernel's type has everything that a local type declares.

use super::{INVALID, MAX_DEPTH, MAX_VISITS};
use crate::btf::{Btf, Type, TypeId, essential};

struct Pair<'a> {
    local: &'a Btf,
    target: &'a Btf,
    visits: u32,
}

/// The roots' names are known to be equal. The error is libbpf's number.
pub(super) fn types_match(local: &Btf, local_id: TypeId, target: &Btf, target_id: TypeId) -> Result<bool, i32> {
    Pair { local, target, visits: MAX_VISITS }.types(local_id, target_id, false, MAX_DEPTH)
}

fn names_match(local: &str, target: &str) -> bool {
    if target.is_empty() { local.is_empty() } else { essential(local) == essential(target) }
}

impl Pair<'_> {
    fn types(&mut self, mut l: TypeId, mut t: TypeId, mut behind: bool, level: u32) -> Result<bool, i32> {
        if level == 0 {
            return Err(INVALID);
        }
        for _ in 0..MAX_DEPTH {
            self.visits = self.visits.checked_sub(1).ok_or(INVALID)?;
            (l, t) = (self.local.resolve(l), self.target.resolve(t));
            if !names_match(self.local.name(l), self.target.name(t)) {
                return Ok(false);
            }
            let (Some(local), Some(target)) = (self.local.get(l), self.target.get(t)) else { return Err(INVALID) };
            match (local, target) {
                (Type::Void, other) => return Ok(matches!(other, Type::Void)),
                (Type::Fwd { union: a }, Type::Fwd { union: b }) => return Ok(a == b),
                (Type::Fwd { union }, Type::Struct(_)) => return Ok(behind && !union),
                (Type::Fwd { union }, Type::Union(_)) => return Ok(behind && union),
                (
                    Type::Enum { size: a, .. } | Type::Enum64 { size: a, .. },
                    Type::Enum { size: b, .. } | Type::Enum64 { size: b, .. },
                ) => return Ok(a == b && self.enumerators(l, t)),
                (Type::Struct(_), Type::Struct(_)) | (Type::Union(_), Type::Union(_)) => {
                    return if behind { Ok(true) } else { self.members(l, t, level) };
                }
                (Type::Struct(_), Type::Fwd { union }) => return Ok(behind && !union),
                (Type::Union(_), Type::Fwd { union }) => return Ok(behind && union),
                (Type::Int { size: a, encoding: e }, Type::Int { size: b, encoding: f }) => {
                    return Ok(a == b && e.signed == f.signed);
                }
                (Type::Ptr(a), Type::Ptr(b)) => (l, t, behind) = (a, b, true),
                (Type::Array { elem: a, len: m, .. }, Type::Array { elem: b, len: n, .. }) if m == n => (l, t) = (a, b),
                (Type::FuncProto { ret: a, .. }, Type::FuncProto { ret: b, .. }) => {
                    let (ours, theirs) = (self.local.params(l), self.target.params(t));
                    if ours.len() != theirs.len() {
                        return Ok(false);
                    }
                    for (p, q) in ours.zip(theirs) {
                        if !self.types(p.ty, q.ty, behind, level - 1)? {
                            return Ok(false);
                        }
                    }
                    (l, t) = (a, b);
                }
                _ => return Ok(false),
            }
        }
        Err(INVALID)
    }

    /// Every local enumerator exists, whatever its value.
    fn enumerators(&self, l: TypeId, t: TypeId) -> bool {
        let (ours, theirs) = (self.local.enum_values(l), self.target.enum_values(t));
        ours.len() <= theirs.len() && ours.clone().all(|v| theirs.clone().any(|w| names_match(v.name, w.name)))
    }

    /// Every local member exists and matches.
    fn members(&mut self, l: TypeId, t: TypeId, level: u32) -> Result<bool, i32> {
        let (local, target) = (self.local, self.target);
        let (ours, theirs) = (local.members(l), target.members(t));
        if ours.len() > theirs.len() {
            return Ok(false);
        }
        for m in ours {
            let mut found = false;
            for n in theirs.clone() {
                self.visits = self.visits.checked_sub(1).ok_or(INVALID)?;
                if names_match(m.name, n.name) && self.types(m.ty, n.ty, false, level - 1)? {
                    found = true;
                    break;
                }
            }
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
