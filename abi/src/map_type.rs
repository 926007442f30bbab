//! Map types (`enum bpf_map_type`): numbers and names, and for each what the kernel lets maps of it be and do.
//!
//! A row is all that the tables know of a type; which helpers work on it is said in the helpers' rows. Limits that
//! depend on more than one part of a definition are in the object crate's `map_rules`.

use crate::map_flags as flag;

/// What the size of a key or value, or the number of entries, may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Anything.
    Any,
    /// Nothing but zero.
    Zero,
    /// Anything but zero.
    NonZero,
    /// One number.
    Exactly(u32),
    /// One of two numbers.
    Either(u32, u32),
    /// From one number to another.
    Between(u32, u32),
    /// A power of two of at least a page.
    Pages,
}

/// Capability that making a map needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapCapability {
    /// None.
    None,
    /// `CAP_BPF`.
    Bpf,
    /// `CAP_NET_ADMIN`.
    NetAdmin,
}

bitflags::bitflags! {
    /// What maps of a type have in common with those of others.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MapTraits: u32 {
        /// Keys are indices below the number of entries.
        const INDEXED = 1 << 0;
        /// Each CPU has a value of its own.
        const PER_CPU = 1 << 1;
        /// User space gives four-byte descriptors of the kernel's objects for values.
        const DESCRIPTORS = 1 << 2;
        /// Values are numbers or descriptors, of four bytes unless something else is said.
        const NUMBERS = 1 << 3;
        /// Values are maps.
        const MAPS = 1 << 4;
        /// Programs that sleep may use the map.
        const SLEEPABLE = 1 << 5;
        /// `bpf_for_each_map_elem` visits the elements.
        const FOR_EACH = 1 << 6;
        /// Libbpf does not tell the kernel the types of keys and values.
        const UNTYPED = 1 << 7;
        /// Every helper for maps takes it that does not ask for types of its own.
        const PLAIN = 1 << 8;
    }
}

bitflags::bitflags! {
    /// Kinds of special fields that values may have.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ValueFields: u32 {
        /// `bpf_spin_lock`, `bpf_res_spin_lock`.
        const LOCKS = 1 << 0;
        /// `bpf_timer`, `bpf_wq`, `bpf_task_work`.
        const CALLBACKS = 1 << 1;
        /// `bpf_list_head`, `bpf_rb_root`.
        const GRAPHS = 1 << 2;
        /// Pointers to objects of the kernel or of programs, and `bpf_refcount`.
        const KPTRS = 1 << 3;
        /// Pointers to memory of user space.
        const UPTRS = 1 << 4;
    }
}

/// What is known of a map type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapRow {
    /// Bytes of a key.
    pub key: Count,
    /// Bytes of a value.
    pub value: Count,
    /// Entries.
    pub entries: Count,
    /// Creation flags that it knows.
    pub flags: u32,
    /// Creation flags that it needs.
    pub required: u32,
    /// Creation flags that the kernel sets itself.
    pub implied: u32,
    /// What it has in common with others.
    pub traits: MapTraits,
    /// Special fields that its values may have.
    pub fields: ValueFields,
    /// What making one needs.
    pub capability: MapCapability,
    /// The kernel's struct of such a map.
    pub object: &'static str,
}

impl MapRow {
    const fn new(key: Count, value: Count, entries: Count, flags: u32) -> Self {
        let (traits, fields) = (MapTraits::empty(), ValueFields::empty());
        Self {
            key,
            value,
            entries,
            flags,
            required: 0,
            implied: 0,
            traits,
            fields,
            capability: MapCapability::Bpf,
            object: "",
        }
    }

    /// Keys are indices.
    const fn indexed(value: Count, flags: u32) -> Self {
        Self::new(Count::Exactly(4), value, Count::NonZero, flags).is(MapTraits::INDEXED)
    }

    /// Values by key, with the fields that all such values may have.
    const fn hash(flags: u32) -> Self {
        Self::new(Count::NonZero, Count::NonZero, Count::NonZero, flags)
            .is(MapTraits::SLEEPABLE.union(MapTraits::FOR_EACH).union(MapTraits::PLAIN))
            .fields(ValueFields::KPTRS)
    }

    /// Values that belong to objects of the kernel.
    const fn local_storage() -> Self {
        Self::new(Count::Exactly(4), Count::NonZero, Count::Zero, flag::NO_PREALLOC | flag::CLONE)
            .required(flag::NO_PREALLOC)
            .is(MapTraits::SLEEPABLE)
            .fields(ValueFields::LOCKS.union(ValueFields::KPTRS))
    }

    const fn is(mut self, traits: MapTraits) -> Self {
        self.traits = self.traits.union(traits);
        self
    }

    const fn fields(mut self, fields: ValueFields) -> Self {
        self.fields = self.fields.union(fields);
        self
    }

    const fn required(mut self, flags: u32) -> Self {
        self.required = flags;
        self
    }

    const fn implied(mut self, flags: u32) -> Self {
        self.implied = flags;
        self
    }

    const fn needs(mut self, capability: MapCapability) -> Self {
        self.capability = capability;
        self
    }
}

/// What any number is that no type has.
static UNKNOWN: MapRow = MapRow::new(Count::Any, Count::Any, Count::Any, 0);

/// Declares the types: `Name = number, first version, the kernel's name, short name, the kernel's struct of such a map,
/// row;`.
macro_rules! map_types {
    ($($variant:ident = $value:literal, $since:tt, $kernel:literal, $short:literal, $object:literal, $row:expr;)*) => {
        crate::numbered! {
            /// Kind of a map.
            pub enum MapType { $($variant = $value, $since, $kernel, $short;)* }
        }

        /// The rows, by number.
        static ROWS: &[MapRow] = &[$(MapRow { object: $object, ..$row }),*];
    };
}

const NUMA: u32 = flag::NUMA_NODE;
const HASH: u32 = flag::NO_PREALLOC | flag::ACCESS | flag::ZERO_SEED;
const LOCKS: ValueFields = ValueFields::LOCKS;
/// What stands in values that have one place each.
const ANYTHING: ValueFields = LOCKS.union(ValueFields::CALLBACKS).union(ValueFields::GRAPHS);
const CALLBACKS_AND_GRAPHS: ValueFields = ValueFields::CALLBACKS.union(ValueFields::GRAPHS);
const SLEEPABLE: MapTraits = MapTraits::SLEEPABLE;
const PER_CPU: MapTraits = MapTraits::PER_CPU;
const UNTYPED: MapTraits = MapTraits::UNTYPED;
const PLAIN: MapTraits = MapTraits::PLAIN;
const FOR_EACH: MapTraits = MapTraits::FOR_EACH;
const NUMBERS: MapTraits = MapTraits::NUMBERS;
const DESCRIPTORS: MapTraits = MapTraits::DESCRIPTORS.union(NUMBERS);
const MAPS: MapTraits = MapTraits::MAPS.union(DESCRIPTORS).union(SLEEPABLE).union(UNTYPED);
const NO_CAPABILITY: MapCapability = MapCapability::None;
const NET_ADMIN: MapCapability = MapCapability::NetAdmin;
const FOUR: Count = Count::Exactly(4);
const FOUR_OR_EIGHT: Count = Count::Either(4, 8);
/// Largest value of a trie: what is left of the largest allocation.
const MAX_TRIE_VALUE: u32 = (4 << 20) - 256 - 64;

use Count::{Any, Between, Either, Exactly, NonZero, Pages, Zero};

#[rustfmt::skip]
map_types! {
    Unspec = 0, (0, 0), "BPF_MAP_TYPE_UNSPEC", "unspec", "", MapRow::new(Any, Any, Any, 0);
    Hash = 1, (3, 19), "BPF_MAP_TYPE_HASH", "hash", "bpf_htab", MapRow::hash(HASH | NUMA).fields(ANYTHING).needs(NO_CAPABILITY);
    Array = 2, (3, 19), "BPF_MAP_TYPE_ARRAY", "array", "bpf_array", MapRow::indexed(NonZero, NUMA | flag::MMAPABLE | flag::ACCESS | flag::INNER_MAP).is(SLEEPABLE.union(FOR_EACH).union(PLAIN)).fields(ANYTHING.union(ValueFields::KPTRS)).needs(NO_CAPABILITY);
    ProgArray = 3, (4, 2), "BPF_MAP_TYPE_PROG_ARRAY", "prog_array", "bpf_array", MapRow::indexed(FOUR, NUMA | flag::USER_ACCESS).is(DESCRIPTORS).needs(NO_CAPABILITY);
    PerfEventArray = 4, (4, 3), "BPF_MAP_TYPE_PERF_EVENT_ARRAY", "perf_event_array", "bpf_array", MapRow::indexed(FOUR, NUMA | flag::USER_ACCESS | flag::PRESERVE_ELEMS).is(DESCRIPTORS.union(UNTYPED)).needs(NO_CAPABILITY);
    PercpuHash = 5, (4, 6), "BPF_MAP_TYPE_PERCPU_HASH", "percpu_hash", "bpf_htab", MapRow::hash(HASH).is(PER_CPU).needs(NO_CAPABILITY);
    PercpuArray = 6, (4, 6), "BPF_MAP_TYPE_PERCPU_ARRAY", "percpu_array", "bpf_array", MapRow::indexed(NonZero, flag::ACCESS).is(PER_CPU.union(SLEEPABLE).union(FOR_EACH).union(PLAIN)).fields(ValueFields::KPTRS).needs(NO_CAPABILITY);
    StackTrace = 7, (4, 6), "BPF_MAP_TYPE_STACK_TRACE", "stack_trace", "bpf_stack_map", MapRow::new(FOUR, NonZero, NonZero, NUMA | flag::USER_ACCESS | flag::STACK_BUILD_ID).is(UNTYPED);
    CgroupArray = 8, (4, 8), "BPF_MAP_TYPE_CGROUP_ARRAY", "cgroup_array", "bpf_array", MapRow::indexed(FOUR, NUMA | flag::USER_ACCESS).is(DESCRIPTORS.union(UNTYPED)).needs(NO_CAPABILITY);
    LruHash = 9, (4, 10), "BPF_MAP_TYPE_LRU_HASH", "lru_hash", "bpf_htab", MapRow::hash(HASH | NUMA | flag::NO_COMMON_LRU).fields(CALLBACKS_AND_GRAPHS);
    LruPercpuHash = 10, (4, 10), "BPF_MAP_TYPE_LRU_PERCPU_HASH", "lru_percpu_hash", "bpf_htab", MapRow::hash(HASH | flag::NO_COMMON_LRU).is(PER_CPU);
    LpmTrie = 11, (4, 11), "BPF_MAP_TYPE_LPM_TRIE", "lpm_trie", "lpm_trie", MapRow::new(Between(5, 260), Between(1, MAX_TRIE_VALUE), NonZero, flag::NO_PREALLOC | NUMA | flag::ACCESS).required(flag::NO_PREALLOC).is(PLAIN);
    ArrayOfMaps = 12, (4, 12), "BPF_MAP_TYPE_ARRAY_OF_MAPS", "array_of_maps", "bpf_array", MapRow::indexed(FOUR, NUMA | flag::USER_ACCESS).is(MAPS).needs(NO_CAPABILITY);
    HashOfMaps = 13, (4, 12), "BPF_MAP_TYPE_HASH_OF_MAPS", "hash_of_maps", "bpf_htab", MapRow::new(NonZero, FOUR, NonZero, HASH | NUMA).is(MAPS).needs(NO_CAPABILITY);
    Devmap = 14, (4, 14), "BPF_MAP_TYPE_DEVMAP", "devmap", "bpf_dtab", MapRow::indexed(FOUR_OR_EIGHT, NUMA | flag::USER_ACCESS).is(NUMBERS.union(UNTYPED)).implied(flag::RDONLY_PROG).needs(NET_ADMIN);
    Sockmap = 15, (4, 14), "BPF_MAP_TYPE_SOCKMAP", "sockmap", "bpf_stab", MapRow::new(FOUR, FOUR_OR_EIGHT, Between(1, i32::MAX as u32), NUMA | flag::USER_ACCESS).is(MapTraits::INDEXED.union(DESCRIPTORS).union(UNTYPED)).needs(NET_ADMIN);
    Cpumap = 16, (4, 15), "BPF_MAP_TYPE_CPUMAP", "cpumap", "bpf_cpu_map", MapRow::indexed(FOUR_OR_EIGHT, NUMA).is(NUMBERS.union(UNTYPED));
    Xskmap = 17, (4, 18), "BPF_MAP_TYPE_XSKMAP", "xskmap", "xsk_map", MapRow::indexed(FOUR, NUMA | flag::USER_ACCESS).is(DESCRIPTORS.union(UNTYPED)).needs(NET_ADMIN);
    Sockhash = 18, (4, 18), "BPF_MAP_TYPE_SOCKHASH", "sockhash", "bpf_shtab", MapRow::new(NonZero, FOUR_OR_EIGHT, NonZero, NUMA | flag::USER_ACCESS).is(DESCRIPTORS.union(UNTYPED)).needs(NET_ADMIN);
    CgroupStorage = 19, (4, 19), "BPF_MAP_TYPE_CGROUP_STORAGE", "cgroup_storage", "bpf_cgroup_storage_map", MapRow::new(Either(8, 16), NonZero, Zero, NUMA | flag::ACCESS).fields(LOCKS).needs(NO_CAPABILITY);
    ReuseportSockarray = 20, (4, 19), "BPF_MAP_TYPE_REUSEPORT_SOCKARRAY", "reuseport_sockarray", "reuseport_array", MapRow::indexed(FOUR_OR_EIGHT, NUMA | flag::ACCESS);
    PercpuCgroupStorage = 21, (4, 20), "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE", "percpu_cgroup_storage", "bpf_cgroup_storage_map", MapRow::new(Either(8, 16), NonZero, Zero, NUMA | flag::ACCESS).is(PER_CPU).needs(NO_CAPABILITY);
    Queue = 22, (4, 20), "BPF_MAP_TYPE_QUEUE", "queue", "bpf_queue_stack", MapRow::new(Zero, NonZero, NonZero, NUMA | flag::ACCESS).is(SLEEPABLE.union(UNTYPED));
    Stack = 23, (4, 20), "BPF_MAP_TYPE_STACK", "stack", "bpf_queue_stack", MapRow::new(Zero, NonZero, NonZero, NUMA | flag::ACCESS).is(SLEEPABLE.union(UNTYPED));
    SkStorage = 24, (5, 2), "BPF_MAP_TYPE_SK_STORAGE", "sk_storage", "bpf_local_storage_map", MapRow::local_storage();
    DevmapHash = 25, (5, 4), "BPF_MAP_TYPE_DEVMAP_HASH", "devmap_hash", "bpf_dtab", MapRow::new(FOUR, FOUR_OR_EIGHT, NonZero, NUMA | flag::USER_ACCESS).is(NUMBERS.union(UNTYPED)).implied(flag::RDONLY_PROG).needs(NET_ADMIN);
    StructOps = 26, (5, 6), "BPF_MAP_TYPE_STRUCT_OPS", "struct_ops", "bpf_struct_ops_map", MapRow::new(Any, Any, Exactly(1), flag::LINK | flag::VTYPE_BTF_OBJ_FD).is(PLAIN);
    Ringbuf = 27, (5, 8), "BPF_MAP_TYPE_RINGBUF", "ringbuf", "bpf_ringbuf_map", MapRow::new(Zero, Zero, Pages, NUMA).is(SLEEPABLE).needs(NO_CAPABILITY);
    InodeStorage = 28, (5, 10), "BPF_MAP_TYPE_INODE_STORAGE", "inode_storage", "bpf_local_storage_map", MapRow::local_storage();
    TaskStorage = 29, (5, 11), "BPF_MAP_TYPE_TASK_STORAGE", "task_storage", "bpf_local_storage_map", MapRow::local_storage().fields(ValueFields::UPTRS);
    BloomFilter = 30, (5, 16), "BPF_MAP_TYPE_BLOOM_FILTER", "bloom_filter", "bpf_bloom_filter", MapRow::new(Zero, NonZero, NonZero, NUMA | flag::ZERO_SEED | flag::ACCESS);
    UserRingbuf = 31, (6, 1), "BPF_MAP_TYPE_USER_RINGBUF", "user_ringbuf", "bpf_ringbuf_map", MapRow::new(Zero, Zero, Pages, NUMA).is(SLEEPABLE).needs(NO_CAPABILITY);
    CgrpStorage = 32, (6, 2), "BPF_MAP_TYPE_CGRP_STORAGE", "cgrp_storage", "bpf_local_storage_map", MapRow::local_storage();
    Arena = 33, (6, 9), "BPF_MAP_TYPE_ARENA", "arena", "bpf_arena", MapRow::new(Zero, Zero, NonZero, flag::SEGV_ON_FAULT | flag::MMAPABLE | flag::NO_USER_CONV).required(flag::MMAPABLE).is(SLEEPABLE.union(UNTYPED).union(PLAIN));
    InsnArray = 34, (6, 19), "BPF_MAP_TYPE_INSN_ARRAY", "insn_array", "bpf_insn_array", MapRow::indexed(Exactly(16), 0).is(SLEEPABLE).implied(flag::RDONLY_PROG);
    Rhash = 35, (7, 3), "BPF_MAP_TYPE_RHASH", "rhash", "bpf_rhtab", MapRow::hash(flag::NO_PREALLOC | NUMA | flag::ACCESS).required(flag::NO_PREALLOC).fields(ANYTHING).needs(NO_CAPABILITY);
}

impl MapType {
    /// What is known of the type; of a number that is no type, that it is and has nothing.
    pub fn row(self) -> &'static MapRow {
        ROWS.get(self.0 as usize).unwrap_or(&UNKNOWN)
    }

    /// Whether maps of this type are so.
    pub fn is(self, traits: MapTraits) -> bool {
        self.row().traits.contains(traits)
    }
}

/// A set of map types.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MapTypes(pub(crate) u64);

impl MapTypes {
    /// The set of these types.
    pub const fn of(types: &[MapType]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < types.len() {
            bits |= 1 << types[i].0;
            i += 1;
        }
        Self(bits)
    }

    /// The types that are so.
    pub const fn with(traits: MapTraits) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < ROWS.len() {
            if ROWS[i].traits.contains(traits) {
                bits |= 1 << i;
            }
            i += 1;
        }
        Self(bits)
    }

    /// The set and another type.
    #[must_use]
    pub const fn and(self, map_type: MapType) -> Self {
        Self(if map_type.0 < u64::BITS { self.0 | 1 << map_type.0 } else { self.0 })
    }

    /// Whether a type is in the set. Numbers without a type are in none.
    pub const fn contains(self, map_type: MapType) -> bool {
        map_type.0 < u64::BITS && self.0 >> map_type.0 & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_their_numbers() {
        for (n, map_type) in MapType::ALL.iter().enumerate() {
            assert_eq!(map_type.0 as usize, n, "{map_type} stands in the wrong row");
        }
        assert_eq!(ROWS.len(), MapType::ALL.len());
        assert_eq!(MapType(1000).row().flags, 0);
    }

    #[test]
    fn required_flags_are_known() {
        for map_type in MapType::ALL {
            let row = map_type.row();
            assert_eq!(row.required & !row.flags, 0, "{map_type} needs a flag that it does not know");
        }
    }

    #[test]
    fn special_fields_by_type() {
        assert!(MapType::TaskStorage.row().fields.contains(ValueFields::UPTRS));
        assert!(!MapType::PercpuArray.row().fields.intersects(ValueFields::LOCKS | ValueFields::CALLBACKS));
        assert!(MapType::PercpuHash.is(MapTraits::PER_CPU | MapTraits::FOR_EACH));
    }
}
