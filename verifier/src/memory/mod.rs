//! Loads, stores and atomics, one file a region kind.

pub mod access;
mod ctx;
pub mod record;
mod region;
mod stack;

/// Direction of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Access {
    Read,
    Write,
}
