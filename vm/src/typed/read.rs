//! From bytes and a BTF type to a [`Value`].

use super::Value;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Composite, Kind, Type, TypeId};
use std::net::IpAddr;

/// Types inside types deeper than this are shown as bytes.
pub(crate) const MAX_DEPTH: u32 = 32;

/// Reads a value of a type. Bytes that are missing, or types that are unknown, give [`Value::Bytes`].
pub fn read(btf: &Btf, ty: TypeId, bytes: &[u8]) -> Value {
    value(btf, ty, bytes, MAX_DEPTH).unwrap_or_else(|| Value::Bytes(bytes.to_vec()))
}

/// The variables of a data section and their values, by the section's type.
pub fn variables(btf: &Btf, section: TypeId, bytes: &[u8]) -> Vec<(String, Value)> {
    if btf.kind(section) != Some(Kind::Datasec) {
        return Vec::new();
    }
    let shown = btf.sec_vars(section).filter_map(|v| {
        let Some(Type::Var { ty, .. }) = btf.get(v.ty) else { return None };
        let (start, end) = (v.offset as usize, v.offset as usize + v.size as usize);
        Some((btf.name(v.ty).to_owned(), read(btf, ty, bytes.get(start..end)?)))
    });
    shown.collect()
}

/// Bits as a number, in the machine's byte order.
fn number(bytes: &[u8]) -> Option<u128> {
    if bytes.len() > 16 {
        return None;
    }
    let step = |n: u128, b: &u8| n << 8 | u128::from(*b);
    Some(if cfg!(target_endian = "little") { bytes.iter().rev().fold(0, step) } else { bytes.iter().fold(0, step) })
}

fn signed(n: u128, bits: u32) -> i128 {
    let shift = 128u32.saturating_sub(bits).min(127);
    (n << shift) as i128 >> shift
}

fn integer(n: u128, bits: u32, is_signed: bool) -> Value {
    Value::Int(if is_signed { signed(n, bits) } else { n as i128 })
}

fn value(btf: &Btf, ty: TypeId, bytes: &[u8], depth: u32) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let id = btf.resolve(ty);
    if let Some(address) = address(btf, ty, id, bytes) {
        return Some(Value::Address(address));
    }
    match btf.get(id)? {
        Type::Int { size, encoding } => {
            let n = number(bytes.get(..size as usize)?)?;
            Some(if encoding.bool { Value::Bool(n != 0) } else { integer(n, size * 8, encoding.signed) })
        }
        Type::Ptr(_) => Some(Value::Pointer(number(bytes.get(..8)?)? as u64)),
        Type::Float { size: 4 } => Some(Value::Float(f32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?).into())),
        Type::Float { size: 8 } => Some(Value::Float(f64::from_ne_bytes(bytes.get(..8)?.try_into().ok()?))),
        Type::Enum { size, signed: is_signed, .. } | Type::Enum64 { size, signed: is_signed, .. } => {
            Some(constant(btf, id, number(bytes.get(..size as usize)?)?, size * 8, is_signed))
        }
        Type::Array { elem, len, .. } => array(btf, elem, len, bytes, depth),
        Type::Struct(c) | Type::Union(c) => composite(btf, id, c, bytes, depth),
        _ => None,
    }
}

/// The address of the network that a type's name promises.
fn address(btf: &Btf, ty: TypeId, id: TypeId, bytes: &[u8]) -> Option<IpAddr> {
    let is_v4 = btf.name(id) == "in_addr" || is_named(btf, ty, "__be32");
    if is_v4 && btf.size_of(id) == Some(4) {
        return Some(IpAddr::from(*bytes.first_chunk::<4>()?));
    }
    (btf.name(id) == "in6_addr" && btf.size_of(id) == Some(16)).then_some(())?;
    Some(IpAddr::from(*bytes.first_chunk::<16>()?))
}

/// Whether a type is a typedef of this name, or one of such a typedef.
fn is_named(btf: &Btf, mut ty: TypeId, name: &str) -> bool {
    for _ in 0..MAX_DEPTH {
        ty = btf.skip_modifiers(ty);
        match btf.get(ty) {
            Some(Type::Typedef(_)) if btf.name(ty) == name => return true,
            Some(Type::Typedef(inner)) => ty = inner,
            _ => return false,
        }
    }
    false
}

/// A constant by name, or its number when it has none.
fn constant(btf: &Btf, id: TypeId, n: u128, bits: u32, is_signed: bool) -> Value {
    let number = if is_signed { signed(n, bits) } else { n as i128 };
    let fits = |v: u64| if is_signed { i128::from(v as i64) == number } else { i128::from(v) == number };
    match btf.enum_values(id).find(|v| fits(v.value)) {
        Some(v) => Value::Enum(v.name.to_owned()),
        None => Value::Int(number),
    }
}

fn array(btf: &Btf, elem: TypeId, len: u32, bytes: &[u8], depth: u32) -> Option<Value> {
    let size = btf.size_of(elem)? as usize;
    let bytes = bytes.get(..size.checked_mul(len as usize)?)?;
    if size == 0 {
        return Some(Value::List(Vec::new()));
    }
    if named_char(btf, elem)
        && let Some(text) = text(bytes)
    {
        return Some(Value::Text(text));
    }
    bytes.chunks_exact(size).map(|b| value(btf, elem, b, depth)).collect::<Option<_>>().map(Value::List)
}

/// Whether a one-byte integer is `char` itself, not `unsigned char` or a name for it.
pub fn named_char(btf: &Btf, ty: TypeId) -> bool {
    matches!(btf.get(btf.resolve(ty)), Some(Type::Int { size: 1, .. })) && btf.name(btf.skip_modifiers(ty)) == "char"
}

/// Text before zeros, when all of it can be printed and there is some.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let rest_is_zero = bytes[end..].iter().all(|b| *b == 0);
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    (rest_is_zero && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn composite(btf: &Btf, id: TypeId, c: Composite, bytes: &[u8], depth: u32) -> Option<Value> {
    let bytes = bytes.get(..c.size as usize)?;
    let mut members = Vec::new();
    for m in btf.members(id) {
        let v = if m.bitfield_size != 0 {
            bit_field(btf, m.ty, m.bit_offset, u32::from(m.bitfield_size), bytes)?
        } else {
            let bytes = bytes.get(m.bit_offset as usize / 8..)?;
            match named_address(btf, &m, bytes) {
                Some(address) => Value::Address(address),
                None => value(btf, m.ty, bytes, depth)?,
            }
        };
        match v {
            Value::Struct(inner) if m.name.is_empty() => members.extend(inner),
            v => members.push((m.name.to_owned(), v)),
        }
    }
    Some(Value::Struct(members))
}

/// Names of members that hold addresses of the network, alone or as the first word of a name (`saddr_v4`).
const ADDRESSES: [&str; 6] = ["saddr", "daddr", "laddr", "raddr", "saddr4", "daddr4"];
/// Words that say whose address a member holds, where another says that it is one (`src_ip`, `remote_addr`).
const ENDS: [&str; 12] =
    ["src", "dst", "source", "dest", "destination", "local", "remote", "peer", "client", "server", "user", "virtual"];
const WORDS: [&str; 5] = ["ip", "ip4", "ip6", "addr", "ipv4"];

/// The address of the network that a member's name promises: a number of 32 bits, or 16 bytes of any type, whose other
/// kinds of contents nobody could print better.
fn named_address(btf: &Btf, m: &ebpfkit_object::btf::Member<'_>, bytes: &[u8]) -> Option<IpAddr> {
    let mut words = m.name.split('_');
    let has = |set: &[&str]| m.name.split('_').any(|word| set.contains(&word));
    let is_named = words.next().is_some_and(|w| ADDRESSES.contains(&w));
    let is_address = is_named || has(&ENDS) && has(&WORDS);
    if !is_address {
        return None;
    }
    let ty = btf.resolve(m.ty);
    match (btf.get(ty)?, btf.size_of(ty)?) {
        (Type::Int { encoding, .. }, 4) if !encoding.signed => Some(IpAddr::from(*bytes.first_chunk::<4>()?)),
        // A number of 128 bits, or an array of numbers.
        (Type::Int { .. } | Type::Array { .. }, 16) => {
            let octets = *bytes.first_chunk::<16>()?;
            // The place of either family holds the other's in its first four bytes.
            let is_v4 = octets[4..].iter().all(|b| *b == 0) && octets[..4] != [0; 4];
            Some(if is_v4 { IpAddr::from(*octets.first_chunk::<4>()?) } else { IpAddr::from(octets) })
        }
        _ => None,
    }
}

fn bit_field(btf: &Btf, ty: TypeId, offset: u32, bits: u32, bytes: &[u8]) -> Option<Value> {
    let (first, last) = (offset / 8, (offset + bits).div_ceil(8));
    let n = number(bytes.get(first as usize..last as usize)?)?;
    let inside = if cfg!(target_endian = "little") { offset % 8 } else { last * 8 - offset - bits };
    let n = n >> inside & ((1 << bits) - 1);
    match btf.get(btf.resolve(ty))? {
        Type::Int { encoding, .. } if encoding.bool => Some(Value::Bool(n != 0)),
        Type::Int { encoding, .. } => Some(integer(n, bits, encoding.signed)),
        Type::Enum { signed, .. } | Type::Enum64 { signed, .. } => {
            Some(constant(btf, btf.resolve(ty), n, bits, signed))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;
    use serde_json::json;

    /// Types by number: 1 `int`, 2 `char`, 3 `char[4]`, 4 `struct { int a; char n[4]; int b:3; }`, 5 `enum { X = 7 }`,
    /// 6 `int[2]`.
    fn types() -> Btf {
        let strings = b"\0int\0char\0a\0n\0b\0E\0X\0s\0";
        let name = |s: &str| {
            let terminated: Vec<u8> = [b"\0", s.as_bytes(), b"\0"].concat();
            strings.windows(terminated.len()).position(|w| w == terminated).map_or(0, |p| p as u32 + 1)
        };
        let mut t: Vec<u32> = Vec::new();
        t.extend([name("int"), 1 << 24, 4, 1 << 24 | 32]);
        t.extend([name("char"), 1 << 24, 1, 1 << 24 | 8]);
        t.extend([0, 3 << 24, 0, 2, 1, 4]);
        t.extend([name("s"), 1 << 31 | 4 << 24 | 3, 12]);
        t.extend([name("a"), 1, 0, name("n"), 3, 32, name("b"), 1, 3 << 24 | 64]);
        t.extend([name("E"), 6 << 24 | 1, 4, name("X"), 7]);
        t.extend([0, 3 << 24, 0, 1, 1, 2]);
        let types: Vec<u8> = t.iter().flat_map(|w| w.to_le_bytes()).collect();
        let mut b = vec![0x9f, 0xeb, 1, 0];
        for w in [24u32, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            b.extend(w.to_le_bytes());
        }
        b.extend(types);
        b.extend(strings);
        Btf::parse(b).expect("well-formed types")
    }

    #[test]
    fn values_follow_their_types() {
        let btf = types();
        let mut bytes = vec![0xff, 0xff, 0xff, 0xff];
        bytes.extend(b"hi\0\0");
        bytes.extend([0b101, 0, 0, 0]);
        assert_eq!(read(&btf, 4, &bytes).to_string(), r#"{a: -1, n: "hi", b: -3}"#);
        assert_eq!(read(&btf, 5, &[7, 0, 0, 0]).to_string(), "X");
        assert_eq!(read(&btf, 5, &[8, 0, 0, 0]).to_string(), "8");
        assert_eq!(read(&btf, 6, &[1, 0, 0, 0, 2, 0, 0, 0]).to_string(), "[1, 2]");
        assert_eq!(read(&btf, 3, &[1, 2, 3, 4]).to_string(), "[1, 2, 3, 4]");
    }

    #[test]
    fn what_is_read_can_be_written() {
        let btf = types();
        let mut bytes = vec![0xfe, 0xff, 0xff, 0xff];
        bytes.extend(b"hi\0\0");
        bytes.extend([0b101, 0, 0, 0]);
        let cases: [(TypeId, &[u8]); 6] = [
            (4, &bytes),
            (5, &[7, 0, 0, 0]),
            (5, &[8, 0, 0, 0]),
            (6, &[1, 0, 0, 0, 2, 0, 0, 0]),
            (3, b"0x41"),
            (3, &[1, 2, 3, 4]),
        ];
        for (ty, bytes) in cases {
            let value = read(&btf, ty, bytes);
            let json = serde_json::to_string(&value).expect("JSON");
            for value in [value, serde_json::from_str(&json).expect("a value")] {
                let mut out = vec![0xaa; bytes.len()];
                if ty == 4 {
                    // Bits beside a bit field stay as they are.
                    out[8..].fill(0);
                }
                write(&btf, ty, &value, &mut out).expect("fits");
                assert_eq!(out, bytes, "{json}");
            }
        }
        let mut out = [0; 4];
        write(&btf, 3, &Value::Text("0x01020304".into()), &mut out).expect("hexadecimal bytes");
        assert_eq!(out, [1, 2, 3, 4]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let btf = types();
        let fails = |ty: TypeId, len: usize, json: serde_json::Value| {
            let value = serde_json::from_value(json).expect("a value");
            write(&btf, ty, &value, &mut vec![0; len]).expect_err("does not fit").to_string()
        };
        assert_eq!(fails(1, 4, json!(1u64 << 31)), "2147483648; expected int (-2147483648 to 2147483647)");
        assert_eq!(fails(4, 12, json!({"b": 4})), "b: 4; expected int (-4 to 3)");
        assert_eq!(fails(4, 12, json!({"c": 4})), "member `c`; expected a, n, b");
        assert_eq!(fails(5, 4, json!("Y")), r#""Y"; expected one of X"#);
        assert_eq!(fails(6, 8, json!([1, "x"])), r#"[1]: "x"; expected a number (int)"#);
        assert_eq!(fails(6, 8, json!([1])), "a list of 1; expected a list of 2");
        assert_eq!(fails(3, 4, json!("hello")), r#""hello"; expected text of at most 4 bytes, or a list of 4"#);
        assert_eq!(fails(99, 2, json!("01")), r#""01"; expected 2 bytes as hexadecimal text (0x and 4 digits)"#);
    }

    #[test]
    fn missing_bytes_and_types_are_shown_as_bytes() {
        let btf = types();
        assert_eq!(read(&btf, 1, &[0xab, 1]).to_string(), "ab01");
        assert_eq!(read(&btf, 99, &[0xab]).to_string(), "ab");
    }
}
