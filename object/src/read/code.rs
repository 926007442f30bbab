//! From functions and references to programs: every program gets a copy of the functions it reaches, appended in
//! the order in which they are first called.

use super::elf::{File, JUMP_TABLES, malformed};
use super::ext::Records;
use super::functions::{Function, Functions};
use super::relocations::{Reference, References};
use super::sections;
use crate::btf::{Btf, EXCEPTION_CALLBACK_TAG, Kind, Type};
use crate::model::{
    FuncInfo, LineInfo, Map, MapInit, Object, ObjectError, Origin, Pending, PendingKind, Program, ProgramFlags,
    Subprogram,
};
use ebpfkit_abi::MapType;
use ebpfkit_isa::opcode::{self, pseudo};
use ebpfkit_isa::{Endian, Insn};
use rustc_hash::FxHashMap;

/// Instructions of all programs together that are believed.
const MAX_LINKED: usize = 1 << 24;

struct Linker<'a> {
    functions: &'a Functions,
    references: &'a References,
    /// Function and line records of each function.
    records: Vec<(&'a [FuncInfo], &'a [LineInfo])>,
    /// CO-RE relocations of each function: first number and slots in the function.
    core: Vec<(usize, Vec<usize>)>,
    /// Numbers of the functions that are no programs.
    subprograms: FxHashMap<usize, usize>,
    /// For each map, whether libbpf creates it only when it is asked to.
    on_demand: Vec<bool>,
    /// Tables of indirect jumps.
    jump_tables: &'a [u8],
    endian: Endian,
}

/// One program being put together.
#[derive(Default)]
struct Output {
    insns: Vec<Insn>,
    funcs: Vec<FuncInfo>,
    lines: Vec<LineInfo>,
    /// Where each function was appended.
    positions: FxHashMap<usize, usize>,
    origins: Vec<Origin>,
    pending: Vec<Pending>,
    /// Tables of indirect jumps: where each begins in its section, and the instructions that it leads to.
    tables: Vec<(u64, Vec<u32>)>,
    /// Instructions that name a table, by its number.
    table_uses: Vec<(usize, usize)>,
    /// What keeps the program from being loaded.
    failure: Option<String>,
}

pub(crate) fn link(
    object: &mut Object,
    file: &File<'_>,
    functions: &Functions,
    references: &References,
    records: &Records,
) -> Result<(), ObjectError> {
    let mut core = Vec::new();
    for f in functions.iter() {
        let first = object.core.len();
        let range = f.start as u32..(f.start + f.insns.len()) as u32;
        let name = f.name.as_str().into();
        object.core.extend(records.core(f.section, range).map(|r| r.relocation(f, &name)));
        core.push((first, object.core[first..].iter().map(|r| r.insn).collect()));
    }
    let of = |f: &Function| {
        let range = f.start as u32..(f.start + f.insns.len()) as u32;
        (records.funcs(f.section, range.clone()), records.lines(f.section, range))
    };
    let records = functions.iter().map(of).collect();
    let subprograms = functions.iter().enumerate().filter(|(_, f)| f.is_subprog).zip(0..).map(|((i, _), n)| (i, n));
    let subprograms = subprograms.collect();
    let on_demand = object.maps.iter().map(|m| m.on_demand).collect();
    let jump_tables = file.find(JUMP_TABLES).map_or(&[][..], |s| file.sections[s].data);
    let linker =
        Linker { functions, references, records, core, subprograms, on_demand, jump_tables, endian: file.endian };
    let btf = object.btf.clone();
    let callbacks = btf.as_deref().map(Callbacks::find).unwrap_or_default();
    let mut total = 0;
    let too_large = || {
        let found = format!("more than {MAX_LINKED} instructions and records with their subprograms");
        malformed("programs", found, "fewer")
    };
    for (index, _) in functions.iter().enumerate().filter(|(_, f)| f.is_subprog) {
        let subprogram = linker.alone(index);
        total += subprogram.insns.len() + subprogram.line_info.len() + subprogram.pending.len();
        if total > MAX_LINKED {
            return Err(too_large());
        }
        object.subprograms.push(subprogram);
    }
    total = 0;
    for (index, function) in functions.iter().enumerate().filter(|(_, f)| !f.is_subprog) {
        let section = file.section_name(function.section);
        let mut out = Output::default();
        linker.append(index, &mut out);
        match exception_callback(functions, function, &callbacks) {
            Ok(Some(callback)) if !out.positions.contains_key(&callback) => linker.append(callback, &mut out),
            Ok(_) => {}
            Err(why) => out.fail(why),
        }
        total += out.size();
        if total > MAX_LINKED {
            return Err(too_large());
        }
        let (autoload, known) = match section.strip_prefix('?') {
            Some(rest) => (false, rest),
            None => (true, section),
        };
        // Each program has tables of its own, since they lead to its instructions.
        for &(at, table) in &out.table_uses {
            out.insns[at].imm = (object.maps.len() + table) as i32;
        }
        object.maps.extend(out.tables.drain(..).map(|(_, targets)| jump_table(targets)));
        let numbered = |(f, start): (&usize, &usize)| Some((*start, linker.subprograms.get(f).copied()?));
        let mut subprograms: Vec<(usize, usize)> = out.positions.iter().filter_map(numbered).collect();
        subprograms.sort_unstable();
        let mut program = Program {
            name: function.name.clone(),
            section: known.to_owned(),
            autoload,
            insns: out.insns,
            func_info: out.funcs,
            line_info: out.lines,
            refused: out.failure,
            pending: out.pending,
            subprograms,
            origins: out.origins,
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

/// Tags that name exception callbacks.
#[derive(Default)]
struct Callbacks<'a> {
    /// By tagged function: numbers of the tags, and the callbacks' names.
    by_function: FxHashMap<&'a str, Vec<(u32, &'a str)>>,
    /// The first tag that stands on something else than a global function.
    misplaced: Option<u32>,
}

impl<'a> Callbacks<'a> {
    fn find(btf: &'a Btf) -> Self {
        let mut found = Self::default();
        for id in (1..btf.len()).filter(|&id| btf.kind(id) == Some(Kind::DeclTag)) {
            let Some(Type::DeclTag { ty, component: -1, .. }) = btf.get(id) else { continue };
            let Some(callback) = btf.name(id).strip_prefix(EXCEPTION_CALLBACK_TAG) else { continue };
            if matches!(btf.get(ty), Some(Type::Func { linkage: 1, .. })) {
                found.by_function.entry(btf.name(ty)).or_default().push((id, callback));
            } else {
                found.misplaced.get_or_insert(id);
            }
        }
        found
    }
}

/// The exception callback that a program's tags name.
fn exception_callback(
    functions: &Functions,
    program: &Function,
    callbacks: &Callbacks<'_>,
) -> Result<Option<usize>, String> {
    let fail = |why: String| Err(format!("prog '{}': {why}", program.name));
    let mut found = None;
    // libbpf looks at the tags in their order, and gives up at the first one on something else.
    for &(number, name) in callbacks.by_function.get(program.name.as_str()).map_or(&[][..], Vec::as_slice) {
        if callbacks.misplaced.is_some_and(|m| m < number) {
            break;
        }
        if found.is_some() {
            // The kernel says what is wrong with two.
            return Ok(None);
        }
        if name.is_empty() {
            return fail("exception_callback:<value> decl tag contains empty value".into());
        }
        let Some(index) = functions.subprogram_named(name) else {
            return fail(format!("cannot find exception callback '{name}'"));
        };
        if !functions[index].is_global || functions[index].is_hidden {
            return fail(format!("exception callback {name} must be a global non-hidden function"));
        }
        found = Some(index);
    }
    if callbacks.misplaced.is_some() {
        return fail("exception_callback:<value> decl tag not applied to the main program".into());
    }
    Ok(found)
}

impl Linker<'_> {
    /// Appends a function, then everything it calls, and points the calls there.
    fn append(&self, root: usize, out: &mut Output) {
        self.append_function(root, out);
        // Functions whose calls are being resolved, with the next slot to look at.
        let mut path = vec![(root, 0)];
        while let Some((function, at)) = path.last_mut() {
            let (index, slot) = (*function, *at);
            let f = &self.functions[index];
            if slot >= f.insns.len() {
                path.pop();
                continue;
            }
            *at += f.insns[slot].slots();
            if let Some(callee) = self.resolve(index, slot, out) {
                let position = match out.positions.get(&callee) {
                    Some(&p) => p,
                    None if out.size() > MAX_LINKED => return out.fail("too many instructions and records".into()),
                    None => {
                        path.push((callee, 0));
                        self.append_function(callee, out)
                    }
                };
                let here = out.positions[&index] + slot;
                out.insns[here].imm = position as i32 - here as i32 - 1;
            }
        }
    }

    /// A subprogram as it stands in its section.
    fn alone(&self, index: usize) -> Subprogram {
        let mut out = Output::default();
        self.append_function(index, &mut out);
        let f = &self.functions[index];
        let (mut slot, mut calls) = (0, Vec::new());
        while slot < f.insns.len() {
            // What is wrong with its references is said of the programs that reach it.
            if let Some(callee) = self.resolve(index, slot, &mut out) {
                calls.extend(self.subprograms.get(&callee).map(|&n| (slot, n)));
            }
            slot += if f.insns[slot].is_ld_imm64() { 2 } else { 1 };
        }
        Subprogram {
            name: f.name.clone(),
            is_global: f.is_global,
            insns: out.insns,
            type_id: out.funcs.first().map_or(0, |r| r.type_id),
            line_info: out.lines,
            pending: out.pending,
            calls,
        }
    }

    fn append_function(&self, index: usize, out: &mut Output) -> usize {
        let f = &self.functions[index];
        let position = out.insns.len();
        let main = out.positions.is_empty();
        out.positions.insert(index, position);
        out.origins.push(Origin { insn: position, section: f.section, start: f.start });
        out.insns.extend_from_slice(&f.insns);
        let moved = |insn: u32| insn.wrapping_sub(f.start as u32).wrapping_add(position as u32);
        let (funcs, lines) = self.records[index];
        let funcs: Vec<FuncInfo> = funcs.iter().map(|&r| FuncInfo { insn: moved(r.insn), ..r }).collect();
        let lines: Vec<LineInfo> = lines.iter().map(|&r| LineInfo { insn: moved(r.insn), ..r }).collect();
        // Without records for the main program those of the subprograms are left out too.
        for (what, have, new) in [("function", out.funcs.len(), funcs.len()), ("line", out.lines.len(), lines.len())] {
            if !main && have > 0 && new == 0 {
                out.fail(format!("prog '{}': missing .BTF.ext {what} info.", f.name));
            }
        }
        if main || !out.funcs.is_empty() {
            out.funcs.extend(funcs);
        }
        if main || !out.lines.is_empty() {
            out.lines.extend(lines);
        }
        let (first, slots) = &self.core[index];
        for (n, &slot) in slots.iter().enumerate() {
            out.pending.push(Pending { insn: position + slot, what: PendingKind::Core(first + n) });
        }
        position
    }

    /// Resolves one instruction; the function it calls or takes the address of, if it does.
    fn resolve(&self, index: usize, slot: usize, out: &mut Output) -> Option<usize> {
        let f = &self.functions[index];
        let insn = f.insns[slot];
        let here = out.positions[&index] + slot;
        let is_call = insn.code == opcode::CALL && insn.src == pseudo::CALL;
        let Some(&reference) = self.references.get(&(index, slot)) else {
            if insn.is_ld_imm64() && matches!(insn.src, pseudo::MAP_FD | pseudo::MAP_VALUE) {
                // A descriptor written by hand names no map of the object; see `Program::insns`.
                out.insns[here].imm = !insn.imm;
            }
            if insn.is_ld_imm64() && insn.src == pseudo::FUNC {
                out.fail(format!("prog '{}': missing subprog addr relo for insn #{slot}", f.name));
            }
            if !is_call {
                return None;
            }
            // A call inside the section needs no relocation.
            let target = f.start as i64 + slot as i64 + 1 + i64::from(insn.imm);
            let own = Some(f.section).filter(|&s| self.functions.has_subprograms(s));
            return self.subprogram(f, own.or(self.functions.text()), target, out);
        };
        match reference {
            Reference::Call(section, start) => {
                self.subprogram(f, Some(section), start as i64 + i64::from(insn.imm) + 1, out)
            }
            Reference::FuncAddress(section, start) => {
                out.insns[here].src = pseudo::FUNC;
                let slot = start.wrapping_add(i64::from(insn.imm) as u64) as i64 / Insn::SIZE as i64;
                self.subprogram(f, Some(section), slot, out)
            }
            Reference::Map(map) => {
                out.insns[here].src = pseudo::MAP_FD;
                out.insns[here].imm = map as i32;
                self.on_demand(map, here, out);
                None
            }
            Reference::Value(map, offset) => {
                out.insns[here].src = pseudo::MAP_VALUE;
                out.insns[here].imm = map as i32;
                out.insns[here + 1].imm = insn.imm.wrapping_add(offset as i32);
                self.on_demand(map, here, out);
                None
            }
            Reference::JumpTable(start, bytes) => {
                match self.jump_table(f, out.positions[&index], start, bytes, out) {
                    Some(table) => {
                        out.insns[here].src = pseudo::MAP_VALUE;
                        out.table_uses.push((here, table));
                    }
                    None => {
                        out.fail(format!("prog '{}': insn #{slot}: can't create jump table: sym_off {start}", f.name));
                    }
                }
                None
            }
            Reference::Extern(number) => {
                out.pending.push(Pending { insn: here, what: PendingKind::Extern(number) });
                None
            }
        }
    }

    /// The table at a place of its section, for a function that stands at `position` in its program. Tables hold where
    /// instructions are in the function's section.
    fn jump_table(&self, f: &Function, position: usize, start: u64, bytes: u64, out: &mut Output) -> Option<usize> {
        if let Some(known) = out.tables.iter().position(|t| t.0 == start) {
            return Some(known);
        }
        const ENTRY: u64 = size_of::<u64>() as u64;
        let end = start
            .checked_add(bytes)
            .filter(|_| start.is_multiple_of(ENTRY) && bytes.is_multiple_of(ENTRY) && bytes != 0)?;
        let data = self.jump_tables.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
        let entry = |at: &[u8; 8]| {
            let byte = if self.endian == Endian::Big { u64::from_be_bytes(*at) } else { u64::from_le_bytes(*at) };
            let slot = byte / Insn::SIZE as u64;
            u32::try_from(slot.checked_sub(f.start as u64)?.checked_add(position as u64)?).ok()
        };
        let targets = data.as_chunks::<8>().0.iter().map(entry).collect::<Option<Vec<_>>>()?;
        out.tables.push((start, targets));
        Some(out.tables.len() - 1)
    }

    /// Notes an instruction that names a map which may not be there.
    fn on_demand(&self, map: usize, here: usize, out: &mut Output) {
        if self.on_demand.get(map) == Some(&true) {
            out.pending.push(Pending { insn: here, what: PendingKind::Map(map) });
        }
    }

    /// The subprogram that contains a slot of a section.
    fn subprogram(&self, caller: &Function, section: Option<usize>, slot: i64, out: &mut Output) -> Option<usize> {
        let found = usize::try_from(slot).ok().and_then(|slot| self.functions.at(section?, slot));
        let found = found.filter(|&f| self.functions[f].is_subprog);
        if found.is_none() {
            out.fail(format!("prog '{}': no .text section found yet sub-program call exists", caller.name));
        }
        found
    }
}

/// The map that holds a table of jumps, as libbpf makes it.
fn jump_table(targets: Vec<u32>) -> Map {
    Map {
        name: JUMP_TABLES.into(),
        map_type: MapType::InsnArray,
        key_size: 4,
        value_size: 16,
        max_entries: targets.len() as u32,
        init: MapInit::Jumps(targets),
        frozen: true,
        ..Map::default()
    }
}

impl Output {
    /// Instructions and records so far.
    fn size(&self) -> usize {
        self.insns.len() + self.lines.len() + self.funcs.len() + self.pending.len()
    }

    fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }
}
