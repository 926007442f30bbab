//! Objects that programs allocate.
//!
//! There is one heap for the whole process, since a pointer that one run puts into a map may be taken out by another.
//! Memory of freed objects is used again for objects of the same size, as in the kernel's caches, but is never given
//! back: a program that keeps a pointer too long sees another object, never something that is not memory of objects.

use crate::maps::mem::{self, Region};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an object is. Helpers that are handed an address take only objects of their own kind for what they expect, since
/// a program that nobody has verified can pass any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a type of the program (`bpf_obj_new`).
    Own,
    /// The same with a part for each CPU.
    Percpu,
    /// A set of CPUs.
    Cpumask,
    /// What an iterator has copied.
    Iterator,
    /// A connection that is tracked.
    Connection,
    /// A struct of the kernel's, which all runs share and which is never given back.
    Kernel,
    /// What is handed to a callback.
    Argument,
}

/// A living object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its first byte.
    pub base: u64,
    /// Bytes asked for.
    pub len: usize,
    /// What it is.
    pub kind: Kind,
}

#[derive(Debug)]
struct Object {
    region: Region,
    /// Bytes asked for.
    len: usize,
    kind: Kind,
    /// Owners; zero when it is free.
    references: u32,
    /// Bytes of each CPU's part; zero when it has none.
    cpu_stride: usize,
}

#[derive(Debug)]
struct Heap {
    objects: BTreeMap<u64, Object>,
    /// Free objects by size of their memory.
    free: BTreeMap<usize, Vec<u64>>,
    /// Bytes of all memory, free objects included.
    bytes: u64,
}

static HEAP: Mutex<Heap> = Mutex::new(Heap { objects: BTreeMap::new(), free: BTreeMap::new(), bytes: 0 });

fn heap() -> MutexGuard<'static, Heap> {
    HEAP.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heap {
    /// The object whose memory an address lies in.
    fn around(&mut self, address: u64) -> Option<(u64, &mut Object)> {
        let (base, object) = self.objects.range_mut(..=address).next_back()?;
        (address - base < object.region.len() as u64).then_some((*base, object))
    }

    /// The living object of a kind that an address lies in.
    fn living(&mut self, address: u64, kind: Kind) -> Option<(u64, &mut Object)> {
        self.around(address).filter(|(_, o)| o.references != 0 && o.kind == kind)
    }
}

/// Takes memory for an object, as long as all objects together stay within `most` bytes.
fn make(kind: Kind, len: usize, cpu_stride: usize, most: u64) -> u64 {
    let Some(rounded) = len.max(8).checked_next_multiple_of(16) else { return 0 };
    let mut heap = heap();
    if let Some(address) = heap.free.get_mut(&rounded).and_then(Vec::pop)
        && let Some(object) = heap.objects.get_mut(&address)
    {
        (object.len, object.kind, object.references, object.cpu_stride) = (len, kind, 1, cpu_stride);
        // SAFETY: the object's memory has `rounded` bytes.
        unsafe { mem::zero(object.region.base().as_ptr(), rounded) };
        return address;
    }
    if heap.bytes.saturating_add(rounded as u64) > most {
        return 0;
    }
    let Ok(region) = Region::new(rounded, 1) else { return 0 };
    let address = region.base().as_ptr() as u64;
    heap.bytes += rounded as u64;
    heap.objects.insert(address, Object { region, len, kind, references: 1, cpu_stride });
    address
}

/// A zeroed object of the run's own; zero when there is no memory.
pub fn alloc(kind: Kind, len: usize) -> u64 {
    make(kind, len, 0, u64::MAX)
}

/// A zeroed object that a program asks for; zero when all objects would have more than `most` bytes.
pub fn alloc_within(kind: Kind, len: usize, most: u64) -> u64 {
    make(kind, len, 0, most)
}

/// A zeroed object with a part for each CPU; zero when all objects would have more than `most` bytes.
pub fn alloc_percpu(len: usize, cpus: u32, most: u64) -> u64 {
    let Some(stride) = len.checked_next_multiple_of(8) else { return 0 };
    make(Kind::Percpu, stride.saturating_mul(cpus.max(1) as usize), stride, most)
}

/// The part of a CPU of an object made by [`alloc_percpu`]; the address itself for anything else.
pub fn percpu(address: u64, cpu: u32) -> u64 {
    let heap = heap();
    match heap.objects.get(&address) {
        Some(o) if o.cpu_stride != 0 && (cpu as usize + 1) * o.cpu_stride <= o.region.len() => {
            address + (cpu as usize * o.cpu_stride) as u64
        }
        _ => address,
    }
}

/// One more owner; false when there is no such living object.
pub fn acquire(kind: Kind, address: u64) -> bool {
    match heap().living(address, kind) {
        Some((_, object)) => {
            object.references = object.references.saturating_add(1);
            true
        }
        None => false,
    }
}

/// One owner less of the object that an address lies in; false when there is no such living object.
pub fn release(kind: Kind, address: u64) -> bool {
    let mut heap = heap();
    let Some((base, object)) = heap.living(address, kind) else { return false };
    object.references -= 1;
    if object.references == 0 {
        let size = object.region.len();
        heap.free.entry(size).or_default().push(base);
    }
    true
}

/// One owner less of an object that programs make, of whatever kind.
pub(crate) fn release_any(address: u64) {
    for kind in [Kind::Own, Kind::Percpu, Kind::Cpumask, Kind::Connection] {
        if release(kind, address) {
            return;
        }
    }
}

/// The living object that an address lies in.
pub fn object_at(address: u64) -> Option<Found> {
    let mut heap = heap();
    let (base, o) = heap.around(address).filter(|(_, o)| o.references != 0)?;
    Some(Found { base, len: o.len, kind: o.kind })
}

/// Whether bytes lie inside one living object of a kind.
pub fn is_inside(kind: Kind, address: u64, len: u64) -> bool {
    heap().living(address, kind).is_some_and(|(base, o)| len <= o.len as u64 && address - base <= o.len as u64 - len)
}

/// Whether bytes lie inside the memory of one object, living or not.
pub fn contains(address: u64, len: u64) -> bool {
    heap().around(address).is_some_and(|(_, o)| o.region.contains(address, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_live_until_their_last_owner_goes() {
        let one = alloc(Kind::Own, 40);
        assert!(
            acquire(Kind::Own, one) && release(Kind::Own, one) && contains(one + 30, 10) && !contains(one + 45, 10)
        );
        assert_eq!(object_at(one + 8), Some(Found { base: one, len: 40, kind: Kind::Own }));
        assert!(is_inside(Kind::Own, one + 30, 10) && !is_inside(Kind::Own, one + 31, 10));
        assert!(!acquire(Kind::Cpumask, one) && !release(Kind::Iterator, one), "another kind");
        assert!(release(Kind::Own, one) && !release(Kind::Own, one) && object_at(one).is_none());
        assert!(contains(one, 40), "memory stays");
        let parts = alloc_percpu(12, 4, u64::MAX);
        assert_eq!(percpu(parts, 3), parts + 48);
        assert_eq!(percpu(one, 3), one);
    }

    #[test]
    fn what_programs_ask_for_is_bounded() {
        assert_eq!(alloc_within(Kind::Own, 1 << 20, 1 << 10), 0);
        assert_eq!(alloc_percpu(usize::MAX, 2, u64::MAX), 0);
        assert_eq!(alloc_percpu(1 << 20, u32::MAX, 1 << 30), 0);
    }
}
