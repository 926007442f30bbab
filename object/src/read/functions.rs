//! Functions: every function symbol of a code section and its instructions.

use super::elf::{File, malformed, refused};
use crate::model::ObjectError;
use ebpfkit_isa::Insn;
use std::collections::BTreeMap;

/// Instructions of one section beyond this are not believed.
const MAX_INSNS: usize = 1 << 22;
/// Section of subprograms.
pub(crate) const TEXT: &str = ".text";

/// A function as it stands in its section.
pub(crate) struct Function {
    pub name: String,
    pub section: usize,
    /// First slot in the section.
    pub start: usize,
    pub insns: Vec<Insn>,
    pub is_global: bool,
    pub is_hidden: bool,
    /// It is no program of its own.
    pub is_subprog: bool,
}

/// All functions, by section and place, which is libbpf's order of programs.
pub(crate) struct Functions {
    list: Vec<Function>,
    /// The section of subprograms.
    text: Option<usize>,
}

impl std::ops::Deref for Functions {
    type Target = [Function];
    fn deref(&self) -> &[Function] {
        &self.list
    }
}

impl Functions {
    /// The function that contains a slot of a section.
    pub(crate) fn at(&self, section: usize, slot: usize) -> Option<usize> {
        let after = self.list.partition_point(|f| (f.section, f.start) <= (section, slot));
        let index = after.checked_sub(1)?;
        let f = &self.list[index];
        (f.section == section && slot < f.start + f.insns.len()).then_some(index)
    }

    /// The section of subprograms.
    pub(crate) fn text(&self) -> Option<usize> {
        self.text
    }

    /// Number of a function among the programs of the object.
    pub(crate) fn program_number(&self, function: usize) -> usize {
        self.list[..function].iter().filter(|f| !f.is_subprog).count()
    }
}

/// Collects the functions of every code section.
pub(crate) fn collect(file: &File<'_>) -> Result<Functions, ObjectError> {
    let mut list = Vec::new();
    let text = file.sections.iter().position(|s| s.is_code && s.name == TEXT);
    for (index, section) in file.sections.iter().enumerate().filter(|(_, s)| s.is_code) {
        let name = section.name;
        let mut starts = BTreeMap::new();
        for s in file.symbols.iter().filter(|s| s.is_func && s.section == Some(index)) {
            let end = s.value.checked_add(s.size).filter(|&e| e <= section.data.len() as u64);
            if end.is_none() {
                return Err(refused(format!("sec '{name}': program at offset {} crosses section boundary", s.value)));
            }
            if Some(index) != text && !s.is_global {
                return Err(refused(format!("sec '{name}': program '{}' is static and not supported", s.name)));
            }
            let (at, size) = (s.value as usize, s.size as usize);
            if size == 0 || size % Insn::SIZE != 0 || at % Insn::SIZE != 0 {
                return Err(refused(format!("sec '{name}': corrupted program '{}', offset {at}, size {size}", s.name)));
            }
            if size / Insn::SIZE > MAX_INSNS {
                let found = format!("{} instructions", size / Insn::SIZE);
                return Err(malformed(format!("function {}", s.name), found, format!("at most {MAX_INSNS}")));
            }
            // Of two names for one place the first counts.
            starts.entry(at).or_insert((s, size));
        }
        for (at, (s, size)) in starts {
            list.push(Function {
                name: s.name.to_owned(),
                section: index,
                start: at / Insn::SIZE,
                insns: Insn::read_all(&section.data[at..at + size], file.endian).unwrap_or_default(),
                is_global: s.is_global,
                is_hidden: s.is_hidden,
                is_subprog: Some(index) == text,
            });
        }
    }
    let total: usize = list.iter().map(|f: &Function| f.insns.len()).sum();
    if total > MAX_INSNS {
        return Err(malformed("code", format!("{total} instructions"), format!("at most {MAX_INSNS}")));
    }
    // A lone function without a section of its own is shown as a program whose type is unknown.
    if let [only] = list.as_mut_slice() {
        only.is_subprog = false;
    }
    Ok(Functions { list, text })
}
