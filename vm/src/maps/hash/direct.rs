//! Lookups for native code that knows the map when it is compiled.

use super::HashMap;
use super::table::{with_key, with_short_key};
use crate::Run;
use std::ptr::NonNull;

/// A lookup: the run, the map's address, the address of a key; the address of the value or zero.
///
/// The map lives, and the key's bytes are valid for reads. They are read as a program's own loads are.
pub type Find = unsafe extern "C" fn(run: *mut Run, map: u64, key: u64) -> u64;

impl HashMap {
    /// The lookup of this map, and the address that it takes.
    pub(in crate::maps) fn find_fn(&self) -> (Find, u64) {
        let find = match self.key_size {
            2 => find::<2>,
            4 => find::<4>,
            6 => find::<6>,
            8 => find::<8>,
            12 => find::<12>,
            16 => find::<16>,
            20 => find::<20>,
            24 => find::<24>,
            32 => find::<32>,
            36 => find::<36>,
            40 => find::<40>,
            _ => find_any,
        };
        (find, std::ptr::from_ref(self) as u64)
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

unsafe extern "C" fn find<const BYTES: usize>(run: *mut Run, map: u64, key: u64) -> u64 {
    // SAFETY: the caller answers for all three.
    let (run, map, key) = unsafe { (&*run, &*(map as *const HashMap), (key as *const [u8; BYTES]).read_unaligned()) };
    let Some(cpu) = map.cpu_of(run) else { return 0 };
    number(with_short_key(&key, |key| map.lookup_key(key, cpu)))
}

unsafe extern "C" fn find_any(run: *mut Run, map: u64, key: u64) -> u64 {
    // SAFETY: as above.
    let (run, map) = unsafe { (&*run, &*(map as *const HashMap)) };
    let Some(cpu) = map.cpu_of(run) else { return 0 };
    // SAFETY: the key has so many bytes; nothing writes them meanwhile but what races with the program itself.
    let key = unsafe { std::slice::from_raw_parts(key as *const u8, map.key_size) };
    number(with_key(key, |key| map.lookup_key(key, cpu)))
}
