//! `.BTF.ext`: types of functions and source lines of instructions, by section.

use super::elf::malformed;
use super::functions::Function;
use crate::btf::{Btf, TypeId};
use crate::model::{CoreRelocation, FuncInfo, LineInfo, ObjectError};
use ebpfkit_isa::{Endian, Insn};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Longest access string of a CO-RE relocation that is believed.
const MAX_ACCESS: usize = 1024;

/// Records by section name. Instructions count from the section's start.
#[derive(Default)]
pub(crate) struct Records {
    funcs: HashMap<String, Vec<FuncInfo>>,
    lines: HashMap<String, Vec<LineInfo>>,
    core: HashMap<String, Vec<CoreRecord>>,
}

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

fn within<R>(all: Option<&Vec<R>>, range: Range<u32>, insn: impl Fn(&R) -> u32) -> impl Iterator<Item = &R> {
    let all = all.map(Vec::as_slice).unwrap_or_default();
    let first = all.partition_point(|r| insn(r) < range.start);
    let last = all.partition_point(|r| insn(r) < range.end).max(first);
    all[first..last].iter()
}

impl Records {
    /// Function records of a range of a section's slots.
    pub(crate) fn funcs(&self, section: &str, range: Range<u32>) -> impl Iterator<Item = FuncInfo> {
        within(self.funcs.get(section), range, |r| r.insn).copied()
    }

    /// CO-RE relocations of a range of a section's slots.
    pub(crate) fn core(&self, section: &str, range: Range<u32>) -> impl Iterator<Item = &CoreRecord> {
        within(self.core.get(section), range, |r| r.insn)
    }

    /// Line records of a range of a section's slots.
    pub(crate) fn lines(&self, section: &str, range: Range<u32>) -> impl Iterator<Item = LineInfo> {
        within(self.lines.get(section), range, |r| r.insn).copied()
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

/// Reads function and line records.
pub(crate) fn read(data: &[u8], endian: Endian, btf: &Btf) -> Result<Records, ObjectError> {
    let words = Words { data, endian };
    let field =
        |at: usize| words.at(at).ok_or_else(|| malformed(".BTF.ext", format!("{} bytes", data.len()), "at least 24"));
    let header = field(4)? as usize;
    let mut records = Records::default();
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
            let section = btf.str_at(field(at)?).to_owned();
            let count = field(at + 4)? as usize;
            at += 8;
            if count > (end - at) / size {
                return Err(malformed(format!(".BTF.ext {name}"), format!("{count} records"), "as many as fit"));
            }
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
                        let place = field(r + 12)?;
                        let (file_name, line_text) = (field(r + 4)?, field(r + 8)?);
                        lines.push(LineInfo { insn, file_name, line_text, line: place >> 10, column: place & 0x3ff });
                    }
                }
            }
            match name {
                "core_relo" => records.core.entry(section).or_default().extend(core),
                "func_info" => records.funcs.entry(section).or_default().extend(funcs),
                _ => records.lines.entry(section).or_default().extend(lines),
            }
            at += count * size;
        }
    }
    records.funcs.values_mut().for_each(|r| r.sort_by_key(|f| f.insn));
    records.core.values_mut().for_each(|r| r.sort_by_key(|c| c.insn));
    records.lines.values_mut().for_each(|r| r.sort_by_key(|l| l.insn));
    Ok(records)
}
