//! Contexts: the structs of `linux/bpf.h` that programs get as their first argument, field by field.
//!
//! Programs see these structs, the kernel keeps others: an access to a field becomes an access to wherever the kernel
//! keeps it. [`Layout`] says which fields there are; [`Context`] says which of them a program type may read and write.

mod access;
mod layouts;
mod rules;

pub use access::{Loaded, SocketKind, Touch, access, is_upper_half, socket_access};
pub use layouts::*;
pub use rules::{Context, context_of};

use crate::{Feature, KernelVersion, ProgType};

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

/// Since when kernels have a field that came later than its struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// A version.
    Version(KernelVersion),
    /// A feature, which recordings of kernels find out.
    Feature(Feature),
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
    /// Since when kernels have it; `None` where the struct never was without it.
    pub later: Option<Since>,
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
    /// First version that has the struct.
    pub since: KernelVersion,
    /// Fields by offset. Bytes that no field covers are padding.
    pub fields: &'static [Field],
}

impl Layout {
    /// The field at a byte offset.
    pub fn at(&self, offset: u16) -> Option<&'static Field> {
        let after = self.fields.partition_point(|f| f.offset <= offset);
        self.fields.get(after.checked_sub(1)?).filter(|f| f.covers(offset))
    }

    /// First version with one of its fields.
    pub const fn since_of(&self, field: &Field) -> KernelVersion {
        match field.later {
            Some(Since::Version(version)) => version,
            Some(Since::Feature(feature)) => feature.since(),
            None => self.since,
        }
    }

    /// A field by name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.name == name)
    }
}

/// Whether kernels of a version, with the features that `has` says they have, know the field at an offset of a program
/// type's context. What is no field of a struct they know.
pub fn is_there(kind: ProgType, off: i32, version: KernelVersion, has: impl Fn(Feature) -> bool) -> bool {
    let Some(Context::Fields { layout, .. }) = context_of(kind) else { return true };
    let field = u16::try_from(off).ok().and_then(|off| layout.at(off));
    field.is_none_or(|f| match f.later {
        Some(Since::Feature(feature)) => has(feature),
        _ => layout.since_of(f) <= version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_versions() {
        for layout in LAYOUTS {
            for field in layout.fields {
                let (since, name) = (layout.since_of(field), (layout.name, field.name));
                assert!(since.major >= 4 && since >= layout.since, "{name:?}: {since}");
                // What came with the struct says nothing of its own.
                assert!(field.later.is_none() || since > layout.since, "{name:?}");
            }
        }
        let since = |name| SK_BUFF.field(name).map(|f| SK_BUFF.since_of(f).series());
        assert_eq!(since("mark").as_deref(), Some("4.1"));
        assert_eq!(since("gso_size").as_deref(), Some("5.7"));
        assert_eq!(since("hwtstamp").as_deref(), Some("5.16"));
    }

    #[test]
    fn older_kernels_lack_later_fields() {
        let there = |kind, off, version| is_there(kind, off, version, |f| f.is_in(version));
        let (old, new) = (KernelVersion::new(5, 15, 0), KernelVersion::new(6, 1, 0));
        for (kind, off) in [(ProgType::SchedCls, 180), (ProgType::SchedCls, 184), (ProgType::SkLookup, 64)] {
            assert!(!there(kind, off, old) && there(kind, off, new), "{kind} {off}");
        }
        assert!(!there(ProgType::SkReuseport, 48, KernelVersion::new(5, 10, 0)));
        assert!(there(ProgType::SchedCls, 0, old) && there(ProgType::Kprobe, 0, old) && there(ProgType::Xdp, -4, old));
    }

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
