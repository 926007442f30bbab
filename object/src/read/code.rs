//! From functions and relocations to programs: every program gets a copy of the functions it reaches, appended in
//! the order in which they are first called.

use super::elf::{Section, Symbol};
use super::ext::Records;
use super::maps::BySection;
use super::sections;
use crate::model::{FuncInfo, LineInfo, Object, ObjectError, Program, ProgramFlags};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, pseudo};
use std::collections::{BTreeMap, HashMap};

/// A function as it stands in its section.
pub(crate) struct Function {
    pub name: String,
    pub section: usize,
    /// First slot in the section.
    pub start: usize,
    pub insns: Vec<Insn>,
    pub is_static: bool,
    pub is_hidden: bool,
}

/// What kind of thing a relocation refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// Code of a section.
    Code,
    /// A section of data or of map definitions.
    Data,
    /// Something outside of the object.
    Extern,
    /// Nothing that can be resolved.
    Unknown,
}

impl Reference {
    pub(crate) fn of(symbol: &Symbol, sections: &[Section<'_>]) -> Self {
        match symbol.section.and_then(|s| sections.get(s)) {
            Some(s) if s.is_code => Self::Code,
            Some(_) => Self::Data,
            None if symbol.is_extern => Self::Extern,
            None => Self::Unknown,
        }
    }
}

/// One relocation of an instruction.
pub(crate) struct Relocation {
    pub symbol: usize,
    pub reference: Reference,
}

struct Linker<'a> {
    sections: &'a [Section<'a>],
    symbols: &'a [Symbol],
    functions: &'a [Function],
    relocations: &'a BTreeMap<(usize, usize), Relocation>,
    maps: &'a BySection,
    records: &'a Records,
}

/// One program being put together.
#[derive(Default)]
struct Output {
    insns: Vec<Insn>,
    funcs: Vec<FuncInfo>,
    lines: Vec<LineInfo>,
    /// Where each function was appended.
    placed: HashMap<usize, usize>,
    /// It has CO-RE relocations.
    core: bool,
    /// What keeps the program from being loaded.
    failure: Option<String>,
}

pub(crate) fn link(
    object: &mut Object,
    sections: &[Section<'_>],
    symbols: &[Symbol],
    functions: Vec<Function>,
    relocations: &BTreeMap<(usize, usize), Relocation>,
    maps: &BySection,
    records: &Records,
) -> Result<(), ObjectError> {
    let hidden: Vec<&str> = functions.iter().filter(|f| f.is_hidden).map(|f| f.name.as_str()).collect();
    if let Some(btf) = object.btf.as_deref().filter(|_| !hidden.is_empty()) {
        // The linker may see them, the verifier treats them as static.
        object.btf = Some(std::sync::Arc::new(btf.with_static_functions(&hidden)));
    }
    let linker = Linker { sections, symbols, functions: &functions, relocations, maps, records };
    for (index, function) in functions.iter().enumerate() {
        let section = &sections[function.section].name;
        let is_subprog = section == ".text" && functions.len() > 1;
        if is_subprog {
            continue;
        }
        if function.is_static {
            return Err(ObjectError::Refused(format!(
                "sec '{section}': function '{}' is static; static BPF programs are not supported",
                function.name
            )));
        }
        let mut out = Output::default();
        linker.append(index, &mut out)?;
        let (autoload, known) = match section.strip_prefix('?') {
            Some(rest) => (false, rest),
            None => (true, section.as_str()),
        };
        let mut program = Program {
            name: function.name.clone(),
            section: section.clone(),
            autoload,
            insns: out.insns,
            func_info: out.funcs,
            line_info: out.lines,
            refused: out.failure,
            has_core_relocations: out.core,
            ..Program::default()
        };
        if let Some((row, target)) = sections::lookup(known) {
            program.prog_type = row.prog_type;
            program.attach_type = row.attach;
            program.flags = ProgramFlags(row.flags);
            program.attach_target = target.to_owned();
        }
        object.programs.push(program);
    }
    Ok(())
}

impl Linker<'_> {
    /// Appends a function, then everything it calls, and points the calls there.
    fn append(&self, root: usize, out: &mut Output) -> Result<(), ObjectError> {
        self.place(root, out);
        // Functions whose calls are being resolved, with the next slot to look at.
        let mut path = vec![(root, 0)];
        while let Some((function, at)) = path.last_mut() {
            let (index, slot) = (*function, *at);
            let f = &self.functions[index];
            if slot >= f.insns.len() {
                path.pop();
                continue;
            }
            *at += if f.insns[slot].is_ld_imm64() { 2 } else { 1 };
            if let Some(callee) = self.resolve(index, slot, out) {
                let position = match out.placed.get(&callee) {
                    Some(&p) => p,
                    None => {
                        path.push((callee, 0));
                        self.place(callee, out)
                    }
                };
                let here = out.placed[&index] + slot;
                out.insns[here].imm = position as i32 - here as i32 - 1;
            }
        }
        Ok(())
    }

    fn place(&self, index: usize, out: &mut Output) -> usize {
        let f = &self.functions[index];
        let position = out.insns.len();
        out.placed.insert(index, position);
        out.insns.extend_from_slice(&f.insns);
        let section = &self.sections[f.section].name;
        let range = f.start as u32..(f.start + f.insns.len()) as u32;
        out.core |= self.records.has_core(section, range.clone());
        let moved = |insn: u32| insn - range.start + position as u32;
        out.funcs.extend(self.records.funcs(section, range.clone()).map(|r| FuncInfo { insn: moved(r.insn), ..r }));
        out.lines.extend(self.records.lines(section, range.clone()).map(|r| LineInfo { insn: moved(r.insn), ..r }));
        position
    }

    /// Resolves one instruction; the function it calls or takes the address of, if it does.
    fn resolve(&self, index: usize, slot: usize, out: &mut Output) -> Option<usize> {
        let f = &self.functions[index];
        let insn = f.insns[slot];
        let here = out.placed[&index] + slot;
        let relocation = self.relocations.get(&(f.section, f.start + slot));
        let is_call = insn.code == opcode::CALL && insn.src == pseudo::CALL;
        let Some(relocation) = relocation else {
            if insn.is_ld_imm64() && matches!(insn.src, pseudo::MAP_FD | pseudo::MAP_VALUE) {
                // A descriptor written by hand names no map of the object; see `Program::insns`.
                out.insns[here].imm = !insn.imm;
            }
            // A call inside the section needs no relocation.
            let target = f.start as i64 + slot as i64 + 1 + i64::from(insn.imm);
            return if is_call { self.function_at(f.section, target, out) } else { None };
        };
        let symbol = &self.symbols[relocation.symbol];
        match relocation.reference {
            Reference::Code if is_call => {
                let target = (symbol.value / 8) as i64 + if symbol.is_section { i64::from(insn.imm) + 1 } else { 0 };
                self.function_at(symbol.section?, target, out)
            }
            Reference::Code if insn.is_ld_imm64() => {
                out.insns[here].src = pseudo::FUNC;
                let target = (symbol.value as i64 + i64::from(insn.imm)) / 8;
                self.function_at(symbol.section?, target, out)
            }
            Reference::Data if insn.is_ld_imm64() && out.insns.len() > here + 1 => {
                let section = symbol.section?;
                match self.maps.find(section, symbol.value) {
                    Some((map, true)) => {
                        out.insns[here].src = pseudo::MAP_FD;
                        out.insns[here].imm = map as i32;
                        out.insns[here + 1].imm = 0;
                    }
                    Some((map, false)) => {
                        out.insns[here].src = pseudo::MAP_VALUE;
                        out.insns[here + 1].imm = insn.imm.wrapping_add(symbol.value as i32);
                        out.insns[here].imm = map as i32;
                    }
                    None => {
                        let name = &self.sections[section].name;
                        out.fail(format!(
                            "relocation against section '{name}', which holds no map at {}",
                            symbol.value
                        ));
                    }
                }
                None
            }
            Reference::Extern if symbol.is_weak => {
                out.fail(format!("weak extern '{}' is not resolved yet", symbol.name));
                None
            }
            Reference::Extern => {
                out.fail(format!("extern '{}' is not resolved yet", symbol.name));
                None
            }
            _ => {
                out.fail(format!("relocation of instruction {here} against '{}' has no meaning", symbol.name));
                None
            }
        }
    }

    fn function_at(&self, section: usize, slot: i64, out: &mut Output) -> Option<usize> {
        let found = self.functions.iter().position(|f| f.section == section && f.start as i64 == slot);
        if found.is_none() {
            let name = self.sections.get(section).map_or("?", |s| s.name.as_str());
            out.fail(format!("no function starts at instruction {slot} of section '{name}'"));
        }
        found
    }
}

impl Output {
    fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }
}
