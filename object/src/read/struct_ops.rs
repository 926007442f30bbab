//! Maps of function tables (`SEC(".struct_ops")`, `SEC(".struct_ops.link")`).

use super::elf::{File, malformed, refused};
use super::maps::BySection;
use crate::btf::{Btf, Kind, Type};
use crate::model::{Map, MapInit, ObjectError};
use ebpfkit_abi::{MapType, map_flags};

/// Whether a section holds function tables.
pub(crate) fn is_section(name: &str) -> bool {
    matches!(name.strip_prefix('?').unwrap_or(name), ".struct_ops" | ".struct_ops.link")
}

/// One map for each variable of the sections.
pub(crate) fn collect(
    file: &File<'_>,
    btf: Option<&Btf>,
    maps: &mut Vec<Map>,
    by_section: &mut BySection,
) -> Result<(), ObjectError> {
    for (section, s) in file.sections.iter().enumerate().filter(|(_, s)| s.is_data && is_section(s.name)) {
        let (name, data) = (s.name, s.data);
        let Some((btf, datasec)) = btf.and_then(|b| Some((b, b.find(name, Kind::Datasec)?))) else {
            return Err(refused(format!("struct_ops init: DATASEC {name} not found")));
        };
        // Variables do not overlap, so that together they are no longer than their section.
        let mut budget = data.len();
        for var in btf.sec_vars(datasec) {
            let ty = match btf.get(var.ty) {
                Some(Type::Var { ty, .. }) => btf.resolve(ty),
                _ => 0,
            };
            if btf.name(ty).is_empty() {
                return Err(refused("struct_ops init: anonymous type is not supported"));
            }
            let Some(Type::Struct(composite)) = btf.get(ty) else {
                return Err(refused(format!("struct_ops init: {} is not a struct", btf.name(ty))));
            };
            let start = var.offset as usize;
            let Some(bytes) = start.checked_add(composite.size as usize).and_then(|end| data.get(start..end)) else {
                return Err(refused(format!(
                    "struct_ops init: var {} is beyond the end of DATASEC {name}",
                    btf.name(var.ty)
                )));
            };
            budget = budget.checked_sub(bytes.len()).ok_or_else(|| {
                malformed(format!("section {name}"), "variables that overlap", "each in a place of its own")
            })?;
            by_section.declare_table(section, var.offset, composite.size, maps.len());
            maps.push(Map {
                name: btf.name(var.ty).to_owned(),
                map_type: MapType::StructOps,
                key_size: 4,
                value_size: composite.size,
                max_entries: 1,
                flags: if name.ends_with(".link") { map_flags::LINK } else { 0 },
                value_type: ty,
                init: MapInit::StructOps { data: bytes.to_vec(), programs: Vec::new() },
                section: name.trim_start_matches('?').to_owned(),
                on_demand: name.starts_with('?'),
                ..Map::default()
            });
        }
    }
    Ok(())
}
