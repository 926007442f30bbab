//! Values by their types: what map keys, map values and global variables hold, as people and programs read it.

mod dump;
mod fill;
mod json;
mod read;
mod write;

pub use dump::{Dump, Listed, Shape, Shown, UserMap};
pub use fill::{Entries, Entry, Fill, FillError, fill};
pub use read::{named_char, read, variables};
pub use write::{Mismatch, Pointers, describe, member, write, write_untyped, write_with};

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

/// A value with the structure that its type gives it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// An integer.
    Int(i128),
    /// A truth value.
    Bool(bool),
    /// A floating-point number.
    Float(f64),
    /// A constant of an enumeration.
    Enum(String),
    /// A character array that holds printable text.
    Text(String),
    /// An address in memory.
    Pointer(u64),
    /// An address of the network.
    Address(IpAddr),
    /// An array.
    List(Vec<Value>),
    /// A struct or union: members by name; anonymous ones are merged into it.
    Struct(Vec<(String, Value)>),
    /// Bytes without a type.
    Bytes(Vec<u8>),
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(n) => n.fmt(f),
            Self::Bool(b) => b.fmt(f),
            Self::Float(x) => x.fmt(f),
            Self::Enum(name) => f.write_str(name),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Pointer(p) => write!(f, "{p:#x}"),
            Self::Address(address) => address.fmt(f),
            Self::List(items) => {
                f.write_str("[")?;
                separated(f, items, |f, v| v.fmt(f))?;
                f.write_str("]")
            }
            Self::Struct(members) => {
                f.write_str("{")?;
                separated(f, members, |f, (name, v)| write!(f, "{name}: {v}"))?;
                f.write_str("}")
            }
            Self::Bytes(bytes) => bytes.iter().try_for_each(|b| write!(f, "{b:02x}")),
        }
    }
}

fn separated<T>(
    f: &mut Formatter<'_>,
    items: &[T],
    each: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (n, item) in items.iter().enumerate() {
        if n != 0 {
            f.write_str(", ")?;
        }
        each(f, item)?;
    }
    Ok(())
}
