//! Types and their lazy view.

use std::sync::Arc;

/// Number of a type; 0 is `void`.
pub type TypeId = u32;

/// Kinds of types (`BTF_KIND_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Kind {
    Void = 0,
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    Datasec = 15,
    Float = 16,
    DeclTag = 17,
    TypeTag = 18,
    Enum64 = 19,
}

/// Encoding of an integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntEncoding {
    /// Signed.
    pub signed: bool,
    /// Character.
    pub char: bool,
    /// Boolean.
    pub bool: bool,
    /// First bit inside the storage.
    pub bit_offset: u8,
    /// Significant bits.
    pub bits: u8,
}

/// Member of a struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Name; empty when anonymous.
    pub name: &'a str,
    /// Type.
    pub ty: TypeId,
    /// Offset from the start of the composite, in bits.
    pub bit_offset: u32,
    /// Bits of a bit field; zero for an ordinary member.
    pub bitfield_size: u8,
}

/// Named constant of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnumValue<'a> {
    /// Name.
    pub name: &'a str,
    /// Value; sign-extended for signed enumerations.
    pub value: u64,
}

/// Parameter of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// Name; empty when unknown.
    pub name: &'a str,
    /// Type; zero for a trailing vararg.
    pub ty: TypeId,
}

/// Variable in a data section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecVar {
    /// The `VAR` (or `FUNC`, for ksyms).
    pub ty: TypeId,
    /// Byte offset in the section.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// A struct or union.
#[derive(Clone, Copy, Debug)]
pub struct Composite {
    /// Bytes.
    pub size: u32,
    /// Number of members.
    pub len: u16,
    /// Member offsets carry bit-field sizes.
    pub kind_flag: bool,
}

/// A decoded type. Lists (members, parameters, values, variables) are read with [`Btf`]'s iterators.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Type {
    Void,
    Int {
        size: u32,
        encoding: IntEncoding,
    },
    Ptr(TypeId),
    Array {
        elem: TypeId,
        index: TypeId,
        len: u32,
    },
    Struct(Composite),
    Union(Composite),
    Enum {
        size: u32,
        len: u16,
        signed: bool,
    },
    Fwd {
        union: bool,
    },
    Typedef(TypeId),
    Volatile(TypeId),
    Const(TypeId),
    Restrict(TypeId),
    /// `linkage`: 0 static, 1 global, 2 extern.
    Func {
        proto: TypeId,
        linkage: u16,
    },
    FuncProto {
        ret: TypeId,
        len: u16,
    },
    /// `linkage`: 0 static, 1 global, 2 extern.
    Var {
        ty: TypeId,
        linkage: u32,
    },
    Datasec {
        size: u32,
        len: u16,
    },
    Float {
        size: u32,
    },
    /// `component`: parameter or member index, -1 for the type itself; `kind_flag`: an attribute rather than a tag.
    DeclTag {
        ty: TypeId,
        component: i32,
        kind_flag: bool,
    },
    TypeTag {
        ty: TypeId,
        kind_flag: bool,
    },
    Enum64 {
        size: u32,
        len: u16,
        signed: bool,
    },
}

/// Why BTF cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("BTF {place}: {found}; expected {expected}")]
pub struct BtfError {
    /// Header field or type number.
    pub place: String,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: String,
}

/// A set of types with their strings. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Btf {
    pub(crate) data: Arc<[u8]>,
}

#[allow(unused_variables)]
impl Btf {
    /// Reads and checks a `.BTF` section or `/sys/kernel/btf/vmlinux`.
    pub fn parse(data: impl Into<Arc<[u8]>>) -> Result<Self, BtfError> {
        unimplemented!()
    }

    /// The bytes it was read from, in the target's byte order.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// One more than the highest type number.
    pub fn len(&self) -> u32 {
        unimplemented!()
    }

    /// Whether there is no type but `void`.
    pub fn is_empty(&self) -> bool {
        self.len() <= 1
    }

    /// String at an offset; empty when out of range.
    pub fn str_at(&self, offset: u32) -> &str {
        unimplemented!()
    }

    /// Kind of a type; `None` when there is no such type.
    pub fn kind(&self, id: TypeId) -> Option<Kind> {
        unimplemented!()
    }

    /// Name of a type; empty for anonymous ones and unknown numbers.
    pub fn name(&self, id: TypeId) -> &str {
        unimplemented!()
    }

    /// Decodes a type; `None` when there is no such type.
    pub fn get(&self, id: TypeId) -> Option<Type> {
        unimplemented!()
    }

    /// Members of a struct or union; empty for others.
    pub fn members(&self, id: TypeId) -> impl ExactSizeIterator<Item = Member<'_>> + Clone {
        [].into_iter()
    }

    /// Values of an enumeration of either kind; empty for others.
    pub fn enum_values(&self, id: TypeId) -> impl ExactSizeIterator<Item = EnumValue<'_>> + Clone {
        [].into_iter()
    }

    /// Parameters of a function prototype; empty for others.
    pub fn params(&self, id: TypeId) -> impl ExactSizeIterator<Item = Param<'_>> + Clone {
        [].into_iter()
    }

    /// Variables of a data section; empty for others.
    pub fn sec_vars(&self, id: TypeId) -> impl ExactSizeIterator<Item = SecVar> + Clone {
        [].into_iter()
    }

    /// First type of this kind and name. Indexed on first use.
    pub fn find(&self, name: &str, kind: Kind) -> Option<TypeId> {
        unimplemented!()
    }

    /// Follows modifiers (`const`, `volatile`, `restrict`, type tags) but not typedefs.
    pub fn skip_modifiers(&self, id: TypeId) -> TypeId {
        unimplemented!()
    }

    /// Follows modifiers and typedefs.
    pub fn resolve(&self, id: TypeId) -> TypeId {
        unimplemented!()
    }

    /// Size in bytes of a value of this type, if it has one.
    pub fn size_of(&self, id: TypeId) -> Option<u32> {
        unimplemented!()
    }

    /// Declaration tags (`BTF_KIND_DECL_TAG`) on a type; `component` -1 for the type itself.
    pub fn decl_tags(&self, id: TypeId, component: i32) -> impl Iterator<Item = &str> {
        [].into_iter()
    }
}
