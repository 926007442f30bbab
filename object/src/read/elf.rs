//! The ELF file: sections, symbols and relocations, and how they become an object.

use super::code::{self, Function, Reference, Relocation};
use super::{ext, maps};
use crate::btf::{Btf, SectionLayout};
use crate::model::{Object, ObjectError};
use ebpfkit_isa::{Endian, Insn};
use goblin::elf::section_header::{SHF_EXECINSTR, SHN_ABS, SHN_COMMON, SHN_UNDEF, SHT_NOBITS, SHT_PROGBITS};
use goblin::elf::sym::{STB_GLOBAL, STB_LOCAL, STB_WEAK, STT_FUNC, STT_SECTION};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `EM_BPF`
const MACHINE: u16 = 247;
/// Sections and symbols beyond this are not believed.
const MAX_INSNS: usize = 1 << 22;

pub(crate) fn malformed(
    place: impl Into<String>,
    found: impl Into<String>,
    expected: impl Into<String>,
) -> ObjectError {
    ObjectError::Malformed { place: place.into(), found: found.into(), expected: expected.into() }
}

/// A section that something else refers to.
pub(crate) struct Section<'a> {
    pub name: String,
    pub data: &'a [u8],
    /// Bytes in memory, also for sections without contents.
    pub size: usize,
    pub is_code: bool,
    pub no_bits: bool,
}

/// A symbol.
pub(crate) struct Symbol {
    pub name: String,
    /// Section, when it has one.
    pub section: Option<usize>,
    pub value: u64,
    pub is_func: bool,
    pub is_section: bool,
    pub is_extern: bool,
    pub is_weak: bool,
    pub is_global: bool,
    /// Hidden or internal: global for the linker, static for the kernel.
    pub is_hidden: bool,
}

/// Reads an ELF object.
pub(crate) fn open(name: &str, bytes: &[u8]) -> Result<Object, ObjectError> {
    let elf = goblin::elf::Elf::parse(bytes).map_err(|e| malformed(name, e.to_string(), "an ELF file"))?;
    if elf.header.e_machine != MACHINE || !elf.is_64 {
        return Err(malformed(
            format!("{name}: ELF header"),
            format!("machine {}, {} bit", elf.header.e_machine, if elf.is_64 { 64 } else { 32 }),
            format!("machine {MACHINE} (BPF), 64 bit"),
        ));
    }
    let endian = if elf.little_endian { Endian::Little } else { Endian::Big };
    let sections = sections(&elf, bytes)?;
    let symbols = symbols(&elf);
    let find = |wanted: &str| sections.iter().position(|s| s.name == wanted);

    let mut object = Object { name: name.to_owned(), endian, ..Object::default() };
    if let Some(s) = find("license") {
        let text = sections[s].data.split(|&b| b == 0).next().unwrap_or_default();
        object.license = String::from_utf8_lossy(text).into_owned();
    }
    if let Some(version) = find("version").and_then(|s| sections[s].data.first_chunk::<4>()) {
        object.kern_version = u32::from_le_bytes(*version);
    }
    let btf = match find(".BTF") {
        Some(s) => {
            let parsed = Btf::parse(sections[s].data);
            let parsed = parsed.map_err(|e| malformed(name, e.to_string(), "a valid .BTF section"))?;
            Some(Arc::new(parsed.with_layout(&SectionLayout {
                size: &|name| find(name).and_then(|s| u32::try_from(sections[s].size).ok()),
                // Static variables keep the offset that the compiler gave them.
                offset: &|name| {
                    let symbol = symbols.iter().find(|s| s.is_global && s.section.is_some() && s.name == name)?;
                    u32::try_from(symbol.value).ok()
                },
            })))
        }
        None => None,
    };
    let records = match (&btf, find(".BTF.ext")) {
        (Some(btf), Some(s)) => ext::read(sections[s].data, endian, btf)?,
        _ => ext::Records::default(),
    };
    let (found, by_section) = maps::collect(name, &sections, &symbols, btf.as_deref())?;
    object.maps = found;
    object.btf = btf;

    let functions = functions(&sections, &symbols, endian)?;
    let relocations = relocations(&elf, &sections, &symbols)?;
    code::link(&mut object, &sections, &symbols, functions, &relocations, &by_section, &records)?;
    Ok(object)
}

fn sections<'a>(elf: &goblin::elf::Elf<'_>, bytes: &'a [u8]) -> Result<Vec<Section<'a>>, ObjectError> {
    elf.section_headers
        .iter()
        .map(|h| {
            let name = elf.shdr_strtab.get_at(h.sh_name).unwrap_or_default().to_owned();
            let no_bits = h.sh_type == SHT_NOBITS;
            let range = h.file_range().filter(|_| !no_bits);
            let data = match range {
                Some(r) => bytes.get(r.clone()).ok_or_else(|| {
                    malformed(
                        format!("section {name}"),
                        format!("bytes {r:?}"),
                        format!("inside {} bytes", bytes.len()),
                    )
                })?,
                None => &[],
            };
            let is_code = h.sh_flags & u64::from(SHF_EXECINSTR) != 0 && h.sh_type == SHT_PROGBITS;
            Ok(Section { name, data, size: usize::try_from(h.sh_size).unwrap_or(usize::MAX), is_code, no_bits })
        })
        .collect()
}

fn symbols(elf: &goblin::elf::Elf<'_>) -> Vec<Symbol> {
    elf.syms
        .iter()
        .map(|s| {
            let special = matches!(s.st_shndx as u32, SHN_UNDEF | SHN_ABS | SHN_COMMON);
            Symbol {
                name: elf.strtab.get_at(s.st_name).unwrap_or_default().to_owned(),
                section: (!special && s.st_shndx < elf.section_headers.len()).then_some(s.st_shndx),
                value: s.st_value,
                is_func: s.st_type() == STT_FUNC,
                is_section: s.st_type() == STT_SECTION,
                is_extern: s.st_shndx as u32 == SHN_UNDEF && s.st_bind() != STB_LOCAL,
                is_weak: s.st_bind() == STB_WEAK,
                is_global: s.st_bind() == STB_GLOBAL || s.st_bind() == STB_WEAK,
                is_hidden: matches!(s.st_visibility(), 1 | 2),
            }
        })
        .collect()
}

/// Every function of every code section, by section and offset.
fn functions(sections: &[Section<'_>], symbols: &[Symbol], endian: Endian) -> Result<Vec<Function>, ObjectError> {
    let mut functions = Vec::new();
    for (index, section) in sections.iter().enumerate().filter(|(_, s)| s.is_code && !s.data.is_empty()) {
        let place = || format!("section {}", section.name);
        let Some(insns) = Insn::read_all(section.data, endian) else {
            return Err(malformed(place(), format!("{} bytes", section.data.len()), "a multiple of 8"));
        };
        if insns.len() > MAX_INSNS {
            return Err(malformed(place(), format!("{} instructions", insns.len()), format!("at most {MAX_INSNS}")));
        }
        let mut starts: BTreeMap<usize, &Symbol> = BTreeMap::new();
        for s in symbols.iter().filter(|s| s.is_func && s.section == Some(index)) {
            let at = usize::try_from(s.value).unwrap_or(usize::MAX);
            if at % Insn::SIZE != 0 || at >= section.data.len() {
                return Err(malformed(
                    format!("function {}", s.name),
                    format!("offset {at}"),
                    "an instruction of its section",
                ));
            }
            starts.entry(at / Insn::SIZE).or_insert(s);
        }
        let bounds: Vec<usize> = starts.keys().copied().chain([insns.len()]).collect();
        for (i, (&start, symbol)) in starts.iter().enumerate() {
            functions.push(Function {
                name: symbol.name.clone(),
                section: index,
                start,
                insns: insns[start..bounds[i + 1]].to_vec(),
                is_static: !symbol.is_global,
                is_hidden: symbol.is_hidden,
            });
        }
    }
    Ok(functions)
}

fn relocations(
    elf: &goblin::elf::Elf<'_>,
    sections: &[Section<'_>],
    symbols: &[Symbol],
) -> Result<BTreeMap<(usize, usize), Relocation>, ObjectError> {
    let mut found = BTreeMap::new();
    for (header, relocs) in &elf.shdr_relocs {
        let target = elf.section_headers.get(*header).map_or(usize::MAX, |h| h.sh_info as usize);
        let Some(section) = sections.get(target).filter(|s| s.is_code) else { continue };
        for r in relocs.iter() {
            let at = usize::try_from(r.r_offset).unwrap_or(usize::MAX);
            if at % Insn::SIZE != 0 || at >= section.data.len() {
                return Err(malformed(
                    format!("relocation in {}", section.name),
                    format!("offset {at}"),
                    "an instruction",
                ));
            }
            if r.r_sym >= symbols.len() {
                return Err(malformed(
                    format!("relocation in {}", section.name),
                    format!("symbol {}", r.r_sym),
                    "a symbol",
                ));
            }
            let reference = Reference::of(&symbols[r.r_sym], sections);
            found.insert((target, at / Insn::SIZE), Relocation { symbol: r.r_sym, reference });
        }
    }
    Ok(found)
}
