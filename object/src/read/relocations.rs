//! Relocations: what each relocated instruction, map slot and function table entry refers to.

use super::elf::{File, RawRelocation, Section, Symbol, malformed, refused};
use super::externs::Externs;
use super::functions::Functions;
use super::maps::BySection;
use super::{sections, struct_ops};
use crate::btf::{Kind, Type};
use crate::model::{Map, MapInit, Object, ObjectError};
use ebpfkit_abi::{MapType, ProgType};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, pseudo};
use std::collections::HashMap;

/// Bytes of a pointer in an object.
const POINTER: usize = 8;
/// Slots of a prog array or map-in-map beyond this are not believed.
const MAX_SLOTS: usize = 1 << 24;

/// What a relocated instruction refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A call; the callee starts `imm + 1` slots after this slot of `.text`.
    Call(u64),
    /// The address of the function `imm` bytes after this byte of `.text`.
    FuncAddress(u64),
    /// A map.
    Map(usize),
    /// A value of a map, `imm` bytes after this byte.
    Value(usize, u64),
    /// An extern.
    Extern(usize),
}

/// References by function and slot in the function.
pub(crate) type References = HashMap<(usize, usize), Reference>;

/// Resolves every relocation section.
pub(crate) fn collect(
    file: &File<'_>,
    functions: &Functions,
    maps: &BySection,
    externs: &Externs,
    object: &mut Object,
) -> Result<References, ObjectError> {
    let mut references = References::new();
    for (target, entries) in &file.relocations {
        let section = &file.sections[*target];
        for (number, entry) in entries.iter().enumerate() {
            let Some(symbol) = file.symbols.get(entry.symbol) else {
                let found = format!("symbol {} in relocation {number}", entry.symbol);
                return Err(malformed(format!("section {}", section.name), found, "an existing symbol"));
            };
            if section.name == ".maps" {
                slot(functions, maps, object, number, entry, symbol)?;
            } else if section.is_data && struct_ops::is_section(section.name) {
                table_entry(file, functions, maps, object, *target, entry, symbol)?;
            } else {
                code(file, functions, maps, externs, &mut references, *target, number, entry, symbol)?;
            }
        }
    }
    Ok(references)
}

#[allow(clippy::too_many_arguments)]
fn code(
    file: &File<'_>,
    functions: &Functions,
    maps: &BySection,
    externs: &Externs,
    references: &mut References,
    target: usize,
    number: usize,
    entry: &RawRelocation,
    symbol: &Symbol<'_>,
) -> Result<(), ObjectError> {
    let section: &Section<'_> = &file.sections[target];
    if !entry.offset.is_multiple_of(Insn::SIZE) || entry.offset >= section.data.len() {
        let found = format!("relocation {number} at {}", entry.offset);
        return Err(malformed(format!("section {}", section.name), found, "an instruction of the section"));
    }
    let slot = entry.offset / Insn::SIZE;
    // An overridden weak function leaves its relocations behind.
    let Some(index) = functions.at(target, slot) else { return Ok(()) };
    let function = &functions[index];
    let at = slot - function.start;
    let insn = function.insns[at];
    let name = file.symbol_name(symbol);
    let fail = |why: String| Err(refused(format!("prog '{}': {why}", function.name)));
    let is_call = insn.code == opcode::CALL && insn.dst == 0;
    let is_wide = insn.is_ld_imm64() && at + 1 < function.insns.len();
    if !is_call && !is_wide {
        return fail(format!("invalid relo against '{name}' for insns[{at}].code {:#x}", insn.code));
    }
    let reference = if symbol.is_extern {
        match externs.by_symbol.get(&entry.symbol) {
            Some(&e) => Reference::Extern(e),
            None => return fail(format!("extern relo failed to find extern for '{name}' ({})", entry.symbol)),
        }
    } else if is_call {
        if insn.src != pseudo::CALL {
            return fail("incorrect bpf_call opcode".into());
        }
        if symbol.section.is_none() || symbol.section != functions.text() {
            let place = symbol.section.map_or("", |s| file.section_name(s));
            return fail(format!("bad call relo against '{name}' in section '{place}'"));
        }
        if !symbol.value.is_multiple_of(Insn::SIZE as u64) {
            return fail(format!("bad call relo against '{name}' at offset {}", symbol.value));
        }
        Reference::Call(symbol.value / Insn::SIZE as u64)
    } else {
        let Some(place) = symbol.section.filter(|&s| s != 0) else {
            return fail(format!(
                "invalid relo against '{name}' in special section {:#x}; forgot to initialize global var?..",
                symbol.section_number
            ));
        };
        let to_function = if symbol.is_global { symbol.is_func } else { symbol.is_section };
        if Some(place) == functions.text() && to_function {
            if !symbol.value.is_multiple_of(8) || insn.imm % 8 != 0 {
                return fail(format!("bad subprog addr relo against '{name}' at offset {}+{}", symbol.value, insn.imm));
            }
            Reference::FuncAddress(symbol.value)
        } else if let Some(&(_, map)) = maps.data.iter().find(|d| d.0 == place) {
            Reference::Value(map, symbol.value)
        } else if file.section_name(place) == ".maps" {
            match maps.declared.iter().find(|d| d.0 == place && u64::from(d.1) == symbol.value) {
                Some(&(_, _, _, map)) => Reference::Map(map),
                None => {
                    let section = file.section_name(place);
                    return fail(format!("map relo failed to find map for section '{section}', off {}", symbol.value));
                }
            }
        } else {
            return fail(format!("bad map relo against '{name}' in section '{}'", file.section_name(place)));
        }
    };
    references.insert((index, at), reference);
    Ok(())
}

/// A slot of a map-in-map or prog array that is filled from the start.
fn slot(
    functions: &Functions,
    maps: &BySection,
    object: &mut Object,
    number: usize,
    entry: &RawRelocation,
    symbol: &Symbol<'_>,
) -> Result<(), ObjectError> {
    let fail = |why: String| Err(refused(format!(".maps relo #{number}: {why}")));
    let name = symbol.name;
    let inside = |&&(_, off, size, _): &&(usize, u32, u32, usize)| {
        let (start, size) = (off as usize, size as usize);
        entry.offset.checked_sub(start).is_some_and(|at| at + POINTER <= size)
    };
    let Some(&(section, start, _, map)) = maps.declared.iter().find(inside) else {
        return fail(format!("cannot find map '{name}' at rel->r_offset {}", entry.offset));
    };
    let nested = matches!(object.maps[map].map_type, MapType::ArrayOfMaps | MapType::HashOfMaps);
    let target = if nested {
        if symbol.section != Some(section) {
            return fail(format!("'{name}' isn't a BTF-defined map"));
        }
        if object.maps[map].map_type == MapType::HashOfMaps && object.maps[map].key_size != 4 {
            return fail(format!("hash-of-maps '{}' should have key size 4.", object.maps[map].name));
        }
        match object.maps.iter().position(|m: &Map| m.name == name) {
            Some(target) => target,
            None => return fail(format!("'{name}' isn't a valid map reference")),
        }
    } else if object.maps[map].map_type == MapType::ProgArray {
        let Some(index) = functions.iter().position(|f| !f.is_subprog && f.name == name) else {
            return fail(format!("'{name}' isn't a valid program reference"));
        };
        let f = &functions[index];
        if Some(f.section) != symbol.section || (f.start * Insn::SIZE) as u64 != symbol.value {
            return fail(format!("'{name}' isn't an entry-point program"));
        }
        functions.program_number(index)
    } else {
        return fail(format!("map '{}' holds no pointers", object.maps[map].name));
    };
    let Some(values) = values_offset(object, &object.maps[map].name) else {
        return fail(format!("map '{}' has no values", object.maps[map].name));
    };
    let slot = (entry.offset - start as usize).checked_sub(values).filter(|at| at.is_multiple_of(POINTER));
    let Some(slot) = slot.map(|at| at / POINTER).filter(|&s| s < MAX_SLOTS) else {
        return fail(format!("offset {} is no slot of map '{}'", entry.offset, object.maps[map].name));
    };
    let init = &mut object.maps[map].init;
    if *init == MapInit::Empty {
        *init = if nested { MapInit::Maps(Vec::new()) } else { MapInit::Programs(Vec::new()) };
    }
    if let MapInit::Maps(slots) | MapInit::Programs(slots) = init {
        slots.push((slot as u32, target));
    }
    Ok(())
}

/// Byte offset of the last member, `values`, in a map's definition.
fn values_offset(object: &Object, map: &str) -> Option<usize> {
    let btf = object.btf.as_deref()?;
    let datasec = btf.find(".maps", Kind::Datasec)?;
    let var = btf.sec_vars(datasec).find(|v| btf.name(v.ty) == map)?;
    let Some(Type::Var { ty, .. }) = btf.get(var.ty) else { return None };
    let last = btf.members(btf.resolve(ty)).last()?;
    (last.name == "values").then_some(last.bit_offset as usize / 8)
}

/// A function pointer of a struct_ops map.
fn table_entry(
    file: &File<'_>,
    functions: &Functions,
    maps: &BySection,
    object: &mut Object,
    section: usize,
    entry: &RawRelocation,
    symbol: &Symbol<'_>,
) -> Result<(), ObjectError> {
    let inside = |&&(s, off, map): &&(usize, u32, usize)| {
        let at = entry.offset.checked_sub(off as usize);
        s == section && at.is_some_and(|at| at < object.maps[map].value_size as usize)
    };
    let Some(&(_, start, map)) = maps.struct_ops.iter().find(inside) else {
        return Err(refused(format!("struct_ops reloc: cannot find map at rel->r_offset {}", entry.offset)));
    };
    let name = object.maps[map].name.clone();
    let fail = |why: String| Err(refused(format!("struct_ops reloc {name}: {why}")));
    let Some(place) = symbol.section else {
        let (at, number) = (entry.offset, symbol.section_number);
        return fail(format!("rel->r_offset {at} shdr_idx {number} unsupported non-static function"));
    };
    if !symbol.value.is_multiple_of(Insn::SIZE as u64) {
        return fail(format!("invalid target program offset {}", symbol.value));
    }
    let offset = entry.offset - start as usize;
    let Some(btf) = object.btf.as_deref() else { return fail("no types".into()) };
    let member = btf.members(object.maps[map].value_type).find(|m| m.bit_offset as usize == offset * 8);
    let Some(member) = member else { return fail(format!("cannot find member at moff {offset}")) };
    let function_pointer = match btf.get(btf.resolve(member.ty)) {
        Some(Type::Ptr(target)) => btf.kind(btf.resolve(target)) == Some(Kind::FuncProto),
        _ => false,
    };
    if !function_pointer {
        return fail(format!("cannot relocate non func ptr {}", member.name));
    }
    let slot = usize::try_from(symbol.value).unwrap_or(usize::MAX) / Insn::SIZE;
    let Some(index) = functions.at(place, slot) else {
        return fail(format!("cannot find prog at shdr_idx {place} to relocate func ptr {}", member.name));
    };
    let function = &functions[index];
    let own = file.section_name(function.section);
    let prog_type = sections::lookup(own.strip_prefix('?').unwrap_or(own)).map(|(row, _)| row.prog_type);
    if prog_type != Some(ProgType::StructOps) || function.is_subprog {
        return fail(format!("prog {} is not struct_ops BPF program", function.name));
    }
    if let MapInit::StructOps { programs, .. } = &mut object.maps[map].init {
        programs.push((offset as u32, functions.program_number(index)));
    }
    Ok(())
}
