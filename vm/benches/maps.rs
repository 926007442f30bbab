//! What single map operations cost.

use criterion::{Criterion, criterion_group, criterion_main};
use ebpfkit_abi::MapType;
use ebpfkit_object::Map as Def;
use ebpfkit_object::record::Record;
use ebpfkit_vm::maps::{Map, create};
use std::hint::black_box;

fn map(map_type: MapType, key_size: u32, flags: u32) -> Map {
    let def = Def { map_type, key_size, value_size: 8, max_entries: 10_000, flags, ..Def::default() };
    create(&def, &Record::default(), 2).expect("a map")
}

fn key(n: u32, size: usize) -> Vec<u8> {
    let mut key = n.to_ne_bytes().to_vec();
    key.resize(size, 7);
    key
}

fn operations(c: &mut Criterion) {
    for (name, ty, size) in [
        ("hash of 4-byte keys", MapType::Hash, 4usize),
        ("hash of 16-byte keys", MapType::Hash, 16),
        ("hash of 40-byte keys", MapType::Hash, 40),
        ("LRU hash of 16-byte keys", MapType::LruHash, 16),
        ("per-CPU hash of 4-byte keys", MapType::PercpuHash, 4),
    ] {
        let m = map(ty, size as u32, 0);
        let keys: Vec<_> = (0..5000u32).map(|n| key(n, size)).collect();
        for k in &keys {
            m.update(k, &[1; 8], 0, 0).expect("room");
        }
        let mut i = 0;
        let mut next = || {
            i = (i + 1) % keys.len();
            &keys[i]
        };
        c.bench_function(&format!("{name}, lookup"), |b| b.iter(|| black_box(m.lookup(next(), 0))));
        c.bench_function(&format!("{name}, update"), |b| b.iter(|| black_box(m.update(next(), &[2; 8], 0, 0))));
    }
    let trie = map(MapType::LpmTrie, 8, 1);
    for n in 0..5000u32 {
        let prefix = 8 + n % 25;
        let address = n.wrapping_mul(2_654_435_761);
        trie.update(&[prefix.to_ne_bytes(), address.to_be_bytes()].concat(), &[1; 8], 0, 0).expect("room");
    }
    let mut n = 0u32;
    c.bench_function("trie of IPv4, lookup", |b| {
        b.iter(|| {
            n = n.wrapping_add(2_654_435_761);
            let mut key = [32, 0, 0, 0, 0, 0, 0, 0];
            key[4..].copy_from_slice(&n.to_be_bytes());
            black_box(trie.lookup(&key, 0))
        });
    });
}

criterion_group!(benches, operations);
criterion_main!(benches);
