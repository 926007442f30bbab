//! Contexts: the structs of `linux/bpf.h` that programs get as their first argument, field by field.
//!
//! Programs see these structs, the kernel keeps others: an access to a field becomes an access to wherever the kernel
//! keeps it. [`Layout`] says which fields there are; [`Context`] says which of them a program type may read and write.

mod access;
mod later;
mod layouts;
mod rules;

pub use access::{Loaded, SocketKind, Touch, access, is_upper_half, socket_access};
pub use later::is_there;
pub use layouts::*;
pub use rules::{Context, context_of};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// A number.
    Number,
    /// Start of the packet. Loading the field gives a pointer, whatever its size.
    PacketData,
    /// End of the packet.
    PacketEnd,
    /// Start of the metadata before the packet.
    PacketMeta,
    /// A `bpf_sock`, or null.
    Socket,
    /// A `bpf_flow_keys`.
    FlowKeys,
    /// Start of a socket option's value.
    OptVal,
    /// End of a socket option's value.
    OptValEnd,
    /// Padding, which reads as zero where it can be read at all.
    Padding,
}

impl FieldKind {
    /// Whether loading the field gives a pointer.
    pub const fn is_pointer(self) -> bool {
        !matches!(self, Self::Number | Self::Padding)
    }
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name in the struct.
    pub name: &'static str,
    /// Byte offset in the struct.
    pub offset: u16,
    /// Bytes of one element.
    pub size: u16,
    /// Elements; 1 for what is no array.
    pub count: u16,
    /// What it holds.
    pub kind: FieldKind,
}

impl Field {
    /// Bytes of the whole field.
    pub const fn bytes(&self) -> u16 {
        self.size * self.count
    }

    /// Whether the field covers a byte of the struct.
    pub const fn covers(&self, offset: u16) -> bool {
        offset >= self.offset && offset < self.offset + self.bytes()
    }
}

/// A struct as programs see it.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// Name, as in `linux/bpf.h`.
    pub name: &'static str,
    /// Bytes.
    pub size: u16,
    /// Fields by offset. Bytes that no field covers are padding.
    pub fields: &'static [Field],
}

impl Layout {
    /// The field at a byte offset.
    pub fn at(&self, offset: u16) -> Option<&'static Field> {
        let after = self.fields.partition_point(|f| f.offset <= offset);
        self.fields.get(after.checked_sub(1)?).filter(|f| f.covers(offset))
    }

    /// A field by name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_in_order_and_do_not_overlap() {
        for layout in LAYOUTS {
            let mut end = 0;
            for f in layout.fields {
                assert!(f.offset >= end, "{} {}", layout.name, f.name);
                assert_eq!(f.offset % f.size, 0, "{} {}", layout.name, f.name);
                end = f.offset + f.bytes();
            }
            assert!(end <= layout.size, "{}", layout.name);
        }
    }

    #[test]
    fn rules_name_fields_that_exist() {
        for kind in crate::ProgType::ALL {
            let Some(Context::Fields { layout, hidden, writable }) = context_of(*kind) else { continue };
            for name in hidden.iter().chain(writable) {
                assert!(layout.field(name).is_some(), "{kind}: {name}");
            }
        }
    }

    #[test]
    fn lookup_by_offset() {
        assert_eq!(SK_BUFF.at(77).map(|f| f.name), Some("data"));
        assert_eq!(SK_BUFF.at(66).map(|f| f.name), Some("cb"));
        assert_eq!(SK_BUFF.at(181).map(|f| f.name), None);
        assert_eq!(SK_BUFF.at(192), None);
    }
}
