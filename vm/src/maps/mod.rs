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

mod array;
pub mod check;
mod engine;
mod hash;
pub mod mem;
mod value;

pub use array::{Array, ArrayLayout, PercpuArray};
pub use hash::HashMap;
pub use value::{Released, ValueLayout};

use crate::Errno;
use check::flag;
use ebpfkit_abi::MapType;
use ebpfkit_object::Map as Def;
use ebpfkit_object::btf::TypeId;
use ebpfkit_verifier::memory::record::Record;
use std::ops::ControlFlow;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What is fixed when a map is made.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Name.
    pub name: String,
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
    facts: Facts,
    frozen: AtomicBool,
    kind: Kind,
}

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
}

/// Number of the next map.
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// Makes a map from its definition, checked as `BPF_MAP_CREATE` does; `fields` are the special fields of its values.
/// The initial contents are not filled in.
pub fn create(def: &Def, fields: &Record, cpus: u32) -> Result<Map, MapError> {
    let fail = |errno, what: &str, unsupported| MapError {
        name: def.name.clone(),
        map_type: def.map_type,
        errno,
        what: what.to_owned(),
        unsupported,
    };
    check::check(def).map_err(|(errno, what)| fail(errno, what, false))?;
    let cpus = cpus.max(1);
    let facts = Facts {
        name: def.name.clone(),
        map_type: def.map_type,
        key_size: def.key_size,
        value_size: def.value_size,
        max_entries: def.max_entries,
        flags: def.flags,
        extra: def.extra,
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        cpus,
        key_type: def.key_type,
        value_type: def.value_type,
    };
    let no_memory = |errno| fail(errno, "not enough memory", false);
    let kind = match def.map_type {
        MapType::Array => Kind::Array(Array::new(&facts, fields).map_err(no_memory)?),
        MapType::PercpuArray => Kind::PercpuArray(PercpuArray::new(&facts, fields).map_err(no_memory)?),
        MapType::Hash | MapType::PercpuHash => Kind::Hash(HashMap::new(&facts, fields).map_err(no_memory)?),
        _ => return Err(fail(Errno::EOPNOTSUPP, "maps of this type are not simulated", true)),
    };
    Ok(Map { facts, frozen: AtomicBool::new(false), kind })
}

/// Visits one element: addresses of key and value.
pub type Visit<'a> = dyn FnMut(NonNull<u8>, NonNull<u8>) -> ControlFlow<()> + 'a;

impl Map {
    /// What is fixed.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The implementation, for engines that have a short way to it.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Bytes of a key.
    pub fn key_size(&self) -> usize {
        self.facts.key_size as usize
    }

    /// Bytes of a value.
    pub fn value_size(&self) -> usize {
        self.facts.value_size as usize
    }

    /// Bytes of a value in the user's view.
    pub fn user_value_size(&self) -> usize {
        match self.facts.map_type {
            MapType::PercpuArray | MapType::PercpuHash | MapType::LruPercpuHash | MapType::PercpuCgroupStorage => {
                self.value_size().next_multiple_of(8) * self.facts.cpus as usize
            }
            MapType::ProgArray
            | MapType::PerfEventArray
            | MapType::CgroupArray
            | MapType::ArrayOfMaps
            | MapType::HashOfMaps => 4,
            _ => self.value_size(),
        }
    }

    /// Base address and stride when the values lie in one block and keys are indices.
    pub fn array(&self) -> Option<ArrayLayout> {
        match &self.kind {
            Kind::Array(a) => Some(a.layout()),
            Kind::PercpuArray(a) => Some(a.layout()),
            _ => None,
        }
    }

    /// Layout of the values, where values are the map's own memory.
    pub fn value_layout(&self) -> Option<&ValueLayout> {
        match &self.kind {
            Kind::Array(a) => Some(a.value_layout()),
            Kind::PercpuArray(a) => Some(a.value_layout()),
            Kind::Hash(h) => Some(h.value_layout()),
        }
    }

    fn key<'a>(&self, key: &'a [u8]) -> Result<&'a [u8], Errno> {
        key.get(..self.key_size()).ok_or(Errno::EINVAL)
    }

    fn value<'a>(&self, value: &'a [u8], size: usize) -> Result<&'a [u8], Errno> {
        value.get(..size).ok_or(Errno::EINVAL)
    }

    /// `bpf_map_lookup_elem`: address of the value of `cpu`, or nothing. Longer keys are cut, shorter find nothing.
    pub fn lookup(&self, key: &[u8], cpu: u32) -> Option<NonNull<u8>> {
        let key = self.key(key).ok()?;
        match &self.kind {
            Kind::Array(a) => a.lookup(index(key)),
            Kind::PercpuArray(a) => a.lookup(index(key), cpu),
            Kind::Hash(h) => h.lookup(key, cpu),
        }
    }

    /// `bpf_map_update_elem`, from a program on `cpu`.
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64, cpu: u32) -> Result<(), Errno> {
        let key = self.key(key)?;
        let value = self.value(value, self.value_size())?;
        match &self.kind {
            Kind::Array(a) => a.update(index(key), value, flags),
            Kind::PercpuArray(a) => a.update(index(key), value, flags, cpu),
            Kind::Hash(h) => h.update(key, value, flags, Some(cpu)),
        }
    }

    /// `bpf_map_delete_elem`.
    pub fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        let key = self.key(key)?;
        match &self.kind {
            Kind::Array(_) | Kind::PercpuArray(_) => Err(Errno::EINVAL),
            Kind::Hash(h) => h.delete(key),
        }
    }

    /// `bpf_map_push_elem`.
    pub fn push(&self, value: &[u8], flags: u64) -> Result<(), Errno> {
        let _ = (value, flags);
        Err(Errno::ENOTSUPP)
    }

    /// `bpf_map_pop_elem`.
    pub fn pop(&self, out: &mut [u8]) -> Result<(), Errno> {
        let _ = out;
        Err(Errno::ENOTSUPP)
    }

    /// `bpf_map_peek_elem`.
    pub fn peek(&self, out: &mut [u8]) -> Result<(), Errno> {
        let _ = out;
        Err(Errno::ENOTSUPP)
    }

    /// `bpf_map_lookup_percpu_elem`.
    pub fn lookup_percpu(&self, key: &[u8], cpu: u32) -> Option<NonNull<u8>> {
        if cpu >= self.facts.cpus { None } else { self.lookup(key, cpu) }
    }

    /// `bpf_for_each_map_elem`: visits the elements until `visit` breaks; the number of elements visited.
    pub fn for_each(&self, cpu: u32, visit: &mut Visit<'_>) -> Result<u64, Errno> {
        match &self.kind {
            Kind::Array(a) => Ok(a.for_each(visit)),
            Kind::PercpuArray(a) => Ok(a.for_each(cpu, visit)),
            Kind::Hash(h) => Ok(h.for_each(cpu, visit)),
        }
    }

    /// `BPF_MAP_GET_NEXT_KEY`: the key after `key`, or the first one. [`Errno::ENOENT`] after the last.
    pub fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        let key = key.map(|k| self.key(k)).transpose()?;
        let next = next.get_mut(..self.key_size()).ok_or(Errno::EINVAL)?;
        match &self.kind {
            Kind::Array(_) | Kind::PercpuArray(_) => array::next_key(self.facts.max_entries, key, next),
            Kind::Hash(h) => h.next_key(key, next),
        }
    }

    /// `BPF_MAP_LOOKUP_ELEM`: copies a value out.
    pub fn user_lookup(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        self.readable()?;
        self.lookup_flags(flags, flag::LOCK)?;
        let key = self.key(key)?;
        let out = out.get_mut(..self.user_value_size()).ok_or(Errno::EINVAL)?;
        match &self.kind {
            Kind::Array(a) => a.user_lookup(index(key), out, flags),
            Kind::PercpuArray(a) => a.user_lookup(index(key), out),
            Kind::Hash(h) => h.user_lookup(key, out, flags),
        }
    }

    /// `BPF_MAP_UPDATE_ELEM`.
    pub fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.writable()?;
        if flags & flag::LOCK != 0 && !self.has_lock() {
            return Err(Errno::EINVAL);
        }
        let key = self.key(key)?;
        let value = self.value(value, self.user_value_size())?;
        match &self.kind {
            Kind::Array(a) => a.update(index(key), value, flags),
            Kind::PercpuArray(a) => a.user_update(index(key), value, flags),
            Kind::Hash(h) => h.update(key, value, flags, None),
        }
    }

    /// `BPF_MAP_DELETE_ELEM`.
    pub fn user_delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        self.delete(key)
    }

    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`: copies a value out and deletes it.
    pub fn user_take(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        self.readable()?;
        self.writable()?;
        self.lookup_flags(flags, flag::LOCK)?;
        let key = self.key(key)?;
        let out = out.get_mut(..self.user_value_size()).ok_or(Errno::EINVAL)?;
        match &self.kind {
            Kind::Hash(h) => h.user_take(key, out, flags),
            _ => Err(Errno::ENOTSUPP),
        }
    }

    /// `BPF_MAP_FREEZE`: user space can no longer write.
    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::Release);
    }

    /// Whether the map is frozen.
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire)
    }

    fn has_lock(&self) -> bool {
        self.value_layout().is_some_and(|l| l.spin_lock().is_some())
    }

    fn lookup_flags(&self, flags: u64, known: u64) -> Result<(), Errno> {
        if flags & !known != 0 || flags & flag::LOCK != 0 && !self.has_lock() { Err(Errno::EINVAL) } else { Ok(()) }
    }

    fn readable(&self) -> Result<(), Errno> {
        if self.facts.flags & flag::WRONLY != 0 { Err(Errno::EPERM) } else { Ok(()) }
    }

    fn writable(&self) -> Result<(), Errno> {
        if self.facts.flags & flag::RDONLY != 0 || self.is_frozen() { Err(Errno::EPERM) } else { Ok(()) }
    }
}

/// Address that stands for a map in a register.
pub fn address(map: &Arc<Map>) -> u64 {
    Arc::as_ptr(map) as u64
}

/// The index that a four-byte key holds.
fn index(key: &[u8]) -> u32 {
    key.first_chunk().map_or(u32::MAX, |k| u32::from_ne_bytes(*k))
}
