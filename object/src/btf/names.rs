//! Types by name. The kernel has well over a hundred thousand; one program asks for a handful.
//!
//! The first lookups scan: they find where the name stands in the strings, then look through the type headers.
//! A user who asks more often gets an index: types in buckets by the hash of their name and kind, and another one by the
//! name's essential part for CO-RE's families of flavours (`task_struct`, `task_struct___old`).

use super::read::Btf;
use super::types::{Kind, TypeId};
use memchr::memmem;
use rustc_hash::FxHasher;
use std::hash::Hasher;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Lookups before the index pays for itself.
const SCANS: u32 = 16;
/// With fewer types than this the index is built at once.
const SMALL: u32 = 4096;
/// A name that stands in the strings more often than this is too common to scan for.
const MAX_NAMES: usize = 4096;

/// The part of a name that CO-RE compares: everything before the last `___`, if something stands on both sides.
pub fn essential(name: &str) -> &str {
    let b = name.as_bytes();
    for at in (0..b.len().saturating_sub(4)).rev() {
        if b[at] != b'_' && b[at + 1..at + 4] == *b"___" && b[at + 4] != b'_' {
            return &name[..at + 1];
        }
    }
    name
}

fn hash(name: &str, kind: u8) -> u32 {
    let mut h = FxHasher::default();
    h.write(name.as_bytes());
    h.write_u8(kind);
    (h.finish() >> 32) as u32 ^ h.finish() as u32
}

/// In the place of a kind where types of all kinds are looked for.
const ANY: u8 = u8::MAX;

/// Types in buckets by the hash of something; within a bucket they ascend.
#[derive(Debug)]
struct Index {
    /// Where each bucket starts in `ids`; one more entry than there are buckets.
    starts: Vec<u32>,
    ids: Vec<TypeId>,
}

impl Index {
    /// Puts every type with a name into the bucket of its key.
    fn new(btf: &Btf, key: impl Fn(&str, TypeId) -> u32) -> Self {
        let buckets = (btf.len() as usize / 2).next_power_of_two();
        let mask = buckets as u32 - 1;
        let mut starts = vec![0u32; buckets + 1];
        let hashes: Vec<(u32, TypeId)> = (1..btf.len())
            .filter_map(|id| {
                let name = btf.name(id);
                (!name.is_empty()).then(|| (key(name, id) & mask, id))
            })
            .collect();
        for (h, _) in &hashes {
            starts[*h as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut ids = vec![0; hashes.len()];
        for (h, id) in hashes {
            let at = &mut next[h as usize];
            ids[*at as usize] = id;
            *at += 1;
        }
        Self { starts, ids }
    }

    /// Types that may have this key, ascending.
    fn bucket(&self, key: u32) -> &[TypeId] {
        let at = key as usize & (self.starts.len() - 2);
        &self.ids[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// Lookup state of one set of types.
#[derive(Debug, Default)]
pub(super) struct Names {
    scans: AtomicU32,
    /// By whole name and kind, so that many types of one name do not stand in each other's way.
    exact: OnceLock<Index>,
    /// By the essential part of the name.
    flavours: OnceLock<Index>,
}

impl Btf {
    /// Indexes names and tags now instead of after the first few searches, as a running kernel has long done. Pays off
    /// where many names will be looked up, or where only later searches are timed.
    pub fn index_lookups(&self) {
        self.exact();
        self.flavours();
        self.tag_index();
    }

    /// First type of this kind and name.
    pub fn find(&self, name: &str, kind: Kind) -> Option<TypeId> {
        if name.is_empty() {
            return None;
        }
        if let Some(offsets) = self.scan_names(name, false) {
            let fits =
                |&id: &TypeId| offsets.binary_search(&self.name_offset(id)).is_ok() && self.kind(id) == Some(kind);
            return if offsets.is_empty() { None } else { (1..self.len()).find(fits) };
        }
        let fits = |&&id: &&TypeId| self.kind(id) == Some(kind) && self.name(id) == name;
        self.exact().bucket(hash(name, kind as u8)).iter().find(fits).copied()
    }

    fn exact(&self) -> &Index {
        let key = |name: &str, id| hash(name, self.kind(id).map_or(ANY, |k| k as u8));
        self.names().exact.get_or_init(|| Index::new(self, key))
    }

    fn flavours(&self) -> &Index {
        self.names().flavours.get_or_init(|| Index::new(self, |name, _| hash(essential(name), ANY)))
    }

    /// Types whose names differ from this one at most in their flavour (`___suffix`), ascending.
    pub fn find_flavours(&self, name: &str) -> Vec<TypeId> {
        let base = essential(name);
        if base.is_empty() {
            return Vec::new();
        }
        if let Some(offsets) = self.scan_names(base, true) {
            let fits = |&id: &TypeId| offsets.binary_search(&self.name_offset(id)).is_ok();
            return if offsets.is_empty() { Vec::new() } else { (1..self.len()).filter(fits).collect() };
        }
        self.flavours().bucket(hash(base, ANY)).iter().copied().filter(|&id| essential(self.name(id)) == base).collect()
    }

    /// Offsets in the strings at which a name stands, alone or also with flavours, while scanning is the cheaper way.
    fn scan_names(&self, name: &str, flavours: bool) -> Option<Vec<u32>> {
        let names = self.names();
        let index = if flavours { &names.flavours } else { &names.exact };
        if self.len() < SMALL || index.get().is_some() || names.scans.fetch_add(1, Ordering::Relaxed) >= SCANS {
            return None;
        }
        let strings = self.strings();
        let stands = |&at: &usize| match strings.get(at + name.len()) {
            Some(0) => true,
            Some(b'_') if flavours => essential(self.str_at(at as u32)) == name,
            _ => false,
        };
        let found = memmem::find_iter(strings, name).filter(stands).take(MAX_NAMES + 1);
        let offsets: Vec<u32> = found.map(|at| at as u32).collect();
        (offsets.len() <= MAX_NAMES).then_some(offsets)
    }
}

#[cfg(test)]
mod tests {
    use super::essential;

    #[test]
    fn flavours_are_cut_off() {
        for (name, expected) in [
            ("task_struct", "task_struct"),
            ("task_struct___old", "task_struct"),
            ("a___b___c", "a___b"),
            ("a____b", "a____b"),
            ("___b", "___b"),
            ("a___", "a___"),
            ("", ""),
        ] {
            assert_eq!(essential(name), expected, "{name}");
        }
    }
}
