//! A table of strings as BTF has it: each ends in a zero byte and stands once, the empty one at offset 0.

use rustc_hash::FxHashMap;

/// Strings in the order in which they were added.
#[derive(Clone, Debug)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    offsets: FxHashMap<String, u32>,
}

impl Default for Strings {
    fn default() -> Self {
        Self { bytes: vec![0], offsets: FxHashMap::default() }
    }
}

impl Strings {
    /// Offset of a string, added when it is new.
    pub(crate) fn add(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(&offset) = self.offsets.get(text) {
            return offset;
        }
        let offset = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.offsets.insert(text.to_owned(), offset);
        offset
    }

    /// The table.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
