//! Values with the structure that types give them, and the bytes of such values.

mod json;
mod read;
mod write;

pub(crate) use read::MAX_DEPTH;
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
            Self::Bytes(bytes) => Hex(bytes).fmt(f),
        }
    }
}

/// Zero bytes in a row that are counted instead of written.
const MANY_ZEROS: usize = 64;

/// Bytes in hexadecimal for people: of long runs of zeros stands how many there are.
pub struct Hex<'a>(pub &'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|a, b| (*a == 0) == (*b == 0));
        let is_counted = |run: &[u8]| run[0] == 0 && run.len() >= MANY_ZEROS;
        let mut written = 0;
        for run in runs {
            if is_counted(run) {
                let (before, after) = (written > 0, written + run.len() < self.0.len());
                let space = |is_there| if is_there { " " } else { "" };
                write!(f, "{}({} bytes of 0){}", space(before), run.len(), space(after))?;
            } else {
                run.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
            }
            written += run.len();
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_of_zeros_are_counted() {
        let mut bytes = vec![0; 70];
        assert_eq!(Hex(&bytes).to_string(), "(70 bytes of 0)");
        bytes.insert(0, 0xe9);
        bytes.extend([1, 0, 2]);
        assert_eq!(Hex(&bytes).to_string(), "e9 (70 bytes of 0) 010002");
        assert_eq!(Hex(&[0; 3]).to_string(), "000000");
    }
}
