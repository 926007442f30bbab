//! Types of C: their sizes, their layout, their BTF and the bytes of their values.

use crate::error::{Problem, Problems};
use crate::text::declare::{Base, CType, Init};
use crate::text::statement::{At, Sum};
use crate::text::token::unescape;
use ebpfkit_object::btf::{IntEncoding, Kind, TypeId};
use ebpfkit_object::write::{BtfBuilder, NewMember};
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::rc::Rc;

/// Sizes of types above this are refused.
const MAX_SIZE: u64 = 1 << 28;

/// An integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scalar {
    /// Name in BTF.
    name: &'static str,
    size: u32,
    signed: bool,
}

/// The integer of a name in C or in the kernel's manner.
fn scalar(words: &str) -> Option<Scalar> {
    let (name, size, signed) = match words {
        "u8" | "__u8" | "uint8_t" | "unsigned char" => ("unsigned char", 1, false),
        "s8" | "__s8" | "int8_t" | "signed char" => ("signed char", 1, true),
        "u16" | "__u16" | "uint16_t" | "__be16" | "__le16" | "unsigned short" | "unsigned short int" => {
            ("unsigned short", 2, false)
        }
        "s16" | "__s16" | "int16_t" | "short" | "short int" => ("short", 2, true),
        "u32" | "__u32" | "uint32_t" | "__be32" | "__le32" | "unsigned int" | "unsigned" => ("unsigned int", 4, false),
        "s32" | "__s32" | "int32_t" | "int" | "signed" | "signed int" => ("int", 4, true),
        "u64" | "__u64" | "uint64_t" | "__be64" | "__le64" | "unsigned long long" | "unsigned long long int" => {
            ("unsigned long long", 8, false)
        }
        "s64" | "__s64" | "int64_t" | "long long" | "long long int" => ("long long", 8, true),
        "unsigned long" | "unsigned long int" | "size_t" => ("unsigned long", 8, false),
        "long" | "long int" | "ssize_t" => ("long", 8, true),
        "char" => ("char", 1, true),
        "bool" | "_Bool" => ("_Bool", 1, false),
        _ => return None,
    };
    Some(Scalar { name, size, signed })
}

/// Bytes of the integer type of this name, if there is one.
pub(crate) fn is_scalar(words: &str) -> Option<u32> {
    scalar(words).map(|s| s.size)
}

/// Short names that are offered when a type is unknown.
const OFFERED: [&str; 13] =
    ["u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "char", "int", "long", "bool", "void"];

/// Structs that the kernel looks for in map values, by name, bytes, and the type and number of their words.
const KNOWN: [(&str, &str, u32); 8] = [
    ("bpf_spin_lock", "u32", 1),
    ("bpf_timer", "u64", 2),
    ("bpf_wq", "u64", 2),
    ("bpf_list_head", "u64", 2),
    ("bpf_list_node", "u64", 3),
    ("bpf_rb_root", "u64", 2),
    ("bpf_rb_node", "u64", 4),
    ("bpf_refcount", "u32", 1),
];

#[derive(Clone, Debug)]
struct Member<'t> {
    ty: CType<'t>,
    offset: u64,
}

#[derive(Clone, Debug)]
struct Composite<'t> {
    id: TypeId,
    union: bool,
    size: u64,
    align: u64,
    members: Vec<Member<'t>>,
}

/// The types of a text.
pub(crate) struct Types<'t> {
    pub btf: BtfBuilder,
    composites: FxHashMap<&'t str, Rc<Composite<'t>>>,
    /// Structs that are named and not defined.
    opaque: FxHashMap<&'t str, TypeId>,
    pub problems: Problems,
}

impl<'t> Types<'t> {
    pub(crate) fn new(btf: BtfBuilder) -> Self {
        Self { btf, composites: FxHashMap::default(), opaque: FxHashMap::default(), problems: Problems::default() }
    }

    fn problem(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.problems.push(Problem { span, message: message.into(), help });
    }

    /// Defines a struct or union of named members.
    pub(crate) fn define(&mut self, union: bool, name: At<&'t str>, members: Vec<(CType<'t>, At<&'t str>)>) {
        if self.composites.contains_key(name.value) {
            self.problem(name.span, format!("`{}` is defined twice", name.value), None);
            return;
        }
        let (mut end, mut size, mut align) = (0u64, 0u64, 1u64);
        let (mut fields, mut laid_out) = (Vec::new(), Vec::new());
        for (ty, field) in members {
            let Some((bytes, alignment)) = self.layout(&ty) else { continue };
            let offset = if union { 0 } else { end.next_multiple_of(alignment) };
            end = offset + bytes;
            size = size.max(end);
            align = align.max(alignment);
            let id = self.id(&ty);
            fields.push(NewMember { name: field.value.to_owned(), ty: id, bit_offset: (offset * 8) as u32 });
            laid_out.push(Member { ty, offset });
        }
        let size = size.next_multiple_of(align);
        let id = self.btf.composite(union, name.value, size as u32, &fields);
        self.composites.insert(name.value, Rc::new(Composite { id, union, size, align, members: laid_out }));
    }

    /// A struct of the text, or one that the kernel knows.
    fn composite(&mut self, name: &'t str) -> Option<&Rc<Composite<'t>>> {
        if !self.composites.contains_key(name) {
            let &(_, word, count) = KNOWN.iter().find(|k| k.0 == name)?;
            let span = 0..0;
            let dims = if count == 1 { vec![] } else { vec![Some(count)] };
            let ty = CType { base: Base::Named(word.into()), pointers: 0, dims, span: span.clone() };
            self.define(false, At { value: name, span: span.clone() }, vec![(ty, At { value: "__opaque", span })]);
        }
        self.composites.get(name)
    }

    /// Bytes and alignment of a type.
    pub(crate) fn layout(&mut self, ty: &CType<'t>) -> Option<(u64, u64)> {
        let (size, align) = self.base_layout(ty)?;
        let count = ty.dims.iter().try_fold(1u64, |n, d| n.checked_mul(d.unwrap_or(0).into()));
        let total = count.and_then(|n| n.checked_mul(size)).filter(|&n| n <= MAX_SIZE);
        if total.is_none() {
            self.problem(ty.span.clone(), "the type is too large", None);
        }
        Some((total?, align))
    }

    /// Bytes and alignment of what an array is made of.
    fn base_layout(&mut self, ty: &CType<'t>) -> Option<(u64, u64)> {
        if ty.pointers > 0 {
            return Some((8, 8));
        }
        match &ty.base {
            Base::Named(words) => {
                if let Some(s) = scalar(words) {
                    return Some((s.size.into(), s.size.into()));
                }
                if words == "void" {
                    self.problem(ty.span.clone(), "`void` has no size", None);
                    return None;
                }
                let help = if self.composites.contains_key(words.as_str()) {
                    Some(format!("write `struct {words}`"))
                } else {
                    self.problems.suggest(words, OFFERED)
                };
                self.problem(ty.span.clone(), format!("`{words}` is no type"), help);
                None
            }
            Base::Struct(name) | Base::Union(name) => {
                let found = self.composite(name).map(|c| (c.size, c.align));
                if found.is_none() {
                    let help = self.problems.suggest(name, self.composites.keys().copied());
                    self.problem(ty.span.clone(), format!("`{name}` is not defined"), help);
                }
                found
            }
            Base::Enum(_) => Some((4, 4)),
        }
    }

    fn encoding(size: u32, signed: bool, bool: bool) -> IntEncoding {
        IntEncoding { signed, char: false, bool, bit_offset: 0, bits: if bool { 8 } else { (size * 8) as u8 } }
    }

    /// The type of array indices.
    fn index(&mut self) -> TypeId {
        self.btf.int("__ARRAY_SIZE_TYPE__", 4, Self::encoding(4, false, false))
    }

    /// The `int` of C.
    pub(crate) fn int(&mut self) -> TypeId {
        self.btf.int("int", 4, Self::encoding(4, true, false))
    }

    /// A 32-bit unsigned integer.
    pub(crate) fn u32(&mut self) -> TypeId {
        self.btf.int("unsigned int", 4, Self::encoding(4, false, false))
    }

    /// `T (*)[n]`, by which map definitions carry numbers.
    pub(crate) fn number(&mut self, n: u32) -> TypeId {
        let (int, index) = (self.int(), self.index());
        let array = self.btf.array(int, index, n);
        self.btf.ptr(array)
    }

    /// An array of unknown length.
    pub(crate) fn flexible(&mut self, elem: TypeId) -> TypeId {
        let index = self.index();
        self.btf.array(elem, index, 0)
    }

    /// An array of bytes.
    pub(crate) fn bytes(&mut self, len: u32) -> TypeId {
        let (elem, index) = (self.btf.int("unsigned char", 1, Self::encoding(1, false, false)), self.index());
        self.btf.array(elem, index, len)
    }

    /// A struct or union by its name. What only the kernel defines is a struct without members: the loader compares
    /// its kind with the kernel's, which a mere declaration is not of.
    fn named(&mut self, name: &'t str, union: bool) -> TypeId {
        if let Some(c) = self.composite(name) {
            return c.id;
        }
        if let Some(&id) = self.opaque.get(name) {
            return id;
        }
        let id = self.btf.composite(union, name, 0, &[]);
        self.opaque.insert(name, id);
        id
    }

    /// A type's number in BTF.
    pub(crate) fn id(&mut self, ty: &CType<'t>) -> TypeId {
        let mut id = match &ty.base {
            Base::Named(words) => match scalar(words) {
                Some(s) => self.btf.int(s.name, s.size, Self::encoding(s.size, s.signed, s.name == "_Bool")),
                None => 0,
            },
            Base::Struct(name) => self.named(name, false),
            Base::Union(name) => self.named(name, true),
            Base::Enum(_) => self.int(),
        };
        for _ in 0..ty.pointers {
            id = self.btf.ptr(id);
        }
        for dim in ty.dims.iter().rev() {
            let index = self.index();
            id = self.btf.array(id, index, dim.unwrap_or(0));
        }
        id
    }

    /// Says that the type of a parameter or result is unknown, when it is.
    pub(crate) fn check(&mut self, ty: &CType<'t>) {
        let known = !matches!(&ty.base, Base::Named(w) if w != "void");
        if !known {
            self.base_layout(&CType { pointers: 0, ..ty.clone() });
        }
    }

    /// Gives an array without a length the length of its value.
    pub(crate) fn complete(&mut self, ty: &mut CType<'t>, init: Option<&At<Init<'t>>>) {
        if let [first @ None, ..] = ty.dims.as_mut_slice() {
            let count = match init.map(|i| &i.value) {
                Some(Init::List(list)) => list.len(),
                Some(Init::Text(quoted)) => unescape(quoted).map_or(0, |b| b.len() + 1),
                _ => 0,
            };
            *first = Some(count as u32);
        }
    }

    /// The bytes of a value of a type that is complete.
    pub(crate) fn value(&mut self, ty: &CType<'t>, init: Option<&At<Init<'t>>>) -> Vec<u8> {
        let Some((size, _)) = self.layout(ty) else { return Vec::new() };
        let mut bytes = vec![0; size as usize];
        if let Some(init) = init {
            self.fill(&mut bytes, ty, init);
        }
        bytes
    }

    fn fill(&mut self, bytes: &mut [u8], ty: &CType<'t>, init: &At<Init<'t>>) {
        let span = init.span.clone();
        if let [_, rest @ ..] = ty.dims.as_slice() {
            let elem = CType { dims: rest.to_vec(), ..ty.clone() };
            match &init.value {
                Init::List(list) => {
                    let Some((size, _)) = self.layout(&elem) else { return };
                    let mut slots = bytes.chunks_mut(size.max(1) as usize);
                    for item in list {
                        match slots.next() {
                            Some(slot) => self.fill(slot, &elem, item),
                            None => return self.problem(item.span.clone(), "more values than the array has", None),
                        }
                    }
                }
                Init::Text(quoted) => {
                    let Some(text) = unescape(quoted) else {
                        return self.problem(span, "the text has an escape that does not exist", None);
                    };
                    // As in C, the zero byte may be missing when there is no room for it.
                    match bytes.get_mut(..text.len()) {
                        Some(bytes) if elem.dims.is_empty() && self.layout(&elem) == Some((1, 1)) => {
                            bytes.copy_from_slice(&text);
                        }
                        Some(_) => self.problem(span, "only arrays of bytes hold a text", None),
                        None => {
                            let message = format!("{} bytes of text for an array of {}", text.len(), bytes.len());
                            self.problem(span, message, None);
                        }
                    }
                }
                Init::Number(n) if n.value == Sum::default() => {}
                Init::Number(_) => self.problem(span, "an array needs a list in braces or a text", None),
            }
            return;
        }
        let composite = match ty.base {
            Base::Struct(name) | Base::Union(name) if ty.pointers == 0 => self.composite(name).cloned(),
            _ => None,
        };
        if let Some(composite) = composite {
            // As in C, a zero stands for any value.
            if matches!(&init.value, Init::Number(n) if n.value == Sum::default()) {
                return;
            }
            let Init::List(list) = &init.value else {
                return self.problem(span, "a struct needs a list in braces", None);
            };
            let most = if composite.union { 1 } else { composite.members.len() };
            if list.len() > most {
                self.problem(span, format!("{} values for {most} members", list.len()), None);
            }
            for (member, item) in composite.members.iter().zip(list) {
                let Some((size, _)) = self.layout(&member.ty) else { continue };
                let start = member.offset as usize;
                self.fill(&mut bytes[start..start + size as usize], &member.ty, item);
            }
            return;
        }
        match &init.value {
            Init::Number(n) if n.value.name.is_none() => {
                let (value, bits) = (n.value.number, 8 * bytes.len() as u32);
                if bits > 0 && !(-(1i128 << (bits - 1))..1i128 << bits).contains(&value) {
                    self.problem(n.span.clone(), format!("{value} does not fit in {bits} bits"), None);
                }
                let len = bytes.len();
                bytes.copy_from_slice(&value.to_le_bytes()[..len]);
            }
            Init::Number(n) => {
                let name = n.value.name.as_ref().map_or("", |n| n.value);
                let help =
                    Some("constants are defined by `.equ NAME, VALUE`; addresses cannot be initial values".into());
                self.problem(n.span.clone(), format!("`{name}` is no constant"), help);
            }
            _ => self.problem(span, "expected a number", None),
        }
    }

    /// `Kind::Ptr` to a type that is given by its number.
    pub(crate) fn pointer_to(&mut self, id: TypeId) -> TypeId {
        self.btf.reference(Kind::Ptr, "", id)
    }
}
