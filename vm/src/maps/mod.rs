//! Maps, with the kernel's semantics and error numbers.
//!
//! A [`Map`] is made from a definition by [`create`], is shared as `Arc<Map>` and is used through `&self` by any
//! number of threads. It offers two views, as the kernel does:
//!
//! - the *program's* view, which helpers use: [`Map::lookup`] gives the address of a value, per-CPU maps give the slot
//!   of one CPU;
//! - the *user's* view, which stands for the `bpf(2)` commands: [`Map::user_lookup`] and its kin copy values, per-CPU
//!   maps carry the values of all CPUs one after the other, each padded to eight bytes.
//!
//! # Addresses stay valid
//!
//! A value pointer that a program holds stays readable and writable for as long as the map lives: all element memory
//! belongs to slabs that are given back when the map is dropped, never earlier. A deleted element is reused for the
//! next one, at once, as the kernel's own hash maps do (preallocated lists and `bpf_mem_alloc` caches alike); a program
//! that keeps a pointer across a delete may see another element's bytes, but never anything outside the map. Who runs
//! a program therefore only has to keep the `Arc` of each map it can reach. All accesses by map operations are atomic,
//! so racing ones are no undefined behaviour here; a value can be torn, as in the kernel.

mod account;
mod arena;
mod array;
pub mod check;
mod commands;
mod elements;
mod engine;
mod hash;
pub(crate) mod kernel_struct;
mod lpm;
pub mod mem;
mod outer;
mod queue;
mod refs;
pub mod ringbuf;
pub mod stack_trace;
pub mod storage;
mod targets;
mod users;
mod value;

pub use account::Account;
pub use arena::Arena;
pub use array::{Array, ArrayLayout, PercpuArray, StructOps};
pub use commands::{Batch, Descriptor};
pub use engine::Lookup;
pub use hash::{Find, HashMap};
pub use lpm::Lpm;
pub use outer::Maps;
pub use queue::{Bloom, Queue};
pub(crate) use refs::Owner;
pub use refs::{Slots, Sockhash};
pub use ringbuf::{Ringbuf, UserRingbuf};
pub use stack_trace::StackTrace;
pub use storage::Storage;
pub use targets::{DevmapHash, Targets};
pub(crate) use users::{User, Users};
pub use value::ValueLayout;

use crate::{Errno, World};
use check::flag;
use ebpfkit_abi::{MapTraits, MapType};
use ebpfkit_object::Map as Def;
use ebpfkit_object::btf::TypeId;
use ebpfkit_object::record::Record;
use elements::Elements;
use std::ops::ControlFlow;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What is fixed when a map is made, as in the kernel's `bpf_map_info`.
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// Name.
    pub name: Arc<str>,
    /// Type.
    pub map_type: MapType,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Entries.
    pub max_entries: u32,
    /// `BPF_F_*` creation flags.
    pub flags: u32,
    /// `map_extra`.
    pub extra: u64,
    /// Number of the map, from 1, unique in this process.
    pub id: u32,
    /// CPUs with a slot of their own in per-CPU maps.
    pub cpus: u32,
    /// BTF type of the key in its object; zero when none.
    pub key_type: TypeId,
    /// BTF type of the value in its object; zero when none.
    pub value_type: TypeId,
    /// Key of the hash function of hash maps.
    pub seed: u64,
    /// Where the map's memory is counted.
    pub account: Account,
}

/// Why a map cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("map '{name}' ({map_type}): {what} (-{errno})")]
pub struct MapError {
    /// Name of the map.
    pub name: String,
    /// Its type.
    pub map_type: MapType,
    /// What the kernel answers.
    pub errno: Errno,
    /// What is wrong.
    pub what: String,
    /// The definition is fine, but maps of this kind are not modelled.
    pub unsupported: bool,
}

/// A map.
#[derive(Debug)]
pub struct Map {
    info: Info,
    fields: Record,
    users: Users,
    frozen: AtomicBool,
    kind: Kind,
    /// Nothing else lies at the addresses at which programs see the kernel's struct of the map.
    _rest: Rest,
}

/// Bytes that only take room.
struct Rest(#[expect(dead_code, reason = "nobody looks at them")] [u8; 512]);

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

/// Bytes of the longest of the kernel's structs of maps (`struct bpf_htab`).
pub(crate) const KERNEL_STRUCT: usize = 832;
const _: () = assert!(size_of::<Map>() >= KERNEL_STRUCT);

/// The implementations.
#[derive(Debug)]
#[non_exhaustive]
pub enum Kind {
    /// Array, and the global data of an object.
    Array(Array),
    /// Array with a slot for each CPU.
    PercpuArray(PercpuArray),
    /// Hash tables of all four kinds.
    Hash(HashMap),
    /// Longest-prefix-match trie.
    Lpm(Lpm),
    /// Queue or stack.
    Queue(Queue),
    /// Bloom filter.
    Bloom(Bloom),
    /// Ring buffer to user space.
    Ringbuf(Ringbuf),
    /// Ring buffer from user space.
    UserRingbuf(UserRingbuf),
    /// Programs, perf events, cgroups, AF_XDP sockets, sockets by index.
    Slots(Slots),
    /// Sockets by key: opaque numbers.
    Sockhash(Sockhash),
    /// Devices or CPUs by index.
    Targets(Targets),
    /// Devices by key.
    DevmapHash(DevmapHash),
    /// Maps by index or key.
    Maps(Maps),
    /// Stack traces.
    StackTrace(StackTrace),
    /// Storage of other objects.
    Storage(Storage),
    /// Arena.
    Arena(Arena),
    /// The bytes of a kernel struct, with functions as numbers; not registered with anything.
    StructOps(StructOps),
}

/// Does something with the implementation of a map, whichever it is.
macro_rules! each {
    ($map:expr, $elements:ident => $what:expr) => {
        match &$map.kind {
            Kind::Array($elements) => $what,
            Kind::PercpuArray($elements) => $what,
            Kind::Hash($elements) => $what,
            Kind::Lpm($elements) => $what,
            Kind::Queue($elements) => $what,
            Kind::Bloom($elements) => $what,
            Kind::Ringbuf($elements) => $what,
            Kind::UserRingbuf($elements) => $what,
            Kind::Slots($elements) => $what,
            Kind::Sockhash($elements) => $what,
            Kind::Targets($elements) => $what,
            Kind::DevmapHash($elements) => $what,
            Kind::Maps($elements) => $what,
            Kind::StackTrace($elements) => $what,
            Kind::Storage($elements) => $what,
            Kind::Arena($elements) => $what,
            Kind::StructOps($elements) => $what,
        }
    };
}
use each;

/// Number of the next map.
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// What a map takes from the world that it is made in.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// CPUs with a slot of their own in per-CPU maps.
    pub cpus: u32,
    /// Key of the hash function of hash maps.
    pub seed: u64,
    /// Where the memory of maps is counted.
    pub account: Account,
}

impl Surroundings {
    /// For the maps of one object: they count together.
    pub fn of(world: &World) -> Self {
        Self { cpus: world.cpus.max(1), seed: world.hash_seed, account: Account::new(world.limits.map_memory) }
    }
}

/// [`create_in`] for a world of so many CPUs, with the limits that a world has by default.
pub fn create(def: &Def, fields: &Record, cpus: u32) -> Result<Map, MapError> {
    create_in(def, fields, &Surroundings::of(&World { cpus, ..World::default() }))
}

/// Makes a map from its definition, checked as `BPF_MAP_CREATE` does; `fields` are the special fields of its values.
/// The initial contents are not filled in.
///
/// Inner maps of a map of maps made in this way have no special fields; [`create_outer`] knows of more.
pub fn create_in(def: &Def, fields: &Record, around: &Surroundings) -> Result<Map, MapError> {
    create_outer(def, fields, &Record::default(), around)
}

/// [`create_in`] for a map of maps: `inner_fields` are the special fields of inner maps' values.
pub fn create_outer(def: &Def, fields: &Record, inner_fields: &Record, around: &Surroundings) -> Result<Map, MapError> {
    let fail = |errno, what: &str, unsupported| MapError {
        name: def.name.clone(),
        map_type: def.map_type,
        errno,
        what: what.to_owned(),
        unsupported,
    };
    check::check(def).map_err(|(errno, what)| fail(errno, &what, false))?;
    if !fields.fields.is_empty() && def.flags & flag::PROG_ACCESS != 0 {
        return Err(fail(Errno::EACCES, "special fields in values that programs may not both read and write", false));
    }
    let info = info_of(def, around);
    let no_memory = |errno| fail(errno, &around.account.explain(), false);
    let template = match (def.map_type.is(MapTraits::MAPS), &def.inner) {
        (true, Some(inner)) => {
            check::check(inner).map_err(|(errno, what)| fail(errno, &format!("inner map: {what}"), false))?;
            if inner.inner.is_some() {
                return Err(fail(Errno::EINVAL, "inner map: maps of maps cannot be nested", false));
            }
            info_of(inner, around)
        }
        (true, None) => {
            return Err(fail(Errno::EBADF, "no inner map", false));
        }
        _ => Info::default(),
    };
    let kind = new_kind(&info, fields, (template, inner_fields.clone())).map_err(no_memory)?;
    let kind = kind.ok_or_else(|| fail(Errno::EOPNOTSUPP, "maps of this type are not simulated", true))?;
    Ok(Map {
        info,
        fields: fields.clone(),
        users: Users::default(),
        frozen: AtomicBool::new(false),
        kind,
        _rest: Rest([0; 512]),
    })
}

fn info_of(def: &Def, around: &Surroundings) -> Info {
    Info {
        name: def.name.as_str().into(),
        map_type: def.map_type,
        key_size: def.key_size,
        value_size: def.value_size,
        max_entries: def.max_entries,
        flags: def.flags | def.map_type.row().implied,
        extra: def.extra,
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        cpus: around.cpus,
        key_type: def.printed_types().0,
        value_type: def.printed_types().1,
        seed: around.seed,
        account: around.account.clone(),
    }
}

fn new_kind(info: &Info, fields: &Record, template: (Info, Record)) -> Result<Option<Kind>, Errno> {
    Ok(Some(match info.map_type {
        MapType::Array => Kind::Array(Array::new(info, fields)?),
        MapType::PercpuArray => Kind::PercpuArray(PercpuArray::new(info, fields)?),
        MapType::Hash | MapType::PercpuHash | MapType::LruHash | MapType::LruPercpuHash | MapType::Rhash => {
            Kind::Hash(HashMap::new(info, fields)?)
        }
        MapType::LpmTrie => Kind::Lpm(Lpm::new(info, fields)?),
        MapType::Queue | MapType::Stack => Kind::Queue(Queue::new(info)?),
        MapType::BloomFilter => Kind::Bloom(Bloom::new(info)?),
        MapType::Ringbuf => Kind::Ringbuf(Ringbuf::new(info)?),
        MapType::UserRingbuf => Kind::UserRingbuf(UserRingbuf::new(info)?),
        MapType::ProgArray
        | MapType::PerfEventArray
        | MapType::CgroupArray
        | MapType::Xskmap
        | MapType::Sockmap
        | MapType::ReuseportSockarray => Kind::Slots(Slots::new(info)?),
        MapType::Sockhash => Kind::Sockhash(Sockhash(HashMap::new(info, &Record::default())?)),
        MapType::Devmap | MapType::Cpumap => Kind::Targets(Targets::new(info)?),
        MapType::DevmapHash => Kind::DevmapHash(DevmapHash::new(info)?),
        MapType::ArrayOfMaps | MapType::HashOfMaps => Kind::Maps(Maps::new(info, template)?),
        MapType::StackTrace => Kind::StackTrace(StackTrace::new(info)),
        MapType::SkStorage
        | MapType::InodeStorage
        | MapType::TaskStorage
        | MapType::CgrpStorage
        | MapType::CgroupStorage
        | MapType::PercpuCgroupStorage => Kind::Storage(Storage::new(info, fields)),
        MapType::Arena => Kind::Arena(Arena::new(info)?),
        MapType::StructOps => Kind::StructOps(StructOps::new(info, fields)?),
        _ => return Ok(None),
    }))
}

/// Visits one element: addresses of key and value.
pub type Visit<'a> = dyn FnMut(NonNull<u8>, NonNull<u8>) -> ControlFlow<()> + 'a;

impl Map {
    /// What is fixed.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The special fields of its values.
    pub fn fields(&self) -> &Record {
        &self.fields
    }

    /// Makes a program a user of the map; false when it cannot be one beside those that there are.
    pub(crate) fn admit(&self, user: &User) -> bool {
        let own = self.fields.fields.is_empty() || self.users.admit(user);
        own && match &self.kind {
            Kind::Maps(outer) => outer.admit(user),
            _ => true,
        }
    }

    /// The implementation, for engines that have a short way to it.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Bytes of a key.
    pub fn key_size(&self) -> usize {
        self.info.key_size as usize
    }

    /// Bytes of a value.
    pub fn value_size(&self) -> usize {
        self.info.value_size as usize
    }

    /// Base address and stride when the values lie in one block and keys are indices.
    pub fn array(&self) -> Option<ArrayLayout> {
        each!(self, e => e.array())
    }

    /// Layout of the values, where values are the map's own memory.
    pub fn value_layout(&self) -> Option<&ValueLayout> {
        each!(self, e => Elements::value_layout(e))
    }

    fn key<'a>(&self, key: &'a [u8]) -> Result<&'a [u8], Errno> {
        key.get(..self.key_size()).ok_or(Errno::EINVAL)
    }

    fn value<'a>(&self, value: &'a [u8], size: usize) -> Result<&'a [u8], Errno> {
        value.get(..size).ok_or(Errno::EINVAL)
    }

    /// `bpf_map_lookup_elem`: address of the value of `cpu`, or nothing. Longer keys are cut, shorter find nothing. For
    /// maps of maps it is the address of the inner [`Map`].
    pub fn lookup(&self, key: &[u8], cpu: u32) -> Option<NonNull<u8>> {
        let key = self.key(key).ok()?;
        each!(self, e => Elements::lookup(e, key, cpu))
    }

    /// `bpf_map_update_elem`, from a program on `cpu`.
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64, cpu: u32) -> Result<(), Errno> {
        if self.info.flags & flag::RDONLY_PROG != 0 {
            return Err(Errno::EACCES);
        }
        self.write(key, value, flags, cpu)
    }

    /// [`Map::update`] by the map's owner, whatever programs may do with it.
    pub(crate) fn write(&self, key: &[u8], value: &[u8], flags: u64, cpu: u32) -> Result<(), Errno> {
        let key = self.key(key)?;
        let value = self.value(value, self.value_size())?;
        each!(self, e => Elements::update(e, key, value, flags, cpu))
    }

    /// `bpf_map_delete_elem`.
    pub fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        let key = self.key(key)?;
        each!(self, e => Elements::delete(e, key))
    }

    /// `bpf_map_push_elem`.
    pub fn push(&self, value: &[u8], flags: u64) -> Result<(), Errno> {
        let value = self.value(value, self.value_size())?;
        each!(self, e => Elements::push(e, value, flags))
    }

    /// `bpf_map_pop_elem`.
    pub fn pop(&self, out: &mut [u8]) -> Result<(), Errno> {
        let out = out.get_mut(..self.value_size()).ok_or(Errno::EINVAL)?;
        each!(self, e => Elements::pop(e, out))
    }

    /// `bpf_map_peek_elem`. For a bloom filter `out` is the value to look for.
    pub fn peek(&self, out: &mut [u8]) -> Result<(), Errno> {
        let out = out.get_mut(..self.value_size()).ok_or(Errno::EINVAL)?;
        each!(self, e => Elements::peek(e, out))
    }

    /// `bpf_map_lookup_percpu_elem`.
    pub fn lookup_percpu(&self, key: &[u8], cpu: u32) -> Option<NonNull<u8>> {
        if cpu >= self.info.cpus { None } else { self.lookup(key, cpu) }
    }

    /// `bpf_for_each_map_elem`: visits the elements until `visit` breaks; the number of elements visited.
    pub fn for_each(&self, cpu: u32, visit: &mut Visit<'_>) -> Result<u64, Errno> {
        each!(self, e => Elements::for_each(e, cpu, visit))
    }

    /// The key of the element whose value holds an address, and the value's own address; for maps whose values have
    /// timers.
    pub(crate) fn element_around(&self, address: u64) -> Option<(Vec<u8>, NonNull<u8>)> {
        match &self.kind {
            Kind::Array(a) => {
                let layout = a.layout();
                let index = u32::try_from(address.checked_sub(layout.base)? / layout.stride).ok()?;
                let value = a.lookup(index).filter(|v| address - (v.as_ptr() as u64) < u64::from(self.info.value_size));
                Some((index.to_ne_bytes().to_vec(), value?))
            }
            Kind::Hash(h) => h.element_around(address),
            _ => None,
        }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let cpus = match self.info.map_type {
            MapType::PercpuArray | MapType::PercpuHash | MapType::LruPercpuHash => self.info.cpus,
            _ => 1,
        };
        let Some(layout) = self.value_layout().filter(|l| l.owns_objects()) else { return };
        for cpu in 0..cpus {
            // Maps of other kinds have no values that own objects, or none that can be visited.
            let _ = self.for_each(cpu, &mut |_, value| {
                // SAFETY: the address is a value of this map.
                unsafe { layout.free_fields(value.as_ptr()) };
                ControlFlow::Continue(())
            });
        }
    }
}

/// Address that stands for a map in a register.
pub fn address(map: &Arc<Map>) -> u64 {
    Arc::as_ptr(map) as u64
}
