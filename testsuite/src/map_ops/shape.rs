//! The maps that operations are tried on: types, sizes, flags and special fields, and what their keys and values are.

use crate::running;
use ebpfkit_abi::map_flags as flag;
use ebpfkit_abi::map_type::{Count, ValueFields};
use ebpfkit_abi::{MapTraits, MapType, test_run};
use ebpfkit_isa::Endian;
use ebpfkit_kernel::machine;
use ebpfkit_object::btf::{IntEncoding, Kind, TypeId};
use ebpfkit_object::record::{self, Record};
use ebpfkit_object::write::{BtfBuilder, NewMember};
use ebpfkit_object::{Btf, Map as Def};
use proptest::prelude::*;
use std::sync::LazyLock;

/// What values hold besides bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// Nothing, and there are no types.
    None,
    /// Nothing.
    Typed,
    /// A lock.
    Lock,
    /// A timer.
    Timer,
}

/// A map to try.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its definition; the template of inner maps is not in it.
    pub def: Def,
    /// What is in its values.
    pub special: Special,
    /// Which of the templates inner maps follow.
    pub template: usize,
}

/// The types of keys and values.
#[derive(Debug)]
pub struct Types {
    /// All of them.
    pub btf: Btf,
    key: TypeId,
    plain: TypeId,
    locked: TypeId,
    timed: TypeId,
}

/// Bytes of the values that have types.
const TYPED_SIZE: u32 = 40;

/// Made once.
pub static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let mut b = BtfBuilder::new(Endian::Little);
    let encoding = |bits| IntEncoding { signed: false, char: false, bool: false, bit_offset: 0, bits };
    let key = b.int("unsigned int", 4, encoding(32));
    let long = b.int("unsigned long", 8, encoding(64));
    let member = |name: &str, ty, byte: u32| NewMember { name: name.into(), ty, bit_offset: 8 * byte };
    let lock = b.composite(false, "bpf_spin_lock", 4, &[member("val", key, 0)]);
    let two = b.array(long, key, 2);
    let timer = b.composite(false, "bpf_timer", 16, &[member("__opaque", two, 0)]);
    let mut value = |name: &str, special: Option<(&str, TypeId)>| {
        let mut members = vec![member("before", two, 0)];
        members.extend(special.map(|(name, ty)| member(name, ty, 16)));
        members.push(member("after", long, 32));
        b.composite(false, name, TYPED_SIZE, &members)
    };
    let plain = value("plain", None);
    let (locked, timed) = (value("locked", Some(("lock", lock))), value("timed", Some(("timer", timer))));
    Types { btf: Btf::parse(b.finish()).expect("types that were just made"), key, plain, locked, timed }
});

/// The kernel's struct around operations that it has for tests: its type and its bytes. Maps of it can be made, and are
/// registered nowhere.
pub static OPERATIONS: LazyLock<Option<(u32, u32)>> = LazyLock::new(|| {
    let types = machine::btf()?;
    let id = types.find(&format!("bpf_struct_ops_{}", test_run::OPERATIONS), Kind::Struct)?;
    Some((id, types.size_of(id)?))
});

/// Templates of inner maps, and maps that may or may not follow them.
pub fn inner_defs() -> Vec<Def> {
    let def = |map_type, value_size, max_entries, flags| Def {
        name: "inner".into(),
        map_type,
        key_size: 4,
        value_size,
        max_entries,
        flags,
        ..Def::default()
    };
    vec![
        def(MapType::Array, 8, 4, 0),
        def(MapType::Array, 8, 9, flag::INNER_MAP),
        def(MapType::Hash, 8, 4, 0),
        def(MapType::Array, 8, 9, 0),
        def(MapType::Array, 8, 4, flag::INNER_MAP),
        def(MapType::Hash, 8, 9, 0),
        def(MapType::Hash, 16, 4, 0),
        def(MapType::LruHash, 8, 4, 0),
        def(MapType::Hash, 8, 4, flag::NO_PREALLOC),
    ]
}

/// How many of [`inner_defs`] are templates.
pub const TEMPLATES: usize = 3;

const KEY_SIZES: [u32; 12] = [1, 2, 3, 4, 4, 4, 5, 8, 9, 16, 20, 77];
const VALUE_SIZES: [u32; 11] = [1, 3, 4, 4, 7, 8, 8, 12, 24, 44, 104];
const ENTRIES: [u32; 9] = [1, 2, 3, 5, 8, 8, 16, 40, 130];

/// The number that a row allows and that is nearest to a choice.
fn fit(count: Count, n: u32) -> u32 {
    match count {
        Count::Any | Count::NonZero => n,
        Count::Zero => 0,
        Count::Exactly(only) => only,
        Count::Either(a, b) => [a, b][n as usize % 2],
        Count::Between(low, high) => n.clamp(low, high),
        Count::Pages => 4096 << (n % 3),
    }
}

/// Types of maps that the running kernel makes from a definition.
pub fn made_types() -> impl Iterator<Item = MapType> {
    let version = running::version();
    let known = move |t: &MapType| t.since().is_none_or(|since| version.at_least(since));
    let has_operations = OPERATIONS.is_some();
    let made = move |t: &MapType| *t != MapType::Unspec && (*t != MapType::StructOps || has_operations);
    MapType::ALL.iter().copied().filter(made).filter(known)
}

/// Types to choose from, each as often as it is to be tried.
fn types(only: Option<MapType>) -> Vec<MapType> {
    if let Some(only) = only {
        return vec![only];
    }
    // Maps of maps wait for all readers with each update, so that they are tried less often.
    let often = |t: &MapType| if t.is(MapTraits::MAPS) { 1 } else { 4 };
    made_types().flat_map(|t| std::iter::repeat_n(t, often(&t))).collect()
}

/// One of a type's flags, or none.
fn one_flag(flags: u32, choice: u32) -> u32 {
    // The machine's nodes are not the map's doing, and a token is a descriptor.
    let known: Vec<u32> =
        (0..32).map(|b| 1 << b).filter(|f| flags & f != 0 && *f != flag::NUMA_NODE && *f != flag::TOKEN_FD).collect();
    match choice as usize % (2 * known.len() + 2) {
        n if n < known.len() => known[n],
        _ => 0,
    }
}

impl Shape {
    /// A definition that the kernel takes, from numbers.
    fn fitting((map_type, key, value, entries, choice, special): (MapType, u32, u32, u32, u32, u32)) -> Self {
        let row = map_type.row();
        let mut def = Def {
            name: "m".into(),
            map_type,
            key_size: fit(row.key, key),
            value_size: fit(row.value, value),
            max_entries: fit(row.entries, entries),
            flags: row.required | one_flag(row.flags, choice),
            ..Def::default()
        };
        match map_type {
            MapType::LpmTrie => def.key_size = 4 + key.min(20),
            MapType::StackTrace => def.value_size = value.next_multiple_of(8),
            MapType::LruHash | MapType::LruPercpuHash => def.flags &= !flag::NO_PREALLOC,
            MapType::BloomFilter => def.extra = u64::from(choice / 8 % 16),
            MapType::Arena => def.max_entries = 1 + entries % 3,
            MapType::StructOps => {
                (def.kernel_value_type, def.value_size) = OPERATIONS.unwrap_or_default();
                (def.key_size, def.max_entries) = (4, 1);
                // Values that are of a module's types need a descriptor of these.
                def.flags &= flag::LINK;
            }
            _ => {}
        }
        let mut shape = Self { def, special: Special::None, template: choice as usize % TEMPLATES };
        let storage = matches!(
            map_type,
            MapType::SkStorage | MapType::InodeStorage | MapType::TaskStorage | MapType::CgrpStorage
        );
        let chosen = [Special::Typed, Special::Lock, Special::Timer][special as usize % 3];
        let allowed = match chosen {
            Special::Lock => row.fields.contains(ValueFields::LOCKS),
            Special::Timer => row.fields.contains(ValueFields::CALLBACKS),
            _ => storage,
        };
        if (allowed && special > 5 && shape.def.key_size == 4) || storage {
            shape.set_special(if allowed { chosen } else { Special::Typed });
        }
        shape
    }

    fn set_special(&mut self, special: Special) {
        let types = &*TYPES;
        self.special = special;
        self.def.key_type = types.key;
        self.def.value_size = TYPED_SIZE;
        self.def.value_type = match special {
            Special::Lock => types.locked,
            Special::Timer => types.timed,
            _ => types.plain,
        };
    }

    /// The special fields of its values.
    pub fn record(&self) -> Record {
        record::of_map(&self.def, Some(&TYPES.btf), &|| None)
    }

    /// Definitions that are taken, and a few that may not be.
    pub fn any(only: Option<MapType>) -> impl Strategy<Value = Self> {
        let of = |all: &[u32]| prop::sample::select(all.to_vec());
        let all = prop::sample::select(types(only));
        let fitting = (all.clone(), of(&KEY_SIZES), of(&VALUE_SIZES), of(&ENTRIES), any::<u32>(), 0u32..12)
            .prop_map(Self::fitting);
        prop_oneof![5 => fitting, 1 => Self::any_numbers(only)]
    }

    /// Any numbers at all.
    fn any_numbers(only: Option<MapType>) -> impl Strategy<Value = Self> {
        let typed = |t: &MapType| {
            use MapType as T;
            matches!(*t, T::SkStorage | T::InodeStorage | T::TaskStorage | T::CgrpStorage | T::StructOps)
        };
        let all: Vec<MapType> = types(only).into_iter().filter(|t| !typed(t)).collect();
        let all = if all.is_empty() { vec![MapType::Hash] } else { all };
        let sizes =
            prop::sample::select(vec![0u32, 1, 3, 4, 5, 8, 16, 20, 24, 260, 261, 512, 513, 1016, 1024, 32768, 32769]);
        let entries = prop::sample::select(vec![0u32, 1, 2, 3, 64, 4096, 8192, 8193]);
        let flags = prop_oneof![
            3 => Just(0u32),
            3 => (0u32..21).prop_filter("a token is a descriptor", |b| *b != 16).prop_map(|b| 1 << b),
            1 => 0u32..2048
        ];
        let extra = prop::sample::select(vec![0u64, 0, 0, 1, 15, 16, 4096, 0xffff_f000]);
        let one = (prop::sample::select(all), sizes.clone(), sizes, entries, flags, extra);
        one.prop_map(|(map_type, key_size, value_size, max_entries, flags, extra)| {
            let def =
                Def { name: "m".into(), map_type, key_size, value_size, max_entries, flags, extra, ..Def::default() };
            Self { def, special: Special::None, template: extra as usize % TEMPLATES }
        })
    }

    /// Numbers of keys are below this.
    pub fn keys(&self) -> u32 {
        match self.def.map_type {
            MapType::LpmTrie => 16 * 34,
            _ => self.def.max_entries.clamp(4, 400) * 2,
        }
    }

    /// The order of keys is part of the answer.
    pub fn is_ordered(&self) -> bool {
        let one = [MapType::LpmTrie, MapType::StructOps].contains(&self.def.map_type);
        one || self.def.map_type.is(MapTraits::INDEXED)
    }

    /// Owners are named by descriptors.
    pub fn has_owners(&self) -> bool {
        use MapType as T;
        matches!(self.def.map_type, T::SkStorage | T::InodeStorage | T::TaskStorage | T::CgrpStorage)
    }

    /// Values are named by descriptors.
    pub fn has_descriptors(&self) -> bool {
        self.def.map_type.is(MapTraits::DESCRIPTORS) || self.def.map_type == MapType::ReuseportSockarray
    }

    /// Setting this element would register operations with the kernel.
    pub fn registers(&self, key: &[u8], flags: u64) -> bool {
        self.def.map_type == MapType::StructOps && flags == 0 && key.iter().all(|b| *b == 0)
    }

    /// Values name a program behind their first four bytes.
    pub fn has_programs(&self) -> bool {
        use MapType as T;
        matches!(self.def.map_type, T::Devmap | T::DevmapHash | T::Cpumap) && self.def.value_size == 8
    }

    /// Sockets of the machine can be put in.
    pub fn takes_sockets(&self) -> bool {
        !matches!(self.def.map_type, MapType::Xskmap | MapType::ReuseportSockarray)
    }

    /// What is found there cannot be foreseen: a bloom filter with a seed of its own finds more than it holds.
    pub fn finds_anything(&self) -> bool {
        self.def.map_type == MapType::BloomFilter && self.def.flags & flag::ZERO_SEED == 0
    }

    /// The bytes of a key.
    pub fn key(&self, n: u32) -> Vec<u8> {
        let size = self.def.key_size as usize;
        if self.def.map_type == MapType::LpmTrie {
            return prefix(n, size);
        }
        // One index in eight or so lies outside.
        let n = if self.def.map_type.is(MapTraits::INDEXED) { n % (self.def.max_entries + 1 + n % 3) } else { n };
        let mut key = n.to_ne_bytes().to_vec();
        key.resize(size, n as u8);
        key.truncate(size);
        key
    }

    /// The bytes of a value.
    pub fn value(&self, n: u64, size: usize) -> Vec<u8> {
        let numbers = |all: [u32; 4]| {
            let mut value = all[(n % 4) as usize].to_ne_bytes().to_vec();
            value.resize(size, 0);
            value.truncate(size);
            value
        };
        match self.def.map_type {
            // The loopback interface, and none. Others are the machine's.
            MapType::Devmap | MapType::DevmapHash => numbers([1, 0, 1, 1]),
            // Lengths of a queue.
            MapType::Cpumap => numbers([192, 0, 16384, 16385]),
            // Few, so that some are there.
            MapType::BloomFilter => (0..size).map(|i| (n % 24) as u8 ^ i as u8).collect(),
            _ => (0..size).map(|i| (n >> (i % 8 * 8)) as u8 ^ i as u8).collect(),
        }
    }
}

/// Prefix length and bits of few different addresses, some of them too long.
fn prefix(n: u32, size: usize) -> Vec<u8> {
    let bits = (size.max(4) - 4) as u32 * 8;
    let prefix = (n / 16) % (bits + 2);
    let mut key = prefix.to_ne_bytes().to_vec();
    let pattern = [0x00u8, 0x80, 0xc0, 0xff][(n % 4) as usize];
    let second = [0x00u8, 0x01, 0xf0, 0x0f][(n / 4 % 4) as usize];
    key.extend((4..size).map(|i| if i % 2 == 0 { pattern } else { second }));
    key.truncate(size);
    key
}
