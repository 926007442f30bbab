//! Objects that programs allocate.
//!
//! There is one heap for the whole process, since a pointer that one run puts into a map may be taken out by another.
//! Memory of freed objects is used again for objects of the same size, as in the kernel's caches, but is never given
//! back: a program that keeps a pointer too long sees another object, never something that is not memory of objects.

use crate::maps::mem::{self, Region};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
struct Object {
    region: Region,
    /// Bytes asked for.
    len: usize,
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
}

static HEAP: Mutex<Heap> = Mutex::new(Heap { objects: BTreeMap::new(), free: BTreeMap::new() });

fn heap() -> MutexGuard<'static, Heap> {
    HEAP.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heap {
    /// The object whose memory an address lies in.
    fn around(&mut self, address: u64) -> Option<(u64, &mut Object)> {
        let (base, object) = self.objects.range_mut(..=address).next_back()?;
        (address - base < object.region.len() as u64).then_some((*base, object))
    }
}

fn make(len: usize, cpu_stride: usize) -> u64 {
    let rounded = len.max(8).next_multiple_of(16);
    let mut heap = heap();
    if let Some(address) = heap.free.get_mut(&rounded).and_then(Vec::pop)
        && let Some(object) = heap.objects.get_mut(&address)
    {
        (object.len, object.references, object.cpu_stride) = (len, 1, cpu_stride);
        // SAFETY: the object's memory has `rounded` bytes.
        unsafe { mem::zero(object.region.base().as_ptr(), rounded) };
        return address;
    }
    let Ok(region) = Region::new(rounded, 1) else { return 0 };
    let address = region.base().as_ptr() as u64;
    heap.objects.insert(address, Object { region, len, references: 1, cpu_stride });
    address
}

/// A zeroed object; zero when there is no memory.
pub fn alloc(len: usize) -> u64 {
    make(len, 0)
}

/// A zeroed object with a part for each CPU; zero when there is no memory.
pub fn alloc_percpu(len: usize, cpus: u32) -> u64 {
    let stride = len.next_multiple_of(8);
    make(stride.saturating_mul(cpus.max(1) as usize), stride)
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
pub fn acquire(address: u64) -> bool {
    match heap().around(address) {
        Some((_, object)) if object.references != 0 => {
            object.references += 1;
            true
        }
        _ => false,
    }
}

/// One owner less of the object that an address lies in; false when there is no such living object.
pub fn release(address: u64) -> bool {
    let mut heap = heap();
    let Some((base, object)) = heap.around(address) else { return false };
    match object.references {
        0 => return false,
        1 => {
            object.references = 0;
            let size = object.region.len();
            heap.free.entry(size).or_default().push(base);
        }
        _ => object.references -= 1,
    }
    true
}

/// Address and bytes of the living object that an address lies in.
pub fn object_at(address: u64) -> Option<(u64, usize)> {
    let mut heap = heap();
    heap.around(address).filter(|(_, o)| o.references != 0).map(|(base, o)| (base, o.len))
}

/// Whether bytes lie inside the memory of one object, living or not.
pub fn contains(address: u64, len: u64) -> bool {
    heap().around(address).is_some_and(|(_, o)| o.region.contains(address, len))
}

/// Objects that live.
pub fn live() -> usize {
    heap().objects.values().filter(|o| o.references != 0).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_live_until_their_last_owner_goes() {
        let one = alloc(40);
        assert!(acquire(one) && release(one) && contains(one + 30, 10) && !contains(one + 45, 10));
        assert_eq!(object_at(one + 8), Some((one, 40)));
        assert!(release(one) && !release(one) && object_at(one).is_none());
        assert!(contains(one, 40), "memory stays");
        let parts = alloc_percpu(12, 4);
        assert_eq!(percpu(parts, 3), parts + 48);
        assert_eq!(percpu(one, 3), one);
    }
}
