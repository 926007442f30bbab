//! Hash maps: plain, per CPU, and those that give up the least recently used element when they are full.

mod direct;
mod lru;
mod table;

use super::check::flag;
use super::commands::Batches;
use super::elements::Elements;
use super::mem::{self, Region};
use super::value::ValueLayout;
use super::{Info, Visit};
use crate::Errno;
pub use direct::Find;
use ebpfkit_abi::MapType;
use ebpfkit_object::record::Record;
use lru::Lru;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use table::{HEADER, Key, Locked, Node, Pool, Table, is_live, node_in, number_of, set_number};

/// `BPF_MAP_TYPE_HASH`, `PERCPU_HASH`, `LRU_HASH`, `LRU_PERCPU_HASH`, and the table under `HASH_OF_MAPS`.
#[derive(Debug)]
pub struct HashMap {
    table: Table,
    nodes: Nodes,
    layout: ValueLayout,
    /// Layout of the user's copies of per-CPU values: padding goes along where there are no special fields.
    padded: ValueLayout,
    /// Bytes from the start of a node to its first value.
    value_offset: usize,
    /// Bytes from one CPU's value to the next CPU's.
    stride: usize,
    key_size: usize,
    /// CPUs with a value of their own; zero for maps that all CPUs share.
    cpus: u32,
    count: AtomicU32,
    max_entries: u32,
    /// The short way of a lookup.
    pub(super) find: Find,
}

/// Refusals of an update.
fn check(old: Option<NonNull<Node>>, flags: u64) -> Result<(), Errno> {
    match (old, flags & !flag::LOCK) {
        (Some(_), flag::NOEXIST) => Err(Errno::EEXIST),
        (None, flag::EXIST) => Err(Errno::ENOENT),
        _ => Ok(()),
    }
}

/// Where nodes come from.
#[derive(Debug)]
enum Nodes {
    /// As many as are needed.
    Pool(Pool),
    /// A fixed number; when none is left, an old one goes.
    Lru { slab: Region, stride: usize, lru: Lru },
}

impl HashMap {
    pub(super) fn new(info: &Info, fields: &Record) -> Result<Self, Errno> {
        let size = info.value_size as usize;
        let key_size = info.key_size as usize;
        let percpu = matches!(info.map_type, MapType::PercpuHash | MapType::LruPercpuHash);
        let cpus = if percpu { info.cpus } else { 0 };
        let value_offset = HEADER + key_size.next_multiple_of(8);
        // Values of different CPUs do not share cache lines.
        let stride = size.next_multiple_of(if cpus > 1 { 64 } else { 8 });
        let node = value_offset + stride * cpus.max(1) as usize;
        let mut max_entries = info.max_entries;
        let nodes = if matches!(info.map_type, MapType::LruHash | MapType::LruPercpuHash) {
            let own_lists = info.flags & flag::NO_COMMON_LRU != 0;
            if own_lists {
                // Each CPU gets the same share.
                let whole = max_entries / info.cpus * info.cpus;
                max_entries = max_entries.checked_next_multiple_of(info.cpus).unwrap_or(whole);
            }
            let slab = info.account.region(max_entries as usize, node)?;
            Nodes::Lru { slab, stride: node, lru: Lru::new(info, max_entries, own_lists)? }
        } else {
            Nodes::Pool(Pool::new(node, info.account.clone()))
        };
        let padded = if fields.fields.is_empty() { size.next_multiple_of(8) } else { size };
        Ok(Self {
            table: Table::new(info, max_entries)?,
            nodes,
            layout: ValueLayout::new(size, fields),
            padded: ValueLayout::new(padded, fields),
            value_offset,
            stride,
            key_size,
            cpus,
            count: AtomicU32::new(0),
            max_entries,
            find: direct::find_fn(key_size),
        })
    }

    pub(super) fn contains(&self, address: u64, len: u64) -> bool {
        match &self.nodes {
            Nodes::Pool(pool) => pool.contains(address, len),
            Nodes::Lru { slab, .. } => slab.contains(address, len),
        }
    }

    pub(super) fn value_layout(&self) -> &ValueLayout {
        &self.layout
    }

    /// Elements in the map.
    pub fn len(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn value_at(&self, node: NonNull<Node>, cpu: u32) -> NonNull<u8> {
        debug_assert!(cpu < self.cpus.max(1));
        // SAFETY: every node has the values of all CPUs behind head and key.
        unsafe { node.cast::<u8>().add(self.value_offset + cpu as usize * self.stride) }
    }

    /// The slot that a program on `cpu` uses.
    #[inline]
    fn slot(&self, cpu: u32) -> u32 {
        if self.cpus == 0 { 0 } else { cpu }
    }

    /// Address of the value of `cpu`.
    #[inline]
    pub fn lookup(&self, key: &[u8], cpu: u32) -> Option<NonNull<u8>> {
        let cpu = self.slot(cpu);
        if cpu >= self.cpus.max(1) {
            return None;
        }
        self.with_key(key, |key| self.lookup_key(key, cpu))
    }

    /// The value of a CPU that is one of the map's, or zero where all share it.
    #[inline(always)]
    fn lookup_key(&self, key: Key<'_>, cpu: u32) -> Option<NonNull<u8>> {
        let node = self.table.find(key)?;
        if let Nodes::Lru { lru, .. } = &self.nodes {
            lru.touch(number_of(node));
        }
        Some(self.value_at(node, cpu))
    }

    /// As [`HashMap::lookup`], but the element does not count as used.
    pub fn look(&self, key: &[u8]) -> Option<NonNull<u8>> {
        self.with_key(key, |key| self.table.find(key)).map(|node| self.value_at(node, 0))
    }

    /// `cpu` is nothing for user space, which brings the values of all CPUs.
    pub(super) fn update(&self, key: &[u8], value: &[u8], flags: u64, cpu: Option<u32>) -> Result<(), Errno> {
        let in_place = self.cpus == 0 && matches!(self.nodes, Nodes::Pool(_));
        let known = if in_place { flag::LOCK } else { 0 };
        if flags & !known > flag::EXIST {
            return Err(Errno::EINVAL);
        }
        if flags & flag::LOCK != 0 && self.layout.spin_lock().is_none() {
            return Err(Errno::EINVAL);
        }
        if cpu.is_some_and(|cpu| self.slot(cpu) >= self.cpus.max(1)) {
            return Err(Errno::EINVAL);
        }
        self.with_key(key, |key| self.update_key(key, value, flags, cpu))
    }

    fn update_key(&self, key: Key<'_>, value: &[u8], flags: u64, cpu: Option<u32>) -> Result<(), Errno> {
        let pool = match &self.nodes {
            Nodes::Pool(pool) => pool,
            Nodes::Lru { slab, stride, lru } => {
                let node = |element| slab.at(element as usize * stride).cast();
                return self.update_lru(lru, &node, key, value, flags, cpu);
            }
        };
        let mut bucket = self.table.lock(self.table.bucket_of(key.hash));
        let old = bucket.find(key);
        check(old, flags)?;
        match old {
            Some(node) if self.cpus != 0 => {
                self.write_percpu(node, value, cpu, false);
                Ok(())
            }
            // SAFETY: the address is a value of this map, and `value` has its size.
            Some(node) if flags & flag::LOCK != 0 => unsafe {
                self.layout.write_locked(self.value_at(node, 0).as_ptr(), value)
            },
            Some(node) => {
                // A value is never overwritten: programs that hold the old one go on seeing it.
                let new = pool.take()?;
                // SAFETY: the address is a value of this map, and `value` has its size.
                unsafe { self.layout.write(self.value_at(new, 0).as_ptr(), value) };
                bucket.insert(new, key);
                bucket.remove(node);
                self.retire(node);
                Ok(())
            }
            None => self.add(pool, &mut bucket, key, value, cpu),
        }
    }

    fn update_lru(
        &self,
        lru: &Lru,
        node: &dyn Fn(u32) -> NonNull<Node>,
        key: Key<'_>,
        value: &[u8],
        flags: u64,
        cpu: Option<u32>,
    ) -> Result<(), Errno> {
        // An element is found before the bucket is taken, since others may have to leave their buckets for it.
        let mut new = None;
        if self.cpus == 0 || flags != flag::EXIST {
            let mut evict = |element, hash| {
                let old = node(element);
                let gone = self.table.lock(self.table.bucket_of(hash)).remove(old);
                if gone {
                    self.count.fetch_sub(1, Ordering::Relaxed);
                    self.free_fields(old);
                }
                gone
            };
            let taken = lru.take(cpu.unwrap_or(0), key.hash, &mut evict).ok_or(Errno::ENOMEM)?;
            set_number(node(taken), taken);
            new = Some(taken);
        }
        let mut bucket = self.table.lock(self.table.bucket_of(key.hash));
        let old = bucket.find(key);
        let mut spare = new;
        let done = check(old, flags).map(|()| match (old, new) {
            (Some(old), _) if self.cpus != 0 => {
                lru.touch(number_of(old));
                self.write_percpu(old, value, cpu, false);
            }
            (_, Some(taken)) => {
                let new = node(taken);
                if self.cpus == 0 {
                    // SAFETY: the address is a value of this map, and `value` has its size.
                    unsafe { self.layout.write(self.value_at(new, 0).as_ptr(), value) };
                } else {
                    self.write_percpu(new, value, cpu, true);
                }
                bucket.insert(new, key);
                spare = old.map(number_of);
                match old {
                    Some(old) => {
                        lru.touch(taken);
                        bucket.remove(old);
                        self.free_fields(old);
                    }
                    None => {
                        self.count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            (_, None) => {}
        });
        drop(bucket);
        if let Some(spare) = spare {
            lru.give(spare);
        }
        done
    }

    fn add(
        &self,
        pool: &Pool,
        bucket: &mut Locked<'_>,
        key: Key<'_>,
        value: &[u8],
        cpu: Option<u32>,
    ) -> Result<(), Errno> {
        let within = |n| (n < self.max_entries).then_some(n + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).map_err(|_| Errno::E2BIG)?;
        let node = match pool.take() {
            Ok(node) => node,
            Err(errno) => {
                self.count.fetch_sub(1, Ordering::Relaxed);
                return Err(errno);
            }
        };
        if self.cpus == 0 {
            // SAFETY: the address is a value of this map, and `value` has its size.
            unsafe { self.layout.write(self.value_at(node, 0).as_ptr(), value) };
        } else {
            self.write_percpu(node, value, cpu, true);
        }
        bucket.insert(node, key);
        Ok(())
    }

    fn write_percpu(&self, node: NonNull<Node>, value: &[u8], cpu: Option<u32>, new: bool) {
        match cpu {
            Some(this) => {
                for cpu in 0..self.cpus {
                    let dst = self.value_at(node, cpu).as_ptr();
                    // SAFETY: the address is a value of this map, and `value` has its size.
                    unsafe {
                        if cpu == this {
                            self.layout.write(dst, value);
                            self.layout.free_fields(dst);
                        } else if new {
                            self.layout.clear(dst);
                        }
                    }
                }
            }
            None => {
                for (cpu, value) in (0..self.cpus).zip(value.chunks_exact(self.layout.size().next_multiple_of(8))) {
                    let dst = self.value_at(node, cpu).as_ptr();
                    // SAFETY: the address is a value of this map with its padding, and the chunk is as long.
                    unsafe {
                        self.padded.write(dst, value);
                        self.layout.free_fields(dst);
                    }
                }
            }
        }
    }

    fn free_fields(&self, node: NonNull<Node>) {
        for cpu in 0..self.cpus.max(1) {
            // SAFETY: the address is a value of this map.
            unsafe { self.layout.free_fields(self.value_at(node, cpu).as_ptr()) };
        }
    }

    /// Frees what a node owns and makes it free for the next element.
    fn retire(&self, node: NonNull<Node>) {
        self.free_fields(node);
        match &self.nodes {
            Nodes::Pool(pool) => pool.give(node),
            Nodes::Lru { lru, .. } => lru.give(number_of(node)),
        }
    }

    pub(super) fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.with_key(key, |key| {
            let bucket = self.table.lock(self.table.bucket_of(key.hash));
            let node = bucket.find(key).ok_or(Errno::ENOENT)?;
            self.unlink(bucket, node);
            Ok(())
        })
    }

    fn unlink(&self, mut bucket: Locked<'_>, node: NonNull<Node>) {
        bucket.remove(node);
        self.count.fetch_sub(1, Ordering::Relaxed);
        // The LRU lists are taken before buckets, never after.
        drop(bucket);
        self.retire(node);
    }

    fn read(&self, node: NonNull<Node>, out: &mut [u8], flags: u64) -> Result<(), Errno> {
        if self.cpus != 0 {
            for (cpu, out) in (0..self.cpus).zip(out.chunks_exact_mut(self.layout.size().next_multiple_of(8))) {
                // SAFETY: the address is a value of this map with its padding, and the chunk is as long.
                unsafe { self.padded.read(self.value_at(node, cpu).as_ptr(), out) };
            }
            return Ok(());
        }
        let src = self.value_at(node, 0).as_ptr();
        // SAFETY: the address is a value of this map, and `out` has its size.
        unsafe {
            if flags & flag::LOCK != 0 {
                self.layout.read_locked(src, out)
            } else {
                self.layout.read(src, out);
                Ok(())
            }
        }
    }

    pub(super) fn user_lookup(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        let node = self.with_key(key, |key| self.table.find(key)).ok_or(Errno::ENOENT)?;
        self.read(node, out, flags)
    }

    pub(super) fn user_take(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        self.with_key(key, |key| {
            let bucket = self.table.lock(self.table.bucket_of(key.hash));
            let node = bucket.find(key).ok_or(Errno::ENOENT)?;
            self.read(node, out, flags)?;
            self.unlink(bucket, node);
            Ok(())
        })
    }

    pub(super) fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        let found = key.and_then(|key| self.with_key(key, |key| self.table.find(key)));
        let start = found.map_or(0, |node| number_of(node) + 1);
        let node = self.next_live(start..u32::MAX).ok_or(Errno::ENOENT)?;
        // SAFETY: the key lies behind the head, `key_size` bytes long.
        unsafe { mem::load(table::key_of(node).as_ptr(), &mut next[..self.key_size]) };
        Ok(())
    }

    /// The first element that has a number in a range. The order of elements is that in which their memory was first
    /// used, so that it is the same in every run, whatever the hash function's key.
    fn next_live(&self, mut numbers: Range<u32>) -> Option<NonNull<Node>> {
        match &self.nodes {
            Nodes::Pool(pool) => pool.next_live(numbers),
            Nodes::Lru { slab, stride, .. } => {
                numbers.end = numbers.end.min(self.max_entries);
                numbers.map(|n| slab.at(n as usize * stride).cast()).find(|node| is_live(*node))
            }
        }
    }

    /// The key of the element whose value holds an address, and the value's own address.
    pub(super) fn element_around(&self, address: u64) -> Option<(Vec<u8>, NonNull<u8>)> {
        let node = match &self.nodes {
            Nodes::Pool(pool) => pool.node_around(address)?,
            Nodes::Lru { slab, stride, .. } => node_in(slab, *stride, address)?,
        };
        let value = self.value_at(node, 0);
        if !is_live(node) || address.wrapping_sub(value.as_ptr() as u64) >= self.layout.size() as u64 {
            return None;
        }
        let mut key = vec![0; self.key_size];
        // SAFETY: the key lies behind the head, `key_size` bytes long.
        unsafe { mem::load(table::key_of(node).as_ptr(), &mut key) };
        Some((key, value))
    }

    /// Elements that are made meanwhile may be visited or not.
    pub(super) fn for_each(&self, cpu: u32, visit: &mut Visit<'_>) -> u64 {
        let cpu = self.slot(cpu).min(self.cpus.max(1) - 1);
        let end = match &self.nodes {
            Nodes::Pool(pool) => pool.used(),
            Nodes::Lru { .. } => self.max_entries,
        };
        let (mut visited, mut start) = (0, 0);
        while let Some(node) = self.next_live(start..end) {
            start = number_of(node) + 1;
            visited += 1;
            if visit(table::key_of(node), self.value_at(node, cpu)).is_break() {
                break;
            }
        }
        visited
    }

    /// Runs `f` with a key made from bytes.
    #[inline]
    fn with_key<T>(&self, bytes: &[u8], f: impl FnOnce(Key<'_>) -> T) -> T {
        table::with_key(self.table.seed, bytes, f)
    }
}

impl Elements for HashMap {
    fn batches(&self) -> Batches {
        Batches::all()
    }

    fn lookup(&self, key: &[u8], cpu: u32) -> Option<NonNull<u8>> {
        self.lookup(key, cpu)
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, cpu: u32) -> Result<(), Errno> {
        self.update(key, value, flags, Some(cpu))
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.delete(key)
    }

    fn for_each(&self, cpu: u32, visit: &mut Visit<'_>) -> Result<u64, Errno> {
        Ok(self.for_each(cpu, visit))
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        self.next_key(key, next)
    }

    fn user_lookup(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        self.user_lookup(key, out, flags)
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.update(key, value, flags, None)
    }

    fn user_take(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        self.user_take(key, out, flags)
    }

    fn value_layout(&self) -> Option<&ValueLayout> {
        Some(self.value_layout())
    }

    fn contains(&self, address: u64, len: u64) -> bool {
        self.contains(address, len)
    }
}
