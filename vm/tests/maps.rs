//! Maps against simple models, and from several threads.

use ebpfkit_abi::limits::PAGE_SIZE;
use ebpfkit_abi::map_type::Count;
use ebpfkit_abi::{MapTraits, MapType};
use ebpfkit_isa::Insn;
use ebpfkit_object::Map as Def;
use ebpfkit_object::record::Record;
use ebpfkit_vm::maps::{Lookup, Map, create};
use ebpfkit_vm::{Errno, Loader, Run, World};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn map(map_type: MapType, key_size: u32, value_size: u32, max_entries: u32, flags: u32) -> Map {
    let def = Def { name: "m".into(), map_type, key_size, value_size, max_entries, flags, ..Def::default() };
    create(&def, &Record::default(), 4).unwrap()
}

/// One operation on a map of one-byte keys, or the first byte of longer ones.
#[derive(Clone, Debug)]
enum Op {
    Update(u8, u32, u64),
    Delete(u8),
    Take(u8),
    Lookup(u8),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let key = 0u8..24;
    let op = prop_oneof![
        (key.clone(), any::<u32>(), 0u64..4).prop_map(|(k, v, f)| Op::Update(k, v, f)),
        key.clone().prop_map(Op::Delete),
        key.clone().prop_map(Op::Take),
        key.prop_map(Op::Lookup),
    ];
    prop::collection::vec(op, 0..200)
}

fn wide(key: u8, size: usize) -> Vec<u8> {
    (0..size).map(|i| if i == 0 { key } else { key.wrapping_mul(i as u8) }).collect()
}

proptest! {
    #[test]
    fn a_hash_map_is_a_map_of_bounded_size(ops in ops(), key_size in prop::sample::select(vec![1usize, 4, 7, 8, 16, 63, 64, 65, 200])) {
        let m = map(MapType::Hash, key_size as u32, 4, 10, 0);
        let mut model = BTreeMap::new();
        for op in ops {
            let (got, want) = match op {
                Op::Update(k, v, flags) => {
                    let want = match (model.contains_key(&k), flags) {
                        (_, 3) => Err(Errno::EINVAL),
                        (true, 1) => Err(Errno::EEXIST),
                        (false, 2) => Err(Errno::ENOENT),
                        (false, _) if model.len() == 10 => Err(Errno::E2BIG),
                        _ => {
                            model.insert(k, v);
                            Ok(None)
                        }
                    };
                    (m.update(&wide(k, key_size), &v.to_ne_bytes(), flags, 0).map(|()| None), want)
                }
                Op::Delete(k) => {
                    let got = m.delete(&wide(k, key_size)).map(|()| None);
                    (got, model.remove(&k).map(|_| None).ok_or(Errno::ENOENT))
                }
                Op::Take(k) => {
                    let mut out = [0; 4];
                    let got = m.user_take(&wide(k, key_size), &mut out, 0).map(|()| Some(u32::from_ne_bytes(out)));
                    (got, model.remove(&k).map(Some).ok_or(Errno::ENOENT))
                }
                Op::Lookup(k) => {
                    let mut out = [0; 4];
                    let got = m.user_lookup(&wide(k, key_size), &mut out, 0).map(|()| Some(u32::from_ne_bytes(out)));
                    (got, model.get(&k).copied().map(Some).ok_or(Errno::ENOENT))
                }
            };
            prop_assert_eq!(got, want);
        }
        let mut keys = Vec::new();
        let mut key: Option<Vec<u8>> = None;
        let mut next = vec![0; key_size];
        while m.next_key(key.as_deref(), &mut next).is_ok() {
            keys.push(next[0]);
            key = Some(next.clone());
        }
        keys.sort_unstable();
        prop_assert_eq!(keys, model.keys().copied().collect::<Vec<_>>());
    }
}

#[test]
fn a_value_pointer_outlives_update_and_delete() {
    let m = map(MapType::Hash, 4, 8, 4, 0);
    m.update(&[1, 0, 0, 0], &7u64.to_ne_bytes(), 0, 0).unwrap();
    let old = m.lookup(&[1, 0, 0, 0], 0).unwrap().cast::<u64>();
    m.update(&[1, 0, 0, 0], &8u64.to_ne_bytes(), 0, 0).unwrap();
    // SAFETY: values stay valid while the map lives.
    assert_eq!(unsafe { old.read() }, 7, "an update replaces the element");
    m.delete(&[1, 0, 0, 0]).unwrap();
    // SAFETY: as above.
    unsafe { old.read() };
}

#[test]
fn per_cpu_values_are_separate_and_padded_for_user_space() {
    for ty in [MapType::PercpuArray, MapType::PercpuHash] {
        let m = map(ty, 4, 4, 4, 0);
        let key = [2, 0, 0, 0];
        m.update(&key, &[9; 4], 0, 1).unwrap();
        let mut all = vec![0xff; m.user_value_size()];
        m.user_lookup(&key, &mut all, 0).unwrap();
        let mut want = vec![0; 32];
        want[8..12].fill(9);
        assert_eq!(all, want);
        let values: Vec<u8> = (0..32).collect();
        m.user_update(&key, &values, 0).unwrap();
        m.user_lookup(&key, &mut all, 0).unwrap();
        assert_eq!(all, values, "padding goes along");
        // SAFETY: the value has four bytes.
        let second = unsafe { m.lookup(&key, 2).unwrap().cast::<[u8; 4]>().read() };
        assert_eq!(second, [16, 17, 18, 19]);
        assert_eq!(m.lookup(&key, 4), None);
    }
}

#[test]
fn native_code_finds_what_the_helper_finds() {
    let program = Loader::new(&[Insn::new(0x95, 0, 0, 0, 0)]).load().unwrap();
    let mut run = Run::new(&program, World::default());
    for ty in [MapType::Hash, MapType::PercpuHash, MapType::LruHash, MapType::LruPercpuHash] {
        for size in (1..=70).chain([200]) {
            let m = map(ty, size as u32, 8, 64, 0);
            for key in (0..40).step_by(2) {
                m.update(&wide(key, size), &[key; 8], 0, 1).unwrap();
            }
            let Some(Lookup::Hash(find, address)) = m.short_lookup() else { panic!("no short way") };
            for (key, cpu) in (0..40).zip([0, 1, 3, 4, u32::MAX].into_iter().cycle()) {
                run.world_mut().cpu = cpu;
                let key = wide(key, size);
                // SAFETY: the map and the key live.
                let found = unsafe { find(&raw mut run, address, key.as_ptr() as u64) };
                assert_eq!(found, m.lookup(&key, cpu).map_or(0, |v| v.as_ptr() as u64), "{ty:?} {size} {key:?} {cpu}");
            }
        }
    }
}

#[test]
fn array_errors() {
    let m = map(MapType::Array, 4, 4, 2, 0);
    assert_eq!(m.update(&[2, 0, 0, 0], &[0; 4], 0, 0), Err(Errno::E2BIG));
    assert_eq!(m.update(&[0; 4], &[0; 4], 1, 0), Err(Errno::EEXIST));
    assert_eq!(m.update(&[0; 4], &[0; 4], 8, 0), Err(Errno::EINVAL));
    assert_eq!(m.update(&[0; 4], &[0; 4], 4, 0), Err(Errno::EINVAL), "no lock in the value");
    assert_eq!(m.delete(&[0; 4]), Err(Errno::EINVAL));
    m.freeze().unwrap();
    assert_eq!(m.user_update(&[0; 4], &[0; 4], 0), Err(Errno::EPERM));
}

#[test]
fn threads_find_what_stays_and_never_a_torn_element() {
    let m = Arc::new(map(MapType::Hash, 8, 16, 64, 0));
    for k in 0u64..8 {
        m.update(&k.to_ne_bytes(), &[k as u8; 16], 0, 0).unwrap();
    }
    std::thread::scope(|s| {
        for t in 0..2u64 {
            let m = m.clone();
            s.spawn(move || {
                for i in 0..60_000u64 {
                    let k = 8 + (i * 7 + t) % 40;
                    let _ = m.update(&k.to_ne_bytes(), &[k as u8; 16], 0, 0);
                    let _ = m.delete(&(8 + (i * 3) % 40).to_ne_bytes());
                }
            });
        }
        for _ in 0..2 {
            let m = m.clone();
            s.spawn(move || {
                for i in 0..200_000u64 {
                    let k = i % 8;
                    let mut out = [0; 16];
                    m.user_lookup(&k.to_ne_bytes(), &mut out, 0).expect("a key that nobody deletes");
                    assert_eq!(out, [k as u8; 16]);
                }
            });
        }
    });
}

#[test]
fn an_lru_map_never_holds_too_much_and_keeps_what_is_used() {
    let m = map(MapType::LruHash, 4, 4, 1000, 0);
    for k in 0u32..5000 {
        m.update(&k.to_ne_bytes(), &k.to_ne_bytes(), 0, 0).unwrap();
        assert!(m.lookup(&7u32.to_ne_bytes(), 0).is_some() || k < 7, "key 7 is used all the time, and gone at {k}");
    }
    let mut kept = 0;
    m.for_each(0, &mut |_, _| {
        kept += 1;
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert!((500..=1000).contains(&kept), "{kept}");
}

#[test]
fn threads_share_an_lru_map_and_a_trie() {
    let lru = Arc::new(map(MapType::LruHash, 4, 8, 256, 0));
    let trie = Arc::new(map(MapType::LpmTrie, 8, 8, 1 << 16, 1));
    std::thread::scope(|s| {
        for t in 0..3u32 {
            let (lru, trie) = (lru.clone(), trie.clone());
            s.spawn(move || {
                for i in 0..20_000u32 {
                    let n = i.wrapping_mul(2_654_435_761).rotate_left(t * 7);
                    let key = (n % 1000).to_ne_bytes();
                    lru.update(&key, &u64::from(n % 1000).to_ne_bytes(), 0, t).unwrap();
                    let mut out = [0; 8];
                    if lru.user_lookup(&key, &mut out, 0).is_ok() {
                        assert_eq!(u64::from_ne_bytes(out), u64::from(n % 1000));
                    }
                    // The default route stays; more specific ones come and go.
                    let mut prefix = (8 + n % 25).to_ne_bytes().to_vec();
                    prefix.extend(n.to_be_bytes());
                    if i % 3 == 0 {
                        let _ = trie.delete(&prefix);
                    } else {
                        trie.update(&prefix, &[1; 8], 0, 0).unwrap();
                    }
                    if i == 0 {
                        trie.update(&[0; 8], &[2; 8], 0, 0).unwrap();
                    }
                    let mut whole = 32u32.to_ne_bytes().to_vec();
                    whole.extend(n.to_be_bytes());
                    assert!(trie.lookup(&whole, 0).is_some());
                }
            });
        }
    });
}

proptest! {
    #[test]
    fn a_ring_buffer_gives_records_in_order(steps in prop::collection::vec((0u8..5, 0usize..600), 1..300)) {
        use ebpfkit_vm::maps::Kind;
        let m = map(MapType::Ringbuf, 0, 0, 4096, 0);
        let Kind::Ringbuf(ring) = m.kind() else { unreachable!() };
        let mut reserved = std::collections::VecDeque::new();
        let mut expected = std::collections::VecDeque::new();
        let mut next = 0u8;
        // State of each record that was made, oldest first: its bytes, and whether it is reserved, submitted or discarded.
        let mut order: std::collections::VecDeque<(Vec<u8>, u8)> = std::collections::VecDeque::new();
        let mut base = 0usize;
        for (what, len) in steps {
            match what {
                0 | 1 => {
                    next = next.wrapping_add(1);
                    let bytes = vec![next; len];
                    if what == 0 {
                        if ring.output(&bytes).is_ok() {
                            order.push_back((bytes, 1));
                        }
                    } else if let Some(record) = ring.reserve(len as u64) {
                        // SAFETY: the record has `len` bytes.
                        unsafe { record.as_ptr().write_bytes(next, len) };
                        reserved.push_back((record.as_ptr() as u64, base + order.len()));
                        order.push_back((bytes, 0));
                    }
                }
                2 | 3 => {
                    let taken = if what == 2 { reserved.pop_front() } else { reserved.pop_back() };
                    if let Some((record, number)) = taken {
                        let discard = len % 3 == 0;
                        prop_assert_eq!(ring.commit(record, discard), Ok(()));
                        prop_assert_eq!(ring.commit(record, discard), Err(Errno::EFAULT), "only once");
                        order[number - base].1 = if discard { 2 } else { 1 };
                    }
                }
                _ => {
                    while let Some((bytes, state @ 1..)) = order.front().cloned() {
                        if state == 1 {
                            expected.push_back(bytes);
                        }
                        order.pop_front();
                        base += 1;
                    }
                    let mut got = Vec::new();
                    ring.consume(|r| got.push(r.to_vec()));
                    prop_assert_eq!(got, expected.drain(..).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn a_trie_finds_the_longest_prefix(routes in prop::collection::vec((0u32..33, any::<u32>()), 1..60), keys in prop::collection::vec(any::<u32>(), 1..60)) {
        let m = map(MapType::LpmTrie, 8, 4, 100, 1);
        let mask = |len: u32| if len == 0 { 0 } else { u32::MAX << (32 - len) };
        let mut model: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for (n, (len, address)) in routes.iter().enumerate() {
            // Few different addresses, so that prefixes nest.
            let address = address & 0xc101_8003;
            let key = [len.to_ne_bytes(), address.to_be_bytes()].concat();
            if n % 4 == 3 {
                let had = model.remove(&(*len, address & mask(*len))).is_some();
                prop_assert_eq!(m.delete(&key).is_ok(), had);
            } else {
                m.update(&key, &(n as u32).to_ne_bytes(), 0, 0).unwrap();
                model.insert((*len, address & mask(*len)), n as u32);
            }
        }
        for key in keys {
            let key = key & 0xc101_8003;
            let want = model.iter().filter(|((len, net), _)| key & mask(*len) == *net).max_by_key(|((len, _), _)| *len);
            // SAFETY: values have four bytes.
            let got = m.lookup(&[32u32.to_ne_bytes(), key.to_be_bytes()].concat(), 0).map(|p| unsafe { p.cast::<u32>().read_unaligned() });
            prop_assert_eq!(got, want.map(|(_, v)| *v));
        }
    }
}

/// The smallest number that a row allows.
fn least(count: Count) -> u32 {
    match count {
        Count::Any | Count::Zero => 0,
        Count::NonZero => 8,
        Count::Exactly(n) | Count::Either(n, _) | Count::Between(n, _) => n,
        Count::Pages => PAGE_SIZE,
    }
}

#[test]
fn every_map_type_is_simulated() {
    for &map_type in MapType::ALL.iter().filter(|t| !matches!(**t, MapType::Unspec | MapType::InsnArray)) {
        let row = map_type.row();
        let inner = || Def { map_type: MapType::Array, key_size: 4, value_size: 8, max_entries: 1, ..Def::default() };
        let def = Def {
            name: "m".into(),
            map_type,
            key_size: least(row.key),
            value_size: least(row.value),
            max_entries: least(row.entries),
            flags: row.required,
            key_type: 1,
            value_type: 1,
            inner: map_type.is(MapTraits::MAPS).then(|| Box::new(inner())),
            ..Def::default()
        };
        if let Err(e) = create(&def, &Record::default(), 2) {
            assert!(
                !e.unsupported,
                "{map_type} has a row in abi/src/map_type.rs, but nothing simulates it: implement `Elements` for it in \
                 vm/src/maps and add it to `Kind`, `each!` and `new_kind` of vm/src/maps/mod.rs"
            );
            panic!("a map of the smallest sizes that the row of {map_type} allows is refused: {e}");
        }
    }
}
