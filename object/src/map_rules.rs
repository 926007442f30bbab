//! What `BPF_MAP_CREATE` refuses, with its error numbers, for a caller that has every privilege.

use crate::model::Map as Def;
use ebpfkit_abi::limits::PAGE_SIZE;
use ebpfkit_abi::map_flags as flag;
use ebpfkit_abi::map_type::Count;
use ebpfkit_abi::{Errno, KernelVersion, MapTraits, MapType};

/// Largest `kmalloc` (`KMALLOC_MAX_SIZE`).
const KMALLOC_MAX: u64 = 4 << 20;
/// Largest per-CPU allocation (`PCPU_MIN_UNIT_SIZE`).
const PERCPU_MAX: u32 = 32 << 10;
/// Bytes that the kernel keeps beside a hash element.
const HASH_ELEMENT_HEADER: u64 = 48;
/// Largest stack that `perf_event_max_stack` allows by default.
const MAX_STACK: u32 = 127;
/// Largest value of a local storage: 65535 less the kernel's own header.
const LOCAL_STORAGE_MAX: u32 = u16::MAX as u32 - 104;
/// `NR_CPUS` of common distribution kernels.
const NR_CPUS: u32 = 8192;

/// A rule that was broken.
pub type Broken = (Errno, String);

fn rule(holds: bool, errno: Errno, what: &str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err((errno, what.to_owned())) }
}

/// Whether a number is one that the row of a map type allows.
fn count(what: &str, n: u32, allowed: Count) -> Result<(), Broken> {
    let wrong = match allowed {
        Count::Any => return Ok(()),
        Count::Zero if n != 0 => "is not zero".to_owned(),
        Count::NonZero if n == 0 => "is zero".to_owned(),
        Count::Exactly(only) if n != only => format!("is not {only}"),
        Count::Either(one, other) if n != one && n != other => format!("is neither {one} nor {other}"),
        Count::Between(least, most) if !(least..=most).contains(&n) => format!("is not between {least} and {most}"),
        Count::Pages if !n.is_power_of_two() || !n.is_multiple_of(PAGE_SIZE) => {
            "is not a power of two of at least a page".to_owned()
        }
        _ => return Ok(()),
    };
    Err((Errno::EINVAL, format!("{what} {wrong}")))
}

fn round_up(n: u32) -> u64 {
    (u64::from(n) + 7) & !7
}

/// Checks a definition; the first rule that it breaks.
pub fn check(def: &Def) -> Result<(), Broken> {
    let (ty, row) = (def.map_type, def.map_type.row());
    rule(ty != MapType::Unspec && ty.name().is_some(), Errno::EINVAL, "no such map type")?;
    if !matches!(ty, MapType::BloomFilter | MapType::Arena | MapType::Rhash) {
        rule(def.extra == 0, Errno::EINVAL, "map_extra is set")?;
    }
    let restricts = |access| def.flags & access == access;
    rule(!restricts(flag::USER_ACCESS), Errno::EINVAL, "both read-only and write-only for user space")?;
    rule(def.flags & flag::NUMA_NODE == 0 || def.numa_node == 0, Errno::EINVAL, "no such NUMA node")?;
    early_limits(def)?;
    rule(def.flags & !row.flags == 0, Errno::EINVAL, "a flag that this map type does not know")?;
    rule(!restricts(flag::PROG_ACCESS), Errno::EINVAL, "both read-only and write-only for programs")?;
    rule(restricts(row.required), Errno::EINVAL, "a flag that this map type needs is missing")?;
    if matches!(ty, MapType::LruHash | MapType::LruPercpuHash) {
        lru_flags(def)?;
    }
    count("max_entries", def.max_entries, row.entries)?;
    count("key size", def.key_size, row.key)?;
    count("value size", def.value_size, row.value)?;
    limits(def)
}

/// Creation flags that kernels came to know for a type of maps, which all of them have, and the first version.
const NEWER_FLAGS: &[(MapType, u32, KernelVersion)] =
    &[(MapType::Ringbuf, flag::RB_OVERWRITE, KernelVersion::new(6, 19, 0))];

/// Flags of a type's row, with those that a kernel of a version (`LINUX_VERSION_CODE`) knows besides.
pub(crate) fn newer_flags(map_type: MapType, version_code: u32) -> u32 {
    let known = NEWER_FLAGS.iter().filter(|(of, _, since)| *of == map_type && since.code() <= version_code);
    known.fold(0, |flags, row| flags | row.1)
}

/// Limits that some types look at before anything else.
fn early_limits(def: &Def) -> Result<(), Broken> {
    let row = def.map_type.row();
    let sized = count("key size", def.key_size, row.key).is_ok();
    match def.map_type {
        MapType::BloomFilter => too_large_for_kmalloc(def),
        MapType::Rhash => {
            // The hint of how many elements there will be.
            rule(def.extra >> 32 == 0, Errno::EINVAL, "map_extra over 2^32")?;
            rule(def.key_size <= u16::MAX.into(), Errno::E2BIG, "key size over 65535")?;
            rule(def.extra <= u16::MAX.into(), Errno::E2BIG, "map_extra over 65535")?;
            rule(def.extra <= def.max_entries.into(), Errno::EINVAL, "map_extra over max_entries")
        }
        MapType::CgroupStorage if sized => {
            rule(def.value_size <= LOCAL_STORAGE_MAX, Errno::E2BIG, "value size over the limit")
        }
        MapType::PercpuCgroupStorage if sized => {
            rule(def.value_size <= PERCPU_MAX, Errno::E2BIG, "value size over the limit")
        }
        _ => Ok(()),
    }
}

fn lru_flags(def: &Def) -> Result<(), Broken> {
    rule(def.flags & flag::NO_PREALLOC == 0, Errno::ENOTSUPP, "LRU without preallocation")?;
    let own_lists = flag::NUMA_NODE | flag::NO_COMMON_LRU;
    rule(def.flags & own_lists != own_lists, Errno::EINVAL, "a NUMA node for lists of each CPU")
}

fn too_large_for_kmalloc(def: &Def) -> Result<(), Broken> {
    rule(u64::from(def.value_size) <= KMALLOC_MAX, Errno::E2BIG, "value size over 4 MiB")
}

/// What depends on more than one part of the definition, or is refused with another number than `EINVAL`.
fn limits(def: &Def) -> Result<(), Broken> {
    let per_cpu = def.map_type.is(MapTraits::PER_CPU);
    let per_cpu_fits = || {
        let fits = !per_cpu || round_up(def.value_size) <= u64::from(PERCPU_MAX);
        rule(fits, Errno::E2BIG, "per-CPU value size over 32 KiB")
    };
    match def.map_type {
        MapType::Hash
        | MapType::PercpuHash
        | MapType::LruHash
        | MapType::LruPercpuHash
        | MapType::HashOfMaps
        | MapType::Rhash => {
            let element = u64::from(def.key_size) + u64::from(def.value_size);
            rule(element < KMALLOC_MAX - HASH_ELEMENT_HEADER, Errno::E2BIG, "key and value over 4 MiB")?;
            per_cpu_fits()?;
            rule(def.max_entries <= 1 << 31, Errno::E2BIG, "more than 2^31 entries")
        }
        MapType::Array | MapType::PercpuArray => {
            rule(def.value_size <= i32::MAX as u32, Errno::E2BIG, "value size over 2^31-1")?;
            per_cpu_fits()
        }
        MapType::Queue | MapType::Stack => {
            too_large_for_kmalloc(def)?;
            rule(def.max_entries < u32::MAX / def.value_size, Errno::E2BIG, "more than 4 GiB")
        }
        MapType::BloomFilter => rule(def.extra & !0xf == 0, Errno::EINVAL, "more than 15 hash functions"),
        MapType::Cpumap => rule(def.max_entries <= NR_CPUS, Errno::E2BIG, "more entries than CPUs"),
        MapType::Sockmap | MapType::Sockhash => rule(def.key_size <= 512, Errno::E2BIG, "key size over 512"),
        MapType::SkStorage | MapType::InodeStorage | MapType::TaskStorage | MapType::CgrpStorage => {
            rule(def.key_type != 0 && def.value_type != 0, Errno::EINVAL, "no BTF types of key and value")?;
            rule(def.value_size <= LOCAL_STORAGE_MAX, Errno::E2BIG, "value size over the limit")
        }
        MapType::StackTrace => stack_trace(def),
        MapType::Arena => arena(def),
        _ => Ok(()),
    }
}

fn stack_trace(def: &Def) -> Result<(), Broken> {
    rule(def.value_size.is_multiple_of(8), Errno::EINVAL, "value size is not a multiple of 8")?;
    let frame = if def.flags & flag::STACK_BUILD_ID != 0 { 32 } else { 8 };
    rule(def.value_size.is_multiple_of(frame), Errno::EINVAL, "value size is not a multiple of a frame")?;
    rule(def.value_size / frame <= MAX_STACK, Errno::EINVAL, "more than 127 frames")?;
    rule(def.max_entries <= 1 << 31, Errno::E2BIG, "more than 2^31 entries")
}

fn arena(def: &Def) -> Result<(), Broken> {
    rule(def.extra.is_multiple_of(u64::from(PAGE_SIZE)), Errno::EINVAL, "map_extra is not a page address")?;
    let bytes = u64::from(def.max_entries) * u64::from(PAGE_SIZE);
    rule(bytes <= 1 << 32, Errno::E2BIG, "more than 4 GiB")?;
    let last = def.extra.wrapping_add(bytes - 1);
    rule(def.extra >> 32 == last >> 32, Errno::ERANGE, "crosses a 4 GiB boundary")
}
