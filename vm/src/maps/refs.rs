//! Maps whose entries are numbers that stand for something else: programs, perf events, cgroups, sockets.

use super::Info;
use super::check::flag;
use super::commands::Descriptor;
use super::elements::{Elements, index};
use super::hash::HashMap;
use super::mem::Region;
use crate::{Errno, Program};
use ebpfkit_abi::{AttachType, MapType, ProgType};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// A word for each index.
#[derive(Debug)]
pub(super) struct Words {
    region: Region,
    pub(super) count: u32,
}

impl Words {
    pub(super) fn new(info: &Info) -> Result<Self, Errno> {
        Ok(Self { region: info.account.region(info.max_entries as usize, 8)?, count: info.max_entries })
    }

    pub(super) fn get(&self, index: u32) -> Option<&AtomicU64> {
        // SAFETY: the index is below the number of words; the region lives as long as `self`.
        self.address(index).map(|word| unsafe { AtomicU64::from_ptr(word.as_ptr().cast()) })
    }

    pub(super) fn address(&self, index: u32) -> Option<NonNull<u8>> {
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
    pub(super) fn new(info: &Info) -> Result<Self, Errno> {
        Ok(Self {
            words: Words::new(info)?,
            map_type: info.map_type,
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
pub(super) fn fits(key: &[u8], count: u32, flags: u64) -> Result<(), Errno> {
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

pub(super) fn number(value: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let n = value.len().min(8);
    bytes[..n].copy_from_slice(&value[..n]);
    u64::from_ne_bytes(bytes) & !USED
}

pub(super) fn put(number: u64, out: &mut [u8]) {
    let n = out.len().min(8);
    out[..n].copy_from_slice(&number.to_ne_bytes()[..n]);
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
