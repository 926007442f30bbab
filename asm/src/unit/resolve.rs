//! From a draft to an instruction: names become distances, numbers or references.

use super::labels::Found;
use super::layout::{Layout, Positioned};
use crate::text::statement::{At, Callee, Draft, MapKey, Target, Wide};
use ebpfkit_isa::{CallKind, EncodeError, ImmKind, Op};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// What an object has by name besides functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    Map,
    /// What maps of maps are made of; there is no such map.
    Inner,
    /// A variable, and the map of its section is a map of the object too.
    Variable,
    /// A function of the kernel.
    KernelFunction,
    /// A variable of the kernel, or a value of its configuration.
    KernelVariable,
}

/// What names outside of the code mean.
pub(crate) enum Outside<'t> {
    /// Bare instructions: nothing has a name.
    Nothing,
    /// An object.
    Object(FxHashMap<&'t str, Thing>),
}

/// What the linker completes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference<'t> {
    /// A function of the text, by its index.
    Function(usize),
    /// Something else of the object, and an offset in it.
    Symbol(&'t str, i32),
}

/// An instruction, or a slot as it stands.
pub(crate) enum Resolved {
    Op(Op),
    Raw(u64),
}

/// Message of an instruction without an encoding.
pub(crate) fn encode_message(e: EncodeError) -> String {
    match e {
        EncodeError::NoSuchInstruction(_) => "there is no such instruction".into(),
        other => other.to_string(),
    }
}

/// A helper by its name, with or without `bpf_`.
fn helper(name: &str) -> Option<u32> {
    ebpfkit_abi::helper_id(name).or_else(|| ebpfkit_abi::helper_id(&format!("bpf_{name}")))
}

/// Resolves an instruction. `None` when something is wrong, which the layout then knows.
pub(crate) fn resolve<'t>(
    layout: &mut Layout<'t>,
    outside: &Outside<'t>,
    insn: Positioned<'t>,
) -> Option<(Resolved, Option<Reference<'t>>)> {
    let Positioned { draft, span, slot, function } = insn;
    Resolver { layout, outside, slot, function }.draft(draft, span)
}

struct Resolver<'a, 't> {
    layout: &'a mut Layout<'t>,
    outside: &'a Outside<'t>,
    slot: usize,
    function: usize,
}

impl<'t> Resolver<'_, 't> {
    fn problem(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.layout.problem(span, message, help);
    }

    fn is_object(&self) -> bool {
        matches!(self.outside, Outside::Object(_))
    }

    fn thing(&self, name: &str) -> Option<Thing> {
        match self.outside {
            Outside::Nothing => None,
            Outside::Object(things) => things.get(name).copied(),
        }
    }

    /// The label of a target that is none by distance.
    fn label(&mut self, to: &Target<'t>, span: &Range<usize>) -> Option<usize> {
        match to {
            Target::Distance(_) => None,
            Target::Label(name) => match self.layout.labels.find(name, self.function) {
                Found::At(_, at) => Some(at),
                Found::Missing => {
                    let help = self.layout.problems.suggest(name, self.layout.labels.names());
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
                let at = self.layout.labels.near(*number, *forward, self.slot);
                if at.is_none() {
                    let side = if *forward { "below" } else { "above" };
                    self.problem(span.clone(), format!("there is no label `{number}:` {side}"), None);
                }
                at
            }
        }
    }

    /// Slots between the next instruction and a target.
    fn distance(&mut self, to: &Target<'t>, span: &Range<usize>) -> Option<i64> {
        if let Target::Distance(n) = to {
            let n = i64::try_from(*n).ok();
            if n.is_none() {
                self.problem(span.clone(), "the distance does not fit in 32 bits", None);
            }
            return n;
        }
        Some(self.label(to, span)? as i64 - self.slot as i64 - 1)
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

    /// Distance of a jump. In an object, functions may be put elsewhere, so that jumps stay inside.
    fn jump<N: TryFrom<i64>>(&mut self, to: At<Target<'t>>) -> Option<N> {
        let distance = self.distance(&to.value, &to.span)?;
        let target = self.slot as i64 + 1 + distance;
        if self.is_object() && !matches!(to.value, Target::Distance(_)) {
            let functions = &self.layout.functions;
            let end = functions.get(self.function + 1).map_or(i64::MAX, |f| f.start as i64);
            if target < functions[self.function].start as i64 || target >= end {
                let other = functions.iter().rev().find(|f| f.start as i64 <= target);
                let other = other.map_or(String::new(), |f| f.name.clone());
                let help = Some("jumps stay in their function; functions are called by `call NAME`".into());
                self.problem(to.span, format!("the jump leaves the function for `{other}`"), help);
                return None;
            }
        }
        self.narrow(distance, to.span)
    }

    fn draft(&mut self, draft: Draft<'t>, span: Range<usize>) -> Option<(Resolved, Option<Reference<'t>>)> {
        let op = match draft {
            Draft::Op(op) => op,
            Draft::Raw(raw) => return Some((Resolved::Raw(raw), None)),
            Draft::Broken => return None,
            Draft::Jump(op, to) => match op {
                Op::Ja { long: true, .. } => Op::Ja { off: self.jump(to)?, long: true },
                Op::Ja { .. } => Op::Ja { off: self.jump::<i16>(to)?.into(), long: false },
                Op::MayGoto { .. } => Op::MayGoto { off: self.jump(to)? },
                Op::Jmp { op, width, dst, src, .. } => Op::Jmp { op, width, dst, src, off: self.jump(to)? },
                other => other,
            },
            Draft::Call(callee) => {
                let (kind, reference) = self.callee(callee)?;
                return Some((Resolved::Op(Op::Call(kind)), reference));
            }
            Draft::Wide(dst, what) => {
                let (imm, reference) = self.wide(what, span)?;
                return Some((Resolved::Op(Op::LoadImm64 { dst, imm }), reference));
            }
        };
        Some((Resolved::Op(op), None))
    }

    fn u32_of(&mut self, n: i128, span: &Range<usize>) -> Option<u32> {
        let narrow = u32::try_from(n).or_else(|_| i32::try_from(n).map(|n| n as u32)).ok();
        if narrow.is_none() {
            self.problem(span.clone(), format!("{n} does not fit in 32 bits"), None);
        }
        narrow
    }

    /// The function that begins at a target.
    fn function_at(&mut self, to: &Target<'t>, span: &Range<usize>) -> Option<usize> {
        let slot = self.slot as i64 + 1 + self.distance(to, span)?;
        let found = usize::try_from(slot).ok().and_then(|slot| self.layout.function_at(slot));
        if found.is_none() {
            let here = matches!(to, Target::Distance(-1));
            let help = here.then(|| "what it calls stands in a relocation, which `llvm-objdump -dr` shows".into());
            self.problem(span.clone(), "no function begins there", help);
        }
        found
    }

    fn local(&mut self, to: Target<'t>, span: Range<usize>) -> Option<(CallKind, Option<Reference<'t>>)> {
        if self.is_object() {
            let function = self.function_at(&to, &span)?;
            return Some((CallKind::Local(-1), Some(Reference::Function(function))));
        }
        let distance = self.distance(&to, &span)?;
        Some((CallKind::Local(self.narrow(distance, span)?), None))
    }

    fn callee(&mut self, callee: At<Callee<'t>>) -> Option<(CallKind, Option<Reference<'t>>)> {
        let span = callee.span;
        let kind = match callee.value {
            // llvm-objdump writes calls of functions as distances, and no helper has a negative number.
            Callee::Helper(n) if n < 0 => return self.local(Target::Distance(n), span),
            Callee::Helper(n) => CallKind::Helper(self.u32_of(n, &span)?),
            Callee::Kernel(n, module) => {
                let id = self.u32_of(n, &span)?;
                let Ok(btf_index) = i16::try_from(module) else {
                    self.problem(span, format!("{module} does not fit in 16 bits"), None);
                    return None;
                };
                CallKind::Kfunc { id, btf_index }
            }
            Callee::Local(to) => return self.local(to, span),
            Callee::Logged(name, number) if ebpfkit_abi::helper_id(name) == Some(number) => CallKind::Helper(number),
            Callee::Logged(_, number) => CallKind::Kfunc { id: number, btf_index: 0 },
            Callee::Name(name) => {
                if let Found::At(..) = self.layout.labels.find(name, self.function) {
                    return self.local(Target::Label(name), span);
                }
                match (self.thing(name), helper(name)) {
                    (Some(Thing::KernelFunction), _) => {
                        return Some((CallKind::Local(-1), Some(Reference::Symbol(name, 0))));
                    }
                    (Some(_), _) => {
                        self.problem(span, format!("`{name}` is no function"), None);
                        return None;
                    }
                    (None, Some(id)) => CallKind::Helper(id),
                    (None, None) => return self.unknown_function(name, span),
                }
            }
        };
        Some((kind, None))
    }

    fn unknown_function<T>(&mut self, name: &str, span: Range<usize>) -> Option<T> {
        let helpers = ebpfkit_abi::helper_names().map(|h| h.1);
        let layout = &self.layout;
        let help = layout.problems.suggest(name, layout.labels.names().chain(helpers));
        let help = help.or_else(|| Some("functions of the kernel are declared by `.kfunc`".into()));
        self.problem(span, format!("`{name}` is neither a function of this text nor a helper"), help);
        None
    }

    fn wide(&mut self, what: At<Wide<'t>>, span: Range<usize>) -> Option<(ImmKind, Option<Reference<'t>>)> {
        let at = what.span;
        let kind = match what.value {
            Wide::Map(MapKey::Descriptor(n)) => ImmKind::Map(self.u32_of(n, &at)?),
            Wide::Map(MapKey::Index(n)) => ImmKind::MapIdx(self.u32_of(n, &at)?),
            Wide::Value(MapKey::Descriptor(n), off) => {
                ImmKind::MapValue { map: self.u32_of(n, &at)?, off: self.u32_of(off, &at)? }
            }
            Wide::Value(MapKey::Index(n), off) => {
                ImmKind::MapIdxValue { index: self.u32_of(n, &at)?, off: self.u32_of(off, &at)? }
            }
            Wide::Kernel(id, module) => {
                ImmKind::BtfVar { id: self.u32_of(id, &at)?, btf_fd: self.u32_of(module, &at)? }
            }
            Wide::Function(to) => return self.address(to, at, span),
            Wide::Symbol(name, 0)
                if self.thing(name).is_none()
                    && matches!(self.layout.labels.find(name, self.function), Found::At(..)) =>
            {
                return self.address(Target::Label(name), at, span);
            }
            Wide::Symbol(name, off) => return self.symbol(name, off, at, false),
            Wide::Map(MapKey::Name(name)) => return self.symbol(name, 0, at, true),
            Wide::Value(MapKey::Name(name), _) => {
                if self.thing(name).is_some() {
                    let message = format!("`{name}` has no value that the loader knows the address of");
                    self.problem(at, message, Some("variables are named: `r1 = NAME ll`".into()));
                    return None;
                }
                return self.symbol(name, 0, at, true);
            }
        };
        Some((kind, None))
    }

    /// The address of a function.
    fn address(
        &mut self,
        to: Target<'t>,
        at: Range<usize>,
        span: Range<usize>,
    ) -> Option<(ImmKind, Option<Reference<'t>>)> {
        if self.is_object() {
            let function = self.function_at(&to, &at)?;
            return Some((ImmKind::Value(0), Some(Reference::Function(function))));
        }
        let distance = self.distance(&to, &at)?;
        Some((ImmKind::Func(self.narrow(distance, span)?), None))
    }

    /// A map, a variable or something of the kernel.
    fn symbol(
        &mut self,
        name: &'t str,
        off: i128,
        span: Range<usize>,
        map: bool,
    ) -> Option<(ImmKind, Option<Reference<'t>>)> {
        let off = self.u32_of(off, &span)? as i32;
        let Outside::Object(things) = self.outside else {
            let help = Some("bare instructions have neither maps nor variables; objects have (`asm -o FILE.o`)".into());
            self.problem(span, format!("`{name}` is no label"), help);
            return None;
        };
        let fits = |t: Thing| t != Thing::Inner && (!map || t == Thing::Map);
        match things.get(name) {
            Some(&t) if fits(t) && (off == 0 || t == Thing::Variable) => {
                Some((ImmKind::Value(0), Some(Reference::Symbol(name, off))))
            }
            Some(&t) if fits(t) => {
                self.problem(span, format!("only variables have parts: `{name}` is none"), None);
                None
            }
            _ => {
                let names = things.iter().filter(|t| fits(*t.1)).map(|t| *t.0);
                let help = self.layout.problems.suggest(name, names);
                let kind = if map { "there is no map" } else { "there is no map, variable or function" };
                self.problem(span, format!("{kind} `{name}`"), help);
                None
            }
        }
    }
}
