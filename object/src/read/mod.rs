//! Reading ELF objects.

mod code;
mod elf;
mod ext;
mod externs;
mod fixup;
mod functions;
mod map_def;
mod maps;
mod relocations;
pub mod sections;
mod struct_ops;

pub(crate) use elf::{open, types};
