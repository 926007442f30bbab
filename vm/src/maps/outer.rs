//! Maps of maps.

use super::check::flag;
use super::commands::{Batches, Descriptor};
use super::elements::{Elements, index};
use super::hash::HashMap;
use super::mem::Region;
use super::refs::fits;
use super::{Info, Map, User, Users};
use crate::Errno;
use ebpfkit_abi::MapType;
use ebpfkit_object::record::Record;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// `ARRAY_OF_MAPS` and `HASH_OF_MAPS`.
#[derive(Debug)]
pub struct Maps {
    template: Info,
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
    pub(super) fn new(info: &Info, (template, template_fields): (Info, Record)) -> Result<Self, Errno> {
        let entries = if info.map_type == MapType::HashOfMaps {
            let wide = Info { value_size: 8, map_type: MapType::Hash, ..info.clone() };
            Entries::Hash(Box::new(HashMap::new(&wide, &Record::default())?))
        } else {
            Entries::Array { slots: info.account.region(info.max_entries as usize, 8)?, count: info.max_entries }
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
        let (t, info) = (&self.template, map.info());
        let same_length = match info.map_type {
            MapType::Array => info.flags & flag::INNER_MAP != 0 || t.max_entries == info.max_entries,
            MapType::Xskmap => t.max_entries == info.max_entries,
            _ => true,
        };
        let same = t.map_type == info.map_type
            && t.key_size == info.key_size
            && t.value_size == info.value_size
            && t.flags == info.flags
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
        out.copy_from_slice(&inner.info.id.to_ne_bytes());
        Ok(())
    }

    fn user_update(&self, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }
}
