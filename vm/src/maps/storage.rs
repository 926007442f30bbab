//! Storage that belongs to something else: a socket, a task, an inode, a cgroup.

use super::elements::Elements;
use super::mem::Region;
use super::{Account, Facts, ValueLayout};
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
    pub(super) fn new(facts: &Facts, fields: &Record) -> Self {
        let size = facts.value_size as usize;
        let cpus = if facts.map_type == MapType::PercpuCgroupStorage { facts.cpus } else { 1 };
        let stride = size.next_multiple_of(8);
        let account = facts.account.clone();
        Self { layout: ValueLayout::new(size, fields), stride, cpus, values: Mutex::default(), account }
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

impl Elements for Storage {
    fn user_lookup(&self, _key: &[u8], _out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }

    fn user_update(&self, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }

    fn value_layout(&self) -> Option<&ValueLayout> {
        Some(self.value_layout())
    }

    fn contains(&self, address: u64, len: u64) -> bool {
        self.contains(address, len)
    }
}
