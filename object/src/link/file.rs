//! Writing the linked file.

use super::symbols::{Globals, is_global, is_jump_table};
use super::{Input, Layout};
use crate::model::ObjectError;
use crate::read::elf::{Symbol, malformed, refused};
use ebpfkit_isa::opcode;
use ebpfkit_isa::{Endian, Insn};
use object::elf;
use object::write::{Object, Relocation, SectionId, Symbol as NewSymbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};
use std::collections::{BTreeMap, HashMap};

struct Writer<'a> {
    inputs: &'a [Input<'a>],
    out: Object<'static>,
    sections: Vec<SectionId>,
    layout: Layout,
    globals: HashMap<&'a str, SymbolId>,
    /// Jump tables by input and symbol.
    tables: HashMap<(usize, usize), SymbolId>,
}

/// Writes the file.
pub(crate) fn write<'a>(
    inputs: &'a [Input<'a>],
    layout: Layout,
    globals: &Globals<'a>,
    btf: Vec<u8>,
    btf_ext: Vec<u8>,
) -> Result<Vec<u8>, ObjectError> {
    let endian = match inputs[0].file.endian {
        Endian::Little => Endianness::Little,
        Endian::Big => Endianness::Big,
    };
    let mut out = Object::new(BinaryFormat::Elf, Architecture::Bpf, endian);
    let kind = |j: &super::OutputSection| match () {
        () if j.is_code => SectionKind::Text,
        () if j.no_bits => SectionKind::UninitializedData,
        () if j.name.starts_with(".rodata") => SectionKind::ReadOnlyData,
        () => SectionKind::Data,
    };
    let sections =
        layout.sections.iter().map(|j| out.add_section(Vec::new(), j.name.as_bytes().to_vec(), kind(j))).collect();
    let mut writer = Writer { inputs, out, sections, layout, globals: HashMap::new(), tables: HashMap::new() };
    writer.symbols(globals);
    let relocations = writer.relocations()?;
    let Writer { mut out, sections, layout, .. } = writer;
    for (output, &id) in layout.sections.into_iter().zip(&sections) {
        if output.no_bits {
            out.append_section_bss(id, output.size as u64, output.align as u64);
        } else {
            out.set_section_data(id, output.data, output.align as u64);
        }
    }
    for (id, relocation) in relocations {
        out.add_relocation(id, relocation).map_err(|e| refused(e.to_string()))?;
    }
    for (name, bytes) in [(".BTF", btf), (".BTF.ext", btf_ext)] {
        if !bytes.is_empty() {
            let id = out.add_section(Vec::new(), name.as_bytes().to_vec(), SectionKind::Debug);
            out.set_section_data(id, bytes, 4);
        }
    }
    out.write().map_err(|e| refused(e.to_string()))
}

fn kind_of(symbol: &Symbol<'_>) -> SymbolKind {
    match () {
        () if symbol.is_func => SymbolKind::Text,
        () if symbol.is_object => SymbolKind::Data,
        () => SymbolKind::Unknown,
    }
}

impl<'a> Writer<'a> {
    fn add(&mut self, input: usize, symbol: &Symbol<'_>, scope: SymbolScope, weak: bool) -> SymbolId {
        let position = symbol.section.and_then(|s| self.layout.positions.get(&(input, s)).copied());
        self.out.add_symbol(NewSymbol {
            name: symbol.name.as_bytes().to_vec(),
            value: symbol.value.wrapping_add(position.map_or(0, |(_, start)| start as u64)),
            size: symbol.size,
            kind: kind_of(symbol),
            scope,
            weak,
            section: position.map_or(SymbolSection::Undefined, |(s, _)| SymbolSection::Section(self.sections[s])),
            flags: SymbolFlags::None,
        })
    }

    fn symbols(&mut self, globals: &Globals<'a>) {
        for (number, input) in self.inputs.iter().enumerate() {
            for (index, s) in input.file.symbols.iter().enumerate() {
                let table = is_jump_table(&input.file, s) && !s.is_section;
                let local = !s.is_global && (s.is_func || s.is_object);
                if (table || local) && s.section.is_some_and(|at| self.layout.positions.contains_key(&(number, at))) {
                    let id = self.add(number, s, SymbolScope::Compilation, false);
                    if table {
                        self.tables.insert((number, index), id);
                    }
                }
            }
        }
        let mut names: Vec<_> = globals.iter().collect();
        names.sort_by_key(|(_, g)| g.owner);
        for (&name, global) in names {
            let (input, index) = global.owner;
            // The wider scope has default visibility, the narrower one is hidden.
            let scope = if global.is_hidden { SymbolScope::Linkage } else { SymbolScope::Dynamic };
            let inputs = self.inputs;
            let id = self.add(input, &inputs[input].file.symbols[index], scope, global.is_weak);
            self.globals.insert(name, id);
        }
    }

    /// Relocations of the result; immediates that count from a section's start are moved with it.
    fn relocations(&mut self) -> Result<Vec<(SectionId, Relocation)>, ObjectError> {
        let mut found = Vec::new();
        // Jump tables that code refers to, and by how many bytes that code has moved in its section.
        let mut moved_tables = BTreeMap::new();
        for (number, input) in self.inputs.iter().enumerate() {
            for (target, entries) in &input.file.relocations {
                let Some(&(section, start)) = self.layout.positions.get(&(number, *target)) else { continue };
                for entry in entries {
                    let position =
                        || format!("{}: relocation in section {}", input.file.name, input.file.section_name(*target));
                    let Some(symbol) = input.file.symbols.get(entry.symbol) else {
                        return Err(malformed(position(), format!("symbol {}", entry.symbol), "an existing symbol"));
                    };
                    let at = start + entry.offset.min(self.layout.sections[section].size);
                    let is_code = self.layout.sections[section].is_code;
                    let insn = self.layout.sections[section].data.get(at..at + Insn::SIZE);
                    let insn = insn.and_then(|b| <[u8; 8]>::try_from(b).ok());
                    let Some(mut insn) = insn.map(|b| Insn::from_bytes(b, input.file.endian)) else {
                        return Err(malformed(position(), format!("offset {}", entry.offset), "inside the section"));
                    };
                    let is_call = is_code && insn.code == opcode::CALL;
                    let id = if let Some(&table) = self.tables.get(&(number, entry.symbol)) {
                        moved_tables.insert((number, entry.symbol), start);
                        Some(table)
                    } else if is_global(&input.file, symbol) {
                        self.globals.get(symbol.name).copied()
                    } else {
                        let moved = symbol.section.and_then(|s| self.layout.positions.get(&(number, s)).copied());
                        match moved {
                            Some(_) if !is_code => {
                                return Err(refused(
                                    "relocation against STT_SECTION in non-exec section is not supported!",
                                ));
                            }
                            Some((to, by)) => {
                                let bytes = (by as i64).wrapping_add(symbol.value as i64);
                                let by = if is_call { bytes / Insn::SIZE as i64 } else { bytes };
                                insn.imm = insn.imm.wrapping_add(by as i32);
                                let bytes = insn.to_bytes(input.file.endian);
                                self.layout.sections[section].data[at..at + Insn::SIZE].copy_from_slice(&bytes);
                                Some(self.out.section_symbol(self.sections[to]))
                            }
                            None => None,
                        }
                    };
                    let Some(symbol_id) = id else {
                        return Err(malformed(position(), format!("symbol '{}'", symbol.name), "one that is linked"));
                    };
                    let r_type = match (is_code, is_call) {
                        (_, true) => elf::R_BPF_64_32,
                        (true, false) => elf::R_BPF_64_64,
                        (false, _) => R_BPF_64_ABS64,
                    };
                    let relocation = Relocation {
                        offset: at as u64,
                        symbol: symbol_id,
                        addend: 0,
                        flags: RelocationFlags::Elf { r_type },
                    };
                    found.push((self.sections[section], relocation));
                }
            }
        }
        for ((input, symbol), by) in moved_tables {
            self.move_table(input, symbol, by as u64);
        }
        Ok(found)
    }
}

impl Writer<'_> {
    /// Moves the targets of a jump table, which count from the start of their section of code.
    fn move_table(&mut self, input: usize, symbol: usize, by: u64) {
        let file = &self.inputs[input].file;
        let Some(symbol) = file.symbols.get(symbol) else { return };
        let position = symbol.section.and_then(|s| self.layout.positions.get(&(input, s)).copied());
        let Some((section, start)) = position else { return };
        let first = start.saturating_add(usize::try_from(symbol.value).unwrap_or(usize::MAX));
        let end = first.saturating_add(usize::try_from(symbol.size).unwrap_or(0));
        let Some(table) = self.layout.sections[section].data.get_mut(first..end) else { return };
        for target in table.chunks_exact_mut(8) {
            let bytes: [u8; 8] = target.try_into().unwrap_or_default();
            let moved = match file.endian {
                Endian::Little => (u64::from_le_bytes(bytes).wrapping_add(by)).to_le_bytes(),
                Endian::Big => (u64::from_be_bytes(bytes).wrapping_add(by)).to_be_bytes(),
            };
            target.copy_from_slice(&moved);
        }
    }
}

/// Address of data.
const R_BPF_64_ABS64: elf::RelocationType = elf::RelocationType(2);
