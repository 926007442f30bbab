//! Source lines of instructions, from the object's line records.

use ebpfkit_object::{Btf, Program};

/// A line of source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// File as the compiler named it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; zero when unknown.
    pub column: u32,
    /// The line's text.
    pub text: String,
}

/// The source line of an instruction: the last record at or before it that belongs to the same function.
pub fn line_of(program: &Program, btf: &Btf, insn: usize) -> Option<SourceLine> {
    let after = program.line_info.partition_point(|l| l.insn as usize <= insn);
    let record = program.line_info.get(after.checked_sub(1)?)?;
    let text = btf.str_at(record.line_text);
    (!text.is_empty() || record.line != 0).then(|| SourceLine {
        file: btf.str_at(record.file_name).to_owned(),
        line: record.line,
        column: record.column,
        text: text.to_owned(),
    })
}
