//! Types from BTF as declarations that the assembler reads.

use crate::unit::is_scalar;
use ebpfkit_object::btf::{Btf, Kind, Type, TypeId};
use rustc_hash::FxHashMap;

/// Nested types deeper than this are not written.
const MAX_DEPTH: usize = 16;

/// Writes types; remembers which structs they need.
pub(super) struct Types<'b> {
    pub btf: &'b Btf,
    /// Structs and unions that are needed whole, those that others need first.
    pub needed: Vec<TypeId>,
    /// Whether a struct or union can be written with the layout that it has.
    writable: FxHashMap<TypeId, bool>,
    /// The names of those in `needed`: several may have one name.
    named: FxHashMap<TypeId, String>,
    taken: FxHashMap<String, usize>,
}

impl<'b> Types<'b> {
    pub(super) fn new(btf: &'b Btf) -> Self {
        let (writable, named, taken) = Default::default();
        Self { btf, needed: Vec::new(), writable, named, taken }
    }

    /// A type with what is declared to be of it, such as `u8 name[4]`; `None` when there is no way to write it.
    /// With `whole`, structs in it are noted as needed.
    pub(super) fn declare(&mut self, id: TypeId, name: &str, whole: bool) -> Option<String> {
        let mut dims = String::new();
        let mut id = id;
        for _ in 0..MAX_DEPTH {
            match self.btf.get(self.btf.resolve(id))? {
                Type::Array { elem, len, .. } => {
                    dims += &format!("[{len}]");
                    id = elem;
                }
                _ => {
                    let base = self.base(id, whole, 0)?;
                    let space = if name.is_empty() || base.ends_with('*') { "" } else { " " };
                    return Some(format!("{base}{space}{name}{dims}"));
                }
            }
        }
        None
    }

    fn base(&mut self, id: TypeId, whole: bool, depth: usize) -> Option<String> {
        if depth > MAX_DEPTH {
            return None;
        }
        // A name that the assembler knows is kept; other typedefs are looked through.
        let plain = self.btf.skip_modifiers(id);
        if self.btf.kind(plain) == Some(Kind::Typedef)
            && let Some(size) = is_scalar(self.btf.name(plain))
            && self.btf.size_of(plain) == Some(size)
        {
            return Some(self.btf.name(plain).to_owned());
        }
        let id = self.btf.resolve(id);
        let name = self.btf.name(id);
        match self.btf.get(id)? {
            Type::Void => Some("void".into()),
            Type::Int { size, encoding } => Some(match is_scalar(name) {
                Some(n) if n == size => short(name).to_owned(),
                _ if size > 8 => return None,
                _ => format!("{}{}", if encoding.signed { 's' } else { 'u' }, size * 8),
            }),
            Type::Enum { size: 4, .. } => Some("u32".into()),
            Type::Enum { size, .. } | Type::Enum64 { size, .. } => Some(format!("u{}", size * 8)),
            Type::Ptr(to) => {
                let inner = match self.btf.kind(self.btf.resolve(to))? {
                    Kind::Array | Kind::FuncProto | Kind::Func => "void".into(),
                    _ => self.base(to, false, depth + 1).unwrap_or_else(|| "void".into()),
                };
                Some(format!("{inner}{}*", if inner.ends_with('*') { "" } else { " " }))
            }
            Type::Struct(_) | Type::Union(_) | Type::Fwd { .. } if name.is_empty() => None,
            Type::Fwd { union } => Some(format!("{} {name}", if union { "union" } else { "struct" })),
            Type::Struct(_) | Type::Union(_) => {
                if whole && !self.need(id, depth) {
                    return None;
                }
                let word = if self.btf.kind(id) == Some(Kind::Union) { "union" } else { "struct" };
                Some(format!("{word} {}", self.named.get(&id).map_or(name, String::as_str)))
            }
            _ => None,
        }
    }

    /// Notes that a struct is needed; `false` when it cannot be written with the layout that it has.
    fn need(&mut self, id: TypeId, depth: usize) -> bool {
        if let Some(&writable) = self.writable.get(&id) {
            return writable;
        }
        let writable = self.is_writable(id, depth);
        self.writable.insert(id, writable);
        if writable {
            let name = self.btf.name(id);
            let count = self.taken.entry(name.to_owned()).or_default();
            *count += 1;
            let unique = if *count > 1 { format!("{name}_{count}") } else { name.to_owned() };
            self.named.insert(id, unique);
            self.needed.push(id);
        }
        writable
    }

    fn is_writable(&mut self, id: TypeId, depth: usize) -> bool {
        let mut end = 0;
        let union = self.btf.kind(id) == Some(Kind::Union);
        for m in self.btf.members(id) {
            let (Some(size), Some(align)) = (self.btf.size_of(m.ty), self.btf.align_of(m.ty)) else { return false };
            let expected = if union { 0 } else { u32::next_multiple_of(end, align.max(1)) };
            if m.name.is_empty() || m.bitfield_size != 0 || m.bit_offset != expected * 8 {
                return false;
            }
            end = if union { end.max(size) } else { expected + size };
            if self.tagged(m.ty) || depth >= MAX_DEPTH || self.member(m.ty, depth).is_none() {
                return false;
            }
        }
        let align = self.btf.align_of(id).unwrap_or(1).max(1);
        self.btf.size_of(id) == Some(end.next_multiple_of(align))
    }

    fn member(&mut self, ty: TypeId, depth: usize) -> Option<String> {
        let mut id = ty;
        while let Type::Array { elem, .. } = self.btf.get(self.btf.resolve(id))? {
            id = elem;
        }
        self.base(id, true, depth + 1)
    }

    /// A pointer with a tag means more than a declaration says.
    fn tagged(&self, ty: TypeId) -> bool {
        match self.btf.get(self.btf.resolve(ty)) {
            Some(Type::Ptr(to)) => self.btf.kind(to) == Some(Kind::TypeTag),
            _ => false,
        }
    }

    /// `.struct name { ... }`
    pub(super) fn definition(&mut self, id: TypeId) -> String {
        let word = if self.btf.kind(id) == Some(Kind::Union) { ".union" } else { ".struct" };
        let btf = self.btf;
        let name = self.named.get(&id).map_or(btf.name(id), String::as_str);
        let mut text = format!("{word} {name} {{\n");
        for m in btf.members(id) {
            let member = self.declare(m.ty, m.name, true).unwrap_or_default();
            text += &format!("    {member};\n");
        }
        text + "}\n"
    }

    /// The value of a type as an initialiser; `None` when it has none.
    pub(super) fn value(&self, id: TypeId, bytes: &[u8], depth: usize) -> Option<String> {
        let id = self.btf.resolve(id);
        if depth > MAX_DEPTH {
            return None;
        }
        match self.btf.get(id)? {
            Type::Array { elem, len, .. } => {
                let size = self.btf.size_of(elem)? as usize;
                if size == 1
                    && let Some(text) = quoted(bytes)
                {
                    return Some(text);
                }
                if size == 0 || bytes.len() != size * len as usize {
                    return None;
                }
                let items: Option<Vec<String>> = bytes.chunks(size).map(|b| self.value(elem, b, depth + 1)).collect();
                Some(format!("{{{}}}", items?.join(", ")))
            }
            Type::Struct(_) => {
                let items: Option<Vec<String>> = self
                    .btf
                    .members(id)
                    .map(|m| {
                        let (at, size) = (m.bit_offset as usize / 8, self.btf.size_of(m.ty)? as usize);
                        self.value(m.ty, bytes.get(at..at + size)?, depth + 1)
                    })
                    .collect();
                Some(format!("{{{}}}", items?.join(", ")))
            }
            Type::Union(_) => {
                let first = self.btf.members(id).next()?;
                let size = self.btf.size_of(first.ty)? as usize;
                // The rest must be zero, as it will be again.
                let (head, tail) = bytes.split_at_checked(size)?;
                tail.iter().all(|&b| b == 0).then(|| self.value(first.ty, head, depth + 1))?.map(|v| format!("{{{v}}}"))
            }
            Type::Int { .. } | Type::Enum { .. } | Type::Enum64 { .. } | Type::Ptr(_) if bytes.len() <= 8 => {
                let mut word = [0; 8];
                word[..bytes.len()].copy_from_slice(bytes);
                Some(format!("{:#x}", u64::from_le_bytes(word)))
            }
            _ => None,
        }
    }
}

/// The short name of a type, which stands for the same type.
fn short(name: &str) -> &str {
    match name {
        "unsigned char" => "u8",
        "unsigned short" => "u16",
        "unsigned int" => "u32",
        "unsigned long long" => "u64",
        "signed char" => "s8",
        "short" => "s16",
        "long long" => "s64",
        other => other,
    }
}

/// Bytes as a text, when they are one that ends in its only zero byte.
fn quoted(bytes: &[u8]) -> Option<String> {
    let (last, text) = bytes.split_last()?;
    let plain = |b: &u8| (b' '..0x7f).contains(b) || matches!(b, b'\n' | b'\t');
    if *last != 0 || text.is_empty() || !text.iter().all(plain) {
        return None;
    }
    Some(quote(std::str::from_utf8(text).ok()?))
}

/// A text in quotes.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            '\r' => out += "\\r",
            c => out.push(c),
        }
    }
    out + "\""
}
