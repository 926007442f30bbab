//! Records of ring buffers and perf event arrays by their types.
//!
//! Nothing says which type a record has. Where the file of events does not either, the object's own structs of the
//! record's size are looked at: one that is the only one, or whose name says that it is an event.

use ebpfkit_object::btf::{Kind, Type, TypeId};
use ebpfkit_object::{Btf, Object};
use ebpfkit_vm::show::{Value, member, read};
use std::collections::BTreeMap;

/// Words in the names of types of records.
const WORDS: [&str; 6] = ["event", "record", "sample", "evt", "msg", "data"];

/// What is known of the records of an object.
#[derive(Debug, Default)]
pub struct Records {
    /// By map, said by the file.
    said: BTreeMap<String, TypeId>,
    /// By size, found: zero where nothing fits.
    found: BTreeMap<usize, TypeId>,
}

impl Records {
    /// Says what a map's records are. The error is what is wrong.
    pub fn set(&mut self, object: &Object, map: &str, ty: &str) -> Result<(), String> {
        if !object.maps.iter().any(|m| m.name == map) {
            let like = ebpfkit_object::nearest(map, object.maps.iter().map(|m| m.name.as_str()));
            let meant = like.map_or_else(String::new, |l| format!("; did you mean `{l}`?"));
            return Err(format!("records: the object has no map `{map}`{meant}"));
        }
        let name = ty.strip_prefix("struct ").unwrap_or(ty);
        let btf = object.btf.as_deref().ok_or("records: the object has no types")?;
        let id = [Kind::Struct, Kind::Union, Kind::Typedef, Kind::Int].iter().find_map(|kind| btf.find(name, *kind));
        let id = id.ok_or_else(|| format!("type: the object has no type `{ty}`"))?;
        self.said.insert(map.to_owned(), id);
        Ok(())
    }

    /// A record: the name of its type and its value.
    pub fn decode(&mut self, object: &Object, map: &str, data: &[u8]) -> (Option<String>, Value) {
        let bytes = || (None, Value::Bytes(data.to_vec()));
        let Some(btf) = object.btf.as_deref() else { return bytes() };
        let ty = match self.said.get(map) {
            Some(ty) => *ty,
            None => {
                let def = object.maps.iter().find(|m| m.name == map);
                let declared = def.map_or(0, |d| d.printed_types().1);
                match btf.size_of(declared).filter(|_| declared != 0) {
                    Some(size) if size as usize == data.len() => declared,
                    _ => *self.found.entry(data.len()).or_insert_with(|| of_size(btf, data.len())),
                }
            }
        };
        if ty == 0 {
            return bytes();
        }
        let name = btf.name(btf.resolve(ty)).to_owned();
        (Some(name).filter(|n| !n.is_empty()), prefix(btf, ty, data))
    }
}

/// A record that may be shorter than its type: members that are cut are left out, arrays at the end are shorter.
fn prefix(btf: &Btf, ty: TypeId, data: &[u8]) -> Value {
    let size = btf.size_of(ty).unwrap_or(0) as usize;
    let id = btf.resolve(ty);
    if data.len() >= size {
        let value = read(btf, ty, &data[..size]);
        return match value {
            Value::Struct(members) => Value::Struct(with_flexible(btf, id, members, data)),
            other => other,
        };
    }
    let mut full = data.to_vec();
    full.resize(size, 0);
    let Value::Struct(members) = read(btf, ty, &full) else { return Value::Bytes(data.to_vec()) };
    let kept = members.into_iter().filter_map(|(name, value)| {
        let m = member(btf, id, &name)?;
        let start = m.bit_offset as usize / 8;
        if start >= data.len() {
            return None;
        }
        let end = start + btf.size_of(m.ty).unwrap_or(0) as usize;
        match value {
            Value::List(mut items) if end > data.len() => {
                let each = (end - start) / items.len().max(1);
                items.truncate((data.len() - start) / each.max(1));
                Some((name, Value::List(items)))
            }
            Value::Text(_) => Some((name, value)),
            _ if end > data.len() => Some((name, strings(&data[start..]))),
            value => Some((name, value)),
        }
    });
    Value::Struct(kept.collect())
}

/// What a flexible array at the end holds.
fn with_flexible(btf: &Btf, id: TypeId, mut members: Vec<(String, Value)>, data: &[u8]) -> Vec<(String, Value)> {
    let Some(last) = btf.members(id).last() else { return members };
    let start = last.bit_offset as usize / 8;
    if !matches!(btf.get(btf.resolve(last.ty)), Some(Type::Array { len: 0, .. })) || start >= data.len() {
        return members;
    }
    members.retain(|(name, _)| name != last.name);
    members.push((last.name.to_owned(), strings(&data[start..])));
    members
}

/// Bytes that may be strings one after the other.
fn strings(bytes: &[u8]) -> Value {
    let trimmed = bytes.iter().rposition(|b| *b != 0).map_or(&[][..], |n| &bytes[..=n]);
    let parts: Option<Vec<Value>> = trimmed
        .split(|b| *b == 0)
        .map(|part| {
            let text = std::str::from_utf8(part).ok()?;
            text.chars().all(|c| !c.is_control()).then(|| Value::Text(text.to_owned()))
        })
        .collect();
    match parts {
        Some(mut parts) if parts.len() == 1 => parts.remove(0),
        Some(parts) => Value::List(parts),
        None => Value::Bytes(bytes.to_vec()),
    }
}

/// The struct that records of a size most likely are; zero for none.
fn of_size(btf: &Btf, size: usize) -> TypeId {
    let is_candidate = |id: &TypeId| {
        // Definitions of maps are structs without names; other structs may have theirs from a typedef.
        let is_struct = match btf.get(*id) {
            Some(Type::Struct(_)) => true,
            Some(Type::Typedef(of)) => btf.name(of).is_empty() && btf.kind(of) == Some(Kind::Struct),
            _ => false,
        };
        is_struct
            && !btf.name(*id).is_empty()
            && btf.size_of(*id) == Some(size as u32)
            && !btf.name(*id).starts_with("trace_event_raw_")
            && !btf.name(*id).starts_with("bpf_")
    };
    let all: Vec<TypeId> = (1..btf.len()).filter(is_candidate).collect();
    let named: Vec<TypeId> = all
        .iter()
        .copied()
        .filter(|id| {
            let name = btf.name(*id).to_ascii_lowercase();
            WORDS.iter().any(|w| name.split('_').any(|part| part == *w || part.trim_end_matches('s') == *w))
        })
        .collect();
    match (&named[..], &all[..]) {
        ([one], _) | ([], [one]) => *one,
        _ => 0,
    }
}
