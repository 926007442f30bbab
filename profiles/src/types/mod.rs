//! Kernel types of many kernels, packed against each other.
//!
//! Kernels share most of their types. A [`Pack`] holds each different type once, with the kernels that have it. Types
//! refer to each other by keys, not by numbers: a key stands for "the struct of this name", whichever contents it has in
//! a kernel, so that a struct is the same in two kernels even where one that it points to has changed. A kernel's types
//! are put together again by numbering the ones that it has.
//!
//! A pack may continue another one: that of a single recorded kernel holds only what the bundled ones do not have.

mod columns;
mod layout;
mod modules;
mod pack;
mod unpack;

pub use modules::with_modules;
pub use pack::{Packed, Packer};
pub use unpack::Pack;

/// A pack, or types to be packed, that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackError(pub &'static str);

impl std::fmt::Display for PackError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "packed kernel types: {}", self.0)
    }
}

impl std::error::Error for PackError {}

#[cfg(test)]
mod tests;
