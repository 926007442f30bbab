//! What engines ask of a map beyond its elements.

use super::{Kind, Map};
use crate::Program;
use std::sync::Arc;

impl Map {
    /// The program at an index of a prog array, for tail calls; `None` for an empty slot or another kind of map.
    pub fn program(&self, index: u32) -> Option<Arc<Program>> {
        match &self.kind {
            Kind::Slots(slots) => slots.program(index),
            _ => None,
        }
    }

    /// Whether bytes lie inside the map's own memory: values, keys or records.
    pub fn contains(&self, address: u64, len: u64) -> bool {
        match &self.kind {
            Kind::Array(a) | Kind::StructOps(a) => a.contains(address, len),
            Kind::PercpuArray(a) => a.contains(address, len),
            Kind::Hash(h) | Kind::DevmapHash(h) | Kind::Sockhash(h) => h.contains(address, len),
            Kind::Lpm(l) => l.contains(address, len),
            Kind::Ringbuf(r) => r.contains(address, len),
            Kind::UserRingbuf(r) => r.contains(address, len),
            Kind::Storage(s) => s.contains(address, len),
            Kind::Arena(a) => a.contains(address, len),
            _ => false,
        }
    }
}
