//! Whole programs and objects as text that the assembler reads.

use super::ctype::Types;
use super::data::{self, Data};
use super::names::Names;
use super::{bytes, line, mnemonic};
use crate::Syntax;
use ebpfkit_isa::{CallKind, ImmKind, Insn, Op, decode};
use ebpfkit_object::btf::Type;
use ebpfkit_object::{LineInfo, Object, Pending, PendingKind, Program};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Section of functions that programs call.
const TEXT: &str = ".text";

/// How a listing is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Syntax of the instructions.
    pub syntax: Syntax,
    /// Whether source lines stand above their instructions.
    pub source: bool,
    /// Whether the bytes of each instruction stand before it.
    pub bytes: bool,
    /// Whether maps, variables, types and the license are declared, so that the text is complete.
    pub declarations: bool,
}

/// An object's programs as text, with the functions they call.
///
/// With declarations the text has all functions in their order, and assembles to an equal object, except for what the text
/// has no form for: CO-RE relocations, struct_ops maps, tags of types.
pub fn listing(object: &Object, programs: &[usize], style: Style) -> String {
    let mut text = String::new();
    if style.syntax == Syntax::Mnemonic {
        text += ".syntax mnemonic\n";
    }
    let mut listing = Listing::new(object, style);
    if style.declarations {
        text += &data::declarations(object, &listing.data, &mut listing.names);
    }
    listing.text = text;
    for &index in programs {
        if let Some(program) = object.programs.get(index) {
            listing.program(program);
        }
    }
    if style.declarations {
        for number in 0..object.subprograms.len() {
            listing.subprogram(number);
        }
    }
    listing.text
}

/// A function of a program as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionText {
    /// Its name.
    pub name: String,
    /// Its instructions by slot, with the names that the object has for what they refer to.
    pub lines: Vec<(usize, String)>,
}

/// A program's functions as text, in the words of [`listing`] but for jumps, which go to slots (`goto 12`).
pub fn functions(object: &Object, program: usize) -> Vec<FunctionText> {
    let Some(source) = object.programs.get(program) else { return Vec::new() };
    let mut listing = Listing::new(object, Style::default());
    let functions = listing.functions(source);
    let all = |(f, _): &(Function<'_>, Option<usize>)| {
        let (mut lines, mut at) = (Vec::new(), f.range.start);
        while at < f.range.end {
            let (text, slots) = listing.instruction(f, None, at);
            lines.push((at, text));
            at += slots;
        }
        FunctionText { name: f.name.clone(), lines }
    };
    functions.iter().map(all).collect()
}

struct Listing<'o> {
    object: &'o Object,
    data: Data,
    style: Style,
    text: String,
    section: String,
    names: Names,
    /// A name for each of the object's subprograms.
    subprograms: Vec<String>,
    /// Which of them stand in the text.
    written: Vec<bool>,
}

/// A function with all that its text is made of.
struct Function<'f> {
    insns: &'f [Insn],
    lines: &'f [LineInfo],
    /// Slots in `insns`.
    range: Range<usize>,
    name: String,
    /// Its type in BTF.
    ty: u32,
    /// A program, rather than a function that programs call.
    program: bool,
    global: bool,
    /// Names of functions, by the slots that refer to them.
    called: FxHashMap<usize, String>,
    /// Names of what waits for a kernel, by slot.
    pending: FxHashMap<usize, String>,
}

impl<'o> Listing<'o> {
    fn new(object: &'o Object, style: Style) -> Self {
        let mut names = Names::new(object);
        let data = Data::new(object, &mut names);
        let subprograms = object.subprograms.iter().map(|s| names.unique(&s.name)).collect();
        let written = vec![false; object.subprograms.len()];
        let (text, section) = (String::new(), String::new());
        Self { object, data, style, text, section, names, subprograms, written }
    }

    /// Names of what the instructions of a program wait for.
    fn pending(&self, pending: &[Pending]) -> FxHashMap<usize, String> {
        let name = |p: &Pending| match p.what {
            PendingKind::Extern(n) => Some((p.insn, self.object.externs.get(n)?.name.clone())),
            // Parts of variables have names too, which instructions tell.
            PendingKind::Map(_) | PendingKind::Core(_) => None,
        };
        pending.iter().filter_map(name).collect()
    }

    fn program(&mut self, program: &'o Program) {
        for (f, number) in self.functions(program) {
            // With everything else the object's functions follow in their order.
            if let Some(n) = number
                && (self.style.declarations || std::mem::replace(&mut self.written[n], true))
            {
                continue;
            }
            let own = format!("{}{}", if program.autoload { "" } else { "?" }, program.section);
            self.function(&f, own);
        }
    }

    /// The functions of a program, by their starts, with their numbers in the object.
    fn functions(&mut self, program: &'o Program) -> Vec<(Function<'o>, Option<usize>)> {
        let pending = self.pending(&program.pending);
        // Functions of the object have its names; others are made up from what calls them.
        let mut starts: BTreeMap<usize, Option<usize>> = BTreeMap::from([(0, None)]);
        starts.extend(program.subprograms.iter().map(|&(start, number)| (start, Some(number))));
        let types: FxHashMap<usize, u32> = program.func_info.iter().map(|f| (f.insn as usize, f.type_id)).collect();
        for &start in types.keys().filter(|&&s| s < program.insns.len()) {
            starts.entry(start).or_insert(None);
        }
        let mut refers = Vec::new();
        let mut at = 0;
        while at < program.insns.len() {
            let Ok((_, slots)) = decode(&program.insns, at) else {
                at += 1;
                continue;
            };
            // What waits for its function calls one of the kernel.
            let target = program.insns[at].function(at).filter(|_| !pending.contains_key(&at));
            if let Some(target) = target.and_then(|t| usize::try_from(t).ok())
                && target < program.insns.len()
            {
                starts.entry(target).or_insert(None);
                refers.push((at, target));
            }
            at += slots;
        }
        let mut names: BTreeMap<usize, String> = BTreeMap::new();
        for (&start, number) in &starts {
            let name = match number {
                _ if start == 0 => program.name.clone(),
                Some(n) => self.subprograms.get(*n).cloned().unwrap_or_default(),
                None => {
                    let known = self.object.btf.as_ref().zip(types.get(&start)).map(|(btf, ty)| btf.name(*ty));
                    let known = known.filter(|n| !n.is_empty()).map(str::to_owned);
                    self.names.unique(&known.unwrap_or_else(|| format!("{}_func_{start}", program.name)))
                }
            };
            names.insert(start, name);
        }
        let ends: Vec<usize> = starts.keys().copied().skip(1).chain([program.insns.len()]).collect();
        let mut functions = Vec::new();
        for ((&start, number), end) in starts.iter().zip(ends) {
            let ty = types.get(&start).copied().unwrap_or(0);
            let linkage = self.object.btf.as_ref().and_then(|b| b.get(ty));
            let inside = refers.iter().skip(refers.partition_point(|r| r.0 < start)).take_while(|r| r.0 < end);
            let f = Function {
                insns: &program.insns,
                lines: &program.line_info,
                range: start..end,
                name: names[&start].clone(),
                ty,
                program: start == 0,
                global: start == 0 || matches!(linkage, Some(Type::Func { linkage: 1, .. })),
                called: inside.map(|&(at, to)| (at, names[&to].clone())).collect(),
                pending: pending.iter().map(|(at, n)| (*at, n.clone())).collect(),
            };
            functions.push((f, number.filter(|n| *n < self.subprograms.len())));
        }
        functions
    }

    /// A function of the object that is no program.
    fn subprogram(&mut self, number: usize) {
        let (Some(s), Some(name)) = (self.object.subprograms.get(number), self.subprograms.get(number)) else { return };
        if std::mem::replace(&mut self.written[number], true) {
            return;
        }
        let called = s.calls.iter().filter_map(|&(at, n)| Some((at, self.subprograms.get(n)?.clone())));
        let f = Function {
            insns: &s.insns,
            lines: &s.line_info,
            range: 0..s.insns.len(),
            name: name.clone(),
            ty: s.type_id,
            program: false,
            global: s.is_global,
            called: called.collect(),
            pending: self.pending(&s.pending),
        };
        self.function(&f, TEXT.to_owned());
    }

    /// A function with its section and declaration.
    fn function(&mut self, f: &Function<'_>, own: String) {
        let section = if f.program { own } else { TEXT.to_owned() };
        // A static function is put into `.text` from anywhere.
        if section != self.section && (f.program || f.global || self.section.is_empty() || self.style.declarations) {
            let quoted = if section.contains("//") { super::ctype::quote(&section) } else { section.clone() };
            self.text += &format!("\n.section {quoted}");
            self.section = section;
        }
        let declared = self.object.btf.as_ref().and_then(|btf| match btf.get(f.ty) {
            Some(Type::Func { proto, .. }) => data::function(proto, &f.name, &mut Types::new(btf)),
            _ => None,
        });
        let word = match (f.program, f.global) {
            (true, _) => "",
            (_, true) => "global ",
            (_, false) => "static ",
        };
        self.text += &format!("\n.func {word}{}\n", declared.unwrap_or_else(|| f.name.clone()));
        self.tags(f);
        let labels = labels(f);
        let mut at = f.range.start;
        while at < f.range.end {
            if self.style.source {
                self.source(f, at);
            }
            if labels.contains(&at) {
                self.text += &format!("l{at}:\n");
            }
            let (text, slots) = self.instruction(f, Some(&labels), at);
            let bytes = if self.style.bytes { bytes(&f.insns[at..at + slots]) + " \t" } else { String::new() };
            self.text += &format!("{at:8}: {bytes}{text}\n");
            at += slots;
        }
    }

    /// An instruction's text and its slots.
    fn instruction(&self, f: &Function<'_>, labels: Option<&BTreeSet<usize>>, at: usize) -> (String, usize) {
        match decode(f.insns, at) {
            Ok((op, slots)) if at + slots <= f.range.end => {
                let name = self.name(f, labels, op, at);
                (line(op, self.style.syntax, name.as_deref()), slots)
            }
            Ok(_) => (mnemonic::raw(f.insns[at]), 1),
            Err(e) => (format!("{} // {e}", mnemonic::raw(f.insns[at])), 1),
        }
    }

    fn tags(&mut self, f: &Function<'_>) {
        let Some(btf) = &self.object.btf else { return };
        let Some(Type::Func { proto, .. }) = btf.get(f.ty) else { return };
        for component in -1..btf.params(proto).len() as i32 {
            let index = if component < 0 { String::new() } else { format!(" {component}") };
            for tag in btf.decl_tags(f.ty, component) {
                self.text += &format!(".tag {}{index} {}\n", f.name, super::ctype::quote(tag));
            }
        }
    }

    fn source(&mut self, f: &Function<'_>, at: usize) {
        let Some(btf) = &self.object.btf else { return };
        let Ok(i) = f.lines.binary_search_by_key(&(at as u32), |l| l.insn) else { return };
        let l = &f.lines[i];
        let file = btf.str_at(l.file_name);
        let file = file.rsplit('/').next().unwrap_or_default();
        self.text += &format!("; {file}:{}  {}\n", l.line, btf.str_at(l.line_text).trim());
    }

    /// What an instruction refers to, by name.
    fn name(&self, f: &Function<'_>, labels: Option<&BTreeSet<usize>>, op: Op, at: usize) -> Option<String> {
        if let Some(name) = f.pending.get(&at) {
            return Some(name.clone());
        }
        let label = || {
            let target = usize::try_from(f.insns[at].successors(at).jump?).ok()?;
            match labels {
                Some(labels) => labels.contains(&target).then(|| format!("l{target}")),
                None => Some(target.to_string()),
            }
        };
        let map = |n: u32| self.object.maps.get(n as usize).map(|m| format!("map[{}]", m.name));
        match op {
            Op::Ja { .. } | Op::Jmp { .. } | Op::MayGoto { .. } => label(),
            Op::Call(CallKind::Helper(id)) => ebpfkit_abi::helper_name(id).map(str::to_owned),
            Op::Call(CallKind::Local(_)) => f.called.get(&at).cloned(),
            Op::LoadImm64 { imm, .. } => match imm {
                // A descriptor written by hand is kept as its complement.
                ImmKind::Map(n) if (n as i32) < 0 => Some(format!("map[fd:{}]", !n)),
                ImmKind::Map(n) => map(n),
                ImmKind::MapValue { map, off } if (map as i32) < 0 => Some(format!("map[fd:{}][0] + {off:#x}", !map)),
                ImmKind::MapValue { map: index, off } => {
                    self.data.name(index as usize, off).or_else(|| Some(format!("{}[0] + {off:#x}", map(index)?)))
                }
                ImmKind::Func(_) => f.called.get(&at).cloned(),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Slots that jumps of the same function go to.
fn labels(f: &Function<'_>) -> BTreeSet<usize> {
    let (mut at, mut heads, mut targets) = (f.range.start, BTreeSet::new(), Vec::new());
    while at < f.range.end {
        heads.insert(at);
        let Ok((_, slots)) = decode(f.insns, at) else {
            at += 1;
            continue;
        };
        targets.extend(f.insns[at].successors(at).jump.and_then(|t| usize::try_from(t).ok()));
        at += slots;
    }
    targets.into_iter().filter(|t| heads.contains(t)).collect()
}
