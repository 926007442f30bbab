//! The maps that programs call helpers with: one small map of each type.

use ebpfkit_abi::MapType;
use ebpfkit_abi::map_flags as flag;
use ebpfkit_object::Map as Def;
use ebpfkit_vm::maps::{self, Kind, Map, Surroundings};
use std::sync::{Arc, LazyLock};

/// Number of the array that programs keep what calls gave in; its only value is long.
pub const VAULT: usize = 0;
/// Bytes of that value.
pub const VAULT_SIZE: u32 = 512;
/// Bytes of it that results are kept in.
pub const RESULT_BYTES: usize = 128;
/// What those are before a program runs; the others are zeros.
pub const FILL: u8 = 1;
/// Keys that maps with keys start with, as numbers.
pub const KEYS: u64 = 3;

/// The definitions.
pub static DEFS: LazyLock<Vec<Def>> = LazyLock::new(|| {
    use MapType as T;
    let def = |map_type, key_size, value_size, max_entries, flags| Def {
        name: format!("{map_type}"),
        map_type,
        key_size,
        value_size,
        max_entries,
        flags,
        // Storage maps have to have types.
        key_type: 1,
        value_type: 1,
        ..Def::default()
    };
    let grows = flag::NO_PREALLOC;
    let mut all = vec![
        def(T::Array, 4, VAULT_SIZE, 1, 0),
        def(T::Array, 4, 24, 4, 0),
        def(T::Array, 4, 16, 2, flag::RDONLY_PROG),
        def(T::Hash, 8, 24, 8, 0),
        def(T::Hash, 4, 64, 8, grows),
        def(T::LruHash, 8, 16, 8, 0),
        def(T::PercpuArray, 4, 16, 4, 0),
        def(T::PercpuHash, 8, 16, 4, 0),
        def(T::LruPercpuHash, 4, 8, 4, flag::NO_COMMON_LRU),
        def(T::LpmTrie, 8, 16, 8, grows),
        def(T::Queue, 0, 16, 4, 0),
        def(T::Stack, 0, 16, 4, 0),
        def(T::BloomFilter, 0, 8, 16, 0),
        def(T::Ringbuf, 0, 0, 4096, 0),
        def(T::UserRingbuf, 0, 0, 4096, 0),
        def(T::PerfEventArray, 4, 4, 4, 0),
        def(T::ProgArray, 4, 4, 4, 0),
        def(T::CgroupArray, 4, 4, 4, 0),
        def(T::StackTrace, 4, 64, 8, 0),
        def(T::SkStorage, 4, 16, 0, grows),
        def(T::TaskStorage, 4, 16, 0, grows),
        def(T::InodeStorage, 4, 16, 0, grows),
        def(T::CgrpStorage, 4, 16, 0, grows),
        def(T::CgroupStorage, 8, 16, 0, 0),
        def(T::PercpuCgroupStorage, 8, 16, 0, 0),
        def(T::Devmap, 4, 4, 4, 0),
        def(T::DevmapHash, 4, 8, 4, 0),
        def(T::Cpumap, 4, 4, 4, 0),
        def(T::Xskmap, 4, 4, 4, 0),
        def(T::Sockmap, 4, 8, 4, 0),
        def(T::Sockhash, 4, 8, 4, 0),
        def(T::ReuseportSockarray, 4, 8, 4, 0),
        def(T::Arena, 0, 0, 16, flag::MMAPABLE),
    ];
    for map_type in [T::ArrayOfMaps, T::HashOfMaps] {
        let inner = Box::new(Def { name: "inner".into(), ..def(T::Array, 4, 24, 4, 0) });
        all.push(Def { inner: Some(inner), ..def(map_type, 4, 4, 4, 0) });
    }
    all
});

/// Makes a map of a definition with a few elements.
pub fn make(number: usize, around: &Surroundings) -> Result<Arc<Map>, String> {
    let def = DEFS.get(number).ok_or("no such map")?;
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let map = Arc::new(maps::create_in(def, &Default::default(), around).map_err(|e| text(&e))?);
    match map.kind() {
        Kind::Maps(outer) => {
            let inner = def.inner.as_deref().ok_or("no inner map")?;
            let inner = Arc::new(maps::create_in(inner, &Default::default(), around).map_err(|e| text(&e))?);
            outer.set(&0u32.to_ne_bytes(), &inner, 0).map_err(|e| text(&e))?;
        }
        Kind::UserRingbuf(ring) => {
            for len in [0, 5, 64] {
                ring.produce(&vec![0x5a; len]).map_err(|e| text(&e))?;
            }
        }
        Kind::Slots(_) if def.map_type == MapType::ProgArray => {}
        _ => {
            for n in 0..KEYS {
                let key = key(def.key_size as usize, n);
                // Some maps have no elements, or none for user space.
                let mut value = vec![n as u8 + FILL; map.user_value_size()];
                if number == VAULT {
                    value[RESULT_BYTES..].fill(0);
                }
                let _ = map.user_update(&key, &value, 0);
            }
        }
    }
    Ok(map)
}

/// The n-th key of a size; of a trie, a prefix of 32 bits.
fn key(size: usize, n: u64) -> Vec<u8> {
    let mut key = n.to_ne_bytes().to_vec();
    key.resize(size, 0);
    key
}

/// Looks at a map after programs have used it: its elements are found, and there are no more than fit.
pub fn check(map: &Map) -> Result<(), String> {
    let info = map.info();
    let mut last: Option<Vec<u8>> = None;
    let mut key = vec![0; map.key_size()];
    for count in 0.. {
        if map.next_key(last.as_deref(), &mut key).is_err() {
            return Ok(());
        }
        let most = info.max_entries.max(1).next_power_of_two() + info.cpus;
        if count > most {
            return Err(format!("{} has more than {most} elements", info.name));
        }
        if let Kind::Hash(_) = map.kind()
            && map.lookup(&key, 0).is_none()
        {
            return Err(format!("{}: key {key:02x?} is not found", info.name));
        }
        last = Some(key.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebpfkit_vm::World;

    #[test]
    fn all_are_made() {
        let around = Surroundings::of(&World { cpus: 2, ..World::default() });
        for number in 0..DEFS.len() {
            let map = make(number, &around).unwrap_or_else(|e| panic!("map {number}: {e}"));
            check(&map).unwrap();
        }
    }
}
