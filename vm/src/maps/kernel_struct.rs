//! A map as programs see it through a pointer: the kernel's struct, whose layout is that of the kernel's types.
//!
//! What has no meaning here, such as locks, counters and pointers to functions, reads as zero.

use super::Map;
use ebpfkit_abi::MapType;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::Kind;

/// Where the operations of map types seem to stand, one table for each type: an address of the kernel's, at which programs
/// find nothing.
const OPERATIONS: u64 = 0xffff_ffff_8200_0000;

/// Bytes of `name` in `struct bpf_map`.
const NAME: usize = 16;

/// Reads bytes at an offset of the map's struct.
pub(crate) fn read(map: &Map, types: &Btf, offset: usize, out: &mut [u8]) {
    out.fill(0);
    let info = map.info();
    let numbers: [(&str, u64); 9] = [
        ("ops", OPERATIONS + (u64::from(info.map_type.0) << 8)),
        ("map_type", info.map_type.0.into()),
        ("key_size", info.key_size.into()),
        ("value_size", info.value_size.into()),
        ("max_entries", info.max_entries.into()),
        ("map_extra", info.extra),
        ("map_flags", info.flags.into()),
        ("id", info.id.into()),
        ("frozen", map.is_frozen().into()),
    ];
    for (name, value) in numbers {
        put(types, "bpf_map", name, &value.to_ne_bytes(), offset, out);
    }
    let mut name = [0; NAME];
    for (to, from) in name[..NAME - 1].iter_mut().zip(info.name.bytes()) {
        *to = from;
    }
    put(types, "bpf_map", "name", &name, offset, out);
    let value_bytes = u64::from(info.value_size).next_multiple_of(8);
    match info.map_type {
        MapType::Hash | MapType::PercpuHash | MapType::LruHash | MapType::LruPercpuHash => {
            let head = types.find("htab_elem", Kind::Struct).and_then(|id| types.size_of(id)).unwrap_or(0);
            let per_cpu = matches!(info.map_type, MapType::PercpuHash | MapType::LruPercpuHash);
            let value = if per_cpu { 8 } else { value_bytes };
            let element = u64::from(head) + u64::from(info.key_size).next_multiple_of(8) + value;
            put(types, "bpf_htab", "elem_size", &element.to_ne_bytes(), offset, out);
            let buckets = u64::from(info.max_entries).next_power_of_two();
            put(types, "bpf_htab", "n_buckets", &buckets.to_ne_bytes(), offset, out);
        }
        MapType::Array | MapType::PercpuArray => {
            put(types, "bpf_array", "elem_size", &value_bytes.to_ne_bytes(), offset, out);
            let mask = u64::from(info.max_entries).next_power_of_two() - 1;
            put(types, "bpf_array", "index_mask", &mask.to_ne_bytes(), offset, out);
        }
        _ => {}
    }
}

/// Puts what a member holds into bytes read at an offset, as far as they meet. `value` holds a number in the machine's
/// order, or bytes, of which the member takes as many as it has.
fn put(types: &Btf, name: &str, member: &str, value: &[u8], offset: usize, out: &mut [u8]) {
    let Some(id) = types.find(name, Kind::Struct) else { return };
    let Some(member) = types.members(id).find(|m| m.name == member) else { return };
    let size = types.size_of(member.ty).map_or(0, |s| s as usize).min(value.len());
    let low = if cfg!(target_endian = "little") || value.len() > 8 { 0 } else { value.len() - size };
    let start = member.bit_offset as usize / 8;
    for (i, byte) in value[low..low + size].iter().enumerate() {
        if let Some(to) = (start + i).checked_sub(offset).and_then(|at| out.get_mut(at)) {
            *to = *byte;
        }
    }
}
