//! Following a local access in a kernel's type, by name.

use super::access::{Access, Component, element_offset, is_flexible};
use super::compat::{fields_compatible, types_compatible};
use super::kind::{CoreKind, Subject};
use super::matches::types_match;
use super::{INVALID, MAX_COMPONENTS, MAX_VISITS, TOO_BIG};
use crate::btf::{Btf, Type, TypeId, essential};

/// Why a candidate could not be looked at: libbpf's number, and how far the access was followed.
pub(super) struct Stuck {
    pub error: i32,
    pub so_far: Access,
}

/// The access in a candidate; `None` when it has no such thing.
pub(super) fn locate(
    local: &Btf,
    access: &Access,
    target: &Btf,
    candidate: TypeId,
) -> Result<Option<Access>, Box<Stuck>> {
    let mut found = Access::empty(access.kind, candidate);
    match access.kind.subject() {
        Subject::Type => {
            let fits = match access.kind {
                CoreKind::TypeMatches => types_match(local, access.root, target, candidate),
                _ => types_compatible(local, access.root, target, candidate),
            };
            match fits {
                Ok(fits) => Ok(fits.then_some(found)),
                Err(error) => Err(Box::new(Stuck { error, so_far: found })),
            }
        }
        Subject::Enumerator => {
            let id = target.resolve(candidate);
            let name = access.components.first().and_then(|s| s.name.as_deref()).map(essential);
            let position = target.enum_values(id).position(|v| Some(essential(v.name)) == name);
            let Some(index) = position else { return Ok(None) };
            let name = target.enum_value(id, index).map(|v| v.name.to_owned());
            found.components.push(Component { ty: id, index: index as u32, name });
            found.raw.push(index as u32);
            Ok(Some(found))
        }
        Subject::Field => {
            let mut search = Search { local, target, found, visits: MAX_VISITS };
            match search.field(access, candidate) {
                Ok(found) => Ok(found.then_some(search.found)),
                Err(error) => Err(Box::new(Stuck { error, so_far: search.found })),
            }
        }
    }
}

struct Search<'a> {
    local: &'a Btf,
    target: &'a Btf,
    found: Access,
    visits: u32,
}

impl Search<'_> {
    fn field(&mut self, access: &Access, candidate: TypeId) -> Result<bool, i32> {
        let mut id = candidate;
        for (number, component) in access.components.iter().enumerate() {
            id = self.target.resolve(id);
            if component.name.is_some() {
                match self.member(component, id, 0)? {
                    Some(next) => id = next,
                    None => return Ok(false),
                }
                continue;
            }
            // The first component indexes the root itself.
            if number > 0 {
                let Some(Type::Array { elem, len, .. }) = self.target.get(id) else { return Ok(false) };
                if component.index >= len && !is_flexible(self.target, self.found.components.last(), len) {
                    return Ok(false);
                }
                id = self.target.resolve(elem);
            }
            self.push_raw(component.index)?;
            self.found.components.push(Component { ty: id, index: component.index, name: None });
            let size = self.target.size_of(id).ok_or(INVALID)?;
            self.found.bit_offset = self.found.bit_offset.wrapping_add(element_offset(component.index, size));
        }
        Ok(true)
    }

    fn push_raw(&mut self, index: u32) -> Result<(), i32> {
        if self.found.raw.len() == MAX_COMPONENTS {
            return Err(TOO_BIG);
        }
        self.found.raw.push(index);
        Ok(())
    }

    /// Finds a named member, also inside anonymous ones; its type.
    fn member(&mut self, component: &Component, id: TypeId, depth: usize) -> Result<Option<TypeId>, i32> {
        if depth > MAX_COMPONENTS {
            return Err(TOO_BIG);
        }
        let id = self.target.resolve(id);
        for (index, member) in self.target.members(id).enumerate() {
            self.visits = self.visits.checked_sub(1).ok_or(TOO_BIG)?;
            let offset = self.found.bit_offset;
            self.push_raw(index as u32)?;
            self.found.bit_offset = offset.wrapping_add(member.bit_offset);
            if member.name.is_empty() {
                if let Some(found) = self.member(component, member.ty, depth + 1)? {
                    return Ok(Some(found));
                }
            } else if component.name.as_deref() == Some(member.name) {
                let own = self.local.member(component.ty, component.index as usize).map_or(0, |m| m.ty);
                if !fields_compatible(self.local, own, self.target, member.ty) {
                    return Ok(None);
                }
                self.found.components.push(Component { ty: id, index: index as u32, name: component.name.clone() });
                return Ok(Some(member.ty));
            }
            self.found.bit_offset = offset;
            self.found.raw.pop();
        }
        Ok(None)
    }
}
