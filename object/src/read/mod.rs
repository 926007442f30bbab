//! Reading ELF objects.

mod code;
mod elf;
mod ext;
mod maps;
pub mod sections;

pub(crate) use elf::open;
