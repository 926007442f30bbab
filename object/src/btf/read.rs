//! Reading BTF: one pass checks every type and records where it starts; types are decoded on demand.

use super::bytes::Bytes;
use super::names::Names;
use super::plain::Known;
use super::types::{Composite, EnumValue, IntEncoding, Kind, Member, Param, SecVar, Type, TypeId};
use ebpfkit_isa::Endian;
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

pub(super) const MAGIC: u16 = 0xeb9f;
pub(super) const HEADER: usize = 24;
const TYPE_HEADER: usize = 12;
/// Chains of modifiers and nested arrays longer than this are taken for cycles.
const MAX_DEPTH: u32 = 32;
/// Longest string that is read; the kernel takes none of a quarter of this as a name.
const MAX_STRING: usize = 1 << 12;

/// Why BTF cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("BTF {location}: {found}; expected {expected}")]
pub struct BtfError {
    /// Header field or type number.
    pub location: String,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: String,
}

fn error(location: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> BtfError {
    BtfError { location: location.into(), found: found.into(), expected: expected.into() }
}

/// A set of types with their strings. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Btf {
    data: Bytes,
    endian: Endian,
    /// Start of each type in `data`; entry 0 stands for `void`.
    offsets: Arc<[u32]>,
    types: (usize, usize),
    strings: (usize, usize),
    names: Arc<Names>,
    tags: Arc<OnceLock<FxHashMap<TypeId, Vec<TypeId>>>>,
    /// Alignments that have been found out: 0 for none so far, [`NO_ALIGNMENT`] for types without one.
    aligns: Arc<OnceLock<Box<[AtomicU8]>>>,
    plain: Arc<Known>,
}

/// In the place of an alignment.
const NO_ALIGNMENT: u8 = u8::MAX;

/// Bytes that follow a type's header, by kind and number of entries.
fn tail_size(kind: Kind, len: usize) -> usize {
    match kind {
        Kind::Int | Kind::Var | Kind::DeclTag => 4,
        Kind::Array => 12,
        Kind::Struct | Kind::Union | Kind::Datasec | Kind::Enum64 => 12 * len,
        Kind::Enum | Kind::FuncProto => 8 * len,
        _ => 0,
    }
}

fn kind_of(number: u32) -> Option<Kind> {
    use Kind::*;
    const ALL: [Option<Kind>; 20] = [
        None,
        Some(Int),
        Some(Ptr),
        Some(Array),
        Some(Struct),
        Some(Union),
        Some(Enum),
        Some(Fwd),
        Some(Typedef),
        Some(Volatile),
        Some(Const),
        Some(Restrict),
        Some(Func),
        Some(FuncProto),
        Some(Var),
        Some(Datasec),
        Some(Float),
        Some(DeclTag),
        Some(TypeTag),
        Some(Enum64),
    ];
    ALL.get(number as usize).copied().flatten()
}

impl Btf {
    /// Reads and checks a `.BTF` section or `/sys/kernel/btf/vmlinux`, in either byte order.
    pub fn parse(data: impl Into<Bytes>) -> Result<Self, BtfError> {
        let data: Bytes = data.into();
        if data.len() < HEADER {
            return Err(error("header", format!("{} bytes", data.len()), format!("at least {HEADER}")));
        }
        let endian = match u16::from_le_bytes([data[0], data[1]]) {
            MAGIC => Endian::Little,
            m if m.swap_bytes() == MAGIC => Endian::Big,
            m => return Err(error("magic", format!("{m:#06x}"), format!("{MAGIC:#06x}"))),
        };
        let mut btf = Self { data, endian, ..Self::default() };
        if btf.data[2] != 1 {
            return Err(error("version", btf.data[2].to_string(), "1"));
        }
        let header = btf.word(4) as usize;
        let (type_off, type_len) = (btf.word(8) as usize, btf.word(12) as usize);
        let (str_off, str_len) = (btf.word(16) as usize, btf.word(20) as usize);
        let total = btf.data.len();
        let section = |name: &str, off: usize, len: usize| {
            let start = header.checked_add(off).filter(|_| header >= HEADER);
            let end = start.and_then(|s| s.checked_add(len)).filter(|&e| e <= total);
            match (start, end) {
                (Some(s), Some(e)) => Ok((s, e)),
                _ => Err(error(name, format!("{len} bytes at {off}"), format!("inside {total} bytes"))),
            }
        };
        btf.types = section("types", type_off, type_len)?;
        btf.strings = section("strings", str_off, str_len)?;
        let strings = &btf.data[btf.strings.0..btf.strings.1];
        if !strings.is_empty() && (strings[0] != 0 || strings[strings.len() - 1] != 0) {
            return Err(error("strings", "no zero byte at start or end", "both"));
        }
        btf.offsets = btf.index(btf.types)?.into();
        Ok(btf)
    }

    /// Where each type starts. Every type number that a modifier, pointer or declaration names must exist.
    fn index(&self, (start, end): (usize, usize)) -> Result<Vec<u32>, BtfError> {
        let types = &self.data[..end];
        let swap = self.endian == Endian::Big;
        let word = |at: usize| {
            let w = types.get(at..).and_then(|b| b.first_chunk::<4>()).map_or(0, |b| u32::from_le_bytes(*b));
            if swap { w.swap_bytes() } else { w }
        };
        let names = (self.strings.1 - self.strings.0).max(1);
        let mut offsets = Vec::with_capacity((end - start) / 32 + 1);
        offsets.push(u32::MAX);
        let (mut at, mut highest) = (start, (0, 0));
        while at < end {
            let id = offsets.len();
            if end - at < TYPE_HEADER {
                return Err(error(format!("type {id}"), format!("{} bytes", end - at), format!("{TYPE_HEADER}")));
            }
            let info = word(at + 4);
            let Some(kind) = kind_of(info >> 24 & 0x1f) else {
                return Err(error(format!("type {id}"), format!("kind {}", info >> 24 & 0x1f), "1 to 19"));
            };
            let size = TYPE_HEADER + tail_size(kind, info as usize & 0xffff);
            if end - at < size {
                return Err(error(format!("type {id}"), format!("{} bytes", end - at), size.to_string()));
            }
            if word(at) as usize >= names {
                return Err(error(format!("type {id}"), format!("name at {}", word(at)), "an offset in the strings"));
            }
            let target = match kind {
                Kind::Ptr | Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => {
                    word(at + 8)
                }
                Kind::DeclTag | Kind::Func | Kind::Var => word(at + 8),
                Kind::Array => word(at + TYPE_HEADER),
                _ => 0,
            };
            if target > highest.0 {
                highest = (target, id);
            }
            offsets.push(at as u32);
            at += size;
        }
        if highest.0 as usize >= offsets.len() {
            let (location, found) = (format!("type {}", highest.1), format!("type {}", highest.0));
            return Err(error(location, found, format!("less than {}", offsets.len())));
        }
        Ok(offsets)
    }

    /// Word at an offset; zero when it lies outside.
    fn word(&self, at: usize) -> u32 {
        let Some(bytes) = self.data.get(at..).and_then(|b| b.first_chunk::<4>()) else { return 0 };
        match self.endian {
            Endian::Little => u32::from_le_bytes(*bytes),
            Endian::Big => u32::from_be_bytes(*bytes),
        }
    }

    /// The bytes it was read from, in their own byte order.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// Byte order of the bytes.
    pub fn endian(&self) -> Endian {
        self.endian
    }

    /// Lookup state.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// The strings, each with its zero byte.
    pub(super) fn strings(&self) -> &[u8] {
        self.data.get(self.strings.0..self.strings.1).unwrap_or_default()
    }

    /// The types.
    pub(super) fn type_bytes(&self) -> &[u8] {
        self.data.get(self.types.0..self.types.1).unwrap_or_default()
    }

    /// Where a type stands in [`Self::type_bytes`].
    pub(super) fn type_range(&self, id: TypeId) -> Option<Range<usize>> {
        let start = self.start(id)?;
        let info = self.word(start + 4);
        let size = TYPE_HEADER + tail_size(kind_of(info >> 24 & 0x1f)?, info as usize & 0xffff);
        Some(start - self.types.0..start - self.types.0 + size)
    }

    /// A word of a type: 0 name, 1 info, 2 size or type, then what follows the header.
    pub(super) fn type_word(&self, id: TypeId, word: usize) -> Option<u32> {
        self.type_range(id).filter(|r| word * 4 + 4 <= r.len()).map(|r| self.word(self.types.0 + r.start + word * 4))
    }

    /// All words of a type, its header's first; empty when there is no such type.
    pub fn type_words(&self, id: TypeId) -> Vec<u32> {
        let range = self.type_range(id).unwrap_or_default();
        range.step_by(4).map(|at| self.word(self.types.0 + at)).collect()
    }

    /// The kind in a type's second word.
    pub(crate) fn kind_of_info(info: u32) -> Kind {
        kind_of(info >> 24 & 0x1f).unwrap_or(Kind::Void)
    }

    /// Offset of a type's name in the strings; zero for anonymous ones and unknown numbers.
    pub fn name_offset(&self, id: TypeId) -> u32 {
        self.start(id).map_or(0, |at| self.word(at))
    }

    /// One more than the highest type number.
    pub fn len(&self) -> u32 {
        (self.offsets.len() as u32).max(1)
    }

    /// Whether there is no type but `void`.
    pub fn is_empty(&self) -> bool {
        self.len() <= 1
    }

    /// String at an offset; empty when out of range or not UTF-8. One of more than 4096 bytes is cut: many types may
    /// have names in one long string.
    pub fn str_at(&self, offset: u32) -> &str {
        let strings = self.data.get(self.strings.0..self.strings.1).unwrap_or_default();
        let rest = strings.get(offset as usize..).unwrap_or_default();
        let rest = &rest[..rest.len().min(MAX_STRING)];
        let end = memchr::memchr(0, rest).unwrap_or(rest.len());
        match std::str::from_utf8(&rest[..end]) {
            Ok(text) => text,
            // The cut may go through a character.
            Err(e) if end == MAX_STRING => std::str::from_utf8(&rest[..e.valid_up_to()]).unwrap_or_default(),
            Err(_) => "",
        }
    }

    /// Whether a string stands at an offset.
    pub fn has_string(&self, offset: u32) -> bool {
        (offset as usize) < self.strings.1 - self.strings.0
    }

    /// Start of a type in the bytes.
    fn start(&self, id: TypeId) -> Option<usize> {
        self.offsets.get(id as usize).filter(|&&o| o != u32::MAX).map(|&o| o as usize)
    }

    /// Kind of a type; `None` when there is no such type.
    pub fn kind(&self, id: TypeId) -> Option<Kind> {
        if id == 0 {
            return Some(Kind::Void);
        }
        kind_of(self.word(self.start(id)? + 4) >> 24 & 0x1f)
    }

    /// Name of a type; empty for anonymous ones and unknown numbers.
    pub fn name(&self, id: TypeId) -> &str {
        self.start(id).map_or("", |at| self.str_at(self.word(at)))
    }

    /// Decodes a type; `None` when there is no such type.
    pub fn get(&self, id: TypeId) -> Option<Type> {
        let kind = self.kind(id)?;
        let Some(at) = self.start(id) else { return Some(Type::Void) };
        let (info, word) = (self.word(at + 4), self.word(at + 8));
        let (len, flag) = (info as u16, info >> 31 != 0);
        let tail = at + TYPE_HEADER;
        let composite = Composite { size: word, len, kind_flag: flag };
        Some(match kind {
            Kind::Void => Type::Void,
            Kind::Int => {
                let e = self.word(tail);
                let encoding = IntEncoding {
                    signed: e >> 24 & 1 != 0,
                    char: e >> 24 & 2 != 0,
                    bool: e >> 24 & 4 != 0,
                    bit_offset: (e >> 16) as u8,
                    bits: e as u8,
                };
                Type::Int { size: word, encoding }
            }
            Kind::Ptr => Type::Ptr(word),
            Kind::Array => Type::Array { elem: self.word(tail), index: self.word(tail + 4), len: self.word(tail + 8) },
            Kind::Struct => Type::Struct(composite),
            Kind::Union => Type::Union(composite),
            Kind::Enum => Type::Enum { size: word, len, signed: flag },
            Kind::Fwd => Type::Fwd { union: flag },
            Kind::Typedef => Type::Typedef(word),
            Kind::Volatile => Type::Volatile(word),
            Kind::Const => Type::Const(word),
            Kind::Restrict => Type::Restrict(word),
            Kind::Func => Type::Func { proto: word, linkage: len },
            Kind::FuncProto => Type::FuncProto { ret: word, len },
            Kind::Var => Type::Var { ty: word, linkage: self.word(tail) },
            Kind::Datasec => Type::Datasec { size: word, len },
            Kind::Float => Type::Float { size: word },
            Kind::DeclTag => Type::DeclTag { ty: word, component: self.word(tail) as i32, kind_flag: flag },
            Kind::TypeTag => Type::TypeTag { ty: word, kind_flag: flag },
            Kind::Enum64 => Type::Enum64 { size: word, len, signed: flag },
        })
    }

    /// Where the entries of a type start and how many there are, when it is of one of these kinds.
    fn entries(&self, id: TypeId, kinds: &[Kind]) -> (usize, usize, bool) {
        match (self.kind(id), self.start(id)) {
            (Some(kind), Some(at)) if kinds.contains(&kind) => {
                let info = self.word(at + 4);
                (at + TYPE_HEADER, info as usize & 0xffff, info >> 31 != 0)
            }
            _ => (0, 0, false),
        }
    }

    /// Members of a struct or union; empty for others.
    pub fn members(&self, id: TypeId) -> impl ExactSizeIterator<Item = Member<'_>> + Clone {
        let (at, len, flag) = self.entries(id, &[Kind::Struct, Kind::Union]);
        (0..len).map(move |i| self.member_at(at + 12 * i, flag))
    }

    /// Member of a struct or union by its number, without looking at those before.
    pub fn member(&self, id: TypeId, number: usize) -> Option<Member<'_>> {
        let (at, len, flag) = self.entries(id, &[Kind::Struct, Kind::Union]);
        (number < len).then(|| self.member_at(at + 12 * number, flag))
    }

    fn member_at(&self, at: usize, bit_fields: bool) -> Member<'_> {
        let offset = self.word(at + 8);
        let (bit_offset, bitfield_size) =
            if bit_fields { (offset & 0xff_ffff, (offset >> 24) as u8) } else { (offset, 0) };
        Member { name: self.str_at(self.word(at)), ty: self.word(at + 4), bit_offset, bitfield_size }
    }

    /// Values of an enumeration of either kind; empty for others.
    pub fn enum_values(&self, id: TypeId) -> impl ExactSizeIterator<Item = EnumValue<'_>> + Clone {
        let (at, len, signed) = self.entries(id, &[Kind::Enum, Kind::Enum64]);
        let wide = self.kind(id) == Some(Kind::Enum64);
        (0..len).map(move |i| self.enum_value_at(at, i, wide, signed))
    }

    /// Value of an enumeration by its number, without looking at those before.
    pub fn enum_value(&self, id: TypeId, number: usize) -> Option<EnumValue<'_>> {
        let (at, len, signed) = self.entries(id, &[Kind::Enum, Kind::Enum64]);
        let wide = self.kind(id) == Some(Kind::Enum64);
        (number < len).then(|| self.enum_value_at(at, number, wide, signed))
    }

    fn enum_value_at(&self, start: usize, number: usize, wide: bool, signed: bool) -> EnumValue<'_> {
        let entry = start + if wide { 12 } else { 8 } * number;
        let low = self.word(entry + 4);
        let value = match (wide, signed) {
            (true, _) => u64::from(low) | u64::from(self.word(entry + 8)) << 32,
            (false, true) => i64::from(low as i32) as u64,
            (false, false) => low.into(),
        };
        EnumValue { name: self.str_at(self.word(entry)), value }
    }

    /// Parameters of a function prototype; empty for others.
    pub fn params(&self, id: TypeId) -> impl ExactSizeIterator<Item = Param<'_>> + Clone {
        let (at, len, _) = self.entries(id, &[Kind::FuncProto]);
        (0..len).map(move |i| Param { name: self.str_at(self.word(at + 8 * i)), ty: self.word(at + 8 * i + 4) })
    }

    /// Variables of a data section; empty for others.
    pub fn sec_vars(&self, id: TypeId) -> impl ExactSizeIterator<Item = SecVar> + Clone {
        let (at, len, _) = self.entries(id, &[Kind::Datasec]);
        (0..len).map(move |i| {
            let entry = at + 12 * i;
            SecVar { ty: self.word(entry), offset: self.word(entry + 4), size: self.word(entry + 8) }
        })
    }

    fn follow(&self, mut id: TypeId, typedefs: bool) -> TypeId {
        for _ in 0..MAX_DEPTH {
            id = match self.get(id) {
                Some(Type::Volatile(t) | Type::Const(t) | Type::Restrict(t) | Type::TypeTag { ty: t, .. }) => t,
                Some(Type::Typedef(t)) if typedefs => t,
                _ => return id,
            };
        }
        0
    }

    /// Follows modifiers (`const`, `volatile`, `restrict`, type tags) but not typedefs.
    pub fn skip_modifiers(&self, id: TypeId) -> TypeId {
        self.follow(id, false)
    }

    /// Follows modifiers and typedefs.
    pub fn resolve(&self, id: TypeId) -> TypeId {
        self.follow(id, true)
    }

    /// Size in bytes of a value of this type, if it has one.
    pub fn size_of(&self, id: TypeId) -> Option<u32> {
        let (mut id, mut count) = (id, 1u32);
        for _ in 0..MAX_DEPTH {
            match self.get(self.resolve(id))? {
                Type::Int { size, .. }
                | Type::Enum { size, .. }
                | Type::Enum64 { size, .. }
                | Type::Float { size }
                | Type::Datasec { size, .. } => return size.checked_mul(count),
                Type::Struct(c) | Type::Union(c) => return c.size.checked_mul(count),
                Type::Ptr(_) => return count.checked_mul(8),
                Type::Array { elem, len, .. } => {
                    count = count.checked_mul(len)?;
                    id = elem;
                }
                Type::Var { ty, .. } => id = ty,
                _ => return None,
            }
        }
        None
    }

    /// Alignment in bytes of a value of this type, if it has one. A packed struct has 1.
    pub fn align_of(&self, id: TypeId) -> Option<u32> {
        self.align(id, MAX_DEPTH)
    }

    /// Each type is looked into once, however many others it is part of.
    fn align(&self, id: TypeId, depth: u32) -> Option<u32> {
        let id = self.resolve(id);
        let known = self.aligns.get_or_init(|| (0..self.len()).map(|_| AtomicU8::new(0)).collect());
        let known = known.get(id as usize)?;
        match known.load(Ordering::Relaxed) {
            0 => {}
            NO_ALIGNMENT => return None,
            found => return Some(found.into()),
        }
        let found = depth.checked_sub(1).and_then(|depth| self.find_align(id, depth));
        known.store(found.map_or(NO_ALIGNMENT, |f| f as u8), Ordering::Relaxed);
        found
    }

    fn find_align(&self, id: TypeId, depth: u32) -> Option<u32> {
        match self.get(id)? {
            Type::Int { size, .. } | Type::Enum { size, .. } | Type::Enum64 { size, .. } | Type::Float { size } => {
                Some(size.min(8)).filter(|&s| s > 0)
            }
            Type::Ptr(_) => Some(8),
            Type::Array { elem, .. } => self.align(elem, depth),
            Type::Struct(c) | Type::Union(c) => {
                let mut highest = 1;
                for m in self.members(id) {
                    let align = self.align(m.ty, depth)?;
                    if m.bitfield_size == 0 && m.bit_offset % (8 * align) != 0 {
                        return Some(1);
                    }
                    highest = highest.max(align);
                }
                Some(if c.size % highest == 0 { highest } else { 1 })
            }
            _ => None,
        }
    }

    pub(super) fn known_plain(&self) -> &Known {
        &self.plain
    }

    /// Declaration tags of each type that has some.
    pub(super) fn tag_index(&self) -> &FxHashMap<TypeId, Vec<TypeId>> {
        self.tags.get_or_init(|| {
            let mut tags: FxHashMap<TypeId, Vec<TypeId>> = FxHashMap::default();
            for tag in 1..self.len() {
                if let Some(Type::DeclTag { ty, .. }) = self.get(tag) {
                    tags.entry(ty).or_default().push(tag);
                }
            }
            tags
        })
    }

    /// Declaration tags (`BTF_KIND_DECL_TAG`) on a type; `component` -1 for the type itself.
    pub fn decl_tags(&self, id: TypeId, component: i32) -> impl Iterator<Item = &str> {
        let here = self.tag_index().get(&id).map(Vec::as_slice).unwrap_or_default();
        here.iter()
            .filter(move |&&t| matches!(self.get(t), Some(Type::DeclTag { component: c, .. }) if c == component))
            .map(|&t| self.name(t))
    }
}
