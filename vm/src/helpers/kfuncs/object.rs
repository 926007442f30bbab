//! Objects of the program's own types, and arenas.

use crate::helpers::Row;
use crate::helpers::cx::{self, Ret};
use crate::helpers::heap::{self, Kind};
use crate::maps::{self, Arena};
use crate::{Errno, Fault, Run};

pub(super) const ROWS: &[Row] = &[
    ("bpf_obj_new_impl", new),
    ("bpf_obj_drop_impl", drop_object),
    ("bpf_percpu_obj_new_impl", new_percpu),
    ("bpf_percpu_obj_drop_impl", drop_percpu),
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
    let object = cx::allocate(run, Kind::Own, size);
    if object != 0 {
        cx::charge(run, size);
        cx::add_region(run, object, size as u64, "an allocated object", true);
    }
    Ok(object)
}

fn new_percpu(run: &mut Run, [ty, ..]: [u64; 5]) -> Ret {
    let size = size_of(run, ty)?;
    let object = cx::allocate(run, Kind::Percpu, size);
    if object != 0 {
        cx::charge(run, size.saturating_mul(run.world.cpus as usize));
    }
    Ok(object)
}

fn give_up(run: &mut Run, kind: Kind, object: u64) -> Ret {
    if !cx::release_object(run, kind, object) {
        return Err(cx::bad("an object that does not live is dropped"));
    }
    Ok(0)
}

fn drop_object(run: &mut Run, [object, ..]: [u64; 5]) -> Ret {
    give_up(run, Kind::Own, object)
}

fn drop_percpu(run: &mut Run, [object, ..]: [u64; 5]) -> Ret {
    give_up(run, Kind::Percpu, object)
}

fn acquire(_: &mut Run, [object, ..]: [u64; 5]) -> Ret {
    Ok(if heap::acquire(Kind::Own, object) { object } else { 0 })
}

fn same(_: &mut Run, [object, ..]: [u64; 5]) -> Ret {
    Ok(object)
}

fn arena<'m>(run: &Run, handle: u64) -> Result<&'m Arena, Fault> {
    match cx::map(run, handle)?.kind() {
        maps::Kind::Arena(arena) => Ok(arena),
        _ => Err(cx::bad("an arena function on another map")),
    }
}

fn arena_alloc(run: &mut Run, [handle, address, count, node, flags]: [u64; 5]) -> Ret {
    let arena = arena(run, handle)?;
    let node = node as i32;
    if flags != 0 || !(-1..=0).contains(&node) {
        return Ok(0);
    }
    cx::charge(run, arena.bytes_of(count as u32));
    Ok(arena.alloc(address, count as u32).unwrap_or(0))
}

fn arena_free(run: &mut Run, [handle, address, count, ..]: [u64; 5]) -> Ret {
    let arena = arena(run, handle)?;
    cx::charge(run, arena.bytes_of(count as u32));
    arena.free(address, count as u32);
    Ok(0)
}

fn elem_count(run: &mut Run, [handle, ..]: [u64; 5]) -> Ret {
    match cx::map(run, handle)?.kind() {
        maps::Kind::Hash(h) => Ok(h.len().into()),
        _ => cx::fail(Errno::EINVAL).map(|_| 0),
    }
}
