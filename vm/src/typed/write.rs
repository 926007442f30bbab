//! From a [`Value`] to the bytes of a BTF type: what [`read`](super::read()) gives can be written back.

use super::Value;
use super::read::{MAX_DEPTH, named_char};
use crate::hex;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Composite, Kind, Member, Type, TypeId};
use std::net::{IpAddr, Ipv4Addr};

/// A value that its type cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{found}; expected {expected}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct Mismatch {
    /// Where inside the value: members and elements, outermost first (`mac[2]`).
    pub path: String,
    /// What is there.
    pub found: String,
    /// What the type holds.
    pub expected: String,
}

impl Mismatch {
    /// Found and expected, at the value itself.
    pub fn new(found: impl ToString, expected: impl Into<String>) -> Self {
        Self { path: String::new(), found: found.to_string(), expected: expected.into() }
    }

    /// The same, inside a member or an element.
    pub fn inside(mut self, outer: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{outer}{dot}{}", self.path);
        self
    }
}

/// Writes a value of a type over `bytes`, which have the type's size. Members that a struct leaves out keep what they
/// hold. `0x` and as many hexadecimal digits as the type has, in the order of memory, stand for a value of any type but
/// a pointer, where they are the address.
pub fn write(btf: &Btf, ty: TypeId, value: &Value, bytes: &mut [u8]) -> Result<(), Mismatch> {
    typed(btf, ty, value, bytes, MAX_DEPTH, &mut Addresses)
}

/// What stands behind pointers, and what types are called in short.
pub trait Pointers {
    /// The address of what a value describes, for a pointer of type `ty`; `None` when the value is an address itself.
    fn address(&mut self, btf: &Btf, ty: TypeId, value: &Value) -> Result<Option<u64>, Mismatch>;

    /// What stands for a struct or union that is given as text; `None` when there is no short form.
    fn expand(&mut self, btf: &Btf, ty: TypeId, text: &str) -> Result<Option<Value>, Mismatch>;
}

/// Nothing but addresses.
struct Addresses;

impl Pointers for Addresses {
    fn address(&mut self, _: &Btf, _: TypeId, _: &Value) -> Result<Option<u64>, Mismatch> {
        Ok(None)
    }

    fn expand(&mut self, _: &Btf, _: TypeId, _: &str) -> Result<Option<Value>, Mismatch> {
        Ok(None)
    }
}

/// As [`write()`], with objects behind pointers.
pub fn write_with(
    btf: &Btf,
    ty: TypeId,
    value: &Value,
    bytes: &mut [u8],
    pointers: &mut dyn Pointers,
) -> Result<(), Mismatch> {
    typed(btf, ty, value, bytes, MAX_DEPTH, pointers)
}

/// Writes a value whose type is unknown: hexadecimal bytes, an address of the network, or a number for sizes that
/// integers have.
pub fn write_untyped(value: &Value, bytes: &mut [u8]) -> Result<(), Mismatch> {
    match value {
        Value::Bytes(from) if from.len() == bytes.len() => bytes.copy_from_slice(from),
        Value::Int(n) if matches!(bytes.len(), 1 | 2 | 4 | 8) => {
            let bits = bytes.len() as u32 * 8;
            fit(*n, bits, *n < 0, "integer")?;
            put(bytes, 0, bits, *n as u128);
        }
        Value::Address(address) => return write_untyped(&Value::Text(address.to_string()), bytes),
        Value::Text(text) => match digits(text, bytes.len()).or_else(|| octets(text, bytes.len())) {
            Some(from) => bytes.copy_from_slice(&from),
            None => return Err(Mismatch::new(format!("{text:?}"), hex_of(bytes.len()))),
        },
        other => return Err(Mismatch::new(describe(other), hex_of(bytes.len()))),
    }
    Ok(())
}

fn hex_of(len: usize) -> String {
    format!("{len} bytes as hexadecimal text (0x and {} digits)", len * 2)
}

fn digits(text: &str, len: usize) -> Option<Vec<u8>> {
    hex::decode(text).ok().filter(|bytes| bytes.len() == len)
}

/// The bytes of an address of the network, in its order: 192.0.2.1, 2001:db8::1 or 02:00:00:00:00:01.
fn octets(text: &str, len: usize) -> Option<Vec<u8>> {
    match len {
        4 => Some(text.parse::<Ipv4Addr>().ok()?.octets().into()),
        // The place of either family holds an IPv4 address in its first bytes.
        16 => match text.parse::<IpAddr>().ok()? {
            IpAddr::V6(a) => Some(a.octets().into()),
            IpAddr::V4(a) => Some([&a.octets()[..], &[0; 12]].concat()),
        },
        6 => hex::hardware_address(text).map(Into::into),
        _ => None,
    }
}

/// A value as messages call it.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Int(n) => n.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Float(x) => x.to_string(),
        Value::Enum(text) | Value::Text(text) => format!("{text:?}"),
        Value::Pointer(p) => format!("{p:#x}"),
        Value::Address(address) => address.to_string(),
        Value::List(items) => format!("a list of {}", items.len()),
        Value::Struct(_) => "an object".into(),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
    }
}

/// Puts the low bits of a number where a value of the type lies, in the machine's order.
fn put(bytes: &mut [u8], offset: u32, bits: u32, n: u128) {
    for bit in 0..bits {
        // Bits count from the low end of the first byte, or from the high end where the high byte is first.
        let at = offset + if cfg!(target_endian = "little") { bit } else { bits - 1 - bit };
        let inside = if cfg!(target_endian = "little") { at % 8 } else { 7 - at % 8 };
        let byte = &mut bytes[at as usize / 8];
        *byte = *byte & !(1 << inside) | ((n >> bit & 1) as u8) << inside;
    }
}

fn fit(n: i128, bits: u32, signed: bool, name: &str) -> Result<(), Mismatch> {
    if bits >= 128 {
        return Ok(());
    }
    let (low, high) =
        if signed { (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1) } else { (0, (1i128 << bits) - 1) };
    if (low..=high).contains(&n) { Ok(()) } else { Err(Mismatch::new(n, format!("{name} ({low} to {high})"))) }
}

fn typed(
    btf: &Btf,
    ty: TypeId,
    value: &Value,
    bytes: &mut [u8],
    depth: u32,
    pointers: &mut dyn Pointers,
) -> Result<(), Mismatch> {
    let id = btf.resolve(ty);
    let Some(depth) = depth.checked_sub(1) else { return write_untyped(value, bytes) };
    let Some(shape) = btf.get(id) else { return write_untyped(value, bytes) };
    if btf.size_of(id).is_some_and(|size| size as usize != bytes.len()) {
        return write_untyped(value, bytes);
    }
    match shape {
        Type::Ptr(_) => {
            if let Some(address) = pointers.address(btf, id, value)? {
                put(bytes, 0, 64, address.into());
                return Ok(());
            }
        }
        Type::Struct(_) | Type::Union(_) => {
            if let Value::Text(text) = value
                && let Some(full) = pointers.expand(btf, id, text)?
            {
                return typed(btf, ty, &full, bytes, depth, pointers);
            }
        }
        _ => {}
    }
    match (shape, value) {
        (Type::Ptr(_), Value::Pointer(p)) => put(bytes, 0, 64, u128::from(*p)),
        (Type::Ptr(_), Value::Int(n)) => {
            fit(*n, 64, false, "an address")?;
            put(bytes, 0, 64, *n as u128);
        }
        (Type::Ptr(_), Value::Text(text)) => {
            let p = text.strip_prefix("0x").and_then(|t| u64::from_str_radix(t, 16).ok());
            let p = p.ok_or_else(|| Mismatch::new(describe(value), "an address such as \"0x1000\""))?;
            put(bytes, 0, 64, p.into());
        }
        (Type::Array { elem, .. }, Value::Text(text))
            if named_char(btf, elem) && text.len() <= bytes.len() && !text.contains('\0') =>
        {
            let (head, tail) = bytes.split_at_mut(text.len());
            head.copy_from_slice(text.as_bytes());
            tail.fill(0);
        }
        (Type::Int { .. } | Type::Array { .. } | Type::Struct(_) | Type::Union(_), Value::Address(_)) => {
            return write_untyped(value, bytes);
        }
        (Type::Int { .. } | Type::Array { .. } | Type::Struct(_) | Type::Union(_), Value::Text(text))
            if octets(text, bytes.len()).is_some() =>
        {
            return write_untyped(value, bytes);
        }
        (_, Value::Text(text)) if text.starts_with("0x") && digits(text, bytes.len()).is_some() => {
            return write_untyped(value, bytes);
        }
        (Type::Int { size, encoding }, _) => {
            return integer(btf, ty, value, encoding.signed, encoding.bool, bytes, (0, size * 8));
        }
        (Type::Enum { size, signed, .. } | Type::Enum64 { size, signed, .. }, _) => {
            return constant(btf, id, value, signed, bytes, (0, size * 8));
        }
        (Type::Float { size }, _) => return float(value, size, bytes),
        (Type::Array { elem, len, .. }, Value::List(items)) => {
            return array(btf, (elem, len), items, bytes, depth, pointers);
        }
        (Type::Array { elem, len, .. }, _) => {
            let text = if named_char(btf, elem) { format!("text of at most {len} bytes, or ") } else { String::new() };
            return Err(Mismatch::new(describe(value), format!("{text}a list of {len}")));
        }
        (Type::Struct(c) | Type::Union(c), Value::Struct(members)) => {
            return composite(btf, (id, c), members, bytes, depth, pointers);
        }
        (Type::Struct(_) | Type::Union(_), _) => {
            return Err(Mismatch::new(describe(value), format!("an object with {}", members_of(btf, id, depth))));
        }
        _ => return write_untyped(value, bytes),
    }
    Ok(())
}

/// The name by which messages call an integer type.
fn name_of(btf: &Btf, ty: TypeId) -> String {
    match (btf.name(ty), btf.name(btf.resolve(ty))) {
        ("", "") => "an integer".into(),
        ("", name) | (name, _) => name.to_owned(),
    }
}

fn integer(
    btf: &Btf,
    ty: TypeId,
    value: &Value,
    signed: bool,
    boolean: bool,
    bytes: &mut [u8],
    (offset, bits): (u32, u32),
) -> Result<(), Mismatch> {
    let n = match value {
        Value::Bool(b) if boolean => i128::from(*b),
        Value::Int(n) => *n,
        Value::Text(text) if !boolean && text.parse::<i128>().is_ok() => text.parse().unwrap_or_default(),
        other => {
            let expected = if boolean { "true or false".into() } else { format!("a number ({})", name_of(btf, ty)) };
            return Err(Mismatch::new(describe(other), expected));
        }
    };
    // Numbers of 128 bits are read as signed ones whatever they are.
    if boolean {
        fit(n, 1, false, "true or false")?;
    } else {
        fit(n, bits, signed, &name_of(btf, ty))?;
    }
    put(bytes, offset, bits, n as u128);
    Ok(())
}

fn constant(
    btf: &Btf,
    id: TypeId,
    value: &Value,
    signed: bool,
    bytes: &mut [u8],
    (offset, bits): (u32, u32),
) -> Result<(), Mismatch> {
    let n = match value {
        Value::Int(n) => *n,
        Value::Text(name) | Value::Enum(name) => match btf.enum_values(id).find(|v| v.name == name) {
            Some(v) if signed => i128::from(v.value as i64),
            Some(v) => i128::from(v.value),
            None => {
                let names: Vec<&str> = btf.enum_values(id).map(|v| v.name).take(8).collect();
                let more = if btf.enum_values(id).len() > 8 { ", ..." } else { "" };
                return Err(Mismatch::new(describe(value), format!("one of {}{more}", names.join(", "))));
            }
        },
        other => return Err(Mismatch::new(describe(other), "a constant's name or a number")),
    };
    fit(n, bits, signed, "a number")?;
    put(bytes, offset, bits, n as u128);
    Ok(())
}

fn float(value: &Value, size: u32, bytes: &mut [u8]) -> Result<(), Mismatch> {
    let x = match value {
        Value::Float(x) => Some(*x),
        Value::Int(n) => Some(*n as f64),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    match (x, size) {
        (Some(x), 4) => bytes.copy_from_slice(&(x as f32).to_ne_bytes()),
        (Some(x), 8) => bytes.copy_from_slice(&x.to_ne_bytes()),
        (None, 4 | 8) => return Err(Mismatch::new(describe(value), "a number")),
        _ => return write_untyped(value, bytes),
    }
    Ok(())
}

fn array(
    btf: &Btf,
    (elem, len): (TypeId, u32),
    items: &[Value],
    bytes: &mut [u8],
    depth: u32,
    pointers: &mut dyn Pointers,
) -> Result<(), Mismatch> {
    let size = btf.size_of(elem).unwrap_or(0) as usize;
    if size == 0 && items.is_empty() {
        return Ok(());
    }
    if size == 0 || items.len() != len as usize {
        return Err(Mismatch::new(format!("a list of {}", items.len()), format!("a list of {len}")));
    }
    for (n, (item, bytes)) in items.iter().zip(bytes.chunks_exact_mut(size)).enumerate() {
        typed(btf, elem, item, bytes, depth, pointers).map_err(|e| e.inside(&format!("[{n}]")))?;
    }
    Ok(())
}

/// The named members, those of anonymous ones among them.
fn members_of(btf: &Btf, id: TypeId, depth: u32) -> String {
    fn collect<'a>(btf: &'a Btf, id: TypeId, depth: u32, names: &mut Vec<&'a str>) {
        for m in btf.members(id) {
            match m.name {
                "" if depth > 0 => collect(btf, btf.resolve(m.ty), depth - 1, names),
                name => names.push(name),
            }
        }
    }
    let mut names = Vec::new();
    collect(btf, id, depth, &mut names);
    names.join(", ")
}

/// Most names of members that a message lists.
const MAX_LISTED: usize = 400;

/// What was probably meant by a name, or all names where they are few.
fn meant(name: &str, members: &str) -> String {
    if members.len() <= MAX_LISTED {
        return members.to_owned();
    }
    match ebpfkit_object::nearest(name, members.split(", ")) {
        Some(like) => format!("a member of the struct, such as `{like}`"),
        None => format!("a member of the struct: {}, ...", &members[..members[..MAX_LISTED].rfind(',').unwrap_or(0)]),
    }
}

/// A member by name, looked for in anonymous ones too, at its offset from the outermost one.
pub(super) fn find<'a>(btf: &'a Btf, id: TypeId, name: &str, depth: u32) -> Option<Member<'a>> {
    let depth = depth.checked_sub(1)?;
    btf.members(id).find_map(|m| {
        if !m.name.is_empty() || m.bitfield_size != 0 {
            return (m.name == name).then_some(m);
        }
        let inner = btf.resolve(m.ty);
        if !matches!(btf.kind(inner), Some(Kind::Struct | Kind::Union)) {
            return name.is_empty().then_some(m);
        }
        let found = find(btf, inner, name, depth)?;
        Some(Member { bit_offset: m.bit_offset + found.bit_offset, ..found })
    })
}

fn composite(
    btf: &Btf,
    (id, c): (TypeId, Composite),
    members: &[(String, Value)],
    bytes: &mut [u8],
    depth: u32,
    pointers: &mut dyn Pointers,
) -> Result<(), Mismatch> {
    let unknown = |name: &str| Mismatch::new(format!("member `{name}`"), meant(name, &members_of(btf, id, depth)));
    for (name, value) in members {
        let m = find(btf, id, name, depth).ok_or_else(|| unknown(name))?;
        let (offset, bits) = (m.bit_offset, u32::from(m.bitfield_size));
        let outside = || unknown(name);
        let result = if bits != 0 {
            if offset + bits > c.size * 8 {
                return Err(outside());
            }
            match btf.get(btf.resolve(m.ty)) {
                Some(Type::Enum { signed, .. } | Type::Enum64 { signed, .. }) => {
                    constant(btf, btf.resolve(m.ty), value, signed, bytes, (offset, bits))
                }
                Some(Type::Int { encoding, .. }) => {
                    integer(btf, m.ty, value, encoding.signed, encoding.bool, bytes, (offset, bits))
                }
                _ => Err(outside()),
            }
        } else {
            let start = offset as usize / 8;
            let end = start + btf.size_of(m.ty).unwrap_or(0) as usize;
            typed(btf, m.ty, value, bytes.get_mut(start..end).ok_or_else(outside)?, depth, pointers)
        };
        result.map_err(|e| e.inside(name))?;
    }
    Ok(())
}

/// A member of a struct or union by name, also of those without a name inside it, at its offset from the outermost one.
pub fn member<'a>(btf: &'a Btf, ty: TypeId, name: &str) -> Option<Member<'a>> {
    find(btf, btf.resolve(ty), name, MAX_DEPTH)
}
