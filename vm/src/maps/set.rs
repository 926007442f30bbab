//! What libbpf changes in a definition before it makes the map.

use super::check::PAGE;
use ebpfkit_abi::MapType;

/// `max_entries` that libbpf asks the kernel for: ring buffers are whole powers of two of pages, perf event arrays have
/// a slot for each CPU unless they say otherwise.
pub fn created_size(map_type: MapType, max_entries: u32, cpus: u32) -> u32 {
    match map_type {
        MapType::PerfEventArray if max_entries == 0 => cpus,
        MapType::Ringbuf | MapType::UserRingbuf if max_entries != 0 => {
            let pages = max_entries.div_ceil(PAGE).checked_next_power_of_two();
            pages.and_then(|p| p.checked_mul(PAGE)).unwrap_or(max_entries)
        }
        _ => max_entries,
    }
}
