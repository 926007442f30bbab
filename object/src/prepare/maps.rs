//! Maps as they are created: defaults that depend on the machine, types that libbpf keeps to itself, and definitions
//! that every kernel refuses.

use crate::model::{Map, Target};
use ebpfkit_abi::MapType as T;

/// Entries of a ring buffer that has none: a page.
const RING: u32 = 4096;

/// Completes the definitions; libbpf's complaint about the first map that cannot be created.
pub(super) fn prepare(maps: &mut [Map], target: &Target) -> Option<String> {
    let mut fault = None;
    for map in maps.iter_mut() {
        entries(map, target);
        if let Some(inner) = &mut map.inner {
            entries(inner, target);
        }
        if !passes_types(map.map_type) {
            (map.key_type, map.value_type) = (0, 0);
        }
        if let Some(inner) = map.inner.as_deref().filter(|m| !is_valid(m)) {
            let _ = inner;
            fault.get_or_insert_with(|| format!("map '{}': failed to create inner map: -22", map.name));
        }
        if !map.on_demand && !is_valid(map) {
            fault.get_or_insert_with(|| format!("map '{}': failed to create: Invalid argument(-22)", map.name));
        }
    }
    fault
}

/// A size of zero is one that a user sets before loading. The program is judged as if it were the smallest.
fn entries(map: &mut Map, target: &Target) {
    if map.max_entries != 0 {
        return;
    }
    map.max_entries = match map.map_type {
        T::PerfEventArray => target.cpus.max(1),
        T::Ringbuf | T::UserRingbuf => RING,
        T::SkStorage
        | T::TaskStorage
        | T::InodeStorage
        | T::CgrpStorage
        | T::CgroupStorage
        | T::PercpuCgroupStorage => 0,
        _ => 1,
    };
}

/// Whether libbpf tells the kernel the types of keys and values.
fn passes_types(map_type: T) -> bool {
    !matches!(
        map_type,
        T::PerfEventArray
            | T::CgroupArray
            | T::StackTrace
            | T::ArrayOfMaps
            | T::HashOfMaps
            | T::Devmap
            | T::DevmapHash
            | T::Cpumap
            | T::Xskmap
            | T::Sockmap
            | T::Sockhash
            | T::Queue
            | T::Stack
            | T::Arena
    )
}

/// Whether a kernel could create the map: sizes of keys and values that its type demands.
fn is_valid(map: &Map) -> bool {
    let (key, value) = (map.key_size, map.value_size);
    match map.map_type {
        T::Array | T::PercpuArray => key == 4 && value > 0,
        T::ProgArray | T::PerfEventArray | T::CgroupArray => key == 4 && value == 4,
        T::ArrayOfMaps => key == 4 && value == 4 && map.inner.is_some(),
        T::HashOfMaps => key > 0 && value == 4 && map.inner.is_some(),
        T::Hash | T::PercpuHash | T::LruHash | T::LruPercpuHash => key > 0 && value > 0,
        T::BloomFilter | T::Queue | T::Stack => key == 0 && value > 0,
        T::SkStorage | T::TaskStorage | T::InodeStorage | T::CgrpStorage => key == 4 && value > 0,
        _ => true,
    }
}
