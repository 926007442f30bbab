//! Loads, stores and atomics, one file a region kind.

pub mod access;
pub mod record;

/// Direction of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Access {
    Read,
    Write,
}
