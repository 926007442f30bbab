//! Types and their lazy view.

/// Number of a type; 0 is `void`.
pub type TypeId = u32;

/// Which set of types a number belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum BtfRef {
    /// The kernel's.
    #[default]
    Vmlinux,
    /// The program's own.
    Program,
}

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

impl Kind {
    /// Name, as libbpf prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Void => "void",
            Self::Int => "int",
            Self::Ptr => "ptr",
            Self::Array => "array",
            Self::Struct => "struct",
            Self::Union => "union",
            Self::Enum => "enum",
            Self::Fwd => "fwd",
            Self::Typedef => "typedef",
            Self::Volatile => "volatile",
            Self::Const => "const",
            Self::Restrict => "restrict",
            Self::Func => "func",
            Self::FuncProto => "func_proto",
            Self::Var => "var",
            Self::Datasec => "datasec",
            Self::Float => "float",
            Self::DeclTag => "decl_tag",
            Self::TypeTag => "type_tag",
            Self::Enum64 => "enum64",
        }
    }
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

/// A decoded type. Lists (members, parameters, values, variables) are read with [`super::Btf`]'s iterators.
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
