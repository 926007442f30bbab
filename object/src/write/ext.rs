//! Making `.BTF.ext`.

use super::{BtfBuilder, push_u16, push_u32};
use crate::model::{FuncInfo, LineInfo};
use ebpfkit_isa::{Endian, Insn};

const MAGIC: u16 = 0xeb9f;
/// With the fields of CO-RE relocations, as compilers write.
const HEADER: u32 = 32;
/// A line's text and number share a word; so many bits are the column.
const COLUMN_BITS: u32 = 10;

/// Records by section. Instructions count from the section's start.
#[derive(Clone, Debug, Default)]
pub struct Records {
    sections: Vec<(String, Vec<FuncInfo>, Vec<LineInfo>)>,
}

impl Records {
    /// Adds a section's records, sorted by instruction.
    pub fn add(&mut self, section: &str, funcs: Vec<FuncInfo>, lines: Vec<LineInfo>) {
        self.sections.push((section.to_owned(), funcs, lines));
    }

    /// The section's bytes; names of sections are added to the strings.
    pub fn finish(&self, btf: &mut BtfBuilder, endian: Endian) -> Vec<u8> {
        let mut funcs = Vec::new();
        let mut lines = Vec::new();
        push_u32(&mut funcs, 8, endian);
        push_u32(&mut lines, 16, endian);
        let start = |bytes: &mut Vec<u8>, name: u32, count: usize| {
            push_u32(bytes, name, endian);
            push_u32(bytes, count as u32, endian);
        };
        let offset = |insn: u32| insn * Insn::SIZE as u32;
        for (section, func_info, line_info) in &self.sections {
            let name = btf.string(section);
            if !func_info.is_empty() {
                start(&mut funcs, name, func_info.len());
            }
            for f in func_info {
                push_u32(&mut funcs, offset(f.insn), endian);
                push_u32(&mut funcs, f.type_id, endian);
            }
            if !line_info.is_empty() {
                start(&mut lines, name, line_info.len());
            }
            for l in line_info {
                push_u32(&mut lines, offset(l.insn), endian);
                push_u32(&mut lines, l.file_name, endian);
                push_u32(&mut lines, l.line_text, endian);
                push_u32(&mut lines, l.line << COLUMN_BITS | l.column.min((1 << COLUMN_BITS) - 1), endian);
            }
        }
        let mut bytes = Vec::new();
        push_u16(&mut bytes, MAGIC, endian);
        bytes.extend([1, 0]);
        let (f, l) = (funcs.len() as u32, lines.len() as u32);
        for word in [HEADER, 0, f, f, l, f + l, 0] {
            push_u32(&mut bytes, word, endian);
        }
        bytes.extend(funcs);
        bytes.extend(lines);
        bytes
    }
}
