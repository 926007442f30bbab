//! Changing BTF: words of types in place, further types and strings at the end.

use super::read::{Btf, BtfError, HEADER};
use super::types::TypeId;
use ebpfkit_isa::Endian;
use std::ops::Range;

/// A copy of a set of types that is being changed. The types keep their numbers.
#[derive(Debug)]
pub struct Edit<'a> {
    btf: &'a Btf,
    types: Vec<u8>,
    strings: Vec<u8>,
    added: u32,
}

impl<'a> Edit<'a> {
    /// Starts with the types of `btf`.
    pub fn new(btf: &'a Btf) -> Self {
        Self { btf, types: btf.type_bytes().to_vec(), strings: btf.strings().to_vec(), added: 0 }
    }

    fn bytes(&self, word: u32) -> [u8; 4] {
        match self.btf.endian() {
            Endian::Little => word.to_le_bytes(),
            Endian::Big => word.to_be_bytes(),
        }
    }

    fn put(&mut self, at: Option<usize>, word: u32) {
        let bytes = self.bytes(word);
        if let Some(offset) = at.and_then(|at| self.types.get_mut(at..at + 4)) {
            offset.copy_from_slice(&bytes);
        }
    }

    /// Offset of a word of an original type in the types; word 0 is its name.
    fn offset(&self, id: TypeId, word: usize) -> Option<usize> {
        self.btf.type_range(id).filter(|r: &Range<usize>| word * 4 + 4 <= r.len()).map(|r| r.start + word * 4)
    }

    /// Sets a word of an original type: 0 name, 1 info, 2 size or type, then what follows the header.
    /// Nothing happens when the type has no such word.
    pub fn set(&mut self, id: TypeId, word: usize, value: u32) {
        self.put(self.offset(id, word), value);
    }

    /// Sets the linkage of a `FUNC`.
    pub fn set_func_linkage(&mut self, id: TypeId, linkage: u16) {
        if let Some(info) = self.btf.type_word(id, 1) {
            self.set(id, 1, info & !0xffff | u32::from(linkage));
        }
    }

    /// Adds a string; its offset.
    pub fn add_string(&mut self, text: &str) -> u32 {
        if self.strings.is_empty() {
            self.strings.push(0);
        }
        let at = self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        at
    }

    /// Adds a type from its words; its number.
    pub fn add_type(&mut self, words: &[u32]) -> TypeId {
        for &word in words {
            let bytes = self.bytes(word);
            self.types.extend_from_slice(&bytes);
        }
        self.added += 1;
        self.btf.len() + self.added - 1
    }

    /// The changed types, checked anew.
    pub fn finish(self) -> Result<Btf, BtfError> {
        let mut data = Vec::with_capacity(HEADER + self.types.len() + self.strings.len());
        let magic = match self.btf.endian() {
            Endian::Little => super::read::MAGIC.to_le_bytes(),
            Endian::Big => super::read::MAGIC.to_be_bytes(),
        };
        data.extend_from_slice(&magic);
        data.extend_from_slice(&[1, 0]);
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        for word in [HEADER as u32, 0, types, types, strings] {
            data.extend_from_slice(&self.bytes(word));
        }
        data.extend_from_slice(&self.types);
        data.extend_from_slice(&self.strings);
        Btf::parse(data)
    }
}
