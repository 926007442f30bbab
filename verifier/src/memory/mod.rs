//! Loads, stores and atomics, one file a region kind.

pub mod access;
mod btf_ctx;
pub mod btf_object;
pub mod btf_walk;
mod ctx;
pub mod dynptr;
mod insns;
pub mod iter;
pub mod objects;
mod region;
mod special;
mod stack;
pub mod types;

/// Direction of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Access {
    Read,
    Write,
}
