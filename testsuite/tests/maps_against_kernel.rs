//! The same operations on a map of the kernel and on ours give the same answers. Skipped without bpf(2).

use ebpfkit_abi::MapType;
use ebpfkit_kernel::{Kernel, KernelError, MapParams, machine};
use ebpfkit_object::Map as Def;
use ebpfkit_object::record::Record;
use ebpfkit_testsuite::running;
use ebpfkit_vm::maps::{Map, Surroundings, check::flag, create, create_in};
use ebpfkit_vm::{Errno, Limits, World};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// One operation of user space. Keys and values are made from numbers.
#[derive(Clone, Debug)]
enum Op {
    Update(u32, u64, u64),
    Lookup(u32),
    Delete(u32),
    Take(u32),
    Next(Option<u32>),
}

/// A kind of map to try.
#[derive(Clone, Copy)]
struct Shape {
    map_type: MapType,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    extra: u64,
    /// Keys are numbers below this.
    keys: u32,
    /// The order of keys is part of the answer.
    ordered: bool,
    /// How a number becomes a key.
    key: fn(u32, usize) -> Vec<u8>,
    /// How a number becomes a value.
    value: fn(u64, usize) -> Vec<u8>,
}

fn plain_key(n: u32, size: usize) -> Vec<u8> {
    let mut key = n.to_ne_bytes().to_vec();
    key.resize(size, n as u8);
    key.truncate(size);
    key
}

/// Prefix length and bits of few different addresses, some of them too long.
fn prefix_key(n: u32, size: usize) -> Vec<u8> {
    let bits = (size - 4) as u32 * 8;
    let prefix = (n / 16) % (bits + 2);
    let mut key = prefix.to_ne_bytes().to_vec();
    let pattern = [0x00u8, 0x80, 0xc0, 0xff][(n % 4) as usize];
    let second = [0x00u8, 0x01, 0xf0, 0x0f][(n / 4 % 4) as usize];
    key.extend((4..size).map(|i| if i % 2 == 0 { pattern } else { second }));
    key
}

fn any_value(n: u64, size: usize) -> Vec<u8> {
    (0..size).map(|i| (n >> (i % 8 * 8)) as u8 ^ i as u8).collect()
}

/// The loopback interface, no interface, and one that does not exist.
fn device_value(n: u64, size: usize) -> Vec<u8> {
    let mut value = [1u32, 0, 1, 1][(n % 4) as usize].to_ne_bytes().to_vec();
    value.resize(size, 0);
    value
}

fn cpu_value(n: u64, size: usize) -> Vec<u8> {
    let mut value = [192u32, 0, 16384, 16385][(n % 4) as usize].to_ne_bytes().to_vec();
    value.resize(size, 0);
    value
}

const BASE: Shape = Shape {
    map_type: MapType::Hash,
    key_size: 4,
    value_size: 8,
    max_entries: 8,
    flags: 0,
    extra: 0,
    keys: 16,
    ordered: false,
    key: plain_key,
    value: any_value,
};

fn shapes() -> Vec<(&'static str, Shape)> {
    let lpm = Shape { map_type: MapType::LpmTrie, flags: flag::NO_PREALLOC, ordered: true, key: prefix_key, ..BASE };
    vec![
        ("hash", BASE),
        ("hash of long keys", Shape { key_size: 77, value_size: 3, ..BASE }),
        ("hash, not preallocated", Shape { flags: flag::NO_PREALLOC, key_size: 9, ..BASE }),
        ("per-CPU hash", Shape { map_type: MapType::PercpuHash, value_size: 5, ..BASE }),
        ("array", Shape { map_type: MapType::Array, value_size: 7, ordered: true, ..BASE }),
        ("per-CPU array", Shape { map_type: MapType::PercpuArray, value_size: 12, ordered: true, ..BASE }),
        ("LRU hash", Shape { map_type: MapType::LruHash, ..BASE }),
        ("larger LRU hash", Shape { map_type: MapType::LruHash, max_entries: 700, keys: 1500, ..BASE }),
        ("LRU hash, lists of each CPU", Shape { map_type: MapType::LruHash, flags: flag::NO_COMMON_LRU, ..BASE }),
        ("LRU per-CPU hash", Shape { map_type: MapType::LruPercpuHash, keys: 24, ..BASE }),
        ("trie of 4 bytes", Shape { key_size: 8, max_entries: 40, keys: 16 * 34, ..lpm }),
        ("small trie", Shape { key_size: 5, keys: 160, ..lpm }),
        ("trie of 16 bytes", Shape { key_size: 20, max_entries: 100, keys: 16 * 130, ..lpm }),
        ("queue", Shape { map_type: MapType::Queue, key_size: 0, value_size: 6, ..BASE }),
        ("stack", Shape { map_type: MapType::Stack, key_size: 0, value_size: 6, ..BASE }),
        ("device map", Shape { map_type: MapType::Devmap, value_size: 4, ordered: true, value: device_value, ..BASE }),
        ("device hash", Shape { map_type: MapType::DevmapHash, value_size: 8, value: device_value, ..BASE }),
        ("CPU map", Shape { map_type: MapType::Cpumap, value_size: 4, ordered: true, value: cpu_value, ..BASE }),
    ]
}

/// A bloom filter says nothing about what it does not hold, so its hash has to be the same to compare.
fn blooms() -> Vec<(&'static str, Shape)> {
    let bloom = Shape { map_type: MapType::BloomFilter, key_size: 0, flags: flag::ZERO_SEED, ..BASE };
    vec![
        ("bloom filter of words", Shape { value_size: 8, max_entries: 12, ..bloom }),
        ("bloom filter of bytes", Shape { value_size: 13, max_entries: 40, extra: 2, ..bloom }),
        ("bloom filter of many words", Shape { value_size: 44, max_entries: 9, extra: 15, ..bloom }),
    ]
}

fn op(keys: u32) -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..keys, any::<u64>(), prop::sample::select(vec![0u64, 0, 0, 0, 1, 2, 3, 4, 8])).prop_map(|(k, v, f)| Op::Update(k, v, f)),
        3 => (0..keys).prop_map(Op::Lookup),
        2 => (0..keys).prop_map(Op::Delete),
        1 => (0..keys).prop_map(Op::Take),
        1 => prop::option::of(0..keys).prop_map(Op::Next),
    ]
}

/// What an operation gave: a value or key, or an error number.
type Answer = Result<Option<Vec<u8>>, i32>;

fn ours(shape: &Shape, map: &Map, op: &Op) -> Answer {
    let key = |n| (shape.key)(n, shape.key_size as usize);
    let mut out = vec![0; map.user_value_size()];
    let errno = |e: Errno| e.0;
    match *op {
        Op::Update(k, v, flags) => {
            let value = (shape.value)(v, out.len());
            map.user_update(&key(k), &value, flags).map(|()| None).map_err(errno)
        }
        Op::Lookup(k) => map.user_lookup(&key(k), &mut out, 0).map(|()| Some(out)).map_err(errno),
        Op::Delete(k) => map.user_delete(&key(k)).map(|()| None).map_err(errno),
        Op::Take(k) => map.user_take(&key(k), &mut out, 0).map(|()| Some(out)).map_err(errno),
        Op::Next(k) => {
            let mut next = vec![0; shape.key_size as usize];
            map.next_key(k.map(key).as_deref(), &mut next).map(|()| Some(next)).map_err(errno)
        }
    }
}

fn theirs(shape: &Shape, map: &ebpfkit_kernel::KernelMap, op: &Op) -> Answer {
    let key = |n| (shape.key)(n, shape.key_size as usize);
    let errno = |e: KernelError| e.errno().unwrap_or(0);
    let found = |v: Option<Vec<u8>>| v.map(Some).ok_or(Errno::ENOENT.0);
    match *op {
        Op::Update(k, v, flags) => {
            map.update(&key(k), &(shape.value)(v, map.value_bytes), flags).map(|()| None).map_err(errno)
        }
        Op::Lookup(k) => map.lookup(&key(k)).map_err(errno).and_then(found),
        Op::Delete(k) => {
            map.delete(&key(k)).map_err(errno).and_then(|was| if was { Ok(None) } else { Err(Errno::ENOENT.0) })
        }
        Op::Take(k) => map.take(&key(k)).map_err(errno).and_then(found),
        Op::Next(k) => map.next_key(k.map(key).as_deref()).map_err(errno).and_then(found),
    }
}

fn pair(kernel: &Kernel, shape: &Shape) -> (ebpfkit_kernel::KernelMap, Map) {
    let Shape { map_type, key_size, value_size, max_entries, flags, extra, .. } = *shape;
    let params =
        MapParams { map_type, key_size, value_size, max_entries, flags, extra, name: "m", ..MapParams::default() };
    let def = Def { name: "m".into(), map_type, key_size, value_size, max_entries, flags, extra, ..Def::default() };
    let cpus = kernel.possible_cpus() as u32;
    (
        kernel.create_map(&params).expect("the kernel makes the map"),
        create(&def, &Record::default(), cpus).expect("so do we"),
    )
}

fn keys_of(shape: &Shape, next: impl Fn(Option<&[u8]>) -> Option<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let mut at = next(None);
    while let Some(key) = at {
        at = next(Some(&key));
        keys.push(key);
        assert!(keys.len() <= shape.max_entries as usize + 64);
    }
    if !shape.ordered {
        keys.sort();
    }
    keys
}

/// A runner with the same cases each time, so that a difference is the same for everyone.
fn repeatable(config: Config) -> TestRunner {
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn same_operations_same_answers() {
    let Some(kernel) = running::or_skip("same_operations_same_answers") else { return };
    // LRU lists are kept by CPU.
    machine::stay_on_cpu(0);
    for (name, shape) in shapes().into_iter().chain(blooms()) {
        let long = shape.keys as usize * 3 + 150;
        let mut runner = repeatable(Config {
            cases: if long > 1000 { 8 } else { 48 },
            failure_persistence: None,
            ..Config::default()
        });
        let ops = prop::collection::vec(op(shape.keys), 0..long);
        let result = runner.run(&ops, |ops| {
            let (kernel_map, our_map) = pair(&kernel, &shape);
            for (i, op) in ops.iter().enumerate() {
                if matches!(op, Op::Next(_)) && !shape.ordered && shape.key_size != 0 {
                    continue;
                }
                let (want, got) = (theirs(&shape, &kernel_map, op), ours(&shape, &our_map, op));
                prop_assert_eq!(got, want, "{}: operation {} {:?}", name, i, op);
            }
            if shape.key_size != 0 {
                let want = keys_of(&shape, |k| kernel_map.next_key(k).ok().flatten());
                let got = keys_of(&shape, |k| {
                    let mut next = vec![0; shape.key_size as usize];
                    our_map.next_key(k, &mut next).ok().map(|()| next)
                });
                prop_assert_eq!(got, want, "{}: keys at the end", name);
            }
            Ok(())
        });
        if let Err(e) = result {
            panic!("{name}: {e}");
        }
    }
}

#[test]
fn the_same_definitions_are_refused() {
    let Some(kernel) = running::or_skip("the_same_definitions_are_refused") else { return };
    // The kernel's limit is the machine's memory.
    let limits = Limits { map_memory: u64::MAX, ..Limits::default() };
    let world = World { cpus: 2, limits, ..World::default() };
    let types = MapType::ALL[1..].iter().copied().filter(|t| {
        // These need more than a definition: a template, types, or something of the kernel's.
        !matches!(
            *t,
            MapType::ArrayOfMaps
                | MapType::HashOfMaps
                | MapType::StructOps
                | MapType::SkStorage
                | MapType::TaskStorage
                | MapType::InodeStorage
                | MapType::CgrpStorage
        )
    });
    let sizes =
        prop::sample::select(vec![0u32, 1, 3, 4, 5, 8, 16, 20, 24, 260, 261, 512, 513, 1016, 1024, 32768, 32769]);
    let entries = prop::sample::select(vec![0u32, 1, 2, 3, 64, 4096, 8192, 8193]);
    let flags = prop_oneof![3 => Just(0u32), 3 => (0u32..21).prop_filter("a token is a descriptor", |b| *b != 16).prop_map(|b| 1 << b), 1 => 0u32..2048];
    let extra = prop::sample::select(vec![0u64, 0, 0, 1, 15, 16, 4096, 0xffff_f000]);
    let one = (prop::sample::select(types.collect::<Vec<_>>()), sizes.clone(), sizes, entries, flags, extra);
    let mut runner = repeatable(Config { cases: 3000, failure_persistence: None, ..Config::default() });
    let result = runner.run(&one, |(map_type, key_size, value_size, max_entries, flags, extra)| {
        let params =
            MapParams { map_type, key_size, value_size, max_entries, flags, extra, name: "m", ..MapParams::default() };
        let def = Def { name: "m".into(), map_type, key_size, value_size, max_entries, flags, extra, ..Def::default() };
        let want = kernel.create_map(&params).map(drop).map_err(|e| e.errno().unwrap_or(0));
        let got = create_in(&def, &Record::default(), &Surroundings::of(&world)).map(drop).map_err(|e| e.errno.0);
        prop_assert_eq!(got, want, "{:?}", def);
        Ok(())
    });
    if let Err(e) = result {
        panic!("{e}");
    }
}
