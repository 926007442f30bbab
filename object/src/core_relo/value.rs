//! From an access to the value that a relocation asks for.

use super::access::Access;
use super::kind::{CoreKind, Subject};
use crate::btf::{Btf, Type, TypeId};
use ebpfkit_isa::Endian;

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoValue {
    /// The access does not exist: the instruction is poisoned.
    Missing,
    /// libbpf refuses, after this complaint if it has one.
    Refused { error: i32, complaint: Option<String> },
}

/// A value, and what must hold for it to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub value: u64,
    /// Bytes of the field, when loads and stores may have to change their size; zero otherwise.
    pub size: u32,
    /// Type of the field, with `size`.
    pub ty: TypeId,
    /// The instruction must hold the local value before it is changed.
    pub checked: bool,
}

const fn plain(value: u64) -> Value {
    Value { value, size: 0, ty: 0, checked: true }
}

const INVALID: NoValue = NoValue::Refused { error: super::INVALID, complaint: None };

/// Where an instruction stands, for complaints.
pub(super) struct Site<'a> {
    pub function: &'a str,
    pub insn: usize,
    pub kind: u32,
}

/// The value of an access; `None` stands for one that does not exist.
pub(super) fn value(btf: &Btf, kind: CoreKind, access: Option<&Access>, site: &Site<'_>) -> Result<Value, NoValue> {
    match kind.subject() {
        Subject::Field => field(btf, kind, access, site),
        Subject::Type => type_value(btf, kind, access),
        Subject::Enumerator => match (kind, access) {
            (CoreKind::EnumeratorExists, found) => Ok(plain(found.is_some().into())),
            (_, None) => Err(NoValue::Missing),
            (_, Some(access)) => {
                let component = access.components.first().ok_or(INVALID)?;
                let value = btf.enum_value(component.ty, component.index as usize).ok_or(INVALID)?.value;
                // libbpf extends 32-bit values with their sign, also unsigned ones.
                let short = matches!(btf.get(component.ty), Some(Type::Enum { .. }));
                Ok(plain(if short { i64::from(value as i32) as u64 } else { value }))
            }
        },
    }
}

fn type_value(btf: &Btf, kind: CoreKind, access: Option<&Access>) -> Result<Value, NoValue> {
    let Some(access) = access else { return Ok(plain(0)) };
    match kind {
        // Numbers of types change when objects are linked.
        CoreKind::TypeIdTarget | CoreKind::TypeIdLocal => Ok(Value { checked: false, ..plain(access.root.into()) }),
        CoreKind::TypeSize => Ok(plain(btf.size_of(access.root).ok_or(INVALID)?.into())),
        _ => Ok(plain(1)),
    }
}

fn field(btf: &Btf, kind: CoreKind, access: Option<&Access>, site: &Site<'_>) -> Result<Value, NoValue> {
    if kind == CoreKind::FieldExists {
        return Ok(plain(access.is_some().into()));
    }
    let access = access.ok_or(NoValue::Missing)?;
    let refuse = |error, why: &str| {
        let complaint = format!("prog '{}': relo {} at insn #{} {why}", site.function, site.kind, site.insn);
        NoValue::Refused { error, complaint: Some(complaint) }
    };
    let component = access.components.last().ok_or(INVALID)?;
    if component.name.is_none() {
        let size = btf.size_of(component.ty).ok_or(INVALID)?;
        return match kind {
            CoreKind::FieldByteOffset => {
                Ok(Value { value: (access.bit_offset / 8).into(), size, ty: component.ty, checked: true })
            }
            CoreKind::FieldByteSize => Ok(plain(size.into())),
            _ => Err(refuse(super::INVALID, "can't be applied to array access")),
        };
    }
    let member = btf.member(component.ty, component.index as usize).ok_or(INVALID)?;
    let ty = btf.resolve(member.ty);
    let bits = Bits::of(btf, access, ty, member.bitfield_size).map_err(|error| {
        if error == super::TOO_BIG { refuse(error, "can't be satisfied for bitfield") } else { INVALID }
    })?;
    let bit_field = member.bitfield_size > 0;
    // The compiler may have chosen another word for a bit field, so its own values are no measure.
    let checked = !bit_field;
    Ok(match kind {
        CoreKind::FieldByteOffset => {
            let (size, ty) = if bit_field { (0, 0) } else { (bits.word, ty) };
            Value { value: bits.word_offset.into(), size, ty, checked }
        }
        CoreKind::FieldByteSize => Value { checked, ..plain(bits.word.into()) },
        CoreKind::FieldSigned => plain(is_signed(btf, ty).into()),
        CoreKind::FieldLeftShift => {
            let inside = u64::from(bits.offset).wrapping_sub(u64::from(bits.word_offset) * 8);
            let value = match btf.endian() {
                Endian::Little => 64u64.wrapping_sub(inside.wrapping_add(bits.len.into())),
                Endian::Big => 8u64.wrapping_sub(bits.word.into()).wrapping_mul(8).wrapping_add(inside),
            };
            // libbpf computes in 32 bits.
            Value { checked, ..plain(u64::from(value as u32)) }
        }
        _ => plain(u64::from(64u32.wrapping_sub(bits.len))),
    })
}

fn is_signed(btf: &Btf, ty: TypeId) -> bool {
    match btf.get(ty) {
        Some(Type::Int { encoding, .. }) => encoding.signed,
        Some(Type::Enum { signed, .. } | Type::Enum64 { signed, .. }) => signed,
        _ => false,
    }
}

/// A field's bits and the word that a load of it reads.
struct Bits {
    /// First bit.
    offset: u32,
    len: u32,
    /// Bytes of the word.
    word: u32,
    /// Byte offset of the word.
    word_offset: u32,
}

impl Bits {
    /// The smallest aligned word that holds the field. The error is libbpf's number.
    fn of(btf: &Btf, access: &Access, ty: TypeId, bitfield_size: u8) -> Result<Self, i32> {
        let offset = access.bit_offset;
        let mut word = btf.size_of(ty).ok_or(super::INVALID)?;
        if bitfield_size == 0 {
            return Ok(Self { offset, len: word.wrapping_mul(8), word, word_offset: offset / 8 });
        }
        let len = u32::from(bitfield_size);
        if word == 0 {
            return Err(super::INVALID);
        }
        loop {
            let word_offset = offset / 8 / word * word;
            // `word` may be the size of any type.
            if u64::from(offset) + u64::from(len) - u64::from(word_offset) * 8 <= u64::from(word) * 8 {
                return Ok(Self { offset, len, word, word_offset });
            }
            if word >= 8 {
                return Err(super::TOO_BIG);
            }
            word *= 2;
        }
    }
}
