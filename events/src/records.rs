//! Records of ring buffers and perf event arrays by their types.
//!
//! Nothing says which type a record has. Where the file of events does not either, the object's own structs of the
//! record's size are looked at: one that is the only one, or whose name says that it is an event.

use crate::schema;
use ebpfkit_object::btf::{Kind, Type, TypeId, essential};
use ebpfkit_object::{Btf, Object};
use ebpfkit_vm::show::{Value, member, read};
use std::collections::BTreeMap;

/// Words in the names of types of records.
const WORDS: [&str; 6] = ["event", "record", "sample", "evt", "msg", "data"];

/// A member of records as a file of events declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Declared {
    name: String,
    form: Form,
    offset: usize,
    /// Bytes of one element, and elements.
    size: usize,
    count: Option<usize>,
}

/// What a member holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Unsigned,
    Signed,
    Char,
    Address,
    /// A port in the order of the network.
    Port,
}

/// Kinds of members: name, what they hold, bytes.
const FORMS: [(&str, Form, usize); 12] = [
    ("u8", Form::Unsigned, 1),
    ("u16", Form::Unsigned, 2),
    ("u32", Form::Unsigned, 4),
    ("u64", Form::Unsigned, 8),
    ("s8", Form::Signed, 1),
    ("s16", Form::Signed, 2),
    ("s32", Form::Signed, 4),
    ("s64", Form::Signed, 8),
    ("char", Form::Char, 1),
    ("ip4", Form::Address, 4),
    ("ip6", Form::Address, 16),
    ("port", Form::Port, 2),
];

/// Most bytes of a declared record.
const MAX_DECLARED: usize = 1 << 20;

/// The members that declarations such as `u32 pid` and `char comm[16]` describe, laid out as a compiler would.
fn declared(lines: &[String]) -> Result<Vec<Declared>, String> {
    let mut members = Vec::new();
    let mut end: usize = 0;
    for (n, line) in lines.iter().enumerate() {
        let wrong = |what: &str| format!("fields[{n}]: \"{line}\": {what}");
        let mut words = line.trim_end_matches(';').split_whitespace();
        let (Some(kind), Some(name), None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong("expected a declaration such as `u32 pid` or `char comm[16]`"));
        };
        let found = FORMS.iter().find(|(name, ..)| *name == kind);
        let known = || FORMS.map(|f| f.0).join(", ");
        let (_, form, size) = *found.ok_or_else(|| wrong(&format!("the type is none of {}", known())))?;
        let (name, count) = match name.split_once('[') {
            None => (name, None),
            Some((name, rest)) => {
                let count = rest.trim_end_matches(']').parse().ok().filter(|n| *n <= MAX_DECLARED);
                (name, Some(count.ok_or_else(|| wrong("expected a number of elements"))?))
            }
        };
        let offset = end.next_multiple_of(if form == Form::Address { 4 } else { size });
        end = offset + size * count.unwrap_or(1);
        if end > MAX_DECLARED {
            return Err(wrong("the record has more than a megabyte"));
        }
        members.push(Declared { name: name.to_owned(), form, offset, size, count });
    }
    Ok(members)
}

/// A record by its declaration. Members that it is too short for are left out.
fn by_declaration(members: &[Declared], data: &[u8]) -> Value {
    let one = |m: &Declared, bytes: &[u8]| {
        let mut word = [0; 8];
        let len = bytes.len().min(8);
        word[..len].copy_from_slice(&bytes[..len]);
        let number = u64::from_le_bytes(word);
        match (m.form, m.size) {
            (Form::Signed, size) => {
                let shift = 64 - 8 * size as u32;
                Value::Int(((number << shift) as i64 >> shift).into())
            }
            (Form::Port, _) => Value::Int((number as u16).swap_bytes().into()),
            (Form::Address, 4) => Value::Address(<[u8; 4]>::try_from(bytes).unwrap_or_default().into()),
            (Form::Address, _) => Value::Address(<[u8; 16]>::try_from(bytes).unwrap_or_default().into()),
            _ => Value::Int(number.into()),
        }
    };
    let shown = members.iter().filter_map(|m| {
        let rest = data.get(m.offset..)?;
        let value = match m.count {
            None => one(m, rest.get(..m.size)?),
            Some(count) => {
                let bytes = &rest[..rest.len().min(m.size * count)];
                match m.form {
                    // The kernel may have left anything behind the end of a text.
                    Form::Char if count > 0 && bytes.contains(&0) && m.offset + count < data.len() => {
                        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
                        Value::Text(String::from_utf8_lossy(&bytes[..end]).into_owned())
                    }
                    Form::Char => strings(bytes),
                    _ => Value::List(bytes.chunks_exact(m.size).map(|b| one(m, b)).collect()),
                }
            }
        };
        Some((m.name.clone(), value))
    });
    Value::Struct(shown.collect())
}

/// What is known of the records of an object.
#[derive(Debug, Default)]
pub struct Records {
    /// By map, declared by the file.
    declared: BTreeMap<String, Vec<Declared>>,
    /// By map, said by the file.
    said: BTreeMap<String, TypeId>,
    /// By size, found: zero where nothing fits.
    found: BTreeMap<usize, TypeId>,
}

impl Records {
    /// Says what a map's records are. The error is what is wrong.
    pub fn set(&mut self, object: &Object, map: &str, records: &schema::Records) -> Result<(), String> {
        if !object.maps.iter().any(|m| m.name == map) {
            let like = ebpfkit_object::nearest(map, object.maps.iter().map(|m| m.name.as_str()));
            let meant = like.map_or_else(String::new, |l| format!("; did you mean `{l}`?"));
            return Err(format!("records: the object has no map `{map}`{meant}"));
        }
        let ty = match (&records.ty, &records.fields) {
            (Some(ty), None) => ty,
            (None, Some(fields)) => {
                self.declared.insert(map.to_owned(), declared(fields)?);
                return Ok(());
            }
            _ => return Err("records: expected one of `type` and `fields`".into()),
        };
        let name = ty.strip_prefix("struct ").unwrap_or(ty);
        let btf = object.btf.as_deref().ok_or("records: the object has no types")?;
        let id = [Kind::Struct, Kind::Union, Kind::Typedef, Kind::Int].iter().find_map(|kind| btf.find(name, *kind));
        let id = id.ok_or_else(|| format!("type: the object has no type `{ty}`"))?;
        self.said.insert(map.to_owned(), id);
        Ok(())
    }

    /// A record: the name of its type and its value.
    pub fn decode(
        &mut self,
        (object, kernel): (&Object, Option<&Btf>),
        map: &str,
        data: &[u8],
    ) -> (Option<String>, Value) {
        if let Some(members) = self.declared.get(map) {
            return (None, by_declaration(members, data));
        }
        let bytes = || (None, Value::Bytes(data.to_vec()));
        let Some(btf) = object.btf.as_deref() else { return bytes() };
        let ty = match self.said.get(map) {
            Some(ty) => *ty,
            None => {
                let def = object.maps.iter().find(|m| m.name == map);
                let declared = def.map_or(0, |d| d.printed_types().1);
                match btf.size_of(declared).filter(|_| declared != 0) {
                    Some(size) if size as usize == data.len() => declared,
                    _ => *self.found.entry(data.len()).or_insert_with(|| of_size(btf, kernel, data.len())),
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
fn of_size(btf: &Btf, kernel: Option<&Btf>, size: usize) -> TypeId {
    // The kernel's own structs, which programs look into, are no records.
    let is_kernel = |name: &str| kernel.is_some_and(|k| k.find(essential(name), Kind::Struct).is_some());
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
            && !is_kernel(btf.name(*id))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_records() {
        let lines =
            ["u8 kind", "u32 pid", "char comm[8]", "ip4 to", "port at", "s16 error", "u64 t[2]"].map(str::to_owned);
        let members = declared(&lines).expect("declarations");
        let data = [
            &[7, 0, 0, 0, 1, 2, 0, 0][..],
            b"sh\0junk!",
            &[192, 0, 2, 1, 0, 80, 0xfe, 0xff],
            &[1, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let shown = by_declaration(&members, &data).to_string();
        assert_eq!(shown, "{kind: 7, pid: 513, comm: \"sh\", to: 192.0.2.1, at: 80, error: -2, t: [1]}");
        assert!(declared(&["u32".to_owned()]).is_err() && declared(&["u3 x".to_owned()]).is_err());
    }
}
