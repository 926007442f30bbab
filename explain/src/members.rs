//! Arrays and members of what a pointer leads to, by its type: bounds that are tighter than the memory's.

use crate::case::Case;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::Type;
use ebpfkit_verifier::{RegBase, RegExtra, RegState};

/// An array in the memory that a pointer leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Array {
    /// The member or variable that it is, if it has a name.
    pub(crate) name: String,
    /// Elements from the byte that was asked for on.
    pub(crate) count: i64,
    /// Elements in all.
    pub(crate) len: i64,
    /// Bytes of an element.
    pub(crate) size: i64,
    /// Bytes from the byte that was asked for to its end.
    pub(crate) rest: i64,
}

impl Array {
    /// Indices from zero on with which an access of so many bytes stays inside.
    pub(crate) fn limit(&self, size: i64) -> i64 {
        if size <= self.size { self.count } else { (self.rest - size) / self.size.max(1) + 1 }
    }
}

/// Bytes that a pointer leads to, counted from where its fixed part points.
pub(crate) fn bytes_left(case: &Case<'_>, r: &RegState) -> Option<i64> {
    let fixed = fixed(r);
    Some(match (r.ty.base, r.extra) {
        (RegBase::MapValue, _) => i64::from(case.map(r)?.value_size) - fixed,
        (RegBase::MapKey, _) => i64::from(case.map(r)?.key_size) - fixed,
        (RegBase::Mem, RegExtra::Mem { size, .. }) => i64::from(size) - fixed,
        (RegBase::Stack, _) => -fixed,
        _ => return None,
    })
}

/// The fixed part of a pointer's offset.
pub(crate) fn fixed(r: &RegState) -> i64 {
    i64::from(r.off) + if r.var_off.is_const() { r.var_off.value as i64 } else { 0 }
}

/// The array at a byte of a map's value whose elements have a size.
pub(crate) fn array_at(case: &Case<'_>, pointer: &RegState, byte: i64, element: i64) -> Option<Array> {
    let (btf, ty) = value_type(case, pointer)?;
    find(btf, ty, byte, &|size, _| size == element, 0)
}

/// The innermost array at a byte of a map's value, whatever its elements are.
pub(crate) fn innermost_at(case: &Case<'_>, pointer: &RegState, byte: i64) -> Option<Array> {
    let (btf, ty) = value_type(case, pointer)?;
    find(btf, ty, byte, &|_, is_last| is_last, 0)
}

/// The number of elements of each array around a byte of a map's value, the outermost first.
pub(crate) fn dimensions_at(case: &Case<'_>, pointer: &RegState, byte: i64) -> Vec<Array> {
    let Some((btf, ty)) = value_type(case, pointer) else { return Vec::new() };
    let mut out: Vec<Array> = Vec::new();
    loop {
        let below = out.last().map_or(i64::MAX, |a| a.size);
        match find(btf, ty, byte, &|size, _| size < below, 0) {
            Some(array) if out.len() < 8 => out.push(array),
            _ => return out,
        }
    }
}

/// The array of a struct that a line indexes through a pointer or a variable, by the types that its function declares:
/// `p->slots` of `p->slots[i]`.
pub(crate) fn declared_at(case: &Case<'_>, line: &crate::source::SourceLine, index: &str) -> Option<(Array, i64)> {
    let at = line.text.find(&format!("[{index}]"))?;
    declared_path(case, line, &crate::source::last_word(&line.text[..at])?)
}

/// The array that a path of members leads to, from a variable or parameter of the function around a line, and the byte of
/// the struct at which it begins.
pub(crate) fn declared_path(case: &Case<'_>, line: &crate::source::SourceLine, path: &str) -> Option<(Array, i64)> {
    use ebpfkit_object::btf::Kind;
    let mut parts = path.split("->").flat_map(|p| p.split('.'));
    let base = parts.next()?;
    let declared = |t: &str| {
        let at = crate::source::find_word(t, base)?;
        let kind = t[..at].trim_end().trim_end_matches('*').trim_end();
        let name = crate::source::last_word(kind)?;
        kind[..kind.len() - name.len()].trim_end().ends_with("struct").then_some(name)
    };
    let scope = case.scope(line);
    let kind = scope.iter().rev().find_map(|(_, t)| declared(t))?;
    let btf = case.btf()?;
    let mut ty = btf.find(&kind, Kind::Struct)?;
    let (mut last, mut start) = (String::new(), 0);
    for part in parts {
        let member = btf.members(btf.resolve(ty)).find(|m| m.name == part)?;
        start += i64::from(member.bit_offset / 8);
        (ty, last) = (member.ty, part.to_owned());
    }
    let Some(Type::Array { elem, len, .. }) = btf.get(btf.resolve(ty)) else { return None };
    let size = i64::from(btf.size_of(elem)?).max(1);
    let len = i64::from(len);
    Some((Array { name: last, count: len, len, size, rest: len * size }, start))
}

fn value_type<'a>(case: &Case<'a>, pointer: &RegState) -> Option<(&'a Btf, u32)> {
    let map = case.map(pointer).filter(|_| pointer.ty.base == RegBase::MapValue)?;
    let (_, value) = map.printed_types();
    (value != 0).then_some((case.btf()?, value))
}

/// Descends to the byte. `fits` says whether an array with elements of a size is meant; its second argument is whether no
/// other array lies inside.
fn find(btf: &Btf, ty: u32, byte: i64, fits: &dyn Fn(i64, bool) -> bool, depth: u32) -> Option<Array> {
    if depth > 16 || byte < 0 {
        return None;
    }
    let ty = btf.resolve(ty);
    match btf.get(ty)? {
        Type::Datasec { .. } => {
            let inside = |v: &ebpfkit_object::btf::SecVar| {
                byte >= i64::from(v.offset) && byte < i64::from(v.offset) + i64::from(v.size)
            };
            let v = btf.sec_vars(ty).find(inside)?;
            let Some(Type::Var { ty: inner, .. }) = btf.get(v.ty) else { return None };
            named(find(btf, inner, byte - i64::from(v.offset), fits, depth + 1)?, btf.name(v.ty))
        }
        Type::Struct(_) | Type::Union(_) => {
            let holds = |m: &ebpfkit_object::btf::Member<'_>| {
                let start = i64::from(m.bit_offset / 8);
                byte >= start && btf.size_of(m.ty).is_some_and(|s| byte < start + i64::from(s))
            };
            let mut members = btf.members(ty).filter(holds);
            members.find_map(|m| named(find(btf, m.ty, byte - i64::from(m.bit_offset / 8), fits, depth + 1)?, m.name))
        }
        Type::Array { elem, len, .. } => {
            let size = i64::from(btf.size_of(elem)?).max(1);
            let inner = find(btf, elem, byte % size, fits, depth + 1);
            // The outermost one that fits is the one that an index of its scale moves in.
            if fits(size, inner.is_none()) {
                let count = i64::from(len) - byte / size;
                let len = i64::from(len);
                return Some(Array { name: String::new(), count, len, size, rest: len * size - byte });
            }
            inner
        }
        _ => None,
    }
}

fn named(array: Array, name: &str) -> Option<Array> {
    Some(if array.name.is_empty() { Array { name: name.to_owned(), ..array } } else { array })
}
