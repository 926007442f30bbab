//! BTF, the type format of eBPF objects and kernels (kernel document `Documentation/bpf/btf.rst`).
//!
//! [`Btf`] keeps the bytes and an index of type offsets; a type is decoded when it is looked at.

mod types;

pub use types::{Btf, BtfError, Composite, EnumValue, IntEncoding, Kind, Member, Param, SecVar, Type, TypeId};
