//! Objects of the program's own types, and arenas.

use crate::helpers::Row;
use crate::helpers::cx::{self, Ret};
use crate::helpers::heap;
use crate::maps::Kind;
use crate::{Errno, Fault, Run};

pub(super) const ROWS: &[Row] = &[
    ("bpf_obj_new_impl", new),
    ("bpf_obj_drop_impl", drop_object),
    ("bpf_percpu_obj_new_impl", new_percpu),
    ("bpf_percpu_obj_drop_impl", drop_object),
    ("bpf_refcount_acquire_impl", acquire),
    ("bpf_rdonly_cast", same),
    ("bpf_arena_alloc_pages", arena_alloc),
    ("bpf_arena_free_pages", arena_free),
    ("bpf_map_sum_elem_count", elem_count),
];

/// Bytes of a type of the program.
fn size_of(run: &Run, ty: u64) -> Result<usize, Fault> {
    let size = run.current().btf().and_then(|btf| btf.size_of(ty as u32));
    size.map(|s| s as usize).ok_or_else(|| Fault::unsupported("objects of a program whose types are not known"))
}

fn new(run: &mut Run, [ty, ..]: [u64; 5]) -> Ret {
    let size = size_of(run, ty)?;
    let object = heap::alloc(size);
    cx::lend(run, object, size as u64, "an allocated object", true);
    Ok(object)
}

fn new_percpu(run: &mut Run, [ty, ..]: [u64; 5]) -> Ret {
    let size = size_of(run, ty)?;
    Ok(heap::alloc_percpu(size, run.world.cpus))
}

fn drop_object(run: &mut Run, [object, ..]: [u64; 5]) -> Ret {
    if !heap::release(object) {
        return Err(cx::bad("an object that does not live is dropped"));
    }
    if heap::object_at(object).is_none() {
        run.memory.take_back(&mut run.native, object);
    }
    Ok(0)
}

fn acquire(_: &mut Run, [object, ..]: [u64; 5]) -> Ret {
    Ok(if heap::acquire(object) { object } else { 0 })
}

fn same(_: &mut Run, [object, ..]: [u64; 5]) -> Ret {
    Ok(object)
}

fn arena_alloc(run: &mut Run, [handle, address, count, node, flags]: [u64; 5]) -> Ret {
    let Kind::Arena(arena) = cx::map(run, handle)?.kind() else {
        return Err(cx::bad("an arena function on another map"));
    };
    let node = node as i32;
    if flags != 0 || !(-1..=0).contains(&node) {
        return Ok(0);
    }
    Ok(arena.alloc(address, count as u32).unwrap_or(0))
}

fn arena_free(run: &mut Run, [handle, address, count, ..]: [u64; 5]) -> Ret {
    let Kind::Arena(arena) = cx::map(run, handle)?.kind() else {
        return Err(cx::bad("an arena function on another map"));
    };
    arena.free(address, count as u32);
    Ok(0)
}

fn elem_count(run: &mut Run, [handle, ..]: [u64; 5]) -> Ret {
    match cx::map(run, handle)?.kind() {
        Kind::Hash(h) => Ok(h.len().into()),
        _ => cx::fail(Errno::EINVAL).map(|_| 0),
    }
}
