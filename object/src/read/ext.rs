//! `.BTF.ext`: types of functions and source lines of instructions, by section.

use super::elf::{File, malformed};
use super::functions::{Function, Functions};
use crate::btf::{Btf, TypeId};
use crate::model::{CoreRelocation, FuncInfo, LineInfo, ObjectError};
use ebpfkit_isa::{Endian, Insn};
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::sync::Arc;

/// Longest access string of a CO-RE relocation that is believed.
const MAX_ACCESS: usize = 1024;

/// Records by ELF section. Instructions count from the section's start.
#[derive(Default)]
pub(crate) struct Records {
    funcs: FxHashMap<usize, Table<FuncInfo>>,
    lines: FxHashMap<usize, Table<LineInfo>>,
    core: FxHashMap<usize, Vec<CoreRecord>>,
}

/// Records of one section, in their order in the file, which is that of the instructions unless sections of one name
/// share them.
struct Table<R> {
    records: Vec<R>,
    sorted: bool,
}

/// Records that are looked through one by one where they are in no order; more are not believed.
const MAX_SEARCHED: usize = 1 << 26;

/// A CO-RE relocation as it stands in its section.
#[derive(Clone, Debug)]
pub(crate) struct CoreRecord {
    pub insn: u32,
    number: usize,
    pub type_id: TypeId,
    pub access: Arc<str>,
    pub kind: u32,
}

impl CoreRecord {
    /// As a relocation of the function that contains it.
    pub(crate) fn relocation(&self, function: &Function, name: &Arc<str>) -> CoreRelocation {
        CoreRelocation {
            function: name.clone(),
            number: self.number,
            insn: self.insn as usize - function.start,
            type_id: self.type_id,
            access: self.access.clone(),
            kind: self.kind,
            shared: function.is_subprog,
        }
    }
}

/// Something that begins at an instruction.
trait Located: Copy {
    fn insn(&self) -> u32;
}

impl Located for FuncInfo {
    fn insn(&self) -> u32 {
        self.insn
    }
}

impl Located for LineInfo {
    fn insn(&self) -> u32 {
        self.insn
    }
}

impl<R: Located> Table<R> {
    fn new(records: Vec<R>) -> Self {
        let sorted = records.is_sorted_by_key(R::insn);
        Self { records, sorted }
    }

    /// What libbpf takes for a range of slots: from the first record inside to the last one before any that lies behind.
    fn within(&self, range: Range<u32>) -> &[R] {
        let all = self.records.as_slice();
        if self.sorted {
            let first = all.partition_point(|r| r.insn() < range.start);
            let end = all.partition_point(|r| r.insn() < range.end).max(first);
            return &all[first..end];
        }
        let behind = all.iter().position(|r| r.insn() >= range.end).unwrap_or(all.len());
        let inside = |r: &R| r.insn() >= range.start;
        match (all[..behind].iter().position(inside), all[..behind].iter().rposition(inside)) {
            (Some(first), Some(last)) => &all[first..=last],
            _ => &[],
        }
    }
}

impl Records {
    /// Function records of a range of a section's slots.
    pub(crate) fn funcs(&self, section: usize, range: Range<u32>) -> &[FuncInfo] {
        self.funcs.get(&section).map(|t| t.within(range)).unwrap_or_default()
    }

    /// CO-RE relocations of a range of a section's slots.
    pub(crate) fn core(&self, section: usize, range: Range<u32>) -> impl Iterator<Item = &CoreRecord> {
        let all = self.core.get(&section).map(Vec::as_slice).unwrap_or_default();
        let first = all.partition_point(|r| r.insn < range.start);
        let last = all.partition_point(|r| r.insn < range.end).max(first);
        all[first..last].iter()
    }

    /// Line records of a range of a section's slots.
    pub(crate) fn lines(&self, section: usize, range: Range<u32>) -> &[LineInfo] {
        self.lines.get(&section).map(|t| t.within(range)).unwrap_or_default()
    }

    /// Refuses records in no order, where looking for those of each function would take too long.
    pub(crate) fn check(&self, functions: &Functions) -> Result<(), ObjectError> {
        let unsorted = |section: &usize| {
            let funcs = self.funcs.get(section).filter(|t| !t.sorted).map_or(0, |t| t.records.len());
            funcs + self.lines.get(section).filter(|t| !t.sorted).map_or(0, |t| t.records.len())
        };
        let mut work = 0usize;
        for f in functions.iter() {
            work = work.saturating_add(unsorted(&f.section));
        }
        if work > MAX_SEARCHED {
            return Err(malformed(".BTF.ext", "records in no order", "those of each section by instruction"));
        }
        Ok(())
    }
}

struct Words<'a> {
    data: &'a [u8],
    endian: Endian,
}

impl Words<'_> {
    fn at(&self, at: usize) -> Option<u32> {
        let bytes = self.data.get(at..)?.first_chunk::<4>()?;
        Some(match self.endian {
            Endian::Little => u32::from_le_bytes(*bytes),
            Endian::Big => u32::from_be_bytes(*bytes),
        })
    }
}

/// Reads every table. As for libbpf, records belong to the first section of their name.
pub(crate) fn read(file: &File<'_>, data: &[u8], btf: &Btf) -> Result<Records, ObjectError> {
    let words = Words { data, endian: file.endian };
    let field =
        |at: usize| words.at(at).ok_or_else(|| malformed(".BTF.ext", format!("{} bytes", data.len()), "at least 24"));
    let header = field(4)? as usize;
    let mut records = Records::default();
    let mut sections: FxHashMap<u32, Option<usize>> = FxHashMap::default();
    // The third pair of fields came later; older headers end before it.
    let tables = [("func_info", 8, 8), ("line_info", 16, 16), ("core_relo", 24, 16)];
    for (name, at, least) in tables.into_iter().filter(|&(_, at, _)| at + 8 <= header) {
        let (off, len) = (header.saturating_add(field(at)? as usize), field(at + 4)? as usize);
        let Some(end) = off.checked_add(len).filter(|&e| e <= data.len()) else {
            return Err(malformed(format!(".BTF.ext {name}"), format!("{len} bytes at {off}"), "inside the section"));
        };
        if len == 0 {
            continue;
        }
        let size = field(off)? as usize;
        if size < least || !size.is_multiple_of(4) {
            return Err(malformed(
                format!(".BTF.ext {name}"),
                format!("records of {size} bytes"),
                format!("{least} or more"),
            ));
        }
        let mut at = off + 4;
        while at + 8 <= end {
            let name_offset = field(at)?;
            // Many headers may name one section.
            let section = *sections.entry(name_offset).or_insert_with(|| file.find(btf.str_at(name_offset)));
            let count = field(at + 4)? as usize;
            at += 8;
            if count > (end - at) / size {
                return Err(malformed(format!(".BTF.ext {name}"), format!("{count} records"), "as many as fit"));
            }
            let Some(section) = section else {
                at += count * size;
                continue;
            };
            let (mut core, mut funcs, mut lines) = (Vec::new(), Vec::new(), Vec::new());
            for i in 0..count {
                let r = at + i * size;
                let insn = field(r)? / Insn::SIZE as u32;
                match name {
                    "core_relo" => {
                        let access = btf.str_at(field(r + 8)?);
                        if access.len() > MAX_ACCESS {
                            let found = format!("an access of {} characters", access.len());
                            return Err(malformed(".BTF.ext core_relo", found, format!("at most {MAX_ACCESS}")));
                        }
                        let (type_id, kind) = (field(r + 4)?, field(r + 12)?);
                        core.push(CoreRecord { insn, number: i, type_id, access: access.into(), kind });
                    }
                    "func_info" => funcs.push(FuncInfo { insn, type_id: field(r + 4)? }),
                    _ => {
                        let line_col = field(r + 12)?;
                        let (file_name, line_text) = (field(r + 4)?, field(r + 8)?);
                        lines.push(LineInfo {
                            insn,
                            file_name,
                            line_text,
                            line: line_col >> 10,
                            column: line_col & 0x3ff,
                        });
                    }
                }
            }
            // Of several tables of functions or lines for one section libbpf takes the first.
            match name {
                "core_relo" => records.core.entry(section).or_default().extend(core),
                "func_info" => {
                    records.funcs.entry(section).or_insert_with(|| Table::new(funcs));
                }
                _ => {
                    records.lines.entry(section).or_insert_with(|| Table::new(lines));
                }
            }
            at += count * size;
        }
    }
    records.core.values_mut().for_each(|r| r.sort_by_key(|c| c.insn));
    Ok(records)
}
