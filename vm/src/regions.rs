//! Regions of memory that programs may use: what they are, and those that helpers add in a run.

use std::sync::Arc;

/// What a region is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionKind {
    /// Frames of functions that have not returned.
    Stack,
    /// The context.
    Context,
    /// The packet, metadata included.
    Packet,
    /// A value of the named map.
    MapValue(Arc<str>),
    /// Something else, such as a record of a ring buffer.
    Other(&'static str),
}

impl std::fmt::Display for RegionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stack => f.write_str("the stack"),
            Self::Context => f.write_str("the context"),
            Self::Packet => f.write_str("the packet"),
            Self::MapValue(name) => write!(f, "a value of map {name}"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// Memory that programs may use.
#[derive(Clone, Debug)]
pub struct Region {
    /// First byte.
    pub base: u64,
    /// Bytes.
    pub len: u64,
    /// What it is.
    pub kind: RegionKind,
    /// Programs may write it.
    pub writable: bool,
}

impl Region {
    pub(crate) fn window(&self) -> Window {
        Window { base: self.base, len: self.len }
    }
}

/// Where a bad address lies, seen from the nearest region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearestRegion {
    /// The nearest region and its size; `None` when nothing is near.
    pub region: Option<(RegionKind, u64)>,
    /// Offset from the region's start, in bytes.
    pub offset: i64,
    /// The region holds the bytes, but they may only be read.
    pub read_only: bool,
}

impl std::fmt::Display for NearestRegion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.region {
            Some((kind, _)) if self.read_only => write!(f, "offset {} of {kind}, which is read-only", self.offset),
            Some((kind, len)) => write!(f, "offset {} of {kind}, which has {len} bytes", self.offset),
            None => f.write_str("no memory of the program is near"),
        }
    }
}

/// A range of addresses; empty when `len` is zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub base: u64,
    pub len: u64,
}

impl Window {
    /// Whether `size` bytes from `address` lie inside. `size` is not zero.
    #[inline(always)]
    pub(crate) fn has(&self, address: u64, size: u64) -> bool {
        let offset = address.wrapping_sub(self.base);
        // No overflow: `offset` is below `len`, which is the size of something in memory.
        offset < self.len && size <= self.len - offset
    }
}

/// Regions that may wait to be sorted.
const MOST_FRESH: usize = 256;

/// So few need not be sorted for a search.
const UNSORTED: usize = 8;
/// So few are put into their places one by one.
const FEW: usize = 32;

/// A region that a helper has added; small, since there are many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddedRegion {
    /// First byte.
    pub base: u64,
    /// Bytes.
    pub len: u64,
    /// What it is.
    pub what: What,
    /// Programs may write it.
    pub writable: bool,
}

/// What a region is that a helper has added.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// A value of the map at this address, which lives as long as the region.
    Value(u64),
    /// Something else, by name.
    Other(&'static str),
}

impl AddedRegion {
    #[inline]
    pub(crate) fn window(&self) -> Window {
        Window { base: self.base, len: self.len }
    }
}

/// The added regions. One that is added is mostly used at once, and then found without a search; only other accesses need the
/// regions in order.
#[derive(Debug, Default)]
pub(crate) struct Regions {
    /// By address, each once.
    sorted: Vec<AddedRegion>,
    /// Came later; the last one of an address counts.
    fresh: Vec<AddedRegion>,
}

impl Regions {
    /// Regions, some of them more than once.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.sorted.len() + self.fresh.len()
    }

    /// Adds a region, or replaces the one that starts at the same address.
    #[inline]
    pub(crate) fn insert(&mut self, region: AddedRegion) {
        self.fresh.push(region);
        if self.fresh.len() >= MOST_FRESH.max(self.sorted.len()) {
            self.sort_if_many();
        }
    }

    /// Sorts them, unless they are so few that a search need not have it.
    #[inline]
    pub(crate) fn sort_if_many(&mut self) {
        if self.fresh.len() > UNSORTED {
            self.sort();
        }
    }

    fn sort(&mut self) {
        if self.fresh.len() <= FEW {
            for region in self.fresh.drain(..) {
                let at = self.sorted.partition_point(|r| r.base < region.base);
                match self.sorted.get_mut(at).filter(|r| r.base == region.base) {
                    Some(old) => *old = region,
                    None => self.sorted.insert(at, region),
                }
            }
            return;
        }
        self.sorted.append(&mut self.fresh);
        // The sort is stable: of those with one address the last stays.
        self.sorted.sort_by_key(|r| r.base);
        self.sorted.dedup_by(|later, kept| {
            let same = later.base == kept.base;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
    }

    /// Removes the region that starts at an address.
    pub(crate) fn remove(&mut self, base: u64) {
        self.fresh.retain(|r| r.base != base);
        self.sorted.retain(|r| r.base != base);
    }

    /// Removes all; the memory is kept for the next run.
    pub(crate) fn clear(&mut self) {
        self.sorted.clear();
        self.fresh.clear();
    }

    /// The last region that starts at or below an address.
    pub(crate) fn below(&self, address: u64) -> Option<&AddedRegion> {
        let at = self.sorted.partition_point(|r| r.base <= address);
        let sorted = at.checked_sub(1).map(|n| &self.sorted[n]);
        // `max_by_key` gives the last of equals, which is the one that counts.
        sorted.into_iter().chain(self.fresh.iter().filter(|r| r.base <= address)).max_by_key(|r| r.base)
    }

    /// All regions, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AddedRegion> {
        self.sorted.iter().chain(&self.fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn region(base: u64, len: u64) -> AddedRegion {
        AddedRegion { base, len, what: What::Other("test"), writable: true }
    }

    proptest! {
        #[test]
        fn it_is_a_map_by_address(steps in prop::collection::vec((0..4u8, 0..40u64, 1..9u64), 0..900)) {
            let (mut regions, mut map) = (Regions::default(), BTreeMap::new());
            for (what, base, len) in steps {
                match what {
                    0 | 1 => {
                        regions.insert(region(base, len));
                        map.insert(base, len);
                    }
                    2 => {
                        regions.remove(base);
                        map.remove(&base);
                    }
                    _ => regions.sort_if_many(),
                }
                let found = |a| regions.below(a).map(|r| (r.base, r.len));
                for address in [base, base + 1, 50] {
                    let expected = map.range(..=address).next_back().map(|(b, l)| (*b, *l));
                    prop_assert_eq!(found(address), expected);
                }
            }
        }
    }
}
