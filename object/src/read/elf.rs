//! The ELF file: its sections, symbols and relocations, checked, and the order in which they become an object.

use super::{code, ext, externs, fixup, functions, identify, maps, relocations, struct_ops};
use crate::btf::Btf;
use crate::dwarf::{DebugInfo, SECTION_SHIFT};
use crate::model::{Object, ObjectError};
use ebpfkit_isa::Endian;
use goblin::elf::header::{EM_BPF, ET_REL};
use goblin::elf::section_header::{SHF_EXECINSTR, SHN_UNDEF, SHT_NOBITS, SHT_PROGBITS, SHT_REL, SHT_SYMTAB};
use goblin::elf::sym::{STB_GLOBAL, STB_LOCAL, STB_WEAK, STT_FUNC, STT_NOTYPE, STT_OBJECT, STT_SECTION};
use rustc_hash::FxHashMap;
use std::collections::HashMap;
use std::sync::Arc;

/// Section of the tables that indirect jumps go through.
pub(crate) const JUMP_TABLES: &str = ".jumptables";
/// Symbols of sections from this number on stand in no section (`SHN_LORESERVE`).
const RESERVED: usize = 0xff00;
/// Longest name of a section or symbol that is believed.
const MAX_NAME: usize = 4096;
/// Largest alignment of a section that is believed.
const MAX_ALIGN: usize = 1 << 16;
/// Longest license that libbpf keeps.
const LICENSE_LEN: usize = 63;

pub(crate) fn malformed(
    location: impl Into<String>,
    found: impl Into<String>,
    expected: impl Into<String>,
) -> ObjectError {
    ObjectError::Malformed { location: location.into(), found: found.into(), expected: expected.into() }
}

/// libbpf's own words for why it does not open a file.
pub(crate) fn refused(why: impl Into<String>) -> ObjectError {
    ObjectError::Refused(why.into())
}

/// A section that something else refers to.
pub(crate) struct Section<'a> {
    pub name: &'a str,
    pub data: &'a [u8],
    /// Bytes in memory, also for sections without contents.
    pub size: usize,
    pub is_code: bool,
    pub no_bits: bool,
    /// Alignment in bytes, a power of two.
    pub align: usize,
    /// It has contents that are neither code nor tables of the file's own.
    pub is_data: bool,
}

/// A symbol.
pub(crate) struct Symbol<'a> {
    pub name: &'a str,
    /// Section, when it stands in one.
    pub section: Option<usize>,
    /// The section number as written, for messages.
    pub section_number: usize,
    pub value: u64,
    pub size: u64,
    pub is_func: bool,
    pub is_object: bool,
    pub is_section: bool,
    pub is_extern: bool,
    pub is_weak: bool,
    pub is_global: bool,
    /// Hidden or internal: global for the linker, static for the kernel.
    pub is_hidden: bool,
}

/// One entry of a relocation section.
pub(crate) struct RawRelocation {
    pub offset: usize,
    pub symbol: usize,
}

/// The parts of a file.
pub(crate) struct File<'a> {
    pub name: &'a str,
    pub endian: Endian,
    pub sections: Vec<Section<'a>>,
    pub symbols: Vec<Symbol<'a>>,
    /// Relocations by the section that they apply to, in the file's order.
    pub relocations: Vec<(usize, Vec<RawRelocation>)>,
    /// Debugging information, with addresses that say in which section they are.
    debug: DebugInfo,
    /// The first section of each name.
    by_name: FxHashMap<&'a str, usize>,
}

impl<'a> File<'a> {
    pub(crate) fn parse(name: &'a str, bytes: &'a [u8]) -> Result<Self, ObjectError> {
        if bytes.get(..4) != Some(b"\x7fELF") {
            return Err(identify::not_elf(bytes));
        }
        let elf = parse_elf(bytes)?;
        // Old compilers left the machine out.
        let (kind, machine) = (elf.header.e_type, elf.header.e_machine);
        if !elf.is_64 || kind != ET_REL || !matches!(machine, 0 | EM_BPF) {
            return Err(identify::other_elf(machine, kind, elf.is_64));
        }
        match elf.section_headers.iter().filter(|h| h.sh_type == SHT_SYMTAB).count() {
            0 => return Err(refused("elf: couldn't find symbol table, stripped object file?")),
            1 => {}
            _ => return Err(refused("elf: multiple symbol tables")),
        }
        let endian = if elf.little_endian { Endian::Little } else { Endian::Big };
        let sections = sections(&elf, bytes)?;
        let by_name = sections.iter().enumerate().rev().map(|(i, s)| (s.name, i)).collect();
        let symbols = symbols(&elf)?;
        let relocations = relocations_of(&elf, &sections)?;
        let debug = debug_info(&elf, &sections, &symbols);
        Ok(Self { name, endian, sections, symbols, relocations, debug, by_name })
    }

    /// Number of the first section of this name.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Name of a section; `?` when there is none.
    pub(crate) fn section_name(&self, index: usize) -> &str {
        self.sections.get(index).map_or("?", |s| s.name)
    }

    /// Name of a symbol, or of its section when it stands for that.
    pub(crate) fn symbol_name(&self, symbol: &Symbol<'a>) -> &str {
        match symbol.section {
            Some(s) if symbol.is_section && symbol.name.is_empty() => self.section_name(s),
            _ => symbol.name,
        }
    }
}

fn parse_elf(bytes: &[u8]) -> Result<goblin::elf::Elf<'_>, ObjectError> {
    goblin::elf::Elf::parse(bytes).map_err(|e| malformed("ELF file", e.to_string(), "a whole and valid one"))
}

/// The types in a file: as they stand, or in the `.BTF` section of an ELF file such as `vmlinux`.
pub(crate) fn types(bytes: &[u8]) -> Result<Btf, ObjectError> {
    let parse = |data: &[u8]| Btf::parse(data).map_err(|e| refused(format!("no valid types (BTF): {e}")));
    if !bytes.starts_with(b"\x7fELF") {
        return parse(bytes);
    }
    match sections(&parse_elf(bytes)?, bytes)?.iter().find(|s| s.name == ".BTF") {
        Some(section) => parse(section.data),
        None => Err(refused("no .BTF section; pahole or -g adds types")),
    }
}

/// Reads an ELF object.
pub(crate) fn open(name: &str, bytes: &[u8]) -> Result<Object, ObjectError> {
    let file = File::parse(name, bytes)?;
    let debug = file.debug.clone();
    let mut object = Object { name: name.to_owned(), endian: file.endian, debug, ..Object::default() };
    if let Some(s) = file.find("license") {
        let text = file.sections[s].data.split(|&b| b == 0).next().unwrap_or_default();
        object.license = String::from_utf8_lossy(&text[..text.len().min(LICENSE_LEN)]).into_owned();
    }
    if let Some(s) = file.find("version") {
        let Ok(version) = <[u8; 4]>::try_from(file.sections[s].data) else {
            return Err(refused("invalid kver section"));
        };
        object.kern_version = match file.endian {
            Endian::Little => u32::from_le_bytes(version),
            Endian::Big => u32::from_be_bytes(version),
        };
    }
    let functions = functions::collect(&file, &mut object.libbpf_refusals)?;
    let needs_btf = file.sections.iter().any(|s| s.name == ".maps" || (s.is_data && struct_ops::is_section(s.name)));
    let btf = match file.find(".BTF").map(|s| Btf::parse(file.sections[s].data)) {
        Some(Ok(btf)) => Some(btf),
        Some(Err(e)) if needs_btf => return Err(malformed("section .BTF", e.to_string(), "valid types")),
        None if needs_btf => return Err(refused("BTF is required, but is missing or corrupted.")),
        // Without it the programs still load.
        _ => None,
    };
    let records = match (&btf, file.find(".BTF.ext")) {
        (Some(btf), Some(s)) => ext::read(&file, file.sections[s].data, btf).or_else(|e| {
            // libbpf ignores a broken one where it can.
            if needs_btf { Err(e) } else { Ok(ext::Records::default()) }
        })?,
        _ => ext::Records::default(),
    };
    records.check(&functions)?;
    let externs = externs::collect(&file, btf.as_ref())?;
    let btf = match &btf {
        Some(btf) => Some(Arc::new(fixup::apply(&file, btf, &externs)?)),
        None => None,
    };
    let Object { maps, libbpf_refusals: refusals, .. } = &mut object;
    let maps = maps::collect(&file, btf.as_deref(), &functions, &externs, maps, refusals)?;
    object.btf = btf;
    object.hidden = functions.iter().filter(|f| f.is_hidden && f.is_subprog).map(|f| f.name.clone()).collect();
    let resolved = relocations::collect(&file, &functions, &maps, &externs, &mut object)?;
    object.externs = externs.list;
    code::link(&mut object, &file, &functions, &resolved, &records)?;
    Ok(object)
}

fn name_at<'a>(table: &goblin::strtab::Strtab<'a>, at: usize) -> Result<&'a str, ObjectError> {
    let name = table.get_at(at).unwrap_or_default();
    if name.len() > MAX_NAME {
        return Err(malformed(
            "string table",
            format!("a name of {} bytes", name.len()),
            format!("at most {MAX_NAME}"),
        ));
    }
    Ok(name)
}

fn sections<'a>(elf: &goblin::elf::Elf<'a>, bytes: &'a [u8]) -> Result<Vec<Section<'a>>, ObjectError> {
    elf.section_headers
        .iter()
        .map(|h| {
            let name = name_at(&elf.shdr_strtab, h.sh_name)?;
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
            let has_bits = h.sh_type == SHT_PROGBITS && !data.is_empty();
            let is_code = h.sh_flags & u64::from(SHF_EXECINSTR) != 0 && has_bits;
            let size = usize::try_from(h.sh_size).unwrap_or(usize::MAX);
            let align =
                usize::try_from(h.sh_addralign).ok().filter(|a| a.is_power_of_two() && *a <= MAX_ALIGN).unwrap_or(1);
            Ok(Section { name, data, size, is_code, no_bits, align, is_data: has_bits && !is_code })
        })
        .collect()
}

fn symbols<'a>(elf: &goblin::elf::Elf<'a>) -> Result<Vec<Symbol<'a>>, ObjectError> {
    elf.syms
        .iter()
        .map(|s| {
            let bind = s.st_bind();
            let undefined = s.st_shndx as u32 == SHN_UNDEF;
            Ok(Symbol {
                name: name_at(&elf.strtab, s.st_name)?,
                section: (!undefined && s.st_shndx < elf.section_headers.len().min(RESERVED)).then_some(s.st_shndx),
                section_number: s.st_shndx,
                value: s.st_value,
                size: s.st_size,
                is_func: s.st_type() == STT_FUNC,
                is_object: s.st_type() == STT_OBJECT,
                is_section: s.st_type() == STT_SECTION,
                is_extern: undefined && matches!(bind, STB_GLOBAL | STB_WEAK) && s.st_type() == STT_NOTYPE,
                is_weak: bind == STB_WEAK,
                is_global: bind != STB_LOCAL,
                is_hidden: bind != STB_LOCAL && matches!(s.st_visibility(), 1 | 2),
            })
        })
        .collect()
}

fn relocations_of(
    elf: &goblin::elf::Elf<'_>,
    sections: &[Section<'_>],
) -> Result<Vec<(usize, Vec<RawRelocation>)>, ObjectError> {
    let mut found = Vec::new();
    for (header, entries) in &elf.shdr_relocs {
        let Some(header) = elf.section_headers.get(*header).filter(|h| h.sh_type == SHT_REL) else { continue };
        // Types and debug information need none, so it does not matter what these say that they are for.
        let name = name_at(&elf.shdr_strtab, header.sh_name)?;
        if name.strip_prefix(".rel").is_some_and(|n| n.starts_with(".BTF") || n.starts_with(".debug_")) {
            continue;
        }
        let target = header.sh_info as usize;
        let Some(section) = sections.get(target) else {
            return Err(malformed("relocation section", format!("for section {target}"), "an existing section"));
        };
        let needed = section.is_code || section.name == ".maps" || struct_ops::is_section(section.name);
        if needed {
            let entry = |r: goblin::elf::Reloc| RawRelocation {
                offset: usize::try_from(r.r_offset).unwrap_or(usize::MAX),
                symbol: r.r_sym,
            };
            found.push((target, entries.iter().map(entry).collect()));
        }
    }
    Ok(found)
}

/// The debugging information, where the file has any. Addresses of code get the number of their section; what refers to
/// other debugging information stands in its place already.
fn debug_info(elf: &goblin::elf::Elf<'_>, sections: &[Section<'_>], symbols: &[Symbol<'_>]) -> DebugInfo {
    const ADDRESS: usize = 8;
    let is_debug = |s: &&Section<'_>| s.name.starts_with(".debug_") && !s.data.is_empty();
    if !sections.iter().any(|s| s.name == ".debug_info") {
        return DebugInfo::default();
    }
    let mut data: HashMap<String, Vec<u8>> =
        sections.iter().filter(is_debug).map(|s| (s.name.to_owned(), s.data.to_vec())).collect();
    for (header, entries) in &elf.shdr_relocs {
        let Some(header) = elf.section_headers.get(*header).filter(|h| h.sh_type == SHT_REL) else { continue };
        let name = sections.get(header.sh_info as usize).map_or("", |s| s.name);
        let Some(bytes) = data.get_mut(name) else { continue };
        for entry in entries.iter() {
            let Some(symbol) = symbols.get(entry.r_sym) else { continue };
            let Some(number) = symbol.section.filter(|s| sections.get(*s).is_some_and(|s| s.is_code)) else { continue };
            let at = usize::try_from(entry.r_offset).unwrap_or(usize::MAX);
            let Some(place) = at.checked_add(ADDRESS).and_then(|end| bytes.get_mut(at..end)) else { continue };
            let Ok(old) = <[u8; ADDRESS]>::try_from(&*place) else { continue };
            let moved = |old: u64| old.wrapping_add(symbol.value).wrapping_add((number as u64) << SECTION_SHIFT);
            place.copy_from_slice(&match elf.little_endian {
                true => moved(u64::from_le_bytes(old)).to_le_bytes(),
                false => moved(u64::from_be_bytes(old)).to_be_bytes(),
            });
        }
    }
    DebugInfo::new(elf.little_endian, data)
}
