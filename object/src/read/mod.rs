//! Reading ELF objects.

mod code;
pub(crate) mod elf;
pub(crate) mod ext;
mod externs;
mod fixup;
mod functions;
mod identify;
mod legacy;
pub(crate) mod map_def;
mod maps;
mod relocations;
pub mod sections;
mod struct_ops;

pub(crate) use elf::{open, types};
pub(crate) use maps::PERCPU as PERCPU_DATA;
