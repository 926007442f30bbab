//! Edits of a program's instructions: code is put in, and jumps, calls and records follow.

use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, jmp};
use ebpfkit_object::{LineInfo, Program};

/// An instruction of code that is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum New {
    /// As it is; jumps inside of the code count from themselves.
    Insn(Insn),
    /// A jump to a slot of the program as it was.
    Jump(Insn, usize),
}

impl From<Insn> for New {
    fn from(insn: Insn) -> Self {
        Self::Insn(insn)
    }
}

/// One edit. Slots are those of the program before any edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Before an instruction, on all ways that lead to it.
    Before(usize, Vec<New>),
    /// Where the function that begins at a slot is entered; jumps back to its start pass it by.
    Entry(usize, Vec<New>),
    /// After an instruction, where control goes on from it; jumps to the next one pass it by.
    After(usize, Vec<New>),
    /// In the place of an instruction.
    Replace(usize, Vec<New>),
    /// Where a jump is taken.
    Taken(usize, Vec<New>),
}

impl Edit {
    /// The slot that it is about.
    pub(crate) fn at(&self) -> usize {
        match self {
            Self::Entry(at, _)
            | Self::Before(at, _)
            | Self::After(at, _)
            | Self::Replace(at, _)
            | Self::Taken(at, _) => *at,
        }
    }
}

/// An instruction on its way into the new program.
enum Item {
    Old(usize),
    Second(usize),
    New(New),
    Trampoline(usize),
}

/// The edited program, and for each of its slots the one that it was.
pub(crate) fn apply(
    program: &Program,
    edits: &[Edit],
    function_ends: &[usize],
) -> Option<(Program, Vec<Option<usize>>)> {
    let len = program.insns.len();
    let mut items: Vec<Item> = Vec::with_capacity(len + 32);
    // Where jumps to a slot lead, and where the slot's instruction stands.
    let (mut start, mut new_slot) = (vec![0usize; len + 1], vec![0usize; len + 1]);
    // Where calls of a function that begins at a slot lead.
    let mut entry = vec![0usize; len + 1];
    let mut landing = vec![None; len];
    let mut pending: Vec<(usize, &[New])> = Vec::new();
    let mut at = 0;
    while at < len {
        let insn = program.insns[at];
        entry[at] = items.len();
        for edit in edits.iter().filter(|e| e.at() == at) {
            if let Edit::Entry(_, code) = edit {
                items.extend(code.iter().copied().map(Item::New));
            }
        }
        start[at] = items.len();
        let mut replaced = None;
        for edit in edits.iter().filter(|e| e.at() == at) {
            match edit {
                Edit::Before(_, code) => items.extend(code.iter().copied().map(Item::New)),
                Edit::Replace(_, code) => replaced = Some(code),
                Edit::Taken(_, code) => pending.push((at, code)),
                Edit::After(..) | Edit::Entry(..) => {}
            }
        }
        new_slot[at] = items.len();
        match replaced {
            Some(code) => items.extend(code.iter().copied().map(Item::New)),
            None => items.push(Item::Old(at)),
        }
        let slots = insn.slots().min(len - at);
        if slots == 2 {
            (start[at + 1], new_slot[at + 1], entry[at + 1]) = (items.len(), items.len(), items.len());
            if replaced.is_none() {
                items.push(Item::Second(at + 1));
            }
        }
        for edit in edits.iter().filter(|e| e.at() == at) {
            if let Edit::After(_, code) = edit {
                items.extend(code.iter().copied().map(Item::New));
            }
        }
        at += slots;
        if function_ends.contains(&at) || at >= len {
            for (jump, code) in pending.drain(..) {
                landing[jump] = Some(items.len());
                items.extend(code.iter().copied().map(Item::New));
                items.push(Item::Trampoline(jump));
            }
        }
    }
    (start[len], new_slot[len], entry[len]) = (items.len(), items.len(), items.len());
    let called = |slot: i64| usize::try_from(slot).ok().filter(|&t| t <= len).map(|t| entry[t]);
    let target = |slot: i64| usize::try_from(slot).ok().filter(|&t| t <= len).map(|t| start[t]);
    let mut out = Vec::with_capacity(items.len());
    let mut was = Vec::with_capacity(items.len());
    for (now, item) in items.iter().enumerate() {
        let (insn, old) = match item {
            Item::New(New::Insn(insn)) => (*insn, None),
            Item::New(New::Jump(insn, to)) => (with_target(*insn, now, start[*to])?, None),
            Item::Second(at) => (program.insns[*at], Some(*at)),
            Item::Trampoline(jump) => {
                let to = program.insns[*jump].successors(*jump).jump?;
                (with_target(Insn::new(opcode::JA, 0, 0, 0, 0), now, target(to)?)?, None)
            }
            Item::Old(at) => (moved(program.insns[*at], *at, now, landing[*at], [&target, &called])?, Some(*at)),
        };
        out.push(insn);
        was.push(old);
    }
    let mut new = program.clone();
    new.insns = out;
    // Its instructions are no longer those of the file.
    new.origins = Vec::new();
    for f in &mut new.func_info {
        f.insn = entry[(f.insn as usize).min(len)] as u32;
    }
    for l in &mut new.line_info {
        l.insn = new_slot[(l.insn as usize).min(len)] as u32;
    }
    // Where an instruction went, the record of the next one remains.
    let mut lines: Vec<_> = Vec::with_capacity(new.line_info.len());
    for l in new.line_info.drain(..) {
        match lines.last_mut() {
            Some(last) if same_line(last, &l) => *last = l,
            _ => lines.push(l),
        }
    }
    new.line_info = lines;
    // The first instruction of each function needs a line, where any has one.
    for f in &new.func_info {
        if let Some(l) = new.line_info.iter_mut().find(|l| l.insn >= f.insn) {
            let starts_function = program.func_info.iter().any(|o| new_slot[o.insn as usize] as u32 == l.insn);
            if starts_function && !new.func_info.iter().any(|g| g.insn > f.insn && g.insn <= l.insn) {
                l.insn = f.insn;
            }
        }
    }
    for pending in &mut new.pending {
        pending.insn = new_slot[pending.insn.min(len)];
    }
    for (at, _) in &mut new.poison {
        *at = new_slot[(*at).min(len)];
    }
    for (at, _) in &mut new.subprograms {
        *at = entry[(*at).min(len)];
    }
    Some((new, was))
}

/// Whether two records of lines stand at one instruction.
fn same_line(a: &LineInfo, b: &LineInfo) -> bool {
    a.insn == b.insn
}

/// An old instruction at its new slot.
fn moved(
    insn: Insn,
    at: usize,
    now: usize,
    landing: Option<usize>,
    [target, called]: [&dyn Fn(i64) -> Option<usize>; 2],
) -> Option<Insn> {
    if let Some(to) = insn.function(at) {
        let to = called(to)?;
        return Some(Insn { imm: i32::try_from(to as i64 - now as i64 - 1).ok()?, ..insn });
    }
    match insn.successors(at).jump {
        Some(to) => with_target(insn, now, landing.map_or_else(|| target(to), Some)?),
        None => Some(insn),
    }
}

/// A jump at a slot, with its target.
fn with_target(insn: Insn, now: usize, to: usize) -> Option<Insn> {
    let distance = to as i64 - now as i64 - 1;
    if insn.op() == jmp::JA && insn.class() == opcode::class::JMP32 {
        return Some(Insn { imm: i32::try_from(distance).ok()?, ..insn });
    }
    Some(Insn { off: i16::try_from(distance).ok()?, ..insn })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebpfkit_isa::opcode::{EXIT, JA};

    fn program(insns: Vec<Insn>) -> Program {
        Program { insns, ..Program::default() }
    }

    const NOP: New = New::Insn(Insn::new(0xb7, 5, 0, 0, 5));

    #[test]
    fn jumps_follow() {
        // if r1 == 0 goto +1; r0 = 1; exit
        let p = program(vec![Insn::new(0x15, 1, 0, 1, 0), Insn::new(0xb7, 0, 0, 0, 1), Insn::new(EXIT, 0, 0, 0, 0)]);
        let (new, was) = apply(&p, &[Edit::Before(1, vec![NOP])], &[3]).expect("edited");
        assert_eq!(new.insns[0].off, 2);
        assert_eq!(was, [Some(0), None, Some(1), Some(2)]);
        // What stands before the target of a jump is reached by the jump, what stands after an instruction is not.
        let (new, _) = apply(&p, &[Edit::Before(2, vec![NOP])], &[3]).expect("edited");
        assert_eq!(new.insns[0].off, 1);
        // What stands at the entry is passed by jumps back to the start.
        let back =
            program(vec![Insn::new(0xb7, 0, 0, 0, 1), Insn::new(0x15, 1, 0, -2, 0), Insn::new(EXIT, 0, 0, 0, 0)]);
        let (new, _) = apply(&back, &[Edit::Entry(0, vec![NOP])], &[3]).expect("edited");
        assert_eq!((new.insns[2].off, new.insns.len()), (-2, 4));
        let (new, _) = apply(&p, &[Edit::After(1, vec![NOP])], &[3]).expect("edited");
        assert_eq!(new.insns[0].off, 2);
        let (new, _) = apply(&p, &[Edit::Taken(0, vec![NOP])], &[3]).expect("edited");
        assert_eq!(
            (new.insns[0].off, new.insns[3], new.insns[4]),
            (2, Insn::new(0xb7, 5, 0, 0, 5), Insn::new(JA, 0, 0, -3, 0))
        );
    }
}
