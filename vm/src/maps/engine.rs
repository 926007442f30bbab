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

    /// Address of an arena's first byte; `None` for another kind of map.
    pub fn arena_base(&self) -> Option<u64> {
        match &self.kind {
            Kind::Arena(arena) => Some(arena.base()),
            _ => None,
        }
    }
}
