//! Values by their types: what map keys, map values and global variables hold, as people and programs read it.

mod dump;
mod fill;

pub use crate::typed::{
    Hex, Mismatch, Pointers, Value, describe, member, named_char, read, variables, write, write_untyped, write_with,
};
pub use dump::{Dump, Listed, Shape, Shown, UserMap};
pub use fill::{Entries, Entry, Fill, FillError, fill};
