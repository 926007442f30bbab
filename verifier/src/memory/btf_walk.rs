//! Walking structs: which member an access touches.

use super::types::is_struct;
use crate::reason::TypeReason;
use ebpfkit_abi::TypeFlags;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, Type, TypeId};

/// Structs nested deeper than this are not followed.
const MAX_NESTING: usize = 64;

/// What lies at an offset.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Walk<'a> {
    /// Plain bytes.
    Scalar,
    /// A pointer to a struct; the member that holds it.
    Pointer { id: TypeId, member: &'a str },
    /// A pointer to something else.
    OtherPointer,
    /// A struct that starts here.
    Struct(TypeId),
}

/// A member's type with arrays taken apart.
struct Size {
    /// Type of the member or of its elements, modifiers and typedefs skipped.
    ty: TypeId,
    /// Bytes of the whole member.
    bytes: u32,
    /// Elements; `None` when it is no array.
    elements: Option<u32>,
}

/// Size of a type, and of what its elements are.
fn size_of(btf: &Btf, ty: TypeId) -> Option<Size> {
    const MAX_DEPTH: usize = 32;
    let (mut at, mut elements) = (btf.resolve(ty), None);
    for _ in 0..MAX_DEPTH {
        match btf.get(at)? {
            Type::Array { elem, len, .. } => {
                elements = Some(elements.unwrap_or(1u32).checked_mul(len)?);
                at = btf.resolve(elem);
            }
            _ => break,
        }
    }
    let one = btf.size_of(at)?;
    Some(Size { ty: at, bytes: one.checked_mul(elements.unwrap_or(1))?, elements })
}

/// Modifiers that a pointer's type tag stands for.
pub fn tag_flags(btf: &Btf, target: TypeId) -> TypeFlags {
    match btf.get(target) {
        Some(Type::TypeTag { .. }) => match btf.name(target) {
            "user" => TypeFlags::USER,
            "percpu" => TypeFlags::PERCPU,
            "rcu" => TypeFlags::RCU,
            _ => TypeFlags::empty(),
        },
        _ => TypeFlags::empty(),
    }
}

/// A name as messages show it.
fn shown(name: &str) -> &str {
    if name.is_empty() { "(anon)" } else { name }
}

/// Finds what an access of `size` bytes at `off` of a struct touches, up to the next nested struct that starts
/// there. `flags` collects what the way there says of a pointer. With `flexible`, a last array without a length
/// may be accessed behind the struct's end. With `unions`, what lies in a union of several members is not trusted.
pub fn walk<'a>(
    btf: &'a Btf,
    id: TypeId,
    off: u32,
    size: u32,
    flags: &mut TypeFlags,
    flexible: bool,
    unions: bool,
) -> Result<Walk<'a>, TypeReason> {
    let (mut id, mut off) = (btf.resolve(id), off);
    'inner: loop {
        let name = shown(btf.name(id));
        let (composite, is_union) = match btf.get(id) {
            Some(Type::Struct(c)) => (c, false),
            Some(Type::Union(c)) => (c, true),
            _ => return Err(TypeReason::NotAStruct { name: name.to_owned() }),
        };
        if unions && is_union && composite.len != 1 {
            // Which member is in use is not known; a union of one member is only a way to write it.
            *flags |= TypeFlags::UNTRUSTED;
        }
        if off.checked_add(size).is_none_or(|end| end > composite.size) {
            let beyond = || TypeReason::BeyondStruct { name: name.to_owned(), off, size };
            let last = btf.members(id).last().filter(|_| flexible).ok_or_else(beyond)?;
            let Some(Type::Array { elem, len: 0, .. }) = btf.get(btf.resolve(last.ty)) else { return Err(beyond()) };
            let start = last.bit_offset / 8;
            if off < start {
                return Err(beyond());
            }
            let elem = btf.resolve(elem);
            match btf.get(elem) {
                Some(Type::Int { .. }) => return Ok(Walk::Scalar),
                Some(Type::Struct(c) | Type::Union(c)) if c.size > 0 => {
                    (off, id) = ((off - start) % c.size, elem);
                    continue;
                }
                _ => return Err(beyond()),
            }
        }
        for m in btf.members(id) {
            let start = m.bit_offset / 8;
            if off + size <= start {
                break;
            }
            if m.bitfield_size != 0 {
                let end = (m.bit_offset + u32::from(m.bitfield_size)).div_ceil(8);
                if off <= start && end <= off + size {
                    return Ok(Walk::Scalar);
                }
                continue;
            }
            if off < start {
                break;
            }
            let Some(member) = size_of(btf, m.ty) else {
                return Err(TypeReason::MemberWithoutSize { member: shown(m.name).to_owned() });
            };
            let end = start + member.bytes;
            if off >= end {
                continue;
            }
            // From here on only the element of an array that is touched counts.
            let (mut start, mut bytes) = (start, member.bytes);
            if let Some(n) = member.elements {
                bytes /= n.max(1);
                start += (off - start) / bytes.max(1) * bytes;
            }
            if is_struct(btf, member.ty) {
                if off == start {
                    return Ok(Walk::Struct(member.ty));
                }
                (off, id) = (off - start, member.ty);
                continue 'inner;
            }
            if let Some(Type::Ptr(target)) = btf.get(member.ty) {
                if bytes != size || off != start {
                    let (member, name) = (shown(m.name).to_owned(), name.to_owned());
                    return Err(TypeReason::PartOfPointer { member, at: start, name, off, size });
                }
                let pointee = btf.resolve(target);
                if is_struct(btf, pointee) {
                    *flags |= tag_flags(btf, target);
                    return Ok(Walk::Pointer { id: pointee, member: m.name });
                }
                return Ok(Walk::OtherPointer);
            }
            if off + size > end && !flags.contains(TypeFlags::UNTRUSTED) {
                let (member, name) = (shown(m.name).to_owned(), name.to_owned());
                return Err(TypeReason::BeyondMember { member, end, name, off, size });
            }
            return Ok(Walk::Scalar);
        }
        return Err(TypeReason::NoMember { name: name.to_owned(), off });
    }
}

/// Whether an object of type `id` has one of type `need` at `off`, itself or nested at its start; otherwise what stands
/// there instead, when it is no struct at all. With `strict` only itself counts. Both types are from the same set.
pub fn find_struct(
    btf: &Btf,
    id: TypeId,
    off: i32,
    need: TypeId,
    strict: bool,
    flexible: bool,
) -> Result<bool, TypeReason> {
    if off == 0 && id == need {
        return Ok(true);
    }
    let Ok(mut off) = u32::try_from(off) else { return Ok(false) };
    if strict {
        return Ok(false);
    }
    let mut id = id;
    for _ in 0..MAX_NESTING {
        match walk(btf, id, off, 1, &mut TypeFlags::empty(), flexible, true)? {
            Walk::Struct(inner) if inner == need => return Ok(true),
            Walk::Struct(inner) => (id, off) = (inner, 0),
            _ => return Ok(false),
        }
    }
    Ok(false)
}

/// As [`find_struct`], for those who do not care why not.
pub fn holds_struct(btf: &Btf, id: TypeId, off: i32, need: TypeId, strict: bool, flexible: bool) -> bool {
    find_struct(btf, id, off, need, strict, flexible).unwrap_or(false)
}

/// Whether a struct, nested at most three deep, consists of numbers only. `None` when it is nested deeper.
pub fn is_scalar_struct(btf: &Btf, id: TypeId, depth: u32) -> Option<bool> {
    if btf.kind(id) != Some(Kind::Struct) && btf.kind(id) != Some(Kind::Union) {
        return Some(false);
    }
    for m in btf.members(id) {
        let ty = btf.resolve(m.ty);
        let fits = match btf.get(ty) {
            Some(Type::Struct(_) | Type::Union(_)) => {
                if depth >= 3 {
                    return None;
                }
                is_scalar_struct(btf, ty, depth + 1)?
            }
            Some(Type::Array { elem, len, .. }) => len != 0 && super::types::is_scalar(btf, btf.resolve(elem)),
            _ => super::types::is_scalar(btf, ty),
        };
        if !fits {
            return Some(false);
        }
    }
    Some(true)
}
