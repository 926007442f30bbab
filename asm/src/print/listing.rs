//! Whole programs and objects as text that the assembler reads.

use super::ctype::Types;
use super::data::{self, Data};
use super::{line, mnemonic};
use crate::Syntax;
use ebpfkit_isa::{CallKind, ImmKind, Op, decode};
use ebpfkit_object::btf::Type;
use ebpfkit_object::model::PendingKind;
use ebpfkit_object::{Object, Program};
use std::collections::{BTreeMap, BTreeSet};

/// How a listing is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Syntax of the instructions.
    pub syntax: Syntax,
    /// Whether source lines stand above their instructions.
    pub source: bool,
    /// Whether maps, variables, types and the license are declared, so that the text is complete.
    pub declarations: bool,
}

/// An object's programs as text, with the functions they call.
///
/// With declarations the text assembles to an equal object, except for what the text has no form for: CO-RE
/// relocations, struct_ops maps, tags of types.
pub fn listing(object: &Object, programs: &[usize], style: Style) -> String {
    let mut listing = Listing::new(object, style);
    if style.syntax == Syntax::Mnemonic {
        listing.text += ".syntax mnemonic\n";
    }
    if style.declarations {
        listing.text += &data::declarations(object, &listing.data);
    }
    for p in object.programs.iter() {
        listing.written.insert(p.name.clone(), (p.section.clone(), usize::MAX));
    }
    for &index in programs {
        if let Some(program) = object.programs.get(index) {
            listing.program(program);
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
    let all = |f: &Function| {
        let (mut lines, mut at) = (Vec::new(), f.start);
        while at < f.end {
            let (text, slots) = listing.instruction(source, &functions, f, None, at);
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
    /// Functions by name: section and slots.
    written: BTreeMap<String, (String, usize)>,
}

/// A function inside a program.
struct Function {
    start: usize,
    end: usize,
    name: String,
    /// Already written, for another program.
    known: bool,
    /// Its type in BTF.
    ty: u32,
    global: bool,
}

impl<'o> Listing<'o> {
    fn new(object: &'o Object, style: Style) -> Self {
        let (data, text, section) = (Data::new(object), String::new(), String::new());
        Self { object, data, style, text, section, written: BTreeMap::new() }
    }

    /// The functions of a program, by their starts.
    fn functions(&mut self, program: &Program) -> Vec<Function> {
        let mut starts: BTreeMap<usize, u32> = program.func_info.iter().map(|f| (f.insn as usize, f.type_id)).collect();
        starts.entry(0).or_insert(0);
        let mut at = 0;
        while at < program.insns.len() {
            let Ok((_, slots)) = decode(&program.insns, at) else {
                at += 1;
                continue;
            };
            // What waits for its function calls one of the kernel.
            let waits = program.pending.iter().any(|p| p.insn == at);
            let target = program.insns[at].function(at).filter(|_| !waits);
            if let Some(target) = target.and_then(|t| usize::try_from(t).ok())
                && target < program.insns.len()
            {
                starts.entry(target).or_insert(0);
            }
            at += slots;
        }
        let ends: Vec<usize> = starts.keys().copied().skip(1).chain([program.insns.len()]).collect();
        let mut functions = Vec::new();
        for ((start, ty), end) in starts.into_iter().zip(ends) {
            let (mut global, mut name) = (start == 0, String::new());
            if let Some(btf) = &self.object.btf
                && let Some(Type::Func { linkage, .. }) = btf.get(ty)
            {
                btf.name(ty).clone_into(&mut name);
                global |= linkage == 1;
            }
            if start == 0 {
                name.clone_from(&program.name);
            } else if name.is_empty() {
                name = format!("{}_func_{start}", program.name);
            }
            let mut known = false;
            if start != 0 {
                let slots = end - start;
                let wanted = name.clone();
                for n in 2.. {
                    match self.written.get(&name) {
                        None => break,
                        Some((section, len))
                            if *len == slots || (*len == usize::MAX && *section == program.section) =>
                        {
                            known = true;
                            break;
                        }
                        Some(_) => name = format!("{wanted}_{n}"),
                    }
                }
                if !known {
                    self.written.insert(name.clone(), (".text".into(), slots));
                }
            }
            functions.push(Function { start, end, name, known, ty, global });
        }
        functions
    }

    fn program(&mut self, program: &Program) {
        let functions = self.functions(program);
        let labels = labels(program, &functions);
        for f in functions.iter().filter(|f| !f.known) {
            self.begin(program, f);
            self.function(program, &functions, f, &labels);
        }
    }

    /// Section and name of a function.
    fn begin(&mut self, program: &Program, f: &Function) {
        let own = format!("{}{}", if program.autoload { "" } else { "?" }, program.section);
        let section = if f.start != 0 && f.global { ".text".to_owned() } else { own };
        // A static function is put into `.text` from anywhere.
        if section != self.section && (f.start == 0 || f.global || self.section.is_empty()) {
            let quoted = if section.contains("//") { super::ctype::quote(&section) } else { section.clone() };
            self.text += &format!("\n.section {quoted}");
            self.section = section;
        }
        let declared = self.object.btf.as_ref().and_then(|btf| match btf.get(f.ty) {
            Some(Type::Func { proto, .. }) => data::function(proto, &f.name, &mut Types::new(btf)),
            _ => None,
        });
        let word = match (f.start, f.global) {
            (0, _) => "",
            (_, true) => "global ",
            (_, false) => "static ",
        };
        self.text += &format!("\n.func {word}{}\n", declared.unwrap_or_else(|| f.name.clone()));
        let Some(btf) = &self.object.btf else { return };
        let Some(Type::Func { proto, .. }) = btf.get(f.ty) else { return };
        for component in -1..btf.params(proto).len() as i32 {
            let place = if component < 0 { String::new() } else { format!(" {component}") };
            for tag in btf.decl_tags(f.ty, component) {
                self.text += &format!(".tag {}{place} {}\n", f.name, super::ctype::quote(tag));
            }
        }
    }

    fn function(&mut self, program: &Program, functions: &[Function], f: &Function, labels: &BTreeSet<usize>) {
        let mut at = f.start;
        while at < f.end {
            if self.style.source {
                self.source(program, at);
            }
            if labels.contains(&at) {
                self.text += &format!("l{at}:\n");
            }
            let (text, slots) = self.instruction(program, functions, f, Some(labels), at);
            self.text += &format!("{at:8}: {text}\n");
            at += slots;
        }
    }

    /// An instruction's text and its slots.
    fn instruction(
        &self,
        program: &Program,
        functions: &[Function],
        f: &Function,
        labels: Option<&BTreeSet<usize>>,
        at: usize,
    ) -> (String, usize) {
        match decode(&program.insns, at) {
            Ok((op, slots)) if at + slots <= f.end => {
                let name = self.name(program, functions, labels, op, at);
                (line(op, self.style.syntax, name.as_deref()), slots)
            }
            Ok(_) => (mnemonic::raw(program.insns[at]), 1),
            Err(e) => (format!("{} // {e}", mnemonic::raw(program.insns[at])), 1),
        }
    }

    fn source(&mut self, program: &Program, at: usize) {
        let Some(btf) = &self.object.btf else { return };
        let Ok(i) = program.line_info.binary_search_by_key(&(at as u32), |l| l.insn) else { return };
        let l = &program.line_info[i];
        let file = btf.str_at(l.file_name);
        let file = file.rsplit('/').next().unwrap_or_default();
        self.text += &format!("; {file}:{}  {}\n", l.line, btf.str_at(l.line_text).trim());
    }

    /// What an instruction refers to, by name.
    fn name(
        &self,
        program: &Program,
        functions: &[Function],
        labels: Option<&BTreeSet<usize>>,
        op: Op,
        at: usize,
    ) -> Option<String> {
        let insn = program.insns[at];
        let slot = |target: Option<i64>| usize::try_from(target?).ok();
        let label = || match (labels, slot(insn.successors(at).jump)?) {
            (Some(labels), target) => labels.contains(&target).then(|| format!("l{target}")),
            (None, target) => Some(target.to_string()),
        };
        let function = || {
            let start = slot(insn.function(at))?;
            functions.iter().find(|f| f.start == start).map(|f| f.name.clone())
        };
        let map = |n: u32| self.object.maps.get(n as usize).map(|m| m.name.as_str());
        let pending = program.pending.iter().filter(|p| p.insn == at).find_map(|p| match p.what {
            PendingKind::Extern(n) => Some(self.object.externs.get(n)?.name.clone()),
            PendingKind::Map(n) => map(n as u32).map(|m| self.map(m)),
            PendingKind::Core(_) => None,
        });
        if pending.is_some() {
            return pending;
        }
        match op {
            Op::Ja { .. } | Op::Jmp { .. } | Op::MayGoto { .. } => label(),
            Op::Call(CallKind::Helper(id)) => ebpfkit_abi::helper_name(id).map(str::to_owned),
            Op::Call(CallKind::Local(_)) => function(),
            Op::LoadImm64 { imm, .. } => match imm {
                // A descriptor written by hand is kept as its complement.
                ImmKind::Map(n) if (n as i32) < 0 => Some(format!("map[fd:{}]", !n)),
                ImmKind::Map(n) => map(n).map(|m| self.map(m)),
                ImmKind::MapValue { map, off } if (map as i32) < 0 => Some(format!("map[fd:{}][0] + {off:#x}", !map)),
                ImmKind::MapValue { map: index, off } => self
                    .data
                    .name(index as usize, off)
                    .or_else(|| Some(format!("{}[0] + {off:#x}", self.map(map(index)?)))),
                ImmKind::Func(_) => function(),
                _ => None,
            },
            _ => None,
        }
    }

    fn map(&self, name: &str) -> String {
        format!("map[{name}]")
    }
}

/// Slots that jumps of the same function go to.
fn labels(program: &Program, functions: &[Function]) -> BTreeSet<usize> {
    let mut labels = BTreeSet::new();
    for f in functions {
        let (mut at, mut heads, mut targets) = (f.start, BTreeSet::new(), Vec::new());
        while at < f.end {
            heads.insert(at);
            let Ok((_, slots)) = decode(&program.insns, at) else {
                at += 1;
                continue;
            };
            targets.extend(program.insns[at].successors(at).jump.and_then(|t| usize::try_from(t).ok()));
            at += slots;
        }
        labels.extend(targets.into_iter().filter(|t| heads.contains(t)));
    }
    labels
}
