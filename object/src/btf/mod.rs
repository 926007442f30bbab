//! BTF, the type format of eBPF objects and kernels (kernel document `Documentation/bpf/btf.rst`).
//!
//! [`Btf`] keeps the bytes and an index of type offsets; a type is decoded when it is looked at.

mod bytes;
mod edit;
mod names;
mod plain;
mod read;
mod types;

/// Begins the declaration tag of a main function that names the program's exception callback.
pub const EXCEPTION_CALLBACK_TAG: &str = "exception_callback:";

pub use bytes::Bytes;
pub use edit::Edit;
pub use names::essential;
pub use plain::Plain;
pub use read::{Btf, BtfError};
pub use types::{BtfRef, Composite, EnumValue, IntEncoding, Kind, Member, Param, SecVar, Type, TypeId};
