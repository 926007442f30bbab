//! Storage that belongs to something else: a socket, a task, an inode, a cgroup.

use super::check::flag;
use super::elements::Elements;
use super::mem::Region;
use super::{Account, Info, ValueLayout};
use crate::Errno;
use ebpfkit_abi::MapType;
use ebpfkit_object::record::Record;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

/// Flag of the `bpf_*_storage_get` helpers: make the storage when there is none.
pub const GET_CREATE: u64 = 1;

/// Bytes that an owner takes beside its values.
const OVERHEAD: u64 = 256;

/// `SK_STORAGE`, `TASK_STORAGE`, `INODE_STORAGE`, `CGRP_STORAGE`, `CGROUP_STORAGE` and its per-CPU kind. An owner is a
/// number, such as the address of the object.
#[derive(Debug)]
pub struct Storage {
    layout: ValueLayout,
    stride: usize,
    cpus: u32,
    /// Cgroups have it through the programs that are attached to them, and user space names them by their paths.
    of_cgroups: bool,
    per_cpu: bool,
    values: Mutex<Values>,
    account: Account,
}

#[derive(Debug, Default)]
struct Values {
    of: BTreeMap<u64, Region>,
    /// Addresses of the memory of all owners that there were, and its bytes.
    spans: BTreeMap<u64, u64>,
    /// Programs may still hold addresses of what was deleted; it is used again for the next owner.
    free: Vec<Region>,
}

impl Storage {
    pub(super) fn new(info: &Info, fields: &Record) -> Self {
        let size = info.value_size as usize;
        let per_cpu = info.map_type == MapType::PercpuCgroupStorage;
        let cpus = if per_cpu { info.cpus } else { 1 };
        let stride = size.next_multiple_of(8);
        let account = info.account.clone();
        let of_cgroups = matches!(info.map_type, MapType::CgroupStorage | MapType::PercpuCgroupStorage);
        let layout = ValueLayout::new(size, fields);
        Self { layout, stride, cpus, of_cgroups, per_cpu, values: Mutex::default(), account }
    }

    pub(super) fn contains(&self, address: u64, len: u64) -> bool {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let below = values.spans.range(..=address).next_back();
        below.is_some_and(|(base, bytes)| address - base < *bytes && len <= bytes - (address - base))
    }

    pub(super) fn value_layout(&self) -> &ValueLayout {
        &self.layout
    }

    /// The storage of an owner; with `create`, a new one of zeros, or of `init`.
    pub fn get(&self, owner: u64, create: bool, init: Option<&[u8]>, cpu: u32) -> Result<NonNull<u8>, Errno> {
        if cpu >= self.cpus && self.cpus > 1 {
            return Err(Errno::EINVAL);
        }
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = if self.cpus > 1 { cpu as usize * self.stride } else { 0 };
        if let Some(region) = values.of.get(&owner) {
            return Ok(region.at(offset));
        }
        if !create {
            return Err(Errno::ENOENT);
        }
        let region = match values.free.pop() {
            Some(region) => region,
            None => {
                self.account.charge(OVERHEAD)?;
                let region = self.account.region(self.cpus as usize, self.stride)?;
                values.spans.insert(region.base().as_ptr() as u64, region.len() as u64);
                region
            }
        };
        for cpu in 0..self.cpus as usize {
            let dst = region.at(cpu * self.stride).as_ptr();
            // SAFETY: the region has a value for each CPU; `init` is checked to be as long.
            unsafe {
                self.layout.clear(dst);
                if let Some(init) = init.filter(|i| i.len() >= self.layout.size()) {
                    self.layout.write(dst, init);
                }
            }
        }
        let at = region.at(offset);
        values.of.insert(owner, region);
        Ok(at)
    }

    /// Deletes the storage of an owner.
    pub fn remove(&self, owner: u64) -> Result<(), Errno> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let region = values.of.remove(&owner).ok_or(Errno::ENOENT)?;
        for cpu in 0..self.cpus as usize {
            // SAFETY: the region has a value for each CPU.
            unsafe { self.layout.free_fields(region.at(cpu * self.stride).as_ptr()) };
        }
        values.free.push(region);
        Ok(())
    }

    /// Owners and copies of their values, CPU after CPU.
    pub fn values(&self) -> Vec<(u64, Vec<u8>)> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = |region: &Region| {
            let mut out = vec![0; self.cpus as usize * self.stride];
            for (cpu, out) in out.chunks_exact_mut(self.stride).enumerate() {
                // SAFETY: the region has a value for each CPU, and the chunk is as long.
                unsafe { self.layout.read(region.at(cpu * self.stride).as_ptr(), out) };
            }
            out
        };
        values.of.iter().map(|(owner, region)| (*owner, copy(region))).collect()
    }
}

/// The owner that a key of user space names.
fn owner(key: &[u8]) -> u64 {
    key.first_chunk().map_or(0, |k| u64::from_ne_bytes(*k))
}

impl Elements for Storage {
    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        if self.of_cgroups { Err(Errno::EINVAL) } else { self.remove(owner(key)) }
    }

    fn next_key(&self, _key: Option<&[u8]>, _next: &mut [u8]) -> Result<(), Errno> {
        if self.of_cgroups { Err(Errno::ENOENT) } else { Err(Errno::ENOTSUPP) }
    }

    fn user_lookup(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        if self.of_cgroups {
            return Err(Errno::ENOENT);
        }
        let value = self.get(owner(key), false, None, 0)?.as_ptr();
        // SAFETY: the address is a value of this map, and `out` has its size.
        unsafe {
            match flags & flag::LOCK != 0 {
                true => self.layout.read_locked(value, out)?,
                false => self.layout.read(value, out),
            }
        }
        Ok(())
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        if self.of_cgroups {
            // Programs make it, so that there is only something to replace.
            let known = if self.per_cpu { flag::EXIST } else { flag::EXIST | flag::LOCK };
            return Err(if flags & !known != 0 { Errno::EINVAL } else { Errno::ENOENT });
        }
        if flags & !flag::LOCK > flag::EXIST {
            return Err(Errno::EINVAL);
        }
        let owner = owner(key);
        let old = self.get(owner, false, None, 0).ok();
        match (old, flags & !flag::LOCK) {
            (Some(_), flag::NOEXIST) => return Err(Errno::EEXIST),
            (None, flag::EXIST) => return Err(Errno::ENOENT),
            (None, _) => return self.get(owner, true, Some(value), 0).map(drop),
            _ => {}
        }
        let Some(old) = old.map(NonNull::as_ptr) else { return Ok(()) };
        // SAFETY: the address is a value of this map, and `value` has its size.
        unsafe {
            match flags & flag::LOCK != 0 {
                true => self.layout.write_locked(old, value)?,
                false => self.layout.write(old, value),
            }
        }
        Ok(())
    }

    fn value_layout(&self) -> Option<&ValueLayout> {
        Some(self.value_layout())
    }

    fn contains(&self, address: u64, len: u64) -> bool {
        self.contains(address, len)
    }
}
