//! Relocations: what each relocated instruction, map slot and function table entry refers to.

use super::elf::{File, JUMP_TABLES, RawRelocation, Symbol, malformed, refused};
use super::externs::Externs;
use super::functions::Functions;
use super::maps::{BySection, MAPS};
use super::{sections, struct_ops};
use crate::btf::{Kind, Type, TypeId};
use crate::model::{MapInit, Object, ObjectError};
use ebpfkit_abi::{MapTraits, MapType, ProgType};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, pseudo};
use rustc_hash::{FxHashMap, FxHashSet};

/// Bytes of a pointer in an object.
const POINTER: usize = 8;
/// Slots of a prog array or map-in-map beyond this are not believed.
const MAX_SLOTS: usize = 1 << 24;

/// What a relocated instruction refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A call; the callee starts `imm + 1` slots after this slot of a section.
    Call(usize, u64),
    /// The address of the function `imm` bytes after this byte of a section.
    FuncAddress(usize, u64),
    /// A map.
    Map(usize),
    /// A value of a map, `imm` bytes after this byte.
    Value(usize, u64),
    /// An extern.
    Extern(usize),
    /// The table of an indirect jump: where it begins in its section, and its bytes.
    JumpTable(u64, u64),
}

/// References by function and slot in the function.
pub(crate) type References = FxHashMap<(usize, usize), Reference>;

/// Relocations being resolved.
struct Resolver<'a, 'f> {
    file: &'a File<'f>,
    functions: &'a Functions,
    maps: &'a BySection,
    externs: &'a Externs,
    references: References,
    /// Members by bit offset, of each type of a table of functions.
    members: FxHashMap<TypeId, FxHashMap<u32, usize>>,
    /// Maps of sections of the old kind that libbpf was said to refuse.
    refused: FxHashSet<usize>,
}

/// Resolves every relocation section.
pub(crate) fn collect(
    file: &File<'_>,
    functions: &Functions,
    maps: &BySection,
    externs: &Externs,
    object: &mut Object,
) -> Result<References, ObjectError> {
    let mut resolver = Resolver {
        file,
        functions,
        maps,
        externs,
        references: References::default(),
        members: FxHashMap::default(),
        refused: FxHashSet::default(),
    };
    for (target, entries) in &file.relocations {
        let section = &file.sections[*target];
        for (number, entry) in entries.iter().enumerate() {
            let Some(symbol) = file.symbols.get(entry.symbol) else {
                let found = format!("symbol {} in relocation {number}", entry.symbol);
                return Err(malformed(format!("section {}", section.name), found, "an existing symbol"));
            };
            if section.name == MAPS {
                resolver.slot(object, *target, number, entry, symbol)?;
            } else if section.is_data && struct_ops::is_section(section.name) {
                resolver.table_entry(object, *target, entry, symbol)?;
            } else {
                resolver.code(object, *target, number, entry, symbol)?;
            }
        }
    }
    Ok(resolver.references)
}

impl Resolver<'_, '_> {
    fn code(
        &mut self,
        object: &mut Object,
        target: usize,
        number: usize,
        entry: &RawRelocation,
        symbol: &Symbol<'_>,
    ) -> Result<(), ObjectError> {
        let (file, functions) = (self.file, self.functions);
        let section = &file.sections[target];
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
            match self.externs.by_symbol.get(&entry.symbol) {
                Some(&e) => Reference::Extern(e),
                None => return fail(format!("extern relo failed to find extern for '{name}' ({})", entry.symbol)),
            }
        } else if is_call {
            if insn.src != pseudo::CALL {
                return fail("incorrect bpf_call opcode".into());
            }
            let Some(section) = symbol.section.filter(|&s| functions.has_subprograms(s)) else {
                let section = symbol.section.map_or("", |s| file.section_name(s));
                return fail(format!("bad call relo against '{name}' in section '{section}'"));
            };
            if !symbol.value.is_multiple_of(Insn::SIZE as u64) {
                return fail(format!("bad call relo against '{name}' at offset {}", symbol.value));
            }
            Reference::Call(section, symbol.value / Insn::SIZE as u64)
        } else {
            let Some(section) = symbol.section.filter(|&s| s != 0) else {
                return fail(format!(
                    "invalid relo against '{name}' in special section {:#x}; forgot to initialize global var?..",
                    symbol.section_number
                ));
            };
            let to_function = if symbol.is_global { symbol.is_func } else { symbol.is_section };
            if functions.has_subprograms(section) && to_function {
                if !symbol.value.is_multiple_of(8) || insn.imm % 8 != 0 {
                    let (at, by) = (symbol.value, insn.imm);
                    return fail(format!("bad subprog addr relo against '{name}' at offset {at}+{by}"));
                }
                Reference::FuncAddress(section, symbol.value)
            } else if let Some(&map) = self.maps.data.get(&section) {
                Reference::Value(map, symbol.value)
            } else if file.section_name(section) == JUMP_TABLES {
                Reference::JumpTable(symbol.value, symbol.size)
            } else {
                match self.map(object, section, symbol, insn) {
                    Ok(map) => Reference::Map(map),
                    Err(why) => return fail(why),
                }
            }
        };
        self.references.insert((index, at), reference);
        Ok(())
    }

    /// The map that a 64-bit load names.
    fn map(&mut self, object: &mut Object, section: usize, symbol: &Symbol<'_>, insn: Insn) -> Result<usize, String> {
        let name = self.file.section_name(section);
        if !self.maps.holds_maps(section, name) {
            return Err(format!("bad map relo against '{}' in section '{name}'", self.file.symbol_name(symbol)));
        }
        let legacy = self.maps.legacy.contains(&section);
        // Static definitions of the old kind are named by their place in the section.
        let by = if legacy && symbol.is_section { u64::from(insn.imm.unsigned_abs()) } else { 0 };
        let offset = symbol.value.wrapping_add(by);
        let Some(found) = self.maps.at(section, offset) else {
            return Err(format!("map relo failed to find map for section '{name}', off {offset}"));
        };
        if legacy && name != "maps" && self.refused.insert(found.map) {
            let map = &object.maps[found.map].name;
            object.libbpf_refusals.push(format!("bad map relo against '{map}' in section '{name}'"));
        }
        Ok(found.map)
    }

    /// A slot of a map-in-map or prog array that is filled from the start.
    fn slot(
        &self,
        object: &mut Object,
        section: usize,
        number: usize,
        entry: &RawRelocation,
        symbol: &Symbol<'_>,
    ) -> Result<(), ObjectError> {
        let fail = |why: String| Err(refused(format!(".maps relo #{number}: {why}")));
        let (name, functions) = (symbol.name, self.functions);
        let Some(outer) = self.maps.around(section, entry.offset, POINTER) else {
            return fail(format!("cannot find map '{name}' at rel->r_offset {}", entry.offset));
        };
        let map = outer.map;
        let nested = object.maps[map].map_type.is(MapTraits::MAPS);
        let target = if nested {
            if symbol.section != Some(section) {
                return fail(format!("'{name}' isn't a BTF-defined map"));
            }
            if object.maps[map].map_type == MapType::HashOfMaps && object.maps[map].key_size != 4 {
                return fail(format!("hash-of-maps '{}' should have key size 4.", object.maps[map].name));
            }
            match self.maps.by_name.get(name) {
                Some(&target) => target,
                None => return fail(format!("'{name}' isn't a valid map reference")),
            }
        } else if object.maps[map].map_type == MapType::ProgArray {
            let Some(index) = functions.program_named(name) else {
                return fail(format!("'{name}' isn't a valid program reference"));
            };
            let f = &functions[index];
            let (true, Some(program)) =
                (Some(f.section) == symbol.section && (f.start * Insn::SIZE) as u64 == symbol.value, f.program)
            else {
                return fail(format!("'{name}' isn't an entry-point program"));
            };
            program
        } else {
            return fail(format!("map '{}' holds no pointers", object.maps[map].name));
        };
        let Some(values) = outer.values else {
            return fail(format!("map '{}' has no values", object.maps[map].name));
        };
        let slot = (entry.offset - outer.offset as usize).checked_sub(values).filter(|at| at.is_multiple_of(POINTER));
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

    /// A function pointer of a struct_ops map.
    fn table_entry(
        &mut self,
        object: &mut Object,
        section: usize,
        entry: &RawRelocation,
        symbol: &Symbol<'_>,
    ) -> Result<(), ObjectError> {
        let Some((map, start)) = self.maps.table_around(section, entry.offset) else {
            return Err(refused(format!("struct_ops reloc: cannot find map at rel->r_offset {}", entry.offset)));
        };
        let name = &object.maps[map].name;
        let fail = |why: String| Err(refused(format!("struct_ops reloc {name}: {why}")));
        let Some(section) = symbol.section else {
            let (at, number) = (entry.offset, symbol.section_number);
            return fail(format!("rel->r_offset {at} shdr_idx {number} unsupported non-static function"));
        };
        if !symbol.value.is_multiple_of(Insn::SIZE as u64) {
            return fail(format!("invalid target program offset {}", symbol.value));
        }
        let offset = entry.offset - start as usize;
        let Some(btf) = object.btf.as_deref() else { return fail("no types".into()) };
        let table = object.maps[map].value_type;
        let members = self.members.entry(table).or_insert_with(|| {
            let mut by_offset = FxHashMap::default();
            for (i, m) in btf.members(table).enumerate() {
                by_offset.entry(m.bit_offset).or_insert(i);
            }
            by_offset
        });
        let member = u32::try_from(offset * 8).ok().and_then(|at| members.get(&at));
        let Some(member) = member.and_then(|&i| btf.member(table, i)) else {
            return fail(format!("cannot find member at moff {offset}"));
        };
        let function_pointer = match btf.get(btf.resolve(member.ty)) {
            Some(Type::Ptr(target)) => btf.kind(btf.resolve(target)) == Some(Kind::FuncProto),
            _ => false,
        };
        if !function_pointer {
            return fail(format!("cannot relocate non func ptr {}", member.name));
        }
        let slot = usize::try_from(symbol.value).unwrap_or(usize::MAX) / Insn::SIZE;
        let Some(index) = self.functions.at(section, slot) else {
            return fail(format!("cannot find prog at shdr_idx {section} to relocate func ptr {}", member.name));
        };
        let function = &self.functions[index];
        let own = self.file.section_name(function.section);
        let prog_type = sections::lookup(own.strip_prefix('?').unwrap_or(own)).map(|(row, _)| row.prog_type);
        let Some(program) = function.program.filter(|_| prog_type == Some(ProgType::StructOps)) else {
            return fail(format!("prog {} is not struct_ops BPF program", function.name));
        };
        if let MapInit::StructOps { programs, .. } = &mut object.maps[map].init {
            programs.push((offset as u32, program));
        }
        Ok(())
    }
}
