//! Maps as they were declared before BTF: structs of plain numbers in `maps` sections. libbpf gave them up in its
//! version 1.0; cilium/ebpf, aya and older loaders read them.
//!
//! All layouts begin alike: type, key size, value size, entries, flags. What follows depends on who wrote the header,
//! and the size of the symbol tells which one it was.

use super::elf::{File, Symbol, malformed};
use super::functions::Functions;
use super::map_def::PIN_BY_NAME;
use super::maps::{BySection, Declared};
use crate::btf::{Btf, Kind};
use crate::model::{Map, MapInit, ObjectError};
use ebpfkit_abi::map_flags as flag;
use ebpfkit_abi::{MapTraits, MapType};
use ebpfkit_isa::Endian;
use rustc_hash::FxHashMap;

/// Section of definitions.
const SECTION: &str = "maps";
/// Where a map has a section of its own, behind the slash stands its name.
const PREFIX: &str = "maps/";
/// Where loaders look for what belongs to one type of programs, before the slash stands its name.
const SUFFIX: &str = "/maps";
/// Prefix of the struct that tells the types of key and value (`BPF_ANNOTATE_KV_PAIR`).
const TYPES_PREFIX: &str = "____btf_map_";
/// Bytes of the four numbers that every definition has.
const LEAST: usize = 16;
/// Definitions of more bytes than this are not believed.
const MOST: usize = 4096;

/// Numbers of a definition that not every layout has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Further {
    /// Number that others refer to.
    id: u32,
    pinning: u32,
    numa_node: u32,
    /// The inner maps of this map of maps: by number among the maps of the section.
    inner_number: Option<u32>,
    /// The same by `id`.
    inner_id: u32,
    /// The slot of the map of maps with this map's `id` as `inner_id`, if it has one.
    slot: Option<u32>,
    /// Words of a known layout.
    words: usize,
}

/// A definition that has been read.
struct Definition {
    map: usize,
    further: Further,
}

/// Whether a section holds definitions of this kind.
fn is_section(name: &str) -> bool {
    name == SECTION || name.starts_with(PREFIX) || name.ends_with(SUFFIX)
}

/// Reads every definition; what libbpf says of them is added to `refusals`.
pub(crate) fn collect(
    file: &File<'_>,
    btf: Option<&Btf>,
    functions: &Functions,
    maps: &mut Vec<Map>,
    by_section: &mut BySection,
    refusals: &mut Vec<String>,
) -> Result<(), ObjectError> {
    let mut symbols: FxHashMap<usize, Vec<&Symbol<'_>>> = FxHashMap::default();
    for (index, _) in file.sections.iter().enumerate().filter(|(_, s)| s.is_data && is_section(s.name)) {
        by_section.legacy.insert(index);
    }
    if by_section.legacy.is_empty() {
        return Ok(());
    }
    for s in file.symbols.iter().filter(|s| !s.is_section && !s.is_func && !s.name.is_empty()) {
        if let Some(section) = s.section.filter(|at| by_section.legacy.contains(at)) {
            symbols.entry(section).or_default().push(s);
        }
    }
    let mut found = Vec::new();
    let mut sections: Vec<usize> = by_section.legacy.iter().copied().collect();
    sections.sort_unstable();
    for section in sections {
        if file.section_name(section) == SECTION {
            refusals.push("elf: legacy map definitions in 'maps' section are not supported by libbpf v1.0+".into());
        }
        let mut here = symbols.remove(&section).unwrap_or_default();
        here.sort_by_key(|s| s.value);
        here.dedup_by_key(|s| s.value);
        for (number, s) in here.iter().enumerate() {
            let end = here.get(number + 1).map_or(file.sections[section].data.len() as u64, |next| next.value);
            found.push(one(file, btf, section, s, end, maps, by_section, refusals)?);
        }
    }
    inner_maps(&found, maps);
    programs_by_section(file, functions, &found, maps);
    Ok(())
}

#[allow(clippy::too_many_arguments)]
fn one(
    file: &File<'_>,
    btf: Option<&Btf>,
    section: usize,
    symbol: &Symbol<'_>,
    end: u64,
    maps: &mut Vec<Map>,
    by_section: &mut BySection,
    refusals: &mut Vec<String>,
) -> Result<Definition, ObjectError> {
    let name = symbol.name;
    let data = file.sections[section].data;
    // Old compilers left the sizes of symbols out.
    let size = if symbol.size > 0 { symbol.size } else { end.saturating_sub(symbol.value) };
    let bytes = usize::try_from(symbol.value).ok().zip(usize::try_from(size).ok());
    let bytes = bytes.and_then(|(start, size)| data.get(start..start.checked_add(size)?));
    let fits = |b: &&[u8]| (LEAST..=MOST).contains(&b.len());
    let Some(bytes) = bytes.filter(fits) else {
        let found = format!("a definition of {size} bytes");
        return Err(malformed(format!("map '{name}'"), found, format!("{LEAST} to {MOST} inside its section")));
    };
    let words: Vec<u32> = bytes.chunks_exact(4).map(|b| word(b, file.endian)).collect();
    let at = |n: usize| words.get(n).copied().unwrap_or(0);
    let map_type = MapType(at(0));
    let flags = at(4);
    let further = further(&words, map_type, flags);
    if bytes[(further.words * 4).min(bytes.len())..].iter().any(|&b| b != 0) {
        refusals.push(format!("map '{name}' has unrecognized, non-zero options"));
    }
    let mut map = Map {
        name: name.to_owned(),
        map_type,
        key_size: at(1),
        value_size: at(2),
        max_entries: at(3),
        flags,
        numa_node: further.numa_node,
        pinning: further.pinning.min(PIN_BY_NAME),
        ..Map::default()
    };
    if let Some((key, value)) = btf.and_then(|b| types(b, &map)) {
        (map.key_type, map.value_type) = (key, value);
    }
    let number = maps.len();
    // An offset beyond 32 bits lies outside of any section that is believed.
    let offset = u32::try_from(symbol.value).unwrap_or(u32::MAX);
    by_section.declare(Declared { section, offset, size: bytes.len() as u32, map: number, values: None }, name);
    maps.push(map);
    Ok(Definition { map: number, further })
}

fn word(bytes: &[u8], endian: Endian) -> u32 {
    let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
    match endian {
        Endian::Little => u32::from_le_bytes(bytes),
        Endian::Big => u32::from_be_bytes(bytes),
    }
}

/// What follows the flags.
fn further(words: &[u32], map_type: MapType, flags: u32) -> Further {
    let nested = map_type.is(MapTraits::MAPS);
    let common = Further { words: words.len().min(5), ..Further::default() };
    match words {
        // iproute2: `struct bpf_elf_map`.
        [_, _, _, _, _, id, pinning, inner_id, slot] => Further {
            id: *id,
            pinning: *pinning,
            inner_id: if nested { *inner_id } else { 0 },
            slot: (!nested && *inner_id == 0 && *slot != u32::MAX).then_some(*slot),
            words: 9,
            ..common
        },
        // The kernel's samples: the number of the inner map, then the node.
        [_, _, _, _, _, inner, node] if nested || flags & flag::NUMA_NODE != 0 => {
            Further { inner_number: nested.then_some(*inner), numa_node: *node, words: 7, ..common }
        }
        // aya, and iproute2 before it had maps of maps.
        [_, _, _, _, _, id, pinning] => Further { id: *id, pinning: *pinning, words: 7, ..common },
        [_, _, _, _, _, inner] if nested => Further { inner_number: Some(*inner), words: 6, ..common },
        // gobpf: pinning, then in the longer form the path of a name space.
        [_, _, _, _, _, pinning] => Further { pinning: *pinning, words: 6, ..common },
        [_, _, _, _, _, pinning, ..] if words.len() == 6 + 64 => {
            Further { pinning: *pinning, words: words.len(), ..common }
        }
        _ => common,
    }
}

/// Types of key and value, where their sizes are those of the definition.
fn types(btf: &Btf, map: &Map) -> Option<(u32, u32)> {
    let pair = btf.find(&format!("{TYPES_PREFIX}{}", map.name), Kind::Struct)?;
    let mut members = btf.members(pair);
    let (key, value) = (members.next()?, members.next()?);
    let fits = btf.size_of(key.ty) == Some(map.key_size) && btf.size_of(value.ty) == Some(map.value_size);
    fits.then_some((key.ty, value.ty))
}

/// Points maps of maps to their templates, and fills their slots.
fn inner_maps(found: &[Definition], maps: &mut [Map]) {
    let by_id: FxHashMap<u32, usize> =
        found.iter().rev().filter(|d| d.further.id != 0).map(|d| (d.further.id, d.map)).collect();
    let mut outer_of: FxHashMap<u32, Vec<usize>> = FxHashMap::default();
    for d in found {
        let by_number = d.further.inner_number.and_then(|n| found.get(n as usize)).map(|t| t.map);
        let template = by_number.or_else(|| by_id.get(&d.further.inner_id).copied());
        if let Some(template) = template.filter(|&t| t != d.map) {
            let inner = Map { inner: None, init: MapInit::Empty, ..maps[template].clone() };
            maps[d.map].inner = Some(Box::new(inner));
        }
        if d.further.inner_id != 0 {
            outer_of.entry(d.further.inner_id).or_default().push(d.map);
        }
    }
    for d in found.iter().filter(|d| d.further.id != 0) {
        let Some(slot) = d.further.slot else { continue };
        // Many maps may name many others; each one has a slot in the first that wants it.
        if let Some(&outer) = outer_of.get(&d.further.id).and_then(|all| all.first()) {
            match &mut maps[outer].init {
                MapInit::Maps(slots) => slots.push((slot, d.map)),
                init => *init = MapInit::Maps(vec![(slot, d.map)]),
            }
        }
    }
}

/// iproute2 puts a program of a section `ID/SLOT` into the program array of that number.
fn programs_by_section(file: &File<'_>, functions: &Functions, found: &[Definition], maps: &mut [Map]) {
    let arrays: FxHashMap<u32, usize> = found
        .iter()
        .filter(|d| d.further.id != 0 && maps[d.map].map_type == MapType::ProgArray)
        .map(|d| (d.further.id, d.map))
        .collect();
    if arrays.is_empty() {
        return;
    }
    for f in functions.iter() {
        let slot = file.section_name(f.section).split_once('/').and_then(|(id, at)| Some((integer(id)?, integer(at)?)));
        let (Some((id, slot)), Some(program)) = (slot, f.program) else { continue };
        let Some(&array) = arrays.get(&id) else { continue };
        match &mut maps[array].init {
            MapInit::Programs(slots) => slots.push((slot, program)),
            init => *init = MapInit::Programs(vec![(slot, program)]),
        }
    }
}

fn integer(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}
