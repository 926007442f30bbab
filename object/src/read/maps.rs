//! Maps: the ones declared in `.maps`, and global data sections as maps of one value.

use super::elf::{Section, Symbol, malformed};
use crate::btf::{Btf, Kind, Type, TypeId};
use crate::model::{Map, MapInit, ObjectError};
use ebpfkit_abi::MapType;

/// Most bytes of one section of global data that are believed.
const MAX_DATA: usize = 1 << 28;
/// `BPF_F_MMAPABLE`
const MMAPABLE: u32 = 1 << 10;
/// `BPF_F_RDONLY_PROG`
const RDONLY_PROG: u32 = 1 << 7;
/// Longest name of a map, with its zero byte.
const NAME_LEN: usize = 16;

/// Which map a place in a section stands for.
#[derive(Default)]
pub(crate) struct BySection {
    /// Section, offset, map.
    declared: Vec<(usize, u64, usize)>,
    /// Section, map.
    data: Vec<(usize, usize)>,
}

impl BySection {
    /// The map at a place; whether it is the map itself rather than its value.
    pub(crate) fn find(&self, section: usize, offset: u64) -> Option<(usize, bool)> {
        let declared = self.declared.iter().find(|&&(s, o, _)| s == section && o == offset).map(|&(_, _, m)| (m, true));
        declared.or_else(|| self.data.iter().find(|&&(s, _)| s == section).map(|&(_, m)| (m, false)))
    }
}

/// Finds every map, in libbpf's order: declared ones, then data sections by their place in the file.
pub(crate) fn collect(
    object: &str,
    sections: &[Section<'_>],
    symbols: &[Symbol],
    btf: Option<&Btf>,
) -> Result<(Vec<Map>, BySection), ObjectError> {
    let (mut maps, mut by_section) = (Vec::new(), BySection::default());
    if sections.iter().any(|s| s.name == "maps") {
        return Err(ObjectError::Refused(
            "legacy map definitions in 'maps' section are not supported by libbpf v1.0+".into(),
        ));
    }
    if let Some(index) = sections.iter().position(|s| s.name == ".maps") {
        let Some(btf) = btf else {
            return Err(malformed(".maps", "no .BTF section", "types of the map definitions"));
        };
        for var in btf.find(".maps", Kind::Datasec).map(|id| btf.sec_vars(id).collect::<Vec<_>>()).unwrap_or_default() {
            let name = btf.name(var.ty);
            // The compiler leaves offsets in BTF to the loader; the symbol has them.
            let symbol = symbols.iter().find(|s| s.section == Some(index) && s.name == name);
            let Some(symbol) = symbol else {
                return Err(malformed(format!("map {name}"), "no symbol", "one in section .maps"));
            };
            let Some(Type::Var { ty, .. }) = btf.get(var.ty) else {
                return Err(malformed(format!("map {name}"), "no variable", "a variable of struct type"));
            };
            by_section.declared.push((index, symbol.value, maps.len()));
            maps.push(declared(btf, name, ty, true)?);
        }
    }
    let prefix: String = object.chars().take_while(|&c| c != '.').take(8).collect();
    for (index, s) in sections.iter().enumerate() {
        let family = [".data", ".rodata", ".bss"]
            .into_iter()
            .find(|f| s.name == *f || s.name.strip_prefix(f).is_some_and(|rest| rest.starts_with('.')));
        let Some(family) = family.filter(|_| s.size > 0) else { continue };
        if s.size > MAX_DATA {
            return Err(malformed(
                format!("section {}", s.name),
                format!("{} bytes", s.size),
                format!("at most {MAX_DATA}"),
            ));
        }
        let rodata = family == ".rodata";
        let own_name: String = if s.name == family {
            format!("{prefix}{family}").chars().take(NAME_LEN - 1).collect()
        } else {
            s.name.chars().take(NAME_LEN - 1).collect()
        };
        let data = if s.no_bits { vec![0; s.size] } else { s.data.to_vec() };
        by_section.data.push((index, maps.len()));
        maps.push(Map {
            name: own_name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect(),
            map_type: MapType::Array,
            key_size: 4,
            value_size: s.size as u32,
            max_entries: 1,
            flags: if rodata { RDONLY_PROG | MMAPABLE } else { MMAPABLE },
            value_type: btf.and_then(|b| b.find(&s.name, Kind::Datasec)).unwrap_or(0),
            init: MapInit::Data(data),
            frozen: rodata,
            section: s.name.clone(),
            ..Map::default()
        });
    }
    Ok((maps, by_section))
}

/// `__uint(name, N)` is a pointer to an array of N elements; `__ulong(name, N)` an enumeration of one value.
fn uint(btf: &Btf, ty: TypeId) -> Option<u64> {
    if let Some(value) = btf.enum_values(btf.resolve(ty)).next() {
        return Some(value.value);
    }
    let Some(Type::Ptr(array)) = btf.get(btf.resolve(ty)) else { return None };
    match btf.get(btf.resolve(array)) {
        Some(Type::Array { len, .. }) => Some(len.into()),
        _ => None,
    }
}

/// `__type(name, T)` is a pointer to T.
fn pointee(btf: &Btf, ty: TypeId) -> Option<TypeId> {
    match btf.get(btf.resolve(ty)) {
        Some(Type::Ptr(target)) => Some(target),
        _ => None,
    }
}

fn declared(btf: &Btf, name: &str, ty: TypeId, outer: bool) -> Result<Map, ObjectError> {
    let definition = btf.resolve(ty);
    if btf.kind(definition) != Some(Kind::Struct) {
        return Err(malformed(format!("map {name}"), "no struct", "a struct that describes the map"));
    }
    let mut map = Map { name: name.to_owned(), ..Map::default() };
    for member in btf.members(definition) {
        let long = || {
            uint(btf, member.ty).ok_or_else(|| {
                malformed(format!("map {name}"), format!("attribute {} without a number", member.name), "__uint()")
            })
        };
        let number = || {
            u32::try_from(long()?).map_err(|_| {
                malformed(format!("map {name}"), format!("attribute {} above 32 bits", member.name), "a 32-bit number")
            })
        };
        let target = || {
            pointee(btf, member.ty).ok_or_else(|| {
                malformed(format!("map {name}"), format!("attribute {} without a type", member.name), "__type()")
            })
        };
        match member.name {
            "type" => map.map_type = MapType(number()?),
            "max_entries" => map.max_entries = number()?,
            "map_flags" => map.flags = number()?,
            "numa_node" => map.numa_node = number()?,
            "key_size" => map.key_size = number()?,
            "value_size" => map.value_size = number()?,
            "map_extra" => map.extra = long()?,
            "pinning" => map.pinning = number()?,
            "key" => {
                map.key_type = target()?;
                map.key_size = btf.size_of(map.key_type).unwrap_or(0);
            }
            "value" => {
                map.value_type = target()?;
                map.value_size = btf.size_of(map.value_type).unwrap_or(0);
            }
            "values" if outer => {
                // A flexible array of pointers to inner maps, functions, or (for older programs) map definitions.
                let Some(Type::Array { elem, .. }) = btf.get(btf.resolve(member.ty)) else {
                    return Err(malformed(format!("map {name}"), "values that are no array", "an array of pointers"));
                };
                map.value_size = 4;
                map.key_size = if map.key_size == 0 { 4 } else { map.key_size };
                if let Some(inner) = pointee(btf, elem)
                    && btf.kind(btf.resolve(inner)) == Some(Kind::Struct)
                {
                    map.inner = Some(Box::new(declared(btf, &format!("{name}.inner"), inner, false)?));
                }
            }
            other => {
                return Err(ObjectError::Refused(format!("map '{name}': unknown field '{other}'.")));
            }
        }
    }
    if map.map_type == MapType::Unspec {
        return Err(ObjectError::Refused(format!("map '{name}': map type isn't specified.")));
    }
    map.init = MapInit::Empty;
    Ok(map)
}
