//! An access into a type: the components that a relocation's string spells out.

use super::kind::{CoreKind, Subject};
use super::{INVALID, MAX_COMPONENTS, TOO_BIG};
use crate::btf::{Btf, Kind, Type, TypeId};
use crate::model::CoreRelocation;
use std::fmt::Write;

/// A component that has a meaning: a named member, an element of an array, an enumerator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Component {
    /// The struct, union or enumeration of a named component; the element's type of an indexed one.
    pub ty: TypeId,
    /// Member, element or enumerator.
    pub index: u32,
    /// Name of a member or enumerator.
    pub name: Option<String>,
}

/// An access into one set of types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub kind: CoreKind,
    /// The type that it starts from.
    pub root: TypeId,
    /// Components that have a meaning; anonymous members are left out.
    pub components: Vec<Component>,
    /// Every index, anonymous members included.
    pub raw: Vec<u32>,
    /// Where it ends, in bits.
    pub bit_offset: u32,
}

/// Whether an array may be indexed beyond its length: the last member of its struct, without a length.
pub(super) fn is_flexible(btf: &Btf, before: Option<&Component>, len: u32) -> bool {
    let Some(component) = before.filter(|s| s.name.is_some() && len == 0) else { return false };
    component.index as usize + 1 == btf.members(component.ty).len()
}

/// Bit offset of an element. libbpf computes in 32 bits.
pub(super) fn element_offset(index: u32, size: u32) -> u32 {
    index.wrapping_mul(size).wrapping_mul(8)
}

impl Access {
    pub(super) fn empty(kind: CoreKind, root: TypeId) -> Self {
        Self { kind, root, components: Vec::new(), raw: Vec::new(), bit_offset: 0 }
    }

    /// Reads a relocation's access. The error is libbpf's number.
    pub(crate) fn parse(btf: &Btf, relocation: &CoreRelocation) -> Result<Self, i32> {
        let text = relocation.access.as_ref();
        let kind = CoreKind::from_number(relocation.kind).ok_or(INVALID)?;
        if text.is_empty() || text.starts_with(':') {
            return Err(INVALID);
        }
        let mut access = Self::empty(kind, relocation.type_id);
        if kind.subject() == Subject::Type {
            return if text == "0" { Ok(access) } else { Err(INVALID) };
        }
        for part in text.split(':') {
            if access.raw.len() == MAX_COMPONENTS {
                return Err(TOO_BIG);
            }
            access.raw.push(part.parse::<i32>().ok().and_then(|i| u32::try_from(i).ok()).ok_or(INVALID)?);
        }
        let id = btf.resolve(relocation.type_id);
        let first = access.raw[0];
        if kind.subject() == Subject::Enumerator {
            let name = btf.enum_value(id, first as usize).map(|v| v.name.to_owned());
            if access.raw.len() > 1 || name.is_none() {
                return Err(INVALID);
            }
            access.components.push(Component { ty: id, index: first, name });
            return Ok(access);
        }
        access.components.push(Component { ty: id, index: first, name: None });
        access.bit_offset = element_offset(first, btf.size_of(id).ok_or(INVALID)?);
        access.follow(btf, id)?;
        Ok(access)
    }

    /// The components behind the first.
    fn follow(&mut self, btf: &Btf, mut id: TypeId) -> Result<(), i32> {
        for at in 1..self.raw.len() {
            let index = self.raw[at];
            id = btf.resolve(id);
            match btf.get(id) {
                Some(Type::Struct(_) | Type::Union(_)) => {
                    let member = btf.member(id, index as usize).ok_or(INVALID)?;
                    self.bit_offset = self.bit_offset.wrapping_add(member.bit_offset);
                    if !member.name.is_empty() {
                        self.components.push(Component { ty: id, index, name: Some(member.name.to_owned()) });
                    }
                    id = member.ty;
                }
                Some(Type::Array { elem, len, .. }) => {
                    id = btf.resolve(elem);
                    if index >= len && !is_flexible(btf, self.components.last(), len) {
                        return Err(INVALID);
                    }
                    self.components.push(Component { ty: id, index, name: None });
                    let offset = element_offset(index, btf.size_of(id).ok_or(INVALID)?);
                    self.bit_offset = self.bit_offset.wrapping_add(offset);
                }
                _ => return Err(INVALID),
            }
        }
        Ok(())
    }

    /// In libbpf's words, such as `<byte_off> [7] struct task_struct.pid (0:3 @ offset 40)`.
    pub(crate) fn describe(&self, btf: &Btf) -> String {
        let name = match btf.name(self.root) {
            "" => "<anon>",
            name => name,
        };
        let root = btf.kind(self.root).map_or("unknown", Kind::name);
        let mut text = format!("<{}> [{}] {root} {name}", self.kind.name(), self.root);
        match self.kind.subject() {
            Subject::Type => {}
            Subject::Enumerator => {
                let id = btf.resolve(self.root);
                let value = self.raw.first().and_then(|&i| btf.enum_value(id, i as usize));
                let signed =
                    matches!(btf.get(id), Some(Type::Enum { signed: true, .. } | Type::Enum64 { signed: true, .. }));
                if let Some(value) = value {
                    let _ = match signed {
                        true => write!(text, "::{} = {}", value.name, value.value as i64),
                        false => write!(text, "::{} = {}", value.name, value.value),
                    };
                }
            }
            Subject::Field => {
                for (i, component) in self.components.iter().enumerate() {
                    let _ = match &component.name {
                        Some(name) => write!(text, ".{name}"),
                        None if i > 0 || component.index > 0 => write!(text, "[{}]", component.index),
                        None => Ok(()),
                    };
                }
                let raw: Vec<String> = self.raw.iter().map(u32::to_string).collect();
                let _ = write!(text, " ({} @ offset {}", raw.join(":"), self.bit_offset / 8);
                if !self.bit_offset.is_multiple_of(8) {
                    let _ = write!(text, ".{}", self.bit_offset % 8);
                }
                text.push(')');
            }
        }
        text
    }
}
