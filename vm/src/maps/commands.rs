//! What user space does with elements: the commands of bpf(2), with their checks in the kernel's order.

use super::check::flag;
use super::elements::Elements;
use super::{Kind, Map, each};
use crate::{Errno, Program};
use ebpfkit_abi::{MapTraits, MapType};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What an open file stands for that user space names in the place of a value.
#[derive(Clone, Copy, Debug)]
pub enum Descriptor<'a> {
    /// There is no such file.
    Closed,
    /// A map.
    Map(&'a Arc<Map>),
    /// A program.
    Program(&'a Arc<Program>),
    /// A perf event, by a number below 2^63.
    PerfEvent(u64),
    /// A cgroup, by a number below 2^63.
    Cgroup(u64),
    /// A socket that the map can hold, by its cookie.
    Socket(u64),
    /// Something else.
    Other,
}

bitflags::bitflags! {
    /// Operations on many elements that a kind of map has.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Batches: u32 {
        const LOOKUP = 1 << 0;
        const TAKE = 1 << 1;
        const UPDATE = 1 << 2;
        const DELETE = 1 << 3;
        /// What comes last in a batch says at once that nothing follows.
        const SEES_THE_END = 1 << 4;
    }
}

/// Elements that were read at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Keys, one after the other.
    pub keys: Vec<u8>,
    /// Values, one after the other.
    pub values: Vec<u8>,
    /// How many there are.
    pub count: u32,
    /// Where the next batch starts.
    pub next: Option<Vec<u8>>,
    /// [`Errno::ENOENT`] when these were the last.
    pub result: Result<(), Errno>,
}

impl Map {
    /// Bytes of a key for user space. An owner of local storage is a number of eight bytes here, a descriptor of four in
    /// the kernel.
    pub fn user_key_size(&self) -> usize {
        match self.kind {
            Kind::Storage(_) if self.info.key_size == 4 => 8,
            _ => self.key_size(),
        }
    }

    fn user_key<'a>(&self, key: &'a [u8]) -> Result<&'a [u8], Errno> {
        key.get(..self.user_key_size()).ok_or(Errno::EINVAL)
    }

    /// `BPF_MAP_GET_NEXT_KEY`: the key after `key`, or the first one. [`Errno::ENOENT`] after the last.
    pub fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        self.readable()?;
        let key = key.map(|k| self.user_key(k)).transpose()?;
        let next = next.get_mut(..self.key_size()).ok_or(Errno::EINVAL)?;
        each!(self, e => Elements::next_key(e, key, next))
    }

    /// `BPF_MAP_LOOKUP_ELEM`: copies a value out.
    pub fn user_lookup(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        known_flags(flags)?;
        self.readable()?;
        self.lockable(flags)?;
        let key = self.user_key(key)?;
        let out = out.get_mut(..self.user_value_size()).ok_or(Errno::EINVAL)?;
        each!(self, e => Elements::user_lookup(e, key, out, flags))
    }

    /// `BPF_MAP_UPDATE_ELEM`. Entries that are descriptors in the kernel are numbers here: what the owner of the map
    /// takes for a program, a socket or a device. [`Map::user_put`] has descriptors.
    pub fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.writable()?;
        self.lockable(flags)?;
        let key = self.user_key(key)?;
        let value = self.value(value, self.user_value_size())?;
        each!(self, e => Elements::user_update(e, key, value, flags))
    }

    /// `BPF_MAP_UPDATE_ELEM` of a map that holds what descriptors stand for.
    pub fn user_put(&self, key: &[u8], descriptor: Descriptor<'_>, flags: u64) -> Result<(), Errno> {
        self.writable()?;
        self.lockable(flags)?;
        let key = self.user_key(key)?;
        each!(self, e => Elements::put(e, key, descriptor, flags))
    }

    /// `BPF_MAP_UPDATE_ELEM` of a map of devices or CPUs whose values name a program by a descriptor, behind their first
    /// four bytes; `None` for a descriptor of zero or less.
    pub fn user_put_program(
        &self,
        key: &[u8],
        value: &[u8],
        program: Option<Descriptor<'_>>,
        flags: u64,
    ) -> Result<(), Errno> {
        self.writable()?;
        self.lockable(flags)?;
        let key = self.user_key(key)?;
        let value = value.get(..self.user_value_size()).ok_or(Errno::EINVAL)?;
        each!(self, e => Elements::put_program(e, key, value, program, flags))
    }

    /// `BPF_MAP_DELETE_ELEM`.
    pub fn user_delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        let key = self.user_key(key)?;
        each!(self, e => Elements::delete(e, key))
    }

    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`: copies a value out and deletes it.
    pub fn user_take(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        known_flags(flags)?;
        self.readable()?;
        self.writable()?;
        self.lockable(flags)?;
        let key = self.user_key(key)?;
        let out = out.get_mut(..self.user_value_size()).ok_or(Errno::EINVAL)?;
        each!(self, e => Elements::user_take(e, key, out, flags))
    }

    /// `BPF_MAP_LOOKUP_BATCH`: up to `count` elements behind those of an earlier batch, whose `next` is `from`.
    pub fn user_lookup_batch(&self, from: Option<&[u8]>, count: u32, flags: u64) -> Batch {
        self.read_batch(from, count, flags, false)
    }

    /// `BPF_MAP_LOOKUP_AND_DELETE_BATCH`: the same, and deletes them.
    pub fn user_take_batch(&self, from: Option<&[u8]>, count: u32, flags: u64) -> Batch {
        self.read_batch(from, count, flags, true)
    }

    fn read_batch(&self, from: Option<&[u8]>, count: u32, flags: u64, take: bool) -> Batch {
        let next = from.map(<[u8]>::to_vec);
        let mut batch = Batch { keys: Vec::new(), values: Vec::new(), count: 0, next, result: Ok(()) };
        batch.result = self.fill_batch(&mut batch, count, flags, take);
        batch
    }

    fn fill_batch(&self, batch: &mut Batch, count: u32, flags: u64, take: bool) -> Result<(), Errno> {
        self.readable()?;
        if take {
            self.writable()?;
        }
        let has = self.has_batch(if take { Batches::TAKE } else { Batches::LOOKUP })?;
        self.batch_flags(flags)?;
        let mut key = vec![0; self.key_size()];
        let mut value = vec![0; self.user_value_size()];
        while batch.count < count {
            each!(self, e => Elements::next_key(e, batch.next.as_deref(), &mut key))?;
            let found = match take {
                true => each!(self, e => Elements::take_of_batch(e, &key, &mut value, flags)),
                false => each!(self, e => Elements::user_lookup(e, &key, &mut value, flags)),
            };
            match found {
                // Somebody has deleted it, or an index has nothing.
                Err(Errno::ENOENT) => {}
                other => {
                    other?;
                    batch.keys.extend_from_slice(&key);
                    batch.values.extend_from_slice(&value);
                    batch.count += 1;
                }
            }
            batch.next = Some(key.clone());
        }
        if count != 0 && has.contains(Batches::SEES_THE_END) {
            each!(self, e => Elements::next_key(e, batch.next.as_deref(), &mut key))?;
        }
        Ok(())
    }

    /// `BPF_MAP_UPDATE_BATCH`: as many elements as there are keys, and how many were set before one that was refused.
    pub fn user_update_batch(&self, keys: &[u8], values: &[u8], flags: u64) -> (u32, Result<(), Errno>) {
        let values = values.chunks_exact(self.user_value_size().max(1));
        self.each_of_batch(
            Batches::UPDATE,
            flags,
            keys.chunks_exact(self.key_size().max(1)).zip(values),
            |(key, value)| each!(self, e => Elements::user_update(e, key, value, flags)),
        )
    }

    /// `BPF_MAP_DELETE_BATCH`: the elements of all keys, and how many were deleted before one that was refused.
    pub fn user_delete_batch(&self, keys: &[u8], flags: u64) -> (u32, Result<(), Errno>) {
        self.each_of_batch(
            Batches::DELETE,
            flags,
            keys.chunks_exact(self.key_size().max(1)),
            |key| each!(self, e => Elements::delete(e, key)),
        )
    }

    fn each_of_batch<T>(
        &self,
        what: Batches,
        flags: u64,
        elements: impl Iterator<Item = T>,
        mut change: impl FnMut(T) -> Result<(), Errno>,
    ) -> (u32, Result<(), Errno>) {
        let may = || {
            self.writable()?;
            self.has_batch(what)?;
            self.batch_flags(flags)
        };
        if let Err(errno) = may() {
            return (0, Err(errno));
        }
        let mut done = 0;
        for element in elements {
            if let Err(errno) = change(element) {
                return (done, Err(errno));
            }
            done += 1;
        }
        (done, Ok(()))
    }

    fn has_batch(&self, what: Batches) -> Result<Batches, Errno> {
        let has = each!(self, e => Elements::batches(e));
        if has.contains(what) { Ok(has) } else { Err(Errno::ENOTSUPP) }
    }

    fn batch_flags(&self, flags: u64) -> Result<(), Errno> {
        known_flags(flags)?;
        self.lockable(flags)
    }

    /// `BPF_MAP_FREEZE`: user space can no longer write.
    pub fn freeze(&self) -> Result<(), Errno> {
        if self.info.map_type == MapType::StructOps || !self.fields.fields.is_empty() {
            return Err(Errno::ENOTSUPP);
        }
        self.writable()?;
        self.frozen.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether the map is frozen.
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire)
    }

    /// Bytes of a value in the user's view.
    pub fn user_value_size(&self) -> usize {
        if self.info.map_type.is(MapTraits::PER_CPU) {
            return self.value_size().next_multiple_of(8) * self.info.cpus as usize;
        }
        self.value_size()
    }

    /// Values that are to be locked need a lock.
    fn lockable(&self, flags: u64) -> Result<(), Errno> {
        let has_lock = || self.value_layout().is_some_and(|l| l.spin_lock().is_some());
        if flags & flag::LOCK != 0 && !has_lock() { Err(Errno::EINVAL) } else { Ok(()) }
    }

    fn readable(&self) -> Result<(), Errno> {
        if self.info.flags & flag::WRONLY != 0 { Err(Errno::EPERM) } else { Ok(()) }
    }

    fn writable(&self) -> Result<(), Errno> {
        if self.info.flags & flag::RDONLY != 0 || self.is_frozen() { Err(Errno::EPERM) } else { Ok(()) }
    }
}

/// Flags of reading.
fn known_flags(flags: u64) -> Result<(), Errno> {
    if flags & !flag::LOCK != 0 { Err(Errno::EINVAL) } else { Ok(()) }
}
