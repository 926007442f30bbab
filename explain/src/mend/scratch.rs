//! Moving what a function keeps on its stack to a per-CPU map, where the stack does not suffice.

use super::patch::{Edit, New};
use super::{Mend, code, exit_value, plain};
use crate::case::Case;
use crate::words;
use ebpfkit_abi::MapType;
use ebpfkit_abi::helpers::id;
use ebpfkit_isa::opcode::{alu, class, jmp, pseudo};
use ebpfkit_isa::{Insn, RegSet};
use ebpfkit_object::Map;
use ebpfkit_object::btf::Type;
use ebpfkit_verifier::Reason;
use ebpfkit_verifier::reason::{MemoryReason, ProgramReason};
use std::collections::BTreeMap;

/// Where the moved bytes' address is kept, and the key of the map.
const ADDRESS: i16 = -8;
const KEY: i16 = -16;
/// Functions that are tried, those with the largest frames first.
const MOST_FUNCTIONS: usize = 3;
/// Largest frame that is moved.
const MOST_BYTES: i64 = 1 << 15;

/// The map that a mend adds: one entry of so many bytes for each CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scratch {
    /// Its name.
    pub(crate) name: String,
    /// Bytes.
    pub(crate) size: u32,
}

impl Scratch {
    /// The map's definition.
    pub(crate) fn map(&self) -> Map {
        Map {
            name: self.name.clone(),
            map_type: MapType::PercpuArray,
            key_size: 4,
            value_size: self.size,
            max_entries: 1,
            ..Map::default()
        }
    }
}

pub(crate) fn candidates(case: &Case<'_>) -> Vec<Mend> {
    match case.reason() {
        Reason::Program(ProgramReason::CombinedStackTooLarge { .. } | ProgramReason::SubprogStackTooLarge { .. }) => {
            let mut frames: Vec<(i64, usize)> =
                case.local_starts().into_iter().map(|start| (frame(case, start), start)).collect();
            frames.sort_by_key(|f| std::cmp::Reverse(f.0));
            let largest = frames.into_iter().take(MOST_FUNCTIONS).filter(|f| f.0 > 64);
            largest.filter_map(|(size, start)| moved(case, start, size)).collect()
        }
        Reason::Memory(MemoryReason::BeyondStack { .. } | MemoryReason::OutsideStack { .. }) => {
            let start = case.function_start(case.at());
            let size = frame(case, start);
            if size > 512 { moved(case, start, size).into_iter().collect() } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

fn slots(case: &Case<'_>, start: usize) -> std::ops::Range<usize> {
    let end = case.function_ends().into_iter().find(|&e| e > start).unwrap_or(case.program.insns.len());
    start..end
}

/// The addition that makes an address in the frame of a copy of `r10`.
fn addition(case: &Case<'_>, copy: usize, end: usize) -> Option<usize> {
    let reg = case.insn(copy).dst;
    for at in copy + 1..end {
        let insn = case.insn(at);
        let adds = insn.class() == class::ALU64 && insn.op() == alu::ADD && !insn.is_src_reg() && insn.dst == reg;
        if adds {
            return Some(at);
        }
        if insn.writes().contains(reg) || insn.reads().contains(reg) || insn.is_jump_class() {
            return None;
        }
    }
    None
}

fn is_copy_of_frame(insn: Insn) -> bool {
    insn.class() == class::ALU64 && insn.op() == alu::MOV && insn.is_src_reg() && insn.src == 10 && insn.off == 0
}

/// Bytes of the frame of the function that starts at a slot, as its code shows.
fn frame(case: &Case<'_>, start: usize) -> i64 {
    let range = slots(case, start);
    let end = range.end;
    let depth = range.filter_map(|at| {
        let insn = case.insn(at);
        if insn.memory_base() == Some(10) {
            return Some(-i64::from(insn.off));
        }
        is_copy_of_frame(insn).then(|| addition(case, at, end)).flatten().map(|add| -i64::from(case.insn(add).imm))
    });
    depth.max().unwrap_or(0)
}

/// The function with its frame in a map: each access goes through the address that a lookup gives where it begins.
fn moved(case: &Case<'_>, start: usize, size: i64) -> Option<Mend> {
    let size = (size + 7) / 8 * 8;
    if size > MOST_BYTES {
        return None;
    }
    let range = slots(case, start);
    let used =
        range.clone().fold(RegSet::EMPTY, |set, at| set.union(case.insn(at).reads()).union(case.insn(at).writes()));
    // A register that the function never touches holds addresses for stores.
    let spare = (0..10u8).rev().find(|r| !used.contains(*r));
    let mut edits = Vec::new();
    let mut additions = Vec::new();
    for at in range.clone() {
        let insn = case.insn(at);
        if insn.memory_base() == Some(10) {
            let off = i16::try_from(size + i64::from(insn.off)).ok()?;
            let through = if insn.class() == class::LDX { insn.dst } else { spare? };
            let access = match insn.class() {
                class::LDX => Insn { src: through, off, ..insn },
                _ => Insn { dst: through, off, ..insn },
            };
            edits.push(Edit::Replace(at, plain(vec![code::load(through, 10, ADDRESS), access])));
        } else if is_copy_of_frame(insn) {
            let add = addition(case, at, range.end)?;
            edits.push(Edit::Replace(at, plain(vec![code::load(insn.dst, 10, ADDRESS)])));
            additions.push(add);
        } else if insn.reads().contains(10) {
            return None;
        }
    }
    for add in additions {
        let insn = case.insn(add);
        let imm = i32::try_from(size + i64::from(insn.imm)).ok()?;
        edits.push(Edit::Replace(add, plain(vec![Insn { imm, ..insn }])));
    }
    let arguments = arguments(case, start);
    let mut save = Vec::new();
    let mut restore = Vec::new();
    for (n, reg) in arguments.iter().enumerate() {
        let slot = KEY - 8 * (n as i16 + 1);
        save.push(code::store(10, slot, *reg));
        restore.push(code::load(*reg, 10, slot));
    }
    let map = case.object.maps.len();
    let mut entry: Vec<New> = plain(save);
    entry.extend(plain(vec![
        code::store_imm(10, KEY, 0),
        code::mov(2, 10),
        code::add(2, KEY.into()),
        Insn::new(class::LD | 0x18, 1, pseudo::MAP_FD, 0, map as i32),
        Insn::default(),
        code::helper(id::MAP_LOOKUP_ELEM),
    ]));
    let leave = code::leave(if start == 0 { exit_value(case, 0) } else { 0 }, &[]);
    entry.extend(plain(code::unless(code::jump_imm(jmp::JNE, 0, 0, 0), &leave)));
    entry.extend(plain(vec![code::store(10, ADDRESS, 0)]));
    entry.extend(plain(restore));
    edits.push(Edit::Entry(start, entry));
    let name = case.function_at(start).unwrap_or_else(|| case.program.name.clone());
    let text = format!(
        "keep the {} of {name}'s variables in a per-CPU array map with one entry, instead of on the stack",
        words::bytes(size)
    );
    // Kernels keep fifteen letters of a name.
    let name: String = name.chars().take(7).chain("_scratch".chars()).collect();
    let scratch = Scratch { name, size: size as u32 };
    Some(Mend { scratch: Some(scratch), ..Mend::new(text, edits) })
}

/// Registers that hold arguments when the function begins, and that it reads.
fn arguments(case: &Case<'_>, start: usize) -> Vec<u8> {
    read_first(case, start, &mut BTreeMap::new()).iter().collect()
}

/// Registers of `r1` to `r5` that a function reads before it writes them, on some way through it. `known` has what was found
/// of functions, by their first slots.
fn read_first(case: &Case<'_>, start: usize, known: &mut BTreeMap<usize, RegSet>) -> RegSet {
    if let Some(read) = known.get(&start) {
        return *read;
    }
    known.insert(start, RegSet::EMPTY);
    let range = slots(case, start);
    let effects: Vec<(RegSet, RegSet)> = range
        .clone()
        .map(|at| {
            let insn = case.insn(at);
            (if insn.is_call() { passed(case, at, known) } else { insn.reads() }, insn.writes())
        })
        .collect();
    let mut live = vec![RegSet::EMPTY; effects.len()];
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for (n, (reads, writes)) in effects.iter().enumerate().rev() {
            let next = case.insn(start + n).successors(start + n).within(range.end);
            let next = next.filter_map(|s| live.get(s.checked_sub(start)?));
            let after = next.fold(RegSet::EMPTY, |all, s| all.union(*s));
            let before = after.difference(*writes).union(*reads);
            changed |= before != live[n];
            live[n] = before;
        }
    }
    let read = live.first().map_or(RegSet::EMPTY, |first| first.intersection(RegSet::ARGS));
    known.insert(start, read);
    read
}

/// Registers that a call passes on; to functions of the program those that they read.
fn passed(case: &Case<'_>, at: usize, known: &mut BTreeMap<usize, RegSet>) -> RegSet {
    let insn = case.insn(at);
    let count = if insn.is_local_call() {
        let callee = insn.function(at).and_then(|f| usize::try_from(f).ok());
        return callee.map_or(RegSet::ARGS, |callee| read_first(case, callee, known));
    } else if insn.is_kfunc_call() {
        case.kernel.btf().and_then(|types| match types.get(insn.imm as u32)? {
            Type::Func { proto, .. } => Some(types.params(proto).len()),
            _ => None,
        })
    } else {
        let helper = ebpfkit_abi::helpers::find(insn.imm as u32);
        helper.and_then(|h| h.prototypes.iter().map(|p| p.arg_count()).max())
    };
    RegSet::args(count.unwrap_or(5).min(5))
}
