//! Maps: the ones declared in `.maps`, global data, configuration and struct_ops, in libbpf's order.

use super::elf::{File, Section, malformed, refused};
use super::externs::{Externs, KCONFIG};
use super::functions::Functions;
use super::{legacy, map_def, struct_ops};
use crate::btf::{Btf, Kind, Type};
use crate::model::{Map, MapInit, ObjectError};
use ebpfkit_abi::limits::{OBJECT_NAME_SIZE, PAGE_SIZE};
use ebpfkit_abi::{MapType, map_flags};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// Most bytes of global data, all sections together, that are believed.
const MAX_DATA: usize = 1 << 28;
/// Bytes that libbpf keeps for the section in the name of a map of global data.
const SUFFIX_LEN: usize = 7;
/// Longest name of a declared map that is believed.
const MAX_NAME: usize = 4096;
/// Section of global variables in an arena.
const ARENA: &str = ".addr_space.1";
/// Section of map definitions.
pub(crate) const MAPS: &str = ".maps";
/// Sections of variables of which each processor has its own. For kernels without [`Target::percpu_data`] libbpf creates
/// no map.
///
/// [`Target::percpu_data`]: crate::Target::percpu_data
pub(crate) const PERCPU: &str = ".percpu";
/// Sections of constants.
const RODATA: &str = ".rodata";

/// A map that stands in a section.
#[derive(Clone, Copy)]
pub(crate) struct Declared {
    pub section: usize,
    pub offset: u32,
    pub size: u32,
    pub map: usize,
    /// Byte offset of the initial entries in the definition, if it has some.
    pub values: Option<usize>,
}

/// Which map a place in a section stands for.
#[derive(Default)]
pub(crate) struct BySection {
    /// By section and offset.
    declared: BTreeMap<(usize, u32), Declared>,
    /// Map of a section of data.
    pub data: FxHashMap<usize, usize>,
    /// By section and offset: the map and its size.
    struct_ops: BTreeMap<(usize, u32), (usize, u32)>,
    /// Sections of the old kind of definitions.
    pub legacy: FxHashSet<usize>,
    /// The first declared map of each name.
    pub by_name: FxHashMap<String, usize>,
}

impl BySection {
    /// Adds a map. Of two at one place the first counts.
    pub(crate) fn declare(&mut self, d: Declared, name: &str) {
        self.declared.entry((d.section, d.offset)).or_insert(d);
        self.by_name.entry(name.to_owned()).or_insert(d.map);
    }

    /// Adds a table of functions.
    pub(crate) fn declare_table(&mut self, section: usize, offset: u32, size: u32, map: usize) {
        self.struct_ops.entry((section, offset)).or_insert((map, size));
    }

    /// The map that starts at an offset of a section.
    pub(crate) fn at(&self, section: usize, offset: u64) -> Option<Declared> {
        self.declared.get(&(section, u32::try_from(offset).ok()?)).copied()
    }

    /// The map whose definition contains so many bytes at an offset of a section.
    pub(crate) fn around(&self, section: usize, offset: usize, len: usize) -> Option<Declared> {
        let at = u32::try_from(offset).ok()?;
        let (_, &d) = self.declared.range((section, 0)..=(section, at)).next_back()?;
        ((at - d.offset) as usize + len <= d.size as usize).then_some(d)
    }

    /// The table of functions that contains an offset of a section, and where it starts.
    pub(crate) fn table_around(&self, section: usize, offset: usize) -> Option<(usize, u32)> {
        let at = u32::try_from(offset).ok()?;
        let (&(_, start), &(map, size)) = self.struct_ops.range((section, 0)..=(section, at)).next_back()?;
        (at - start < size).then_some((map, start))
    }

    /// Whether definitions of maps stand in a section.
    pub(crate) fn holds_maps(&self, section: usize, name: &str) -> bool {
        name == MAPS || self.legacy.contains(&section)
    }
}

/// Finds every map; what libbpf refuses and others take is added to `refusals`.
pub(crate) fn collect(
    file: &File<'_>,
    btf: Option<&Btf>,
    functions: &Functions,
    externs: &Externs,
    maps: &mut Vec<Map>,
    refusals: &mut Vec<String>,
) -> Result<BySection, ObjectError> {
    let mut by_section = BySection::default();
    legacy::collect(file, btf, functions, maps, &mut by_section, refusals)?;
    if let Some(section) = file.find(MAPS) {
        declared(file, section, btf, maps, &mut by_section, refusals)?;
    }
    arena(file, maps, &mut by_section)?;
    let mut budget = MAX_DATA;
    for (index, section) in file.sections.iter().enumerate() {
        if let Some(family) = family(section) {
            budget = budget.checked_sub(section.size).ok_or_else(|| {
                let found = format!("{} bytes", section.size);
                malformed(format!("section {}", section.name), found, format!("at most {MAX_DATA} in all sections"))
            })?;
            let data = if section.no_bits { vec![0; section.size] } else { section.data.to_vec() };
            by_section.data.insert(index, maps.len());
            maps.push(global_data(file.name, section.name, family, data, btf));
        }
    }
    if externs.config_size > 0 {
        let data = vec![0; (externs.config_size as usize).min(MAX_DATA)];
        maps.push(global_data(file.name, KCONFIG, RODATA, data, btf));
    }
    struct_ops::collect(file, btf, maps, &mut by_section)?;
    Ok(by_section)
}

/// Kind of global data that a section holds.
fn family(section: &Section<'_>) -> Option<&'static str> {
    let held =
        |f: &&'static str| section.name == *f || section.name.strip_prefix(f).is_some_and(|rest| rest.starts_with('.'));
    let (data, bss) = (section.is_data, section.no_bits && section.size > 0);
    match [".data", RODATA, PERCPU, ".bss"].into_iter().find(held)? {
        ".bss" => bss.then_some(".bss"),
        other => data.then_some(other),
    }
}

/// The name that the kernel sees: as much of the object's name as fits, then the section; a section with a name of
/// its own stands alone.
fn data_name(object: &str, section: &str) -> String {
    let object = object.split('.').next().unwrap_or_default();
    let suffix = section.len().clamp(SUFFIX_LEN, OBJECT_NAME_SIZE - 1);
    let prefix = if section[1..].contains('.') { 0 } else { OBJECT_NAME_SIZE - 1 - suffix };
    let name = object.bytes().take(prefix).chain(section.bytes().take(suffix));
    name.map(|b| if b.is_ascii_alphanumeric() || b == b'.' { b as char } else { '_' }).collect()
}

fn global_data(object: &str, section: &str, family: &str, data: Vec<u8>, btf: Option<&Btf>) -> Map {
    let (read_only, percpu) = (family == RODATA, family == PERCPU);
    let value_type = btf.and_then(|b| b.find(section, Kind::Datasec)).unwrap_or(0);
    // User space shares it when it has variables to show there.
    let shared = btf.is_some_and(|b| {
        b.sec_vars(value_type).any(|v| matches!(b.get(v.ty), Some(Type::Var { linkage, .. }) if linkage != 0))
    });
    Map {
        name: data_name(if percpu { "" } else { object }, section),
        map_type: if percpu { MapType::PercpuArray } else { MapType::Array },
        key_size: 4,
        value_size: data.len() as u32,
        max_entries: 1,
        flags: if read_only { map_flags::RDONLY_PROG } else { 0 }
            | if shared && !percpu { map_flags::MMAPABLE } else { 0 },
        value_type,
        init: MapInit::Data(data),
        frozen: read_only,
        section: section.to_owned(),
        on_demand: percpu,
        ..Map::default()
    }
}

fn declared(
    file: &File<'_>,
    section: usize,
    btf: Option<&Btf>,
    maps: &mut Vec<Map>,
    by_section: &mut BySection,
    refusals: &mut Vec<String>,
) -> Result<(), ObjectError> {
    let Some(btf) = btf else { return Err(refused("BTF is required, but is missing or corrupted.")) };
    let Some(datasec) = btf.find(MAPS, Kind::Datasec) else {
        return Err(refused(format!("DATASEC '{MAPS}' not found.")));
    };
    for (number, var) in btf.sec_vars(datasec).enumerate() {
        let name = btf.name(var.ty);
        if name.is_empty() {
            return Err(refused(format!("map #{number}: empty name.")));
        }
        if name.len() > MAX_NAME {
            return Err(malformed(format!("map {number}"), format!("a name of {} bytes", name.len()), "fewer"));
        }
        if u64::from(var.offset) + u64::from(var.size) > file.sections[section].size as u64 {
            return Err(refused(format!("map '{name}' BTF data is corrupted.")));
        }
        let Some(Type::Var { ty, linkage }) = btf.get(var.ty) else {
            return Err(refused(format!("map '{name}': unexpected var kind.")));
        };
        if linkage != 1 {
            let linkage = match linkage {
                0 => "static",
                2 => "extern",
                _ => "unknown",
            };
            return Err(refused(format!("map '{name}': unsupported map linkage {linkage}.")));
        }
        let definition = btf.resolve(ty);
        match btf.get(definition) {
            Some(Type::Struct(c)) if c.size > var.size => {
                return Err(refused(format!("map '{name}': invalid def size.")));
            }
            Some(Type::Struct(_)) => {}
            _ => return Err(refused(format!("map '{name}': unexpected def kind var."))),
        }
        let last = btf.members(definition).last().filter(|m| m.name == "values");
        let values = last.map(|m| m.bit_offset as usize / 8);
        by_section.declare(Declared { section, offset: var.offset, size: var.size, map: maps.len(), values }, name);
        maps.push(map_def::parse(btf, name, definition, true, refusals)?);
    }
    Ok(())
}

/// Global variables of the one arena.
fn arena(file: &File<'_>, maps: &mut [Map], by_section: &mut BySection) -> Result<(), ObjectError> {
    let mut arenas = maps.iter().enumerate().filter(|(_, m)| m.map_type == MapType::Arena).map(|(i, _)| i);
    let (first, second) = (arenas.next(), arenas.next());
    if let (Some(first), Some(second)) = (first, second) {
        return Err(refused(format!(
            "map '{}': only single ARENA map is supported (map '{}' is also ARENA)",
            maps[second].name, maps[first].name
        )));
    }
    let Some(section) = file.find(ARENA).filter(|&s| file.sections[s].is_data) else { return Ok(()) };
    let Some(map) = first else {
        return Err(refused(format!(
            "elf: sec '{ARENA}': to use global __arena variables the ARENA map should be explicitly declared in \
             SEC(\".maps\")"
        )));
    };
    let data = file.sections[section].data;
    let declared_size = u64::from(maps[map].max_entries) * u64::from(PAGE_SIZE);
    if (data.len() as u64).next_multiple_of(PAGE_SIZE.into()) > declared_size {
        return Err(refused(format!(
            "elf: sec '{ARENA}': declared ARENA map size ({declared_size}) is too small to hold global __arena variables of \
             size {}",
            data.len()
        )));
    }
    maps[map].init = MapInit::Data(data.to_vec());
    by_section.data.insert(section, map);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::data_name;

    #[test]
    fn names_of_global_data() {
        for (object, section, expected) in [
            ("my_object_name.bpf.o", ".rodata", "my_objec.rodata"),
            ("my_object_name.bpf.o", ".bss", "my_objec.bss"),
            ("my_object_name.bpf.o", ".kconfig", "my_obje.kconfig"),
            ("x.o", ".rodata.abracadabra", ".rodata.abracad"),
            ("a-b.o", ".data", "a_b.data"),
        ] {
            assert_eq!(data_name(object, section), expected);
        }
    }
}
