//! Maps whose entries stand for something else: programs, maps, perf events, cgroups, devices, CPUs, sockets.

use super::check::flag;
use super::commands::{Batches, Descriptor};
use super::elements::{Elements, index};
use super::hash::HashMap;
use super::mem::Region;
use super::{Facts, Map, User, Users};
use crate::{Errno, Program};
use ebpfkit_abi::{AttachType, MapType, ProgType};
use ebpfkit_object::record::Record;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// A word for each index.
#[derive(Debug)]
struct Words {
    region: Region,
    count: u32,
}

impl Words {
    fn new(facts: &Facts) -> Result<Self, Errno> {
        Ok(Self { region: facts.account.region(facts.max_entries as usize, 8)?, count: facts.max_entries })
    }

    fn get(&self, index: u32) -> Option<&AtomicU64> {
        // SAFETY: the index is below the number of words; the region lives as long as `self`.
        self.address(index).map(|word| unsafe { AtomicU64::from_ptr(word.as_ptr().cast()) })
    }

    fn address(&self, index: u32) -> Option<NonNull<u8>> {
        (index < self.count).then(|| self.region.at(index as usize * 8))
    }
}

/// Slots that hold a number each: `PROG_ARRAY`, `PERF_EVENT_ARRAY`, `CGROUP_ARRAY`, `XSKMAP`, `SOCKMAP`,
/// `REUSEPORT_SOCKARRAY`. What a number stands for is known to who fills the slots, such as a program's number.
#[derive(Debug)]
pub struct Slots {
    words: Words,
    map_type: MapType,
    /// Programs of a prog array whose owner gave more than their numbers.
    programs: RwLock<Vec<Option<Arc<Program>>>>,
    /// What all programs of a prog array have in common: the first that is put in or names the map decides.
    owner: OnceLock<Owner>,
}

/// What the programs of a prog array have in common, since one takes another's place with the same context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Program type.
    pub prog_type: ProgType,
    /// Attach type.
    pub attach_type: AttachType,
    /// The program knows of packets in several buffers.
    pub xdp_has_frags: bool,
    /// The program may sleep.
    pub sleepable: bool,
}

/// What a slot holds that is in use: the number with this bit set.
const USED: u64 = 1 << 63;

impl Slots {
    pub(super) fn new(facts: &Facts) -> Result<Self, Errno> {
        Ok(Self {
            words: Words::new(facts)?,
            map_type: facts.map_type,
            programs: RwLock::default(),
            owner: OnceLock::new(),
        })
    }

    /// Slots.
    pub fn len(&self) -> u32 {
        self.words.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.count == 0
    }

    /// The number in a slot.
    #[inline]
    pub fn get(&self, index: u32) -> Option<u64> {
        let word = self.words.get(index)?.load(Ordering::Acquire);
        (word & USED != 0).then_some(word & !USED)
    }

    /// Puts a number, below 2^63, into a slot.
    pub fn set(&self, index: u32, number: u64) -> Result<(), Errno> {
        self.words.get(index).ok_or(Errno::E2BIG)?.store(number | USED, Ordering::Release);
        Ok(())
    }

    fn fits_socket(&self, index: u32, flags: u64) -> Result<(), Errno> {
        if flags > flag::EXIST {
            return Err(Errno::EINVAL);
        }
        if index < self.words.count { Ok(()) } else { Err(Errno::E2BIG) }
    }

    /// Whether the programs of the map are of this kind; true for maps that hold no programs.
    pub(crate) fn claim(&self, owner: &Owner) -> bool {
        self.map_type != MapType::ProgArray || self.owner.get_or_init(|| owner.clone()) == owner
    }

    /// Puts a program into a slot of a prog array, under a number. [`Errno::EINVAL`] when the map has programs of another
    /// type, attach type, or way with packets in several buffers. Programs and maps that hold each other are freed only
    /// after [`Slots::clear_programs`].
    pub fn set_program(&self, index: u32, number: u64, program: Arc<Program>) -> Result<(), Errno> {
        if self.map_type != MapType::ProgArray || !self.claim(&program.owner()) {
            return Err(Errno::EINVAL);
        }
        self.set(index, number)?;
        let mut programs = self.programs.write().unwrap_or_else(PoisonError::into_inner);
        if programs.len() <= index as usize {
            programs.resize(index as usize + 1, None);
        }
        programs[index as usize] = Some(program);
        Ok(())
    }

    /// The program in a slot, when the slot is in use and its program was given.
    pub fn program(&self, index: u32) -> Option<Arc<Program>> {
        self.get(index)?;
        self.programs.read().unwrap_or_else(PoisonError::into_inner).get(index as usize)?.clone()
    }

    /// All programs that were given.
    pub(crate) fn programs(&self) -> Vec<Arc<Program>> {
        self.programs.read().unwrap_or_else(PoisonError::into_inner).iter().flatten().cloned().collect()
    }

    /// Lets go of all programs.
    pub fn clear_programs(&self) {
        self.programs.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Refusals of an entry that a descriptor stands for, in an array.
fn fits(key: &[u8], count: u32, flags: u64) -> Result<(), Errno> {
    if flags != flag::ANY {
        return Err(Errno::EINVAL);
    }
    if index(key) < count { Ok(()) } else { Err(Errno::E2BIG) }
}

/// The socket that a descriptor stands for.
fn cookie(descriptor: Descriptor<'_>) -> Result<u64, Errno> {
    match descriptor {
        Descriptor::Socket(cookie) => Ok(cookie),
        Descriptor::Closed => Err(Errno::EBADF),
        _ => Err(Errno::ENOTSOCK),
    }
}

fn number(value: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let n = value.len().min(8);
    bytes[..n].copy_from_slice(&value[..n]);
    u64::from_ne_bytes(bytes) & !USED
}

fn put(number: u64, out: &mut [u8]) {
    let n = out.len().min(8);
    out[..n].copy_from_slice(&number.to_ne_bytes()[..n]);
}

/// `DEVMAP`, `CPUMAP`: slots with a value of four or eight bytes that programs may read.
#[derive(Debug)]
pub struct Targets {
    words: Words,
    size: usize,
    cpumap: bool,
    cpus: u32,
    /// What its programs have in common.
    owner: OnceLock<Owner>,
}

/// A program for packets that went to an entry, and what all such programs of a map have in common.
fn target_program(program: Descriptor<'_>, attach: AttachType, owner: &OnceLock<Owner>) -> Result<u64, Errno> {
    match program {
        Descriptor::Program(program) => {
            let fits = program.prog_type() == ProgType::Xdp && program.attach_type() == attach;
            let own = program.owner();
            let same = fits && *owner.get_or_init(|| own.clone()) == own;
            if same { Ok(program.id().into()) } else { Err(Errno::EINVAL) }
        }
        Descriptor::Closed => Err(Errno::EBADF),
        _ => Err(Errno::EINVAL),
    }
}

/// Longest queue of a CPU.
const MAX_QUEUE: u32 = 16384;

impl Targets {
    pub(super) fn new(facts: &Facts) -> Result<Self, Errno> {
        Ok(Self {
            words: Words::new(facts)?,
            size: facts.value_size as usize,
            cpumap: facts.map_type == MapType::Cpumap,
            cpus: facts.cpus,
            owner: OnceLock::new(),
        })
    }

    /// Address of an entry's value: the interface or queue length, then the program.
    pub fn lookup(&self, index: u32) -> Option<NonNull<u8>> {
        // An entry without interface, or without queue, is empty.
        let used = self.words.get(index)?.load(Ordering::Acquire) as u32 != 0;
        self.words.address(index).filter(|_| used)
    }
}

impl Targets {
    /// Refusals of an entry, whatever program it names.
    fn refuses(&self, key: &[u8], first: u64, flags: u64) -> Result<(), Errno> {
        let index = index(key);
        if flags > flag::EXIST {
            return Err(Errno::EINVAL);
        }
        if index >= self.words.count {
            return Err(Errno::E2BIG);
        }
        if flags == flag::NOEXIST {
            return Err(Errno::EEXIST);
        }
        if self.cpumap && first > MAX_QUEUE.into() {
            return Err(Errno::EOVERFLOW);
        }
        if self.cpumap && index >= self.cpus {
            return Err(Errno::ENODEV);
        }
        Ok(())
    }
}

/// Interface or queue length and program; a program of zero or less is none.
fn check_target(value: &[u8]) -> Result<u64, Errno> {
    let content = number(value);
    Ok(if (content >> 32) as i32 <= 0 { content & u64::from(u32::MAX) } else { content })
}

/// `ARRAY_OF_MAPS` and `HASH_OF_MAPS`.
#[derive(Debug)]
pub struct Maps {
    template: Facts,
    template_fields: Record,
    /// Of inner maps whose values have special fields.
    users: Users,
    entries: Entries,
    /// Every map that was ever inside: programs may still use one that was replaced.
    held: Mutex<Vec<Arc<Map>>>,
}

#[derive(Debug)]
enum Entries {
    Array { slots: Region, count: u32 },
    Hash(Box<HashMap>),
}

impl Maps {
    pub(super) fn new(facts: &Facts, (template, template_fields): (Facts, Record)) -> Result<Self, Errno> {
        let entries = if facts.map_type == MapType::HashOfMaps {
            let wide = Facts { value_size: 8, map_type: MapType::Hash, ..facts.clone() };
            Entries::Hash(Box::new(HashMap::new(&wide, &Record::default())?))
        } else {
            Entries::Array { slots: facts.account.region(facts.max_entries as usize, 8)?, count: facts.max_entries }
        };
        Ok(Self { template, template_fields, users: Users::default(), entries, held: Mutex::default() })
    }

    fn slot(&self, key: &[u8]) -> Option<&AtomicPtr<Map>> {
        let address = match &self.entries {
            Entries::Array { slots, count } => {
                let index = index(key);
                (index < *count).then(|| slots.at(index as usize * 8))?
            }
            Entries::Hash(hash) => hash.look(key)?,
        };
        // SAFETY: every value is a pointer in this map's memory.
        Some(unsafe { AtomicPtr::from_ptr(address.as_ptr().cast()) })
    }

    /// Address of the inner map of a key, valid as long as this map lives.
    pub fn lookup(&self, key: &[u8]) -> Option<NonNull<Map>> {
        NonNull::new(self.slot(key)?.load(Ordering::Acquire))
    }

    /// The inner map of a key.
    pub fn get(&self, key: &[u8]) -> Option<Arc<Map>> {
        let address = self.lookup(key)?.as_ptr().cast_const();
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().find(|m| std::ptr::eq(Arc::as_ptr(m), address)).cloned()
    }

    /// An inner map by its address; `None` when no such map was ever inside.
    pub fn held_at(&self, address: u64) -> Option<Arc<Map>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().find(|m| Arc::as_ptr(m) as u64 == address).cloned()
    }

    /// Puts a map in; [`Errno::EINVAL`] when it is unlike the template.
    pub fn set(&self, key: &[u8], map: &Arc<Map>, flags: u64) -> Result<(), Errno> {
        if let Entries::Array { count, .. } = &self.entries {
            fits(key, *count, flags)?;
        }
        self.like_template(map)?;
        {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            // What uses inner maps trusts what is in them; under the lock, so that no user comes in between.
            if self.users.get().is_some_and(|user| !map.admit(user)) {
                return Err(Errno::EINVAL);
            }
            if !held.iter().any(|m| Arc::ptr_eq(m, map)) {
                held.push(map.clone());
            }
        }
        let address = Arc::as_ptr(map).cast_mut();
        match &self.entries {
            Entries::Array { .. } => {
                self.slot(key).ok_or(Errno::E2BIG)?.store(address, Ordering::Release);
                Ok(())
            }
            Entries::Hash(hash) => hash.update(key, &(address as u64).to_ne_bytes(), flags, Some(0)),
        }
    }

    /// Makes a program a user of all inner maps that there are and will be.
    pub(super) fn admit(&self, user: &User) -> bool {
        if self.template_fields.fields.is_empty() {
            return true;
        }
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        self.users.admit(user) && held.iter().all(|m| m.admit(user))
    }

    /// Whether a definition and fields are those of the template.
    pub(crate) fn has_template(&self, inner: &ebpfkit_object::Map, fields: &Record) -> bool {
        let t = &self.template;
        (t.map_type, t.key_size, t.value_size, t.flags, t.max_entries)
            == (inner.map_type, inner.key_size, inner.value_size, inner.flags, inner.max_entries)
            && self.template_fields == *fields
    }

    /// As the kernel compares (`bpf_map_meta_equal` and what some types add): programs were verified with the template.
    fn like_template(&self, map: &Map) -> Result<(), Errno> {
        let (t, facts) = (&self.template, map.facts());
        let same_length = match facts.map_type {
            MapType::Array => facts.flags & flag::INNER_MAP != 0 || t.max_entries == facts.max_entries,
            MapType::Xskmap => t.max_entries == facts.max_entries,
            _ => true,
        };
        let same = t.map_type == facts.map_type
            && t.key_size == facts.key_size
            && t.value_size == facts.value_size
            && t.flags == facts.flags
            && self.template_fields == *map.fields()
            && same_length;
        if same { Ok(()) } else { Err(Errno::EINVAL) }
    }

    pub(super) fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        match &self.entries {
            Entries::Array { .. } => {
                let old = self.slot(key).ok_or(Errno::E2BIG)?.swap(std::ptr::null_mut(), Ordering::AcqRel);
                if old.is_null() { Err(Errno::ENOENT) } else { Ok(()) }
            }
            Entries::Hash(hash) => hash.delete(key),
        }
    }

    pub(super) fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        match &self.entries {
            Entries::Array { count, .. } => super::array::next_key(*count, key, next),
            Entries::Hash(hash) => hash.next_key(key, next),
        }
    }
}

impl Elements for Slots {
    fn put(&self, key: &[u8], descriptor: Descriptor<'_>, flags: u64) -> Result<(), Errno> {
        use Descriptor as D;
        if matches!(self.map_type, MapType::Xskmap | MapType::ReuseportSockarray) {
            self.fits_socket(index(key), flags)?;
        }
        if matches!(self.map_type, MapType::Sockmap | MapType::Xskmap | MapType::ReuseportSockarray) {
            return self.user_update(key, &cookie(descriptor)?.to_ne_bytes(), flags);
        }
        fits(key, self.words.count, flags)?;
        match (self.map_type, descriptor) {
            (MapType::ProgArray, D::Program(program)) => {
                self.set_program(index(key), program.id().into(), program.clone())
            }
            (MapType::PerfEventArray, D::PerfEvent(n)) | (MapType::CgroupArray, D::Cgroup(n)) => {
                self.set(index(key), n)
            }
            (MapType::ProgArray, D::Map(_) | D::PerfEvent(_) | D::Cgroup(_) | D::Socket(_) | D::Other) => {
                Err(Errno::EINVAL)
            }
            _ => Err(Errno::EBADF),
        }
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, _cpu: u32) -> Result<(), Errno> {
        self.user_update(key, value, flags)
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        let slot = self.words.get(index(key));
        let was = |slot: &AtomicU64| slot.swap(0, Ordering::AcqRel) & USED != 0;
        match self.map_type {
            MapType::Xskmap => {
                was(slot.ok_or(Errno::EINVAL)?);
                Ok(())
            }
            MapType::Sockmap => slot.filter(|s| was(s)).map(drop).ok_or(Errno::EINVAL),
            _ => {
                let slot = slot.ok_or(Errno::E2BIG)?;
                if was(slot) { Ok(()) } else { Err(Errno::ENOENT) }
            }
        }
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        super::array::next_key(self.words.count, key, next)
    }

    fn user_lookup(&self, key: &[u8], out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        let number = match (self.map_type, self.get(index(key))) {
            (MapType::PerfEventArray | MapType::CgroupArray, _) => return Err(Errno::ENOTSUPP),
            (MapType::Xskmap, _) => return Err(Errno::EOPNOTSUPP),
            (MapType::Sockmap | MapType::ReuseportSockarray, _) if out.len() != 8 => return Err(Errno::ENOSPC),
            (_, number) => number.ok_or(Errno::ENOENT)?,
        };
        put(number, out);
        Ok(())
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        let index = index(key);
        match self.map_type {
            // Sockets: the kernel takes all three update flags.
            MapType::Sockmap | MapType::Xskmap | MapType::ReuseportSockarray => {
                self.fits_socket(index, flags)?;
                match (flags, self.get(index).is_some()) {
                    (flag::NOEXIST, true) => return Err(Errno::EEXIST),
                    (flag::EXIST, false) => return Err(Errno::ENOENT),
                    _ => {}
                }
            }
            _ if flags != flag::ANY => return Err(Errno::EINVAL),
            _ => {}
        }
        self.set(index, number(value))
    }
}

impl Elements for Targets {
    fn lookup(&self, key: &[u8], _cpu: u32) -> Option<NonNull<u8>> {
        self.lookup(index(key))
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.words.get(index(key)).ok_or(Errno::EINVAL)?.store(0, Ordering::Release);
        Ok(())
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        super::array::next_key(self.words.count, key, next)
    }

    fn user_lookup(&self, key: &[u8], out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        let index = index(key);
        self.lookup(index).ok_or(Errno::ENOENT)?;
        let content = self.words.get(index).map_or(0, |s| s.load(Ordering::Acquire));
        put(content, &mut out[..self.size]);
        Ok(())
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        let content = check_target(value)?;
        let first = content & u64::from(u32::MAX);
        self.refuses(key, first, flags)?;
        if !self.cpumap && first == 0 && content != 0 {
            return Err(Errno::EINVAL);
        }
        self.words.get(index(key)).ok_or(Errno::E2BIG)?.store(content, Ordering::Release);
        Ok(())
    }

    fn put_program(&self, key: &[u8], value: &[u8], program: Option<Descriptor<'_>>, flags: u64) -> Result<(), Errno> {
        let program = program.filter(|_| self.size > 4);
        let first = number(value) & u64::from(u32::MAX);
        let alone = first.to_ne_bytes();
        let Some(program) = program else { return self.user_update(key, &alone[..self.size], flags) };
        if !self.cpumap && first == 0 {
            // What is refused without a program is refused with one for the same reason.
            self.refuses(key, first, flags)?;
            return Err(Errno::EINVAL);
        }
        self.refuses(key, first, flags)?;
        let (attach, wrong) = match self.cpumap {
            true => (AttachType::XdpCpumap, Errno::ENOMEM),
            false => (AttachType::XdpDevmap, Errno::EINVAL),
        };
        let content = match first {
            0 => 0,
            _ => first | target_program(program, attach, &self.owner).map_err(|_| wrong)? << 32,
        };
        self.words.get(index(key)).ok_or(Errno::E2BIG)?.store(content, Ordering::Release);
        Ok(())
    }
}

impl Elements for Maps {
    fn batches(&self) -> Batches {
        match &self.entries {
            Entries::Array { .. } => Batches::LOOKUP | Batches::UPDATE,
            Entries::Hash(_) => Batches::all(),
        }
    }

    fn put(&self, key: &[u8], descriptor: Descriptor<'_>, flags: u64) -> Result<(), Errno> {
        if let Entries::Array { count, .. } = &self.entries {
            fits(key, *count, flags)?;
        }
        match descriptor {
            Descriptor::Map(map) => self.set(key, map, flags),
            Descriptor::Closed => Err(Errno::EBADF),
            _ => Err(Errno::EINVAL),
        }
    }

    fn take_of_batch(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        self.user_lookup(key, out, flags)?;
        self.delete(key)
    }

    fn lookup(&self, key: &[u8], _cpu: u32) -> Option<NonNull<u8>> {
        self.lookup(key).map(NonNull::cast)
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.delete(key)
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        self.next_key(key, next)
    }

    fn user_lookup(&self, key: &[u8], out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        let inner = self.get(key).ok_or(Errno::ENOENT)?;
        out.copy_from_slice(&inner.facts.id.to_ne_bytes());
        Ok(())
    }

    fn user_update(&self, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }
}

/// Devices by key.
#[derive(Debug)]
pub struct DevmapHash {
    devices: HashMap,
    /// What its programs have in common.
    owner: OnceLock<Owner>,
}

impl DevmapHash {
    pub(super) fn new(facts: &Facts) -> Result<Self, Errno> {
        Ok(Self { devices: HashMap::new(facts, &Record::default())?, owner: OnceLock::new() })
    }
}

impl Elements for DevmapHash {
    fn inner(&self) -> Option<&dyn Elements> {
        Some(&self.devices)
    }

    fn update(&self, _key: &[u8], _value: &[u8], _flags: u64, _cpu: u32) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        if index(value) == 0 || flags > flag::EXIST {
            return Err(Errno::EINVAL);
        }
        // The kernel makes an entry even when it is told to replace one.
        self.devices.update(key, value, flags & flag::NOEXIST, None)
    }

    fn put_program(&self, key: &[u8], value: &[u8], program: Option<Descriptor<'_>>, flags: u64) -> Result<(), Errno> {
        let mut content = (number(value) & u64::from(u32::MAX)).to_ne_bytes();
        if let Some(program) = program.filter(|_| value.len() > 4) {
            if index(value) == 0 || flags > flag::EXIST {
                return Err(Errno::EINVAL);
            }
            if flags == flag::NOEXIST && self.devices.look(key).is_some() {
                return Err(Errno::EEXIST);
            }
            let id = target_program(program, AttachType::XdpDevmap, &self.owner).map_err(|_| Errno::EINVAL)?;
            content = (number(value) & u64::from(u32::MAX) | id << 32).to_ne_bytes();
        }
        self.user_update(key, &content[..value.len()], flags)
    }
}

/// Sockets by key: opaque numbers.
#[derive(Debug)]
pub struct Sockhash(pub(super) HashMap);

impl Elements for Sockhash {
    fn put(&self, key: &[u8], descriptor: Descriptor<'_>, flags: u64) -> Result<(), Errno> {
        let mut value = [0; 8];
        value.copy_from_slice(&cookie(descriptor)?.to_ne_bytes());
        self.0.update(key, &value[..self.0.value_layout().size()], flags, None)
    }

    fn inner(&self) -> Option<&dyn Elements> {
        Some(&self.0)
    }

    fn user_lookup(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        if out.len() != 8 { Err(Errno::ENOSPC) } else { self.0.user_lookup(key, out, flags) }
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.0.update(key, value, flags, None)
    }
}
