//! How much memory maps take, whose hash functions have a key.

use ebpfkit_abi::MapType;
use ebpfkit_object::Map as Def;
use ebpfkit_object::record::Record;
use ebpfkit_vm::maps::{Map, Surroundings, create_in};
use ebpfkit_vm::{Errno, Limits, World};

fn def(map_type: MapType, key_size: u32, value_size: u32, max_entries: u32, flags: u32) -> Def {
    Def { name: "m".into(), map_type, key_size, value_size, max_entries, flags, ..Def::default() }
}

fn world(map_memory: u64) -> World {
    World { cpus: 2, limits: Limits { map_memory, ..Limits::default() }, ..World::default() }
}

const NO_PREALLOC: u32 = 1;

#[test]
fn maps_beyond_the_limit_are_refused_with_their_size() {
    let around = Surroundings::of(&world(1 << 20));
    let make = |def: &Def| create_in(def, &Record::default(), &around);
    let first = make(&def(MapType::Array, 4, 1024, 1000, 0)).expect("a thousand kilobytes");
    let error = make(&def(MapType::PercpuArray, 4, 1024, 100, 0)).expect_err("too much");
    assert_eq!(error.errno, Errno::ENOMEM);
    assert_eq!(
        error.to_string(),
        "map 'm' (percpu_array): 204800 bytes more are needed, and maps may take no more than 24576 (limit \
         `map_memory`) (-ENOMEM)"
    );
    // An arena takes memory for the pages that are asked for.
    make(&def(MapType::Arena, 0, 0, 1 << 20, 1 << 10)).expect("addresses alone");
    drop(first);
}

#[test]
fn maps_that_grow_stop_at_the_limit() {
    let grown = |map_type, key_size| {
        let around = Surroundings::of(&world(1 << 20));
        let map = create_in(&def(map_type, key_size, 4096, 8192, NO_PREALLOC), &Record::default(), &around);
        let map = map.expect("it is empty");
        let mut count = 0u64;
        loop {
            let mut key = vec![0; key_size as usize];
            let at = key.len() - 4;
            key[at..].copy_from_slice(&(count as u32).to_be_bytes());
            if map_type == MapType::LpmTrie {
                key[..4].copy_from_slice(&32u32.to_ne_bytes());
            }
            match map.update(&key, &[1; 4096], 0, 0) {
                Ok(()) => count += 1,
                Err(errno) => return (errno, count),
            }
        }
    };
    for (map_type, key_size) in [(MapType::Hash, 8), (MapType::LpmTrie, 8)] {
        let (errno, count) = grown(map_type, key_size);
        assert_eq!(errno, Errno::ENOMEM, "{map_type}");
        assert!((16..256).contains(&count), "{map_type}: {count} elements");
    }
}

fn keys(map: &Map) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    let mut next = vec![0; map.key_size()];
    while map.next_key(keys.last().map(Vec::as_slice), &mut next).is_ok() {
        keys.push(next.clone());
    }
    keys
}

#[test]
fn the_order_of_elements_does_not_depend_on_the_key_of_the_hash_function() {
    for map_type in [MapType::Hash, MapType::LruHash, MapType::PercpuHash] {
        let order = |hash_seed| {
            let around = Surroundings::of(&World { hash_seed, ..world(1 << 20) });
            let map = create_in(&def(map_type, 12, 8, 200, 0), &Record::default(), &around).expect("a map");
            let key = |n: u32| [n, 7, n * n].map(u32::to_ne_bytes).concat();
            for n in 0..100 {
                map.update(&key(n), &[0; 8], 0, 0).expect("it fits");
            }
            for n in (0..100).filter(|n| n % 3 == 0) {
                map.delete(&key(n)).expect("it is there");
            }
            for n in 100..120 {
                map.update(&key(n), &[0; 8], 0, 0).expect("it fits");
            }
            let all = keys(&map);
            assert_eq!(all.len(), 66 + 20);
            let mut visited = Vec::new();
            let count = map.for_each(0, &mut |key, _| {
                // SAFETY: a key of this map has twelve bytes.
                visited.push(unsafe { std::slice::from_raw_parts(key.as_ptr(), 12) }.to_vec());
                std::ops::ControlFlow::Continue(())
            });
            assert_eq!(count, Ok(86));
            assert_eq!(visited, all);
            all
        };
        assert_eq!(order(1), order(0xdead_beef_1234_5678), "{map_type}");
    }
}
