//! Functions: every function symbol of a code section and its instructions.

use super::elf::{File, Symbol, malformed, refused};
use crate::model::ObjectError;
use ebpfkit_isa::Insn;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, HashSet};

/// Instructions of all functions beyond this are not believed.
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
    /// Its number among the programs of the object, if it is one.
    pub program: Option<usize>,
}

/// All functions, by section and place, which is libbpf's order of programs.
pub(crate) struct Functions {
    list: Vec<Function>,
    /// The section of subprograms.
    text: Option<usize>,
    /// Sections of programs that have static functions too.
    mixed: HashSet<usize>,
    /// By name: the first program, the first subprogram.
    by_name: FxHashMap<String, (Option<usize>, Option<usize>)>,
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

    /// Whether functions of a section can be called: those of `.text`, and static ones.
    pub(crate) fn has_subprograms(&self, section: usize) -> bool {
        Some(section) == self.text || self.mixed.contains(&section)
    }

    /// The first program of a name.
    pub(crate) fn program_named(&self, name: &str) -> Option<usize> {
        self.by_name.get(name)?.0
    }

    /// The first subprogram of a name.
    pub(crate) fn subprogram_named(&self, name: &str) -> Option<usize> {
        self.by_name.get(name)?.1
    }
}

/// Collects the functions of every code section; what libbpf refuses and others take is added to `refusals`.
pub(crate) fn collect(file: &File<'_>, refusals: &mut Vec<String>) -> Result<Functions, ObjectError> {
    let mut list = Vec::new();
    let text = file.sections.iter().position(|s| s.is_code && s.name == TEXT);
    let mut mixed = HashSet::new();
    let mut by_section: FxHashMap<usize, Vec<&Symbol<'_>>> = FxHashMap::default();
    for s in file.symbols.iter().filter(|s| s.is_func) {
        by_section.entry(s.section.unwrap_or(usize::MAX)).or_default().push(s);
    }
    let mut total = 0;
    for (index, section) in file.sections.iter().enumerate().filter(|(_, s)| s.is_code) {
        let name = section.name;
        let mut starts = BTreeMap::new();
        for s in by_section.remove(&index).unwrap_or_default() {
            let end = s.value.checked_add(s.size).filter(|&e| e <= section.data.len() as u64);
            if end.is_none() {
                return Err(refused(format!("sec '{name}': program at offset {} crosses section boundary", s.value)));
            }
            if Some(index) != text && !s.is_global && mixed.insert(index) {
                refusals.push(format!("sec '{name}': program '{}' is static and not supported", s.name));
            }
            let (at, size) = (s.value as usize, s.size as usize);
            if size == 0 || size % Insn::SIZE != 0 || at % Insn::SIZE != 0 {
                return Err(refused(format!("sec '{name}': corrupted program '{}', offset {at}, size {size}", s.name)));
            }
            // Of two names for one place the first counts.
            starts.entry(at).or_insert((s, size));
        }
        for (at, (s, size)) in starts {
            // Symbols may overlap, so that together they can be far larger than the file.
            total += size / Insn::SIZE;
            if total > MAX_INSNS {
                return Err(malformed("code", format!("{total} instructions"), format!("at most {MAX_INSNS}")));
            }
            list.push(Function {
                name: s.name.to_owned(),
                section: index,
                start: at / Insn::SIZE,
                insns: Insn::read_all(&section.data[at..at + size], file.endian).unwrap_or_default(),
                is_global: s.is_global,
                is_hidden: s.is_hidden,
                // Other loaders take a static function beside programs for one that these call.
                is_subprog: Some(index) == text || !s.is_global,
                program: None,
            });
        }
    }
    // A lone function without a section of its own is shown as a program whose type is unknown.
    if let [only] = list.as_mut_slice() {
        only.is_subprog = false;
    }
    let mut by_name: FxHashMap<String, (Option<usize>, Option<usize>)> = FxHashMap::default();
    let mut programs = 0;
    for (index, f) in list.iter_mut().enumerate() {
        let (program, subprogram) = by_name.entry(f.name.clone()).or_default();
        if f.is_subprog {
            subprogram.get_or_insert(index);
        } else {
            program.get_or_insert(index);
            f.program = Some(programs);
            programs += 1;
        }
    }
    Ok(Functions { list, text, mixed, by_name })
}
