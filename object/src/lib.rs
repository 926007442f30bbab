//! eBPF objects: from a file to programs that are ready to load, as libbpf would load them.
//!
//! Two steps, as in libbpf: [`Object::open`] reads an ELF file and touches nothing else;
//! [`Object::prepare`] resolves everything that depends on the target kernel (CO-RE, ksyms, kconfig, kfuncs)
//! and yields [`Prepared`], whose programs hold final instructions.
//! This crate touches neither files nor system calls: bytes in, values out.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod btf;
mod core_relo;
pub mod counts;
pub mod dwarf;
pub mod extend;
pub mod link;
pub mod map_rules;
pub mod model;
mod near;
mod overrides;
mod prepare;
mod read;
pub mod record;
mod strings;
pub mod write;

pub use btf::Btf;
pub use model::{
    ConfigForm, CoreRelocation, Extern, ExternKind, FuncInfo, LineInfo, Map, MapInit, Needs, Object, ObjectError,
    Origin, Pending, PendingKind, Prepared, Program, ProgramFlags, Subprogram, SymbolAddresses, Target,
};
pub use near::nearest;
pub use overrides::{Overrides, UnknownType};
