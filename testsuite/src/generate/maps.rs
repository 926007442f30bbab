//! The maps of generated programs.

use super::Source;
use super::construct::{Construct, Constructs};
use super::types::Types;
use super::{ENTRIES, VALUE_SIZES};
use ebpfkit_abi::{MapType, map_flags};
use ebpfkit_object::{Map, MapInit};

/// Bytes of a value that holds a lock.
pub(super) const LOCKED_SIZE: u32 = 48;
/// Where in it the lock is.
pub(super) const LOCK: i16 = 16;
/// Where the part behind the lock starts that programs use.
pub(super) const BEHIND_LOCK: i16 = 24;
/// Bytes of a ring buffer, the least that there is.
const RING_SIZE: u32 = 4096;
/// Slots of the array of maps; the last is empty.
pub(super) const OUTER_SLOTS: u32 = 3;
/// Slots of the array of programs; the last is empty.
pub(super) const PROGRAM_SLOTS: u32 = 2;

/// Numbers of the maps that not all programs have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    pub(super) ring: usize,
    pub(super) locked: usize,
    pub(super) outer: usize,
    /// A map of maps whose inner maps are of some kind.
    pub(super) inner_outer: usize,
    /// They have all of their elements.
    pub(super) inner_is_whole: bool,
    pub(super) programs: usize,
}

fn map(name: &str, map_type: MapType, value_size: u32) -> Map {
    Map { name: name.into(), map_type, key_size: 4, value_size, max_entries: ENTRIES, ..Map::default() }
}

/// The maps of a program, and which number each has.
pub(super) fn maps(source: &mut impl Source, on: Constructs, types: &Types) -> (Vec<Map>, Numbers) {
    let mut all = vec![
        map("numbers", MapType::Array, VALUE_SIZES[0]),
        map("table", MapType::Hash, VALUE_SIZES[1]),
        map("more", MapType::Array, VALUE_SIZES[2]),
    ];
    let mut numbers = Numbers::default();
    let mut add = |map| {
        all.push(map);
        all.len() - 1
    };
    if on.has(Construct::Ring) {
        let ring = Map { key_size: 0, max_entries: RING_SIZE, ..map("ring", MapType::Ringbuf, 0) };
        numbers.ring = add(ring);
    }
    if on.has(Construct::Lock) || on.has(Construct::Typedefs) {
        let value_type = if on.has(Construct::Typedefs) { source.pick(&types.locked_otherwise) } else { types.locked };
        let key_type = types.key;
        numbers.locked = add(Map { key_type, value_type, ..map("locked", MapType::Array, LOCKED_SIZE) });
    }
    if on.has(Construct::Nested) {
        let inner = Some(Box::new(map("inner", MapType::Array, VALUE_SIZES[0])));
        let init = MapInit::Maps((0..OUTER_SLOTS - 1).map(|slot| (slot, 0)).collect());
        let outer = Map { max_entries: OUTER_SLOTS, inner, init, ..map("outer", MapType::ArrayOfMaps, 4) };
        numbers.outer = add(outer);
    }
    if on.has(Construct::Inner) {
        let kind = source.pick(&[MapType::Array, MapType::Array, MapType::Hash]);
        // Arrays of other sizes may stand in for one with this flag.
        let any_size = kind == MapType::Array && source.chance(500);
        let flags = if any_size { map_flags::INNER_MAP } else { 0 };
        numbers.inner_is_whole = kind == MapType::Array && !any_size;
        let template = Map { flags, ..map("some", kind, VALUE_SIZES[0]) };
        let one = add(template.clone());
        let init = MapInit::Maps(vec![(0, one)]);
        let outer = source.pick(&[MapType::ArrayOfMaps, MapType::HashOfMaps]);
        let inner = Some(Box::new(template));
        numbers.inner_outer = add(Map { inner, init, ..map("of_some", outer, 4) });
    }
    if on.has(Construct::Tail) {
        let init = MapInit::Programs((0..PROGRAM_SLOTS - 1).map(|slot| (slot, 1)).collect());
        numbers.programs = add(Map { max_entries: PROGRAM_SLOTS, init, ..map("programs", MapType::ProgArray, 4) });
    }
    (all, numbers)
}
