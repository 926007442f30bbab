//! Inlined functions, from the debugging information that compilers write (DWARF).
//!
//! Types and line records come from BTF, which says nothing of inlining. The sections are kept as they are and read when
//! somebody asks for the first time, since only diagnoses do.

use gimli::{AttributeValue, Dwarf, EndianSlice, Reader, RunTimeEndian, Unit, UnitOffset};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Most inlined functions of one object; what comes after them is not known.
const MOST: usize = 1 << 18;
/// Most bytes of all sections that are kept.
const MOST_BYTES: usize = 1 << 28;
/// Addresses of a section start at its number, moved up by so many bits: in objects every section starts at zero.
pub(crate) const SECTION_SHIFT: u32 = 32;

/// A call that the compiler put the function's code in the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inlined {
    /// The function; empty where it has no name.
    pub name: String,
    /// File of the call, as the compiler named it.
    pub file: String,
    /// Line of the call, from 1.
    pub line: u32,
    /// Column of the call, from 1; zero when unknown.
    pub column: u32,
    /// Calls around it that were inlined too.
    depth: isize,
    /// First byte, and the one behind the last.
    range: (u64, u64),
}

/// Debugging information of an object.
#[derive(Clone, Default)]
pub struct DebugInfo(Option<Arc<Sections>>);

struct Sections {
    endian: RunTimeEndian,
    data: HashMap<String, Vec<u8>>,
    /// Sorted by their first bytes, the outer before the inner.
    inlined: OnceLock<Vec<Inlined>>,
}

impl std::fmt::Debug for DebugInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DebugInfo").field(&self.0.is_some()).finish()
    }
}

impl DebugInfo {
    /// Sections by name, with addresses that were resolved so that sections start at their numbers.
    pub(crate) fn new(is_little: bool, data: HashMap<String, Vec<u8>>) -> Self {
        let bytes: usize = data.values().map(Vec::len).sum();
        if !data.contains_key(".debug_info") || bytes > MOST_BYTES {
            return Self::default();
        }
        let endian = if is_little { RunTimeEndian::Little } else { RunTimeEndian::Big };
        Self(Some(Arc::new(Sections { endian, data, inlined: OnceLock::new() })))
    }

    /// The calls that were inlined around an instruction, the innermost first: by the section's number and the byte in it.
    pub fn inlined_at(&self, section: usize, byte: u64) -> Vec<&Inlined> {
        let Some(sections) = &self.0 else { return Vec::new() };
        let all = sections.inlined.get_or_init(|| sections.read());
        let address = (section as u64) << SECTION_SHIFT | byte;
        let end = all.partition_point(|i| i.range.0 <= address);
        let mut found: Vec<&Inlined> = all[..end].iter().filter(|i| address < i.range.1).collect();
        found.sort_by_key(|i| std::cmp::Reverse(i.depth));
        found
    }
}

type Data<'a> = EndianSlice<'a, RunTimeEndian>;

impl Sections {
    fn read(&self) -> Vec<Inlined> {
        let mut found = Vec::new();
        let section = |id: gimli::SectionId| -> Result<Data<'_>, gimli::Error> {
            Ok(EndianSlice::new(self.data.get(id.name()).map_or(&[], Vec::as_slice), self.endian))
        };
        if let Ok(dwarf) = Dwarf::load(section) {
            let mut units = dwarf.units();
            // What is broken ends the reading, and leaves what was read before.
            while let Ok(Some(header)) = units.next() {
                let Ok(unit) = dwarf.unit(header) else { continue };
                // Compilers number the shapes of entries from 1: those tell whether there is anything to find.
                let mut shapes = (1..).map_while(|code| unit.abbreviations.get(code));
                if !shapes.any(|s| s.tag() == gimli::DW_TAG_inlined_subroutine) {
                    continue;
                }
                let _ = read_unit(&dwarf, &unit, &mut found);
                if found.len() >= MOST {
                    break;
                }
            }
        }
        found.sort_by_key(|i| (i.range.0, i.depth));
        found
    }
}

/// Adds what was inlined in a unit.
fn read_unit<'a>(dwarf: &Dwarf<Data<'a>>, unit: &Unit<Data<'a>>, found: &mut Vec<Inlined>) -> Result<(), gimli::Error> {
    let mut entries = unit.entries_raw(None)?;
    let mut names: HashMap<UnitOffset, String> = HashMap::new();
    let mut files: HashMap<u64, String> = HashMap::new();
    while !entries.is_empty() {
        let (offset, depth) = (entries.next_offset(), entries.next_depth());
        let Some(shape) = entries.read_abbreviation()? else { continue };
        // Most entries are types, and are passed by.
        entries.skip_attributes(shape.attributes())?;
        if shape.tag() != gimli::DW_TAG_inlined_subroutine || found.len() >= MOST {
            continue;
        }
        let entry = &unit.entry(offset)?;
        let number = |name| entry.attr_value(name).and_then(|v| v.udata_value());
        let Some(line) = number(gimli::DW_AT_call_line).and_then(|l| u32::try_from(l).ok()) else { continue };
        let column = number(gimli::DW_AT_call_column).and_then(|c| u32::try_from(c).ok()).unwrap_or(0);
        let name = match entry.attr_value(gimli::DW_AT_abstract_origin) {
            Some(AttributeValue::UnitRef(offset)) => {
                names.entry(offset).or_insert_with(|| name_of(dwarf, unit, offset)).clone()
            }
            _ => String::new(),
        };
        let file = match entry.attr_value(gimli::DW_AT_call_file) {
            Some(AttributeValue::FileIndex(index)) => {
                files.entry(index).or_insert_with(|| file_name(dwarf, unit, index).unwrap_or_default()).clone()
            }
            _ => String::new(),
        };
        for range in ranges(dwarf, unit, entry)? {
            found.push(Inlined { name: name.clone(), file: file.clone(), line, column, depth, range });
        }
    }
    Ok(())
}

/// The bytes that an entry stands for.
fn ranges<'a>(
    dwarf: &Dwarf<Data<'a>>,
    unit: &Unit<Data<'a>>,
    entry: &gimli::DebuggingInformationEntry<Data<'a>>,
) -> Result<Vec<(u64, u64)>, gimli::Error> {
    let address = |v| dwarf.attr_address(unit, v);
    if let Some(value) = entry.attr_value(gimli::DW_AT_ranges) {
        let mut found = Vec::new();
        if let Some(mut list) = dwarf.attr_ranges(unit, value)? {
            while let Some(range) = list.next()? {
                found.push((range.begin, range.end));
                if found.len() >= MOST {
                    break;
                }
            }
        }
        return Ok(found);
    }
    let Some(low) = entry.attr_value(gimli::DW_AT_low_pc).map(address).transpose()?.flatten() else {
        return Ok(Vec::new());
    };
    let high = match entry.attr_value(gimli::DW_AT_high_pc) {
        Some(AttributeValue::Addr(high)) => high,
        Some(value) => match value.udata_value() {
            Some(size) => low.saturating_add(size),
            None => address(value)?.unwrap_or(low),
        },
        None => low,
    };
    Ok(vec![(low, high)])
}

/// The name of a function, which may stand in the declaration that it belongs to.
fn name_of<'a>(dwarf: &Dwarf<Data<'a>>, unit: &Unit<Data<'a>>, offset: UnitOffset) -> String {
    let mut offset = offset;
    for _ in 0..4 {
        let Ok(entry) = unit.entry(offset) else { break };
        if let Some(name) = entry.attr_value(gimli::DW_AT_name)
            && let Ok(text) = dwarf.attr_string(unit, name)
        {
            return Reader::to_string_lossy(&text).map(|t| t.into_owned()).unwrap_or_default();
        }
        let next = [gimli::DW_AT_specification, gimli::DW_AT_abstract_origin];
        match next.into_iter().find_map(|a| entry.attr_value(a)) {
            Some(AttributeValue::UnitRef(next)) => offset = next,
            _ => break,
        }
    }
    String::new()
}

/// A file's name with its folder, as line records of BTF have it.
fn file_name<'a>(dwarf: &Dwarf<Data<'a>>, unit: &Unit<Data<'a>>, index: u64) -> Option<String> {
    let header = unit.line_program.as_ref()?.header();
    let file = header.file(index)?;
    let owned = |t: &Data<'a>| Reader::to_string_lossy(t).ok().map(|t| t.into_owned());
    let text = |value| dwarf.attr_string(unit, value).ok().and_then(|t| owned(&t));
    let name = text(file.path_name())?;
    if name.starts_with('/') {
        return Some(name);
    }
    let folder = file.directory(header).and_then(text).filter(|f| !f.is_empty());
    let whole = folder.map_or_else(|| name.clone(), |f| format!("{}/{name}", f.trim_end_matches('/')));
    let base = unit.comp_dir.as_ref().and_then(owned);
    match base {
        Some(base) if !whole.starts_with('/') && !base.is_empty() && !whole.starts_with(&base) => {
            Some(format!("{}/{whole}", base.trim_end_matches('/')))
        }
        _ => Some(whole),
    }
}
