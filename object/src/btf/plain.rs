//! Types without anything that a loader or verifier looks for in values. Most are: they are looked into once, however
//! often they are part of others, since structs that hold each other twice over and over would be walked for ever.

use super::read::Btf;
use super::types::{Kind, Type, TypeId};
use rustc_hash::FxHashMap;
use std::sync::Mutex;

/// Nested structs and arrays deeper than this are left to those who look into them step by step.
const MAX_DEPTH: u32 = 32;

/// What a walk through a plain struct would come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    /// Structs nested in it, at most one in the other.
    pub height: u32,
    /// Byte offset of the last place that the walk would look at.
    pub extent: u64,
}

/// What has been found out.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<FxHashMap<TypeId, Option<Plain>>>);

impl Btf {
    /// Whether nothing in a struct has a type that `is_special` names or a pointer with a tag, and all its members start
    /// at bytes. Every call must ask about the same names.
    pub fn plain(&self, id: TypeId, is_special: impl Fn(&str) -> bool) -> Option<Plain> {
        let mut known = self.known_plain().0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        find(self, id, &is_special, &mut known, MAX_DEPTH)
    }
}

fn find(
    btf: &Btf,
    id: TypeId,
    is_special: &dyn Fn(&str) -> bool,
    known: &mut FxHashMap<TypeId, Option<Plain>>,
    depth: u32,
) -> Option<Plain> {
    if let Some(found) = known.get(&id) {
        return *found;
    }
    let found = depth.checked_sub(1).and_then(|depth| {
        if btf.kind(id) != Some(Kind::Struct) || is_special(btf.name(id)) {
            return None;
        }
        let mut all = Plain::default();
        for m in btf.members(id) {
            if m.bit_offset % 8 != 0 {
                return None;
            }
            let mut ty = m.ty;
            for _ in 0..MAX_DEPTH {
                let Some(Type::Array { elem, .. }) = btf.get(ty) else { break };
                ty = elem;
            }
            let mut extent = u64::from(m.bit_offset / 8);
            match btf.get(ty) {
                Some(Type::Struct(_)) => {
                    let inner = find(btf, ty, is_special, known, depth)?;
                    extent += inner.extent;
                    all.height = all.height.max(inner.height + 1);
                }
                Some(Type::Array { .. }) => return None,
                _ if is_special(btf.name(ty)) || has_tag(btf, ty) => return None,
                _ => {}
            }
            all.extent = all.extent.max(extent);
        }
        Some(all)
    });
    known.insert(id, found);
    found
}

/// Whether a type is a pointer to something with a tag.
fn has_tag(btf: &Btf, ty: TypeId) -> bool {
    let inner = match btf.get(ty) {
        Some(Type::Volatile(inner)) => inner,
        _ => ty,
    };
    matches!(btf.get(inner), Some(Type::Ptr(target)) if btf.kind(target) == Some(Kind::TypeTag))
}
