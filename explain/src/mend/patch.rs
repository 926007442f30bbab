//! Edits of a program's instructions: code is put in, and jumps, calls and records follow.

use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, jmp};
use ebpfkit_object::{FuncInfo, LineInfo, Pending, Program};

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

/// What became of a slot.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Where calls of a function that begins at the slot lead.
    entry: usize,
    /// Where jumps to the slot lead.
    start: usize,
    /// Where its instruction stands.
    slot: usize,
    /// Where a jump that stood there leads now, if that is code of its own.
    landing: Option<usize>,
}

impl Place {
    /// All that leads to the slot leads to one place.
    fn at(slot: usize) -> Self {
        Self { entry: slot, start: slot, slot, landing: None }
    }
}

/// The edited program, and for each of its slots the one that it was; none where it has not all that is edited.
pub(crate) fn apply(
    program: &Program,
    edits: &[Edit],
    function_ends: &[usize],
) -> Option<(Program, Vec<Option<usize>>)> {
    if program.insns.iter().any(|i| i.is_indirect_jump()) {
        // Tables of jumps would have to be changed, too.
        return None;
    }
    let len = program.insns.len();
    // Before an object is prepared, functions that programs share stand apart from them.
    if edits.iter().any(|e| e.at() >= len) {
        return None;
    }
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by_key(|e| e.at());
    let mut rest = sorted.as_slice();
    let mut items: Vec<Item> = Vec::with_capacity(len + 32);
    let mut places = vec![Place::default(); len + 1];
    let mut pending: Vec<(usize, &[New])> = Vec::new();
    let mut at = 0;
    while at < len {
        let insn = program.insns[at];
        // None are made of the second half of a wide instruction.
        rest = &rest[rest.iter().take_while(|e| e.at() < at).count()..];
        let here;
        (here, rest) = rest.split_at(rest.iter().take_while(|e| e.at() == at).count());
        places[at].entry = items.len();
        for edit in here {
            if let Edit::Entry(_, code) = edit {
                items.extend(code.iter().copied().map(Item::New));
            }
        }
        places[at].start = items.len();
        let mut replaced = None;
        for edit in here {
            match edit {
                Edit::Before(_, code) => items.extend(code.iter().copied().map(Item::New)),
                Edit::Replace(_, code) => replaced = Some(code),
                Edit::Taken(_, code) => pending.push((at, code)),
                Edit::After(..) | Edit::Entry(..) => {}
            }
        }
        places[at].slot = items.len();
        match replaced {
            Some(code) => items.extend(code.iter().copied().map(Item::New)),
            None => items.push(Item::Old(at)),
        }
        let slots = insn.slots().min(len - at);
        if slots == 2 {
            places[at + 1] = Place::at(items.len());
            if replaced.is_none() {
                items.push(Item::Second(at + 1));
            }
        }
        for edit in here {
            if let Edit::After(_, code) = edit {
                items.extend(code.iter().copied().map(Item::New));
            }
        }
        at += slots;
        if !pending.is_empty() && (function_ends.contains(&at) || at >= len) {
            for (jump, code) in pending.drain(..) {
                places[jump].landing = Some(items.len());
                items.extend(code.iter().copied().map(Item::New));
                items.push(Item::Trampoline(jump));
            }
        }
    }
    places[len] = Place::at(items.len());
    let called = |slot: i64| usize::try_from(slot).ok().filter(|&t| t <= len).map(|t| places[t].entry);
    let target = |slot: i64| usize::try_from(slot).ok().filter(|&t| t <= len).map(|t| places[t].start);
    let mut out = Vec::with_capacity(items.len());
    let mut was = Vec::with_capacity(items.len());
    for (now, item) in items.iter().enumerate() {
        let (insn, old) = match item {
            Item::New(New::Insn(insn)) => (*insn, None),
            Item::New(New::Jump(insn, to)) => (with_target(*insn, now, places[*to].start)?, None),
            Item::Second(at) => (program.insns[*at], Some(*at)),
            Item::Trampoline(jump) => {
                let to = program.insns[*jump].successors(*jump).jump?;
                (with_target(Insn::new(opcode::JA, 0, 0, 0, 0), now, target(to)?)?, None)
            }
            Item::Old(at) => (moved(program.insns[*at], *at, now, places[*at].landing, [&target, &called])?, Some(*at)),
        };
        out.push(insn);
        was.push(old);
    }
    let place = |slot: usize| places[slot.min(len)];
    let func_info: Vec<FuncInfo> =
        program.func_info.iter().map(|f| FuncInfo { insn: place(f.insn as usize).entry as u32, ..*f }).collect();
    // Where an instruction went, the record of the next one remains.
    let mut line_info: Vec<LineInfo> = Vec::with_capacity(program.line_info.len());
    for l in &program.line_info {
        let l = LineInfo { insn: place(l.insn as usize).slot as u32, ..*l };
        match line_info.last_mut() {
            Some(last) if last.insn == l.insn => *last = l,
            _ => line_info.push(l),
        }
    }
    // The first instruction of each function needs a line, where any has one.
    for f in &func_info {
        if let Some(l) = line_info.iter_mut().find(|l| l.insn >= f.insn) {
            let starts_function = program.func_info.iter().any(|o| place(o.insn as usize).slot as u32 == l.insn);
            if starts_function && !func_info.iter().any(|g| g.insn > f.insn && g.insn <= l.insn) {
                l.insn = f.insn;
            }
        }
    }
    let new = Program {
        name: program.name.clone(),
        section: program.section.clone(),
        attach_target: program.attach_target.clone(),
        insns: out,
        func_info,
        line_info,
        poison: program.poison.iter().map(|(at, text)| (place(*at).slot, text.clone())).collect(),
        refused: program.refused.clone(),
        pending: program.pending.iter().map(|p| Pending { insn: place(p.insn).slot, ..*p }).collect(),
        subprograms: program.subprograms.iter().map(|(at, n)| (place(*at).entry, *n)).collect(),
        // Its instructions are no longer those of the file.
        origins: Vec::new(),
        ..*program
    };
    Some((new, was))
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
