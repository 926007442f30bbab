//! Making `.BTF`.

use super::{push_u16, push_u32};
use crate::btf::{IntEncoding, Kind, SecVar, TypeId};
use crate::strings::Strings;
use ebpfkit_isa::Endian;
use rustc_hash::FxHashMap;

const MAGIC: u16 = 0xeb9f;
const HEADER: u32 = 24;

/// Member of a struct or union that is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMember {
    /// Name; empty when anonymous.
    pub name: String,
    /// Type.
    pub ty: TypeId,
    /// Offset from the start of the composite, in bits.
    pub bit_offset: u32,
}

/// Types in the order in which they were added. Equal simple types are added once.
#[derive(Clone, Debug)]
pub struct BtfBuilder {
    endian: Endian,
    types: Vec<u8>,
    count: u32,
    strings: Strings,
    /// Types that have been added, by their bytes.
    known: FxHashMap<Vec<u8>, TypeId>,
}

impl BtfBuilder {
    /// No types but `void`.
    pub fn new(endian: Endian) -> Self {
        Self { endian, types: Vec::new(), count: 0, strings: Strings::default(), known: FxHashMap::default() }
    }

    /// Offset of a string, added when it is new.
    pub fn string(&mut self, text: &str) -> u32 {
        self.strings.add(text)
    }

    /// A type's header: name, kind with flag and length, and a size or another type.
    fn header(&mut self, name: &str, kind: Kind, len: usize, word: u32) -> Vec<u8> {
        let name = self.string(name);
        let mut bytes = Vec::new();
        push_u32(&mut bytes, name, self.endian);
        push_u32(&mut bytes, (kind as u32) << 24 | len as u32 & 0xffff, self.endian);
        push_u32(&mut bytes, word, self.endian);
        bytes
    }

    fn words(&self, bytes: &mut Vec<u8>, words: impl IntoIterator<Item = u32>) {
        for word in words {
            push_u32(bytes, word, self.endian);
        }
    }

    fn add(&mut self, bytes: Vec<u8>) -> TypeId {
        self.count += 1;
        self.types.extend(&bytes);
        self.count
    }

    /// Adds a type unless an equal one is there.
    fn add_once(&mut self, bytes: Vec<u8>) -> TypeId {
        if let Some(&id) = self.known.get(&bytes) {
            return id;
        }
        let id = self.add(bytes.clone());
        self.known.insert(bytes, id);
        id
    }

    /// An integer of so many bytes.
    pub fn int(&mut self, name: &str, size: u32, encoding: IntEncoding) -> TypeId {
        let mut bytes = self.header(name, Kind::Int, 0, size);
        let flags = u32::from(encoding.signed) | u32::from(encoding.char) << 1 | u32::from(encoding.bool) << 2;
        self.words(&mut bytes, [flags << 24 | u32::from(encoding.bit_offset) << 16 | u32::from(encoding.bits)]);
        self.add_once(bytes)
    }

    /// A type that refers to another one: pointer, modifier or typedef.
    pub fn reference(&mut self, kind: Kind, name: &str, ty: TypeId) -> TypeId {
        let bytes = self.header(name, kind, 0, ty);
        self.add_once(bytes)
    }

    /// A pointer.
    pub fn ptr(&mut self, ty: TypeId) -> TypeId {
        self.reference(Kind::Ptr, "", ty)
    }

    /// An array, indexed by a type of integers.
    pub fn array(&mut self, elem: TypeId, index: TypeId, len: u32) -> TypeId {
        let mut bytes = self.header("", Kind::Array, 0, 0);
        self.words(&mut bytes, [elem, index, len]);
        self.add_once(bytes)
    }

    /// A struct that is declared and not defined.
    pub fn forward(&mut self, name: &str, union: bool) -> TypeId {
        let mut bytes = self.header(name, Kind::Fwd, 0, 0);
        if union {
            // The flag is the top bit of the second word.
            let top = if self.endian == Endian::Little { 7 } else { 4 };
            bytes[top] |= 0x80;
        }
        self.add_once(bytes)
    }

    /// A struct or union of so many bytes.
    pub fn composite(&mut self, union: bool, name: &str, size: u32, members: &[NewMember]) -> TypeId {
        let kind = if union { Kind::Union } else { Kind::Struct };
        let mut bytes = self.header(name, kind, members.len(), size);
        for member in members {
            let name = self.string(&member.name);
            self.words(&mut bytes, [name, member.ty, member.bit_offset]);
        }
        self.add(bytes)
    }

    /// A function's type: what it returns, and its parameters by name.
    pub fn func_proto(&mut self, ret: TypeId, params: &[(String, TypeId)]) -> TypeId {
        let mut bytes = self.header("", Kind::FuncProto, params.len(), ret);
        for (name, ty) in params {
            let name = self.string(name);
            self.words(&mut bytes, [name, *ty]);
        }
        self.add_once(bytes)
    }

    /// A function; linkage 0 is static, 1 global, 2 extern.
    pub fn func(&mut self, name: &str, proto: TypeId, linkage: u16) -> TypeId {
        let bytes = self.header(name, Kind::Func, linkage.into(), proto);
        self.add(bytes)
    }

    /// A variable; linkage as for functions.
    pub fn var(&mut self, name: &str, ty: TypeId, linkage: u32) -> TypeId {
        let mut bytes = self.header(name, Kind::Var, 0, ty);
        self.words(&mut bytes, [linkage]);
        self.add(bytes)
    }

    /// A tag of a type, or of the parameter or member of this number in it.
    pub fn decl_tag(&mut self, text: &str, ty: TypeId, component: Option<u32>) -> TypeId {
        let mut bytes = self.header(text, Kind::DeclTag, 0, ty);
        self.words(&mut bytes, [component.unwrap_or(u32::MAX)]);
        self.add(bytes)
    }

    /// A section and its variables, which are put in the order of their offsets.
    pub fn datasec(&mut self, name: &str, size: u32, vars: &[SecVar]) -> TypeId {
        let mut vars = vars.to_vec();
        vars.sort_by_key(|v| v.offset);
        let mut bytes = self.header(name, Kind::Datasec, vars.len(), size);
        self.words(&mut bytes, vars.iter().flat_map(|v| [v.ty, v.offset, v.size]));
        self.add(bytes)
    }

    /// The section's bytes.
    pub fn finish(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_u16(&mut bytes, MAGIC, self.endian);
        bytes.extend([1, 0]);
        let (types, strings) = (self.types.len() as u32, self.strings.bytes().len() as u32);
        self.words(&mut bytes, [HEADER, 0, types, types, strings]);
        bytes.extend(&self.types);
        bytes.extend(self.strings.bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Btf, Type};

    fn unsigned(bits: u8) -> IntEncoding {
        IntEncoding { signed: false, char: false, bool: false, bit_offset: 0, bits }
    }

    #[test]
    fn what_is_written_is_read() {
        for endian in [Endian::Little, Endian::Big] {
            let mut b = BtfBuilder::new(endian);
            let u32_ = b.int("u32", 4, unsigned(32));
            assert_eq!(b.int("u32", 4, unsigned(32)), u32_);
            let ptr = b.ptr(u32_);
            let array = b.array(u32_, u32_, 3);
            let forward = b.forward("later", true);
            let member = |name: &str, ty, bit_offset| NewMember { name: name.into(), ty, bit_offset };
            let s = b.composite(false, "pair", 24, &[member("p", ptr, 0), member("a", array, 64)]);
            let proto = b.func_proto(u32_, &[("x".into(), ptr)]);
            let func = b.func("f", proto, 1);
            b.decl_tag("whole", func, None);
            b.decl_tag("first", func, Some(0));
            let var = b.var("v", s, 1);
            let sec = b.datasec(".data", 24, &[SecVar { ty: var, offset: 0, size: 24 }]);
            let btf = Btf::parse(b.finish()).expect("valid");
            assert_eq!(btf.name(s), "pair");
            assert_eq!(btf.size_of(s), Some(24));
            assert_eq!(btf.members(s).map(|m| (m.name, m.bit_offset)).collect::<Vec<_>>(), [("p", 0), ("a", 64)]);
            assert!(matches!(btf.get(func), Some(Type::Func { linkage: 1, .. })));
            assert_eq!(btf.decl_tags(func, -1).collect::<Vec<_>>(), ["whole"]);
            assert_eq!(btf.decl_tags(func, 0).collect::<Vec<_>>(), ["first"]);
            assert!(matches!(btf.get(forward), Some(Type::Fwd { union: true })));
            assert_eq!(btf.params(proto).next().map(|p| (p.name, p.ty)), Some(("x", ptr)));
            assert_eq!(btf.sec_vars(sec).next().map(|v| (v.ty, v.size)), Some((var, 24)));
        }
    }
}
