//! What `BPF_MAP_CREATE` refuses, with its error numbers, for a caller that has every privilege.

use crate::model::Map as Def;
use ebpfkit_abi::limits::PAGE_SIZE;
use ebpfkit_abi::map_flags as flag;
use ebpfkit_abi::{Errno, MapType};

/// Largest `kmalloc` (`KMALLOC_MAX_SIZE`).
const KMALLOC_MAX: u64 = 4 << 20;
/// Largest per-CPU allocation (`PCPU_MIN_UNIT_SIZE`).
const PERCPU_MAX: u64 = 32 << 10;
/// Bytes that the kernel keeps beside a hash element.
const HASH_ELEMENT_HEADER: u64 = 48;
/// Largest stack that `perf_event_max_stack` allows by default.
const MAX_STACK: u32 = 127;
/// Largest value of a local storage: 65535 less the kernel's own header.
const LOCAL_STORAGE_MAX: u32 = u16::MAX as u32 - 104;
/// `NR_CPUS` of common distribution kernels.
const NR_CPUS: u32 = 8192;

/// A rule that was broken.
pub type Broken = (Errno, &'static str);

fn rule(holds: bool, errno: Errno, what: &'static str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err((errno, what)) }
}

fn flags_within(def: &Def, mask: u32) -> Result<(), Broken> {
    rule(def.flags & !mask == 0, Errno::EINVAL, "a flag that this map type does not know")
}

fn access_ok(def: &Def) -> Result<(), Broken> {
    rule(
        def.flags & flag::PROG_ACCESS != flag::PROG_ACCESS,
        Errno::EINVAL,
        "both read-only and write-only for programs",
    )
}

fn sized(def: &Def, key: u32) -> Result<(), Broken> {
    rule(def.max_entries != 0, Errno::EINVAL, "max_entries is zero")?;
    if key == 0 {
        rule(def.key_size == 0, Errno::EINVAL, "a key size where there are no keys")?;
    } else {
        rule(def.key_size == key, Errno::EINVAL, "key size is not 4")?;
    }
    rule(def.value_size != 0, Errno::EINVAL, "value size is zero")
}

fn round_up(n: u32) -> u64 {
    (u64::from(n) + 7) & !7
}

/// Checks a definition; the first rule that it breaks.
pub fn check(def: &Def) -> Result<(), Broken> {
    let ty = def.map_type;
    if !matches!(ty, MapType::BloomFilter | MapType::Arena) {
        rule(def.extra == 0, Errno::EINVAL, "map_extra is set")?;
    }
    rule(
        def.flags & flag::USER_ACCESS != flag::USER_ACCESS,
        Errno::EINVAL,
        "both read-only and write-only for user space",
    )?;
    rule(def.flags & flag::NUMA_NODE == 0 || def.numa_node == 0, Errno::EINVAL, "no such NUMA node")?;
    match ty {
        MapType::Array | MapType::PercpuArray => array(def),
        MapType::ProgArray | MapType::PerfEventArray | MapType::CgroupArray | MapType::ArrayOfMaps => {
            rule(def.value_size == 4, Errno::EINVAL, "value size is not 4")?;
            rule(def.flags & flag::PROG_ACCESS == 0, Errno::EINVAL, "access for programs cannot be restricted")?;
            array(def)
        }
        MapType::Hash | MapType::PercpuHash | MapType::LruHash | MapType::LruPercpuHash => hash(def),
        MapType::HashOfMaps => {
            rule(def.value_size == 4, Errno::EINVAL, "value size is not 4")?;
            hash(def)
        }
        MapType::LpmTrie => lpm(def),
        MapType::Queue | MapType::Stack => {
            sized(def, 0)?;
            flags_within(def, flag::NUMA_NODE | flag::ACCESS)?;
            access_ok(def)?;
            rule(u64::from(def.value_size) <= KMALLOC_MAX, Errno::E2BIG, "value size over 4 MiB")?;
            rule(def.max_entries < u32::MAX / def.value_size, Errno::E2BIG, "more than 4 GiB")
        }
        MapType::BloomFilter => {
            rule(u64::from(def.value_size) <= KMALLOC_MAX, Errno::E2BIG, "value size over 4 MiB")?;
            sized(def, 0)?;
            flags_within(def, flag::NUMA_NODE | flag::ZERO_SEED | flag::ACCESS)?;
            access_ok(def)?;
            rule(def.extra & !0xf == 0, Errno::EINVAL, "more than 15 hash functions")
        }
        MapType::Ringbuf | MapType::UserRingbuf => {
            flags_within(def, flag::NUMA_NODE)?;
            rule(def.key_size == 0 && def.value_size == 0, Errno::EINVAL, "a key or value size where there are none")?;
            let pages = def.max_entries.is_power_of_two() && def.max_entries.is_multiple_of(PAGE_SIZE);
            rule(pages, Errno::EINVAL, "max_entries is not a power of two of at least a page")
        }
        MapType::StackTrace => stack_trace(def),
        MapType::Devmap | MapType::DevmapHash => {
            rule(def.max_entries != 0, Errno::EINVAL, "max_entries is zero")?;
            rule(def.key_size == 4, Errno::EINVAL, "key size is not 4")?;
            rule(matches!(def.value_size, 4 | 8), Errno::EINVAL, "value size is neither 4 nor 8")?;
            flags_within(def, flag::NUMA_NODE | flag::USER_ACCESS)
        }
        MapType::Cpumap => {
            rule(def.max_entries != 0, Errno::EINVAL, "max_entries is zero")?;
            rule(def.key_size == 4, Errno::EINVAL, "key size is not 4")?;
            rule(matches!(def.value_size, 4 | 8), Errno::EINVAL, "value size is neither 4 nor 8")?;
            flags_within(def, flag::NUMA_NODE)?;
            rule(def.max_entries <= NR_CPUS, Errno::E2BIG, "more entries than CPUs")
        }
        MapType::Xskmap => {
            rule(def.max_entries != 0, Errno::EINVAL, "max_entries is zero")?;
            rule(def.key_size == 4 && def.value_size == 4, Errno::EINVAL, "key and value size are not 4")?;
            flags_within(def, flag::NUMA_NODE | flag::USER_ACCESS)
        }
        MapType::Sockmap | MapType::Sockhash => {
            rule(def.max_entries != 0, Errno::EINVAL, "max_entries is zero")?;
            if ty == MapType::Sockmap {
                rule(def.max_entries <= i32::MAX as u32, Errno::EINVAL, "more than 2^31-1 entries")?;
                rule(def.key_size == 4, Errno::EINVAL, "key size is not 4")?;
            }
            rule(def.key_size != 0, Errno::EINVAL, "key size is zero")?;
            rule(matches!(def.value_size, 4 | 8), Errno::EINVAL, "value size is neither 4 nor 8")?;
            flags_within(def, flag::NUMA_NODE | flag::USER_ACCESS)?;
            rule(def.key_size <= 512, Errno::E2BIG, "key size over 512")
        }
        MapType::ReuseportSockarray => {
            rule(matches!(def.value_size, 4 | 8), Errno::EINVAL, "value size is neither 4 nor 8")?;
            array(def)
        }
        MapType::CgroupStorage | MapType::PercpuCgroupStorage => {
            let max = if ty == MapType::CgroupStorage { LOCAL_STORAGE_MAX } else { PERCPU_MAX as u32 };
            rule(matches!(def.key_size, 8 | 16), Errno::EINVAL, "key size is neither 8 nor 16")?;
            rule(def.value_size != 0, Errno::EINVAL, "value size is zero")?;
            rule(def.value_size <= max, Errno::E2BIG, "value size over the limit")?;
            flags_within(def, flag::NUMA_NODE | flag::ACCESS)?;
            access_ok(def)?;
            rule(def.max_entries == 0, Errno::EINVAL, "max_entries is set")
        }
        MapType::SkStorage | MapType::InodeStorage | MapType::TaskStorage | MapType::CgrpStorage => {
            flags_within(def, flag::NO_PREALLOC | flag::CLONE)?;
            rule(def.flags & flag::NO_PREALLOC != 0, Errno::EINVAL, "BPF_F_NO_PREALLOC is missing")?;
            rule(def.max_entries == 0, Errno::EINVAL, "max_entries is set")?;
            rule(def.key_size == 4, Errno::EINVAL, "key size is not 4")?;
            rule(def.value_size != 0, Errno::EINVAL, "value size is zero")?;
            rule(def.key_type != 0 && def.value_type != 0, Errno::EINVAL, "no BTF types of key and value")?;
            rule(def.value_size <= LOCAL_STORAGE_MAX, Errno::E2BIG, "value size over the limit")
        }
        MapType::Arena => arena(def),
        MapType::StructOps => rule(def.max_entries == 1, Errno::EINVAL, "max_entries is not 1"),
        _ => Err((Errno::EINVAL, "no such map type")),
    }
}

fn array(def: &Def) -> Result<(), Broken> {
    let known = flag::NUMA_NODE | flag::MMAPABLE | flag::ACCESS | flag::PRESERVE_ELEMS | flag::INNER_MAP;
    sized(def, 4)?;
    flags_within(def, known)?;
    access_ok(def)?;
    let percpu = def.map_type == MapType::PercpuArray;
    rule(!percpu || def.flags & flag::NUMA_NODE == 0, Errno::EINVAL, "a NUMA node for a per-CPU map")?;
    if def.map_type != MapType::Array {
        flags_within(def, !(flag::MMAPABLE | flag::INNER_MAP))?;
    }
    if def.map_type != MapType::PerfEventArray {
        flags_within(def, !flag::PRESERVE_ELEMS)?;
    }
    rule(def.value_size <= i32::MAX as u32, Errno::E2BIG, "value size over 2^31-1")?;
    rule(!percpu || round_up(def.value_size) <= PERCPU_MAX, Errno::E2BIG, "per-CPU value size over 32 KiB")
}

fn hash(def: &Def) -> Result<(), Broken> {
    let percpu = matches!(def.map_type, MapType::PercpuHash | MapType::LruPercpuHash);
    let lru = matches!(def.map_type, MapType::LruHash | MapType::LruPercpuHash);
    let known = flag::NO_PREALLOC | flag::NO_COMMON_LRU | flag::NUMA_NODE | flag::ACCESS | flag::ZERO_SEED;
    flags_within(def, known)?;
    access_ok(def)?;
    let per_cpu_lists = def.flags & flag::NO_COMMON_LRU != 0;
    rule(lru || !per_cpu_lists, Errno::EINVAL, "BPF_F_NO_COMMON_LRU without LRU")?;
    rule(!lru || def.flags & flag::NO_PREALLOC == 0, Errno::ENOTSUPP, "LRU without preallocation")?;
    let numa = def.flags & flag::NUMA_NODE != 0;
    rule(!(numa && (percpu || per_cpu_lists)), Errno::EINVAL, "a NUMA node for a per-CPU map")?;
    rule(def.max_entries != 0, Errno::EINVAL, "max_entries is zero")?;
    rule(def.key_size != 0, Errno::EINVAL, "key size is zero")?;
    rule(def.value_size != 0, Errno::EINVAL, "value size is zero")?;
    let element = u64::from(def.key_size) + u64::from(def.value_size);
    rule(element < KMALLOC_MAX - HASH_ELEMENT_HEADER, Errno::E2BIG, "key and value over 4 MiB")?;
    rule(!percpu || round_up(def.value_size) <= PERCPU_MAX, Errno::E2BIG, "per-CPU value size over 32 KiB")?;
    rule(def.max_entries <= 1 << 31, Errno::E2BIG, "more than 2^31 entries")
}

fn lpm(def: &Def) -> Result<(), Broken> {
    rule(def.max_entries != 0, Errno::EINVAL, "max_entries is zero")?;
    rule(def.flags & flag::NO_PREALLOC != 0, Errno::EINVAL, "BPF_F_NO_PREALLOC is missing")?;
    flags_within(def, flag::NO_PREALLOC | flag::NUMA_NODE | flag::ACCESS)?;
    access_ok(def)?;
    rule((5..=260).contains(&def.key_size), Errno::EINVAL, "key size is not between 5 and 260")?;
    let max = KMALLOC_MAX - 256 - 64;
    rule(def.value_size >= 1 && u64::from(def.value_size) <= max, Errno::EINVAL, "value size out of range")
}

fn stack_trace(def: &Def) -> Result<(), Broken> {
    flags_within(def, flag::NUMA_NODE | flag::USER_ACCESS | flag::STACK_BUILD_ID)?;
    rule(def.max_entries != 0, Errno::EINVAL, "max_entries is zero")?;
    rule(def.key_size == 4, Errno::EINVAL, "key size is not 4")?;
    let whole = def.value_size >= 8 && def.value_size.is_multiple_of(8);
    rule(whole, Errno::EINVAL, "value size is not a multiple of 8")?;
    let frame = if def.flags & flag::STACK_BUILD_ID != 0 { 32 } else { 8 };
    rule(def.value_size.is_multiple_of(frame), Errno::EINVAL, "value size is not a multiple of a frame")?;
    rule(def.value_size / frame <= MAX_STACK, Errno::EINVAL, "more than 127 frames")?;
    rule(def.max_entries <= 1 << 31, Errno::E2BIG, "more than 2^31 entries")
}

fn arena(def: &Def) -> Result<(), Broken> {
    rule(def.key_size == 0 && def.value_size == 0, Errno::EINVAL, "a key or value size where there are none")?;
    rule(def.max_entries != 0, Errno::EINVAL, "max_entries is zero")?;
    rule(def.flags & flag::MMAPABLE != 0, Errno::EINVAL, "BPF_F_MMAPABLE is missing")?;
    flags_within(def, flag::SEGV_ON_FAULT | flag::MMAPABLE | flag::NO_USER_CONV)?;
    rule(def.extra.is_multiple_of(u64::from(PAGE_SIZE)), Errno::EINVAL, "map_extra is not a page address")?;
    let bytes = u64::from(def.max_entries) * u64::from(PAGE_SIZE);
    rule(bytes <= 1 << 32, Errno::E2BIG, "more than 4 GiB")?;
    let last = def.extra.wrapping_add(bytes - 1);
    rule(def.extra >> 32 == last >> 32, Errno::ERANGE, "crosses a 4 GiB boundary")
}
