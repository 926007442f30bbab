//! Lookups for native code that knows the map when it is compiled.

use super::HashMap;
use super::table::with_short_key;
use crate::Run;
use std::ptr::NonNull;

/// A lookup: the run, the map's address, the address of a key; the address of the value or zero.
///
/// The map lives, and the key's bytes are valid for reads. They are read as a program's own loads are.
pub type Find = unsafe extern "C" fn(run: *mut Run, map: u64, key: u64) -> u64;

/// The lookup of maps with keys of so many bytes.
pub(super) fn find_fn(key_size: usize) -> Find {
    match key_size {
        2 => find::<2, 1>,
        4 => find::<4, 1>,
        6 => find::<6, 1>,
        8 => find::<8, 1>,
        12 => find::<12, 2>,
        16 => find::<16, 2>,
        20 => find::<20, 3>,
        24 => find::<24, 3>,
        32 => find::<32, 4>,
        36 => find::<36, 5>,
        40 => find::<40, 5>,
        _ => find_any,
    }
}

impl HashMap {
    /// The address of the value that a run finds with a key, or zero.
    ///
    /// # Safety
    /// The bytes of the key are valid for reads.
    #[inline]
    pub(in crate::maps) unsafe fn find(&self, run: &mut Run, key: u64) -> u64 {
        // SAFETY: the function is that of this map.
        unsafe { (self.find)(run, std::ptr::from_ref(self) as u64, key) }
    }

    /// The CPU whose value a run uses, if the map has one for it.
    #[inline(always)]
    fn cpu_of(&self, run: &Run) -> Option<u32> {
        match self.cpus {
            0 => Some(0),
            cpus => Some(run.world.cpu).filter(|cpu| *cpu < cpus),
        }
    }
}

#[inline(always)]
fn number(value: Option<NonNull<u8>>) -> u64 {
    value.map_or(0, |v| v.as_ptr() as u64)
}

unsafe extern "C" fn find<const BYTES: usize, const WORDS: usize>(run: *mut Run, map: u64, key: u64) -> u64 {
    // SAFETY: the caller answers for all three.
    let (run, map, key) = unsafe { (&*run, &*(map as *const HashMap), (key as *const [u8; BYTES]).read_unaligned()) };
    let Some(cpu) = map.cpu_of(run) else { return 0 };
    number(with_short_key::<BYTES, WORDS, _>(map.table.seed, &key, |key| map.lookup_key(key, cpu)))
}

unsafe extern "C" fn find_any(run: *mut Run, map: u64, key: u64) -> u64 {
    // SAFETY: as above.
    let (run, map) = unsafe { (&*run, &*(map as *const HashMap)) };
    let Some(cpu) = map.cpu_of(run) else { return 0 };
    // SAFETY: the key has so many bytes; nothing writes them meanwhile but what races with the program itself.
    let key = unsafe { std::slice::from_raw_parts(key as *const u8, map.key_size) };
    number(map.with_key(key, |key| map.lookup_key(key, cpu)))
}
