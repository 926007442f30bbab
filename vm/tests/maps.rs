//! Maps against simple models, and from several threads.

use ebpfkit_abi::MapType;
use ebpfkit_object::Map as Def;
use ebpfkit_verifier::memory::record::Record;
use ebpfkit_vm::Errno;
use ebpfkit_vm::maps::{Map, create};
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
fn array_errors() {
    let m = map(MapType::Array, 4, 4, 2, 0);
    assert_eq!(m.update(&[2, 0, 0, 0], &[0; 4], 0, 0), Err(Errno::E2BIG));
    assert_eq!(m.update(&[0; 4], &[0; 4], 1, 0), Err(Errno::EEXIST));
    assert_eq!(m.update(&[0; 4], &[0; 4], 8, 0), Err(Errno::EINVAL));
    assert_eq!(m.update(&[0; 4], &[0; 4], 4, 0), Err(Errno::EINVAL), "no lock in the value");
    assert_eq!(m.delete(&[0; 4]), Err(Errno::EINVAL));
    m.freeze();
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
