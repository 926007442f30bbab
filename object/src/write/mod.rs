//! Writing relocatable objects that libbpf opens: types, function and line records, sections and relocations.
//!
//! The mirror of reading: [`BtfBuilder`] makes `.BTF`, [`Records`] makes `.BTF.ext`, [`Module`] makes the file.

mod btf;
mod elf;
mod ext;

pub use btf::{BtfBuilder, NewMember};
pub use elf::{Code, Data, DataSymbol, Extern, Function, Module, Reloc, RelocTarget, WriteError};
pub use ext::Records;

use ebpfkit_isa::Endian;

/// Appends a word in a byte order.
fn push_u32(bytes: &mut Vec<u8>, word: u32, endian: Endian) {
    bytes.extend(match endian {
        Endian::Little => word.to_le_bytes(),
        Endian::Big => word.to_be_bytes(),
    });
}

/// Appends half a word in a byte order.
fn push_u16(bytes: &mut Vec<u8>, half: u16, endian: Endian) {
    bytes.extend(match endian {
        Endian::Little => half.to_le_bytes(),
        Endian::Big => half.to_be_bytes(),
    });
}
