//! Maps in use.

use ebpfkit_abi::MapType;
use ebpfkit_object::Map;
use ebpfkit_object::record::Record;
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

/// Paths bring different maps to one call.
pub(crate) const SEVERAL_MAPS: u32 = u32::MAX;

/// Types of maps that hold storage of control groups: each program uses at most one of each.
pub(crate) const CGROUP_STORAGES: [MapType; 2] = [MapType::CgroupStorage, MapType::PercpuCgroupStorage];
