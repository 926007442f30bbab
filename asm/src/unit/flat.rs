//! A text as one run of instructions.

use super::labels::{Found, Labels};
use super::{Item, Unit};
use crate::error::{Errors, Problem};
use crate::near::nearest;
use crate::text::statement::{At, Callee, Draft, MapKey, Target, Wide};
use ebpfkit_isa::{CallKind, EncodeError, Endian, ImmKind, Insn, Op, encode};
use std::collections::BTreeSet;
use std::ops::Range;

/// Instructions with the labels around them.
struct Flat<'t> {
    labels: Labels<'t>,
    /// Drafts with their place, slot and function.
    insns: Vec<(Draft<'t>, Range<usize>, usize, usize)>,
    problems: Vec<Problem>,
}

impl<'t> Unit<'t> {
    /// Every instruction of the text, in its order.
    pub(crate) fn insns(self, name: &str) -> Result<Vec<Insn>, Errors> {
        let (text, mut out) = (self.text, Vec::new());
        let mut flat = Flat::new(self);
        let drafts = std::mem::take(&mut flat.insns);
        for (draft, span, slot, function) in drafts {
            match flat.resolve(draft, span.clone(), slot, function) {
                Some(Resolved::Op(op)) => match encode(op) {
                    Ok((first, second)) => out.extend([Some(first), second].into_iter().flatten()),
                    Err(e) => flat.problem(span, encode_message(e), None),
                },
                Some(Resolved::Raw(slot)) => out.push(Insn::from_bytes(slot.to_le_bytes(), Endian::Little)),
                None => {}
            }
        }
        if flat.problems.is_empty() { Ok(out) } else { Err(Errors::new(name, text, flat.problems)) }
    }
}

/// Message of an instruction without an encoding.
pub(crate) fn encode_message(e: EncodeError) -> String {
    match e {
        EncodeError::NoSuchInstruction(_) => "there is no such instruction".into(),
        other => other.to_string(),
    }
}

enum Resolved {
    Op(Op),
    Raw(u64),
}

impl<'t> Flat<'t> {
    fn new(unit: Unit<'t>) -> Self {
        let called = called(&unit.items);
        let mut flat = Self { labels: Labels::default(), insns: Vec::new(), problems: unit.problems };
        let (mut slot, mut function, mut exit) = (0, 0, None);
        for item in unit.items {
            match item {
                Item::Label(name) => {
                    if called.contains(name.value) {
                        function += 1;
                    }
                    if !flat.labels.add(name.value, function, slot) {
                        flat.problem(name.span, format!("label `{}` is defined twice", name.value), None);
                    }
                }
                Item::Numbered(number) => flat.labels.add_numbered(number, slot),
                Item::Insn(draft, span) => {
                    if draft == Draft::Op(Op::Exit) {
                        exit.get_or_insert(slot);
                    }
                    let here = slot;
                    slot += draft.slots();
                    flat.insns.push((draft, span, here, function));
                }
            }
        }
        // As in the conformance suite, the first `exit` is a label of its own name.
        if let (Some(exit), Found::Missing) = (exit, flat.labels.find("exit", 0)) {
            flat.labels.add("exit", 0, exit);
        }
        flat
    }

    fn problem(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.problems.push(Problem { span, message: message.into(), help });
    }

    /// Slots between the instruction at `slot`, of so many slots, and a target.
    fn distance(&mut self, to: &Target<'t>, span: &Range<usize>, slot: usize, function: usize) -> Option<i64> {
        let found = match to {
            Target::Distance(n) => {
                let n = i64::try_from(*n).ok();
                if n.is_none() {
                    self.problem(span.clone(), "the distance does not fit in 32 bits", None);
                }
                return n;
            }
            Target::Label(name) => match self.labels.find(name, function) {
                Found::At(_, at) => Some(at),
                Found::Missing => {
                    let help = self.labels.nearest(name).map(|n| format!("did you mean `{n}`?"));
                    self.problem(span.clone(), format!("there is no label `{name}`"), help);
                    None
                }
                Found::Ambiguous => {
                    let help = Some(format!("`{name}` is defined in several other functions"));
                    self.problem(span.clone(), format!("there is no label `{name}` in this function"), help);
                    None
                }
            },
            Target::Near(number, forward) => {
                let at = self.labels.near(*number, *forward, slot);
                if at.is_none() {
                    let side = if *forward { "below" } else { "above" };
                    self.problem(span.clone(), format!("there is no label `{number}:` {side}"), None);
                }
                at
            }
        };
        Some(found? as i64 - slot as i64 - 1)
    }

    fn narrow<N: TryFrom<i64>>(&mut self, distance: i64, span: Range<usize>) -> Option<N> {
        let narrow = N::try_from(distance).ok();
        if narrow.is_none() {
            let bits = size_of::<N>() * 8;
            let help = (bits == 16).then(|| "`gotol` (`ja32`) jumps farther".into());
            self.problem(span, format!("the jump distance {distance} does not fit in {bits} bits"), help);
        }
        narrow
    }

    fn resolve(&mut self, draft: Draft<'t>, span: Range<usize>, slot: usize, function: usize) -> Option<Resolved> {
        Some(Resolved::Op(match draft {
            Draft::Op(op) => op,
            Draft::Raw(raw) => return Some(Resolved::Raw(raw)),
            Draft::Broken => return None,
            Draft::Jump(op, to) => {
                let distance = self.distance(&to.value, &to.span, slot, function)?;
                match op {
                    Op::Ja { long: true, .. } => Op::Ja { off: self.narrow(distance, to.span)?, long: true },
                    Op::Ja { .. } => Op::Ja { off: self.narrow::<i16>(distance, to.span)?.into(), long: false },
                    Op::MayGoto { .. } => Op::MayGoto { off: self.narrow(distance, to.span)? },
                    Op::Jmp { op, width, dst, src, .. } => {
                        Op::Jmp { op, width, dst, src, off: self.narrow(distance, to.span)? }
                    }
                    other => other,
                }
            }
            Draft::Call(callee) => Op::Call(self.callee(callee, slot, function)?),
            Draft::Wide(dst, what) => Op::LoadImm64 { dst, imm: self.wide(what, span, slot, function)? },
        }))
    }

    fn callee(&mut self, callee: At<Callee<'t>>, slot: usize, function: usize) -> Option<CallKind> {
        let span = callee.span;
        let mut id = |n: i128| {
            let low = n as u32;
            let fits = n == i128::from(low) || n == i128::from(low as i32);
            if !fits {
                self.problem(span.clone(), format!("{n} does not fit in 32 bits"), None);
            }
            fits.then_some(low)
        };
        Some(match callee.value {
            Callee::Helper(n) => CallKind::Helper(id(n)?),
            Callee::Kernel(n, module) => {
                let id = id(n)?;
                let Ok(btf_index) = i16::try_from(module) else {
                    self.problem(span, format!("{module} does not fit in 16 bits"), None);
                    return None;
                };
                CallKind::Kfunc { id, btf_index }
            }
            Callee::Local(to) => {
                let distance = self.distance(&to, &span, slot, function)?;
                CallKind::Local(self.narrow(distance, span)?)
            }
            Callee::Logged(name, number) if ebpfkit_abi::helper_id(name) == Some(number) => CallKind::Helper(number),
            Callee::Logged(_, number) => CallKind::Kfunc { id: number, btf_index: 0 },
            Callee::Name(name) => match self.labels.find(name, function) {
                Found::At(_, at) => CallKind::Local(self.narrow(at as i64 - slot as i64 - 1, span)?),
                _ => match helper(name) {
                    Some(id) => CallKind::Helper(id),
                    None => {
                        let help = self.labels.nearest(name).or_else(|| nearest_helper(name));
                        let help = help.map(|n| format!("did you mean `{n}`?"));
                        self.problem(span, format!("`{name}` is neither a label nor a helper"), help);
                        return None;
                    }
                },
            },
        })
    }

    fn wide(&mut self, what: At<Wide<'t>>, span: Range<usize>, slot: usize, function: usize) -> Option<ImmKind> {
        let at = what.span;
        let mut u32_of = |n: i128| {
            let narrow = u32::try_from(n).or_else(|_| i32::try_from(n).map(|n| n as u32)).ok();
            if narrow.is_none() {
                self.problem(at.clone(), format!("{n} does not fit in 32 bits"), None);
            }
            narrow
        };
        Some(match what.value {
            Wide::Map(MapKey::Descriptor(n)) => ImmKind::Map(u32_of(n)?),
            Wide::Map(MapKey::Index(n)) => ImmKind::MapIdx(u32_of(n)?),
            Wide::Value(MapKey::Descriptor(n), off) => ImmKind::MapValue { map: u32_of(n)?, off: u32_of(off)? },
            Wide::Value(MapKey::Index(n), off) => ImmKind::MapIdxValue { index: u32_of(n)?, off: u32_of(off)? },
            Wide::Function(to) => {
                let distance = self.distance(&to, &at, slot, function)?;
                ImmKind::Func(self.narrow(distance, span)?)
            }
            Wide::Symbol(name, 0) if matches!(self.labels.find(name, function), Found::At(..)) => {
                let distance = self.distance(&Target::Label(name), &at, slot, function)?;
                ImmKind::Func(self.narrow(distance, span)?)
            }
            Wide::Symbol(name, _) | Wide::Map(MapKey::Name(name)) | Wide::Value(MapKey::Name(name), _) => {
                let help = Some("bare instructions have neither maps nor variables; an object has".into());
                self.problem(at, format!("`{name}` is no label"), help);
                return None;
            }
        })
    }
}

/// A helper by its name, with or without `bpf_`.
pub(crate) fn helper(name: &str) -> Option<u32> {
    ebpfkit_abi::helper_id(name).or_else(|| ebpfkit_abi::helper_id(&format!("bpf_{name}")))
}

/// The helper that was probably meant.
pub(crate) fn nearest_helper(name: &str) -> Option<&'static str> {
    nearest(name, ebpfkit_abi::helper_names().map(|h| h.1))
}

/// Names that are called or whose address is taken: labels of these names begin functions.
pub(crate) fn called<'t>(items: &[Item<'t>]) -> BTreeSet<&'t str> {
    items
        .iter()
        .filter_map(|item| match item {
            Item::Insn(Draft::Call(At { value: Callee::Name(n) | Callee::Local(Target::Label(n)), .. }), _) => Some(*n),
            Item::Insn(Draft::Wide(_, At { value: Wide::Symbol(n, 0) | Wide::Function(Target::Label(n)), .. }), _) => {
                Some(*n)
            }
            _ => None,
        })
        .collect()
}
