//! Maps as they are created: defaults that depend on the machine, types that libbpf keeps to itself, and definitions
//! that every kernel refuses.

use crate::Btf;
use crate::map_rules::{check, newer_flags};
use crate::model::{Map, MapInit, Target};
use crate::record::map_takes_types;
use ebpfkit_abi::limits::PAGE_SIZE;
use ebpfkit_abi::map_type::Count;
use ebpfkit_abi::{Errno, MapTraits, MapType};

/// Entries of a ring buffer that has none: a page.
const RING: u32 = PAGE_SIZE;

/// Completes the definitions; libbpf's complaint about the first map that cannot be created.
pub(super) fn prepare(maps: &mut [Map], btf: Option<&Btf>, target: &Target) -> Option<String> {
    let mut fault = None;
    for map in maps.iter_mut() {
        entries(map, target);
        types(map, btf, target);
        if fault.is_none() && !map.on_demand {
            fault = refusal(map, target);
        }
    }
    fault
}

/// Leaves out types that libbpf does not pass on or the kernel does not take, of a template of inner maps too.
fn types(map: &mut Map, btf: Option<&Btf>, target: &Target) {
    let vmlinux = || target.vmlinux.clone();
    let typed = map.key_type != 0 || map.value_type != 0;
    let taken = |btf| !map.map_type.is(MapTraits::UNTYPED) && map_takes_types(map, btf, &vmlinux).is_ok();
    if typed && !btf.is_some_and(taken) {
        map.declared_types = Some((map.key_type, map.value_type));
        (map.key_type, map.value_type) = (0, 0);
    }
    if let Some(inner) = &mut map.inner {
        types(inner, btf, target);
    }
}

/// A size of zero is one that a user sets before loading. The program is judged as if it were the smallest. Nobody sets
/// that of a template of inner maps, but libbpf knows how many entries a perf event array needs.
fn entries(map: &mut Map, target: &Target) {
    if let Some(inner) = &mut map.inner
        && inner.map_type == MapType::PerfEventArray
    {
        entries(inner, target);
    }
    if map.max_entries != 0 {
        return;
    }
    map.max_entries = match map.map_type.row().entries {
        _ if map.map_type == MapType::PerfEventArray => target.cpus.max(1),
        Count::Pages => RING,
        Count::Zero => 0,
        _ => 1,
    };
}

/// What libbpf says of a map that the kernel does not create.
fn refusal(map: &Map, target: &Target) -> Option<String> {
    if target.missing_maps.contains(map.map_type)
        && let Some(since) = map.map_type.since()
    {
        return Some(format!("map '{}': kernels have map type {} since {}", map.name, map.map_type, since.series()));
    }
    let newer = newer_flags(map.map_type, target.version_code);
    if map.flags & newer != 0 {
        let plain = Map { flags: map.flags & !newer, init: MapInit::Empty, inner: None, ..map.clone() };
        return refusal(&plain, target);
    }
    if let Some(Err((errno, _))) = map.inner.as_deref().map(check) {
        return Some(format!("map '{}': failed to create inner map: -{}", map.name, errno.0));
    }
    let nested = map.map_type.is(MapTraits::MAPS);
    let errno = match check(map) {
        Err((errno, _)) => errno,
        Ok(()) if nested && map.inner.is_none() => Errno::EINVAL,
        Ok(()) => return None,
    };
    Some(format!("map '{}': failed to create: {}(-{})", map.name, errno.text(), errno.0))
}
