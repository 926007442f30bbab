//! Maps in use.

use ebpfkit_abi::MapType;
use ebpfkit_object::record::Record;
use ebpfkit_object::{Map, MapInit};
use std::rc::Rc;

/// A map that the program uses.
#[derive(Clone, Debug)]
pub struct UsedMap<'a> {
    /// Index in the object.
    pub index: usize,
    /// Definition. Inner templates are appended to the list and have no index of their own.
    pub def: &'a Map,
    /// For map-in-map: position of the inner template in the list of maps in use.
    pub inner: Option<u32>,
    /// Special fields of the value (locks, timers, kptrs, lists, ...).
    pub record: Rc<Record>,
}

impl UsedMap<'_> {
    /// Creation flags, with those that the map's type has by itself.
    pub fn flags(&self) -> u32 {
        self.def.flags | self.def.map_type.row().implied
    }
}

/// Bytes of an entry of a table of jumps, as programs see it.
pub(crate) const JUMP_SIZE: u32 = 8;

impl UsedMap<'_> {
    /// Bytes that a program gets at through a pointer to a value: of an array of instructions, the whole table.
    pub(crate) fn reach(&self) -> u32 {
        match self.def.map_type {
            MapType::InsnArray => self.def.max_entries.saturating_mul(JUMP_SIZE),
            _ => self.def.value_size,
        }
    }

    /// Instructions that entries of a table of jumps lead to, ascending and each once.
    pub(crate) fn jumps(&self, from: usize, to: usize) -> Vec<usize> {
        let all = if let MapInit::Jumps(targets) = &self.def.init { &targets[..] } else { &[] };
        let mut jumps: Vec<usize> = all.iter().take(to + 1).skip(from).map(|t| *t as usize).collect();
        if to >= all.len() {
            // What is not set leads to the first instruction.
            jumps.push(0);
        }
        jumps.sort_unstable();
        jumps.dedup();
        jumps
    }
}

/// Paths bring different maps to one call.
pub(crate) const SEVERAL_MAPS: u32 = u32::MAX;

/// Types of maps that hold storage of control groups: each program uses at most one of each.
pub(crate) const CGROUP_STORAGES: [MapType; 2] = [MapType::CgroupStorage, MapType::PercpuCgroupStorage];
