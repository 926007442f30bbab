//! Map elements.

use super::Row;
use super::cx::{self, Ret};
use super::heap;
use crate::maps::{Kind, Map, mem};
use crate::{Errno, Fault, Run};
use ebpfkit_abi::MapType;
use std::ops::ControlFlow;

pub(super) const ROWS: &[Row] = &[
    ("map_lookup_elem", lookup),
    ("map_update_elem", update),
    ("map_delete_elem", delete),
    ("map_push_elem", push),
    ("map_pop_elem", pop),
    ("map_peek_elem", peek),
    ("map_lookup_percpu_elem", lookup_percpu),
    ("for_each_map_elem", for_each),
    ("get_local_storage", local_storage),
    ("sk_storage_get", storage_get),
    ("sk_storage_delete", storage_delete),
    ("task_storage_get", storage_get),
    ("task_storage_delete", storage_delete),
    ("inode_storage_get", storage_get),
    ("inode_storage_delete", storage_delete),
    ("cgrp_storage_get", storage_get),
    ("cgrp_storage_delete", storage_delete),
    ("per_cpu_ptr", per_cpu_ptr),
    ("this_cpu_ptr", this_cpu_ptr),
    ("current_task_under_cgroup", under_cgroup),
];

/// The socket that a map of sockets holds, or null.
#[cold]
fn socket_in(run: &mut Run, map: &Map, key: &[u8]) -> Ret {
    let mut cookie = [0; 8];
    let held = match (map.kind(), key.first_chunk::<4>()) {
        (Kind::Slots(slots), Some(index)) => slots.get(u32::from_ne_bytes(*index)),
        (Kind::Sockhash(_), _) => {
            let size = map.user_value_size().min(8);
            map.user_lookup(key, &mut cookie[..size], 0).ok().map(|()| u64::from_ne_bytes(cookie))
        }
        _ => None,
    };
    Ok(held.map_or(0, |cookie| super::socket::acquire(run, cookie)))
}

/// Whether a map's values are sockets, which programs get pointers to.
fn holds_sockets(map: &Map) -> bool {
    matches!(map.info().map_type, MapType::Sockmap | MapType::Sockhash)
}

fn found(run: &mut Run, map: &Map, value: Option<std::ptr::NonNull<u8>>) -> Ret {
    let Some(value) = value else { return Ok(0) };
    if let Kind::Maps(maps) = map.kind() {
        // The outer map keeps every inner one for as long as it lives.
        let address = value.as_ptr() as u64;
        return Ok(maps.held_at(address).map_or(0, |inner| run.hold(inner)));
    }
    Ok(cx::add_value_region(run, map, value))
}

fn lookup(run: &mut Run, [handle, key, ..]: [u64; 5]) -> Ret {
    let map = cx::proved_map(run, handle)?;
    if !run.is_checked()
        // SAFETY: the verifier has proved that the key is there.
        && let Some(value) = unsafe { map.look_up_proved(run, key) }
    {
        return Ok(value);
    }
    let mut short = [0; 16];
    let value = match short.get_mut(..map.key_size()) {
        Some(bytes) if !bytes.is_empty() => {
            cx::copy_to(run, key, bytes)?;
            map.lookup(bytes, run.world.cpu)
        }
        _ => map.lookup(&cx::copy(run, key, map.key_size())?, run.world.cpu),
    };
    if matches!(map.kind(), Kind::Slots(_) | Kind::Sockhash(_)) && holds_sockets(map) {
        let key = cx::copy(run, key, map.key_size())?;
        return socket_in(run, map, &key);
    }
    found(run, map, value)
}

fn lookup_percpu(run: &mut Run, [handle, key, cpu, ..]: [u64; 5]) -> Ret {
    let map = cx::map(run, handle)?;
    let key = cx::copy(run, key, map.key_size())?;
    let value = map.lookup_percpu(&key, cpu as u32);
    found(run, map, value)
}

fn update(run: &mut Run, [handle, key, value, flags, _]: [u64; 5]) -> Ret {
    let map = cx::proved_map(run, handle)?;
    let key = cx::copy(run, key, map.key_size())?;
    let value = cx::copy(run, value, map.value_size())?;
    let done = map.update(&key, &value, flags, run.world.cpu);
    if done == Err(Errno::EDEADLK) {
        super::sync::charge_wait(run);
    }
    cx::status(done)
}

fn delete(run: &mut Run, [handle, key, ..]: [u64; 5]) -> Ret {
    let map = cx::proved_map(run, handle)?;
    let key = cx::copy(run, key, map.key_size())?;
    cx::status(map.delete(&key))
}

fn push(run: &mut Run, [handle, value, flags, ..]: [u64; 5]) -> Ret {
    let map = cx::map(run, handle)?;
    let value = cx::copy(run, value, map.value_size())?;
    cx::status(map.push(&value, flags))
}

fn take(run: &mut Run, handle: u64, value: u64, get: fn(&Map, &mut [u8]) -> Result<(), Errno>) -> Ret {
    let map = cx::map(run, handle)?;
    // A bloom filter reads the value that it looks for.
    let mut out = match map.kind() {
        Kind::Bloom(_) => cx::copy(run, value, map.value_size())?.to_vec(),
        _ => {
            run.allow(value, map.value_size() as u64, true)?;
            vec![0; map.value_size()]
        }
    };
    let result = get(map, &mut out);
    if !matches!(map.kind(), Kind::Bloom(_)) {
        cx::write(run, value, &out)?;
    }
    cx::status(result)
}

fn pop(run: &mut Run, [handle, value, ..]: [u64; 5]) -> Ret {
    take(run, handle, value, Map::pop)
}

fn peek(run: &mut Run, [handle, value, ..]: [u64; 5]) -> Ret {
    take(run, handle, value, Map::peek)
}

/// Bytes of a key of an array.
const KEY_SIZE: usize = 4;

fn for_each(run: &mut Run, [handle, callback, context, flags, _]: [u64; 5]) -> Ret {
    if flags != 0 {
        return cx::fail(Errno::EINVAL);
    }
    let map = cx::map(run, handle)?;
    let mut fault: Option<Fault> = None;
    let cpu = run.world.cpu;
    // The keys of an array stand nowhere; with checks they get memory that can be added as a region.
    let own_key =
        if run.is_checked() && map.array().is_some() { heap::alloc(heap::Kind::Argument, KEY_SIZE) } else { 0 };
    let visited = map.for_each(cpu, &mut |key, value| {
        let key = match own_key {
            0 => key.as_ptr() as u64,
            _ => {
                let mut bytes = [0; KEY_SIZE];
                // SAFETY: a key of an array has so many bytes and stays while it is visited.
                unsafe { mem::load(key.as_ptr(), &mut bytes) };
                super::kfuncs::raw_write(own_key, &bytes);
                own_key
            }
        };
        cx::add_region(run, key, map.key_size() as u64, "a key of a map", false);
        let value = cx::add_value_region(run, map, value);
        match run.call(callback, [handle, key, value, context, 0]) {
            Ok(0) => ControlFlow::Continue(()),
            Ok(_) => ControlFlow::Break(()),
            Err(f) => {
                fault = Some(f);
                ControlFlow::Break(())
            }
        }
    });
    if own_key != 0 {
        cx::remove_region(run, own_key);
        heap::release(heap::Kind::Argument, own_key);
    }
    match fault {
        Some(fault) => Err(fault),
        None => cx::number(visited),
    }
}

/// Storage of the cgroup that the program is attached to.
fn local_storage(run: &mut Run, [handle, ..]: [u64; 5]) -> Ret {
    let map = cx::map(run, handle)?;
    let Kind::Storage(storage) = map.kind() else { return Err(cx::bad("get_local_storage on another kind of map")) };
    match storage.get(run.world.task.cgroup, true, None, run.world.cpu) {
        Ok(value) => Ok(cx::add_value_region(run, map, value)),
        Err(_) => Ok(0),
    }
}

fn storage_get(run: &mut Run, [handle, owner, init, flags, _]: [u64; 5]) -> Ret {
    let map = cx::map(run, handle)?;
    let Kind::Storage(storage) = map.kind() else { return Err(cx::bad("a storage helper on another kind of map")) };
    if owner == 0 || flags > crate::maps::storage::GET_CREATE {
        return Ok(0);
    }
    let create = flags == crate::maps::storage::GET_CREATE;
    let init = if init != 0 && create { Some(cx::copy(run, init, map.value_size())?) } else { None };
    match storage.get(owner, create, init.as_deref(), 0) {
        Ok(value) => Ok(cx::add_value_region(run, map, value)),
        Err(_) => Ok(0),
    }
}

fn storage_delete(run: &mut Run, [handle, owner, ..]: [u64; 5]) -> Ret {
    let map = cx::map(run, handle)?;
    let Kind::Storage(storage) = map.kind() else { return Err(cx::bad("a storage helper on another kind of map")) };
    if owner == 0 {
        return cx::fail(Errno::EINVAL);
    }
    cx::status(storage.remove(owner))
}

/// The part of a CPU of an object with a part for each; per-CPU variables of the kernel have the same address for all.
fn per_cpu_ptr(run: &mut Run, [address, cpu, ..]: [u64; 5]) -> Ret {
    let cpu = cpu as u32;
    if cpu >= run.world.cpus.max(1) {
        return Ok(0);
    }
    let part = super::heap::percpu(address, cpu);
    if let Some(object) = super::heap::object_at(address) {
        cx::add_object_region(run, object);
    }
    Ok(part)
}

fn this_cpu_ptr(run: &mut Run, [address, ..]: [u64; 5]) -> Ret {
    let cpu = u64::from(run.world.cpu);
    per_cpu_ptr(run, [address, cpu, 0, 0, 0])
}

fn under_cgroup(run: &mut Run, [handle, index, ..]: [u64; 5]) -> Ret {
    in_cgroup(run, handle, index as u32)
}

/// Whether the running task is in the cgroup of a slot.
pub(super) fn in_cgroup(run: &Run, handle: u64, index: u32) -> Ret {
    let map = cx::map(run, handle)?;
    if index >= map.info().max_entries {
        return cx::fail(Errno::E2BIG);
    }
    let Kind::Slots(slots) = map.kind() else { return Err(cx::bad("a cgroup helper on another kind of map")) };
    match slots.get(index) {
        None => cx::fail(Errno::EAGAIN),
        Some(cgroup) => Ok((cgroup == run.world.task.cgroup).into()),
    }
}
