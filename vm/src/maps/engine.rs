//! What engines ask of a map beyond its elements.

use super::elements::Elements;
use super::{ArrayLayout, Find, Kind, Map, each};
use crate::{Program, Run};
use std::sync::Arc;

/// How native code looks an element up in a map that it knows.
#[derive(Clone, Copy, Debug)]
pub enum Lookup {
    /// It finds the place itself.
    Array(ArrayLayout),
    /// It calls a function, with the address that belongs to it.
    Hash(Find, u64),
}

impl Map {
    /// The short way of a lookup in unchecked mode; `None` where only the helper knows it.
    pub fn short_lookup(&self) -> Option<Lookup> {
        match &self.kind {
            Kind::Array(a) => Some(Lookup::Array(a.layout())),
            Kind::PercpuArray(a) => Some(Lookup::Array(a.layout())),
            Kind::Hash(h) => Some(Lookup::Hash(h.find, std::ptr::from_ref(h) as u64)),
            _ => None,
        }
    }

    /// The short way of a lookup, taken: the address of the value or zero. `None` where only the helper knows it.
    ///
    /// # Safety
    /// The bytes of the key are valid for reads.
    #[inline]
    pub(crate) unsafe fn look_up_proved(&self, run: &mut Run, key: u64) -> Option<u64> {
        // SAFETY: the caller answers for the key; no alignment is needed.
        let index = || unsafe { (key as usize as *const u32).read_unaligned() };
        let value = match &self.kind {
            Kind::Array(a) => a.lookup(index()),
            Kind::PercpuArray(a) => a.lookup(index(), run.world.cpu),
            // SAFETY: as above; the map is this one's.
            Kind::Hash(h) => return Some(unsafe { h.find(run, key) }),
            _ => return None,
        };
        Some(value.map_or(0, |v| v.as_ptr() as u64))
    }

    /// The program at an index of a prog array, for tail calls; `None` for an empty slot or another kind of map.
    pub fn program(&self, index: u32) -> Option<Arc<Program>> {
        match &self.kind {
            Kind::Slots(slots) => slots.program(index),
            _ => None,
        }
    }

    /// Whether bytes lie inside the map's own memory: values, keys or records.
    pub fn contains(&self, address: u64, len: u64) -> bool {
        each!(self, e => Elements::contains(e, address, len))
    }
}
