//! A text as a relocatable object.

use super::Unit;
use super::directive::{Directive, ExternKind, is_data};
use super::layout::{DEFAULT_SECTION, Layout, Positioned, TEXT};
use super::maps::{self, Maps};
use super::resolve::{Outside, Reference, Resolved, Thing, encode_message, resolve};
use super::types::Types;
use crate::error::Errors;
use crate::text::Context;
use crate::text::declare::{CType, Declarator, FunctionDecl, Variable};
use crate::text::statement::At;
use ebpfkit_isa::{Endian, Insn, encode, opcode};
use ebpfkit_object::btf::{SecVar, TypeId};
use ebpfkit_object::write::{
    BtfBuilder, Code, Data, DataSymbol, Extern, Function, Module, Records, Reloc, RelocTarget, WriteError,
};
use ebpfkit_object::{FuncInfo, LineInfo};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// An object being put together.
pub(super) struct Assembly<'t> {
    pub text: &'t str,
    pub layout: Layout<'t>,
    pub types: Types<'t>,
    /// What has a name and is no function of the text.
    pub things: FxHashMap<&'t str, Thing>,
    data: Vec<Data>,
    /// Sections of `data` by name.
    data_by_name: FxHashMap<String, usize>,
    /// Bytes of data that may still be added.
    left: u64,
    /// Variables of each section of data, for its type, in the order of their first ones.
    vars: Vec<(String, Vec<SecVar>)>,
    /// Sections of `vars` by name.
    vars_by_name: FxHashMap<String, usize>,
    externs: Vec<Extern>,
    /// Tags of functions.
    tags: Vec<(At<&'t str>, Option<u32>, Vec<u8>)>,
    code: Vec<Code>,
    /// For each function, its section among `code` and its first slot there.
    places: Vec<(usize, usize)>,
    records: Records,
}

/// Most bytes of variables and maps, as much as a loader believes.
const MOST_DATA: u64 = 1 << 28;

impl<'t> Unit<'t> {
    /// The text as an ELF file.
    pub(crate) fn elf(self, name: &str) -> Result<Vec<u8>, Errors> {
        let text = self.text;
        let mut assembly = Assembly {
            text,
            layout: Layout::new(self),
            types: Types::new(BtfBuilder::new(Endian::Little)),
            things: FxHashMap::default(),
            data: Vec::new(),
            data_by_name: FxHashMap::default(),
            left: MOST_DATA,
            vars: Vec::new(),
            vars_by_name: FxHashMap::default(),
            externs: Vec::new(),
            tags: Vec::new(),
            code: Vec::new(),
            places: Vec::new(),
            records: Records::default(),
        };
        let file = assembly.build(name);
        let mut problems = assembly.layout.problems;
        problems.append(assembly.types.problems);
        match file {
            Some(Ok(file)) if problems.is_empty() => Ok(file),
            Some(Err(e)) if problems.is_empty() => Err(Errors::whole(name, e.to_string())),
            _ => Err(Errors::new(name, text, problems)),
        }
    }
}

impl<'t> Assembly<'t> {
    pub(super) fn problem(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.layout.problem(span, message, help);
    }

    /// Asks whether the name that is most like a wrong one was meant.
    pub(super) fn suggest<'n>(&self, wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
        self.layout.problems.suggest(wrong, names)
    }

    /// Runs something that reads declarations.
    pub(super) fn with_context<T>(&mut self, f: impl FnOnce(&mut Context<'t>) -> T) -> T {
        let constants = std::mem::take(&mut self.layout.constants);
        let problems = std::mem::take(&mut self.layout.problems);
        let mut cx = Context { text: self.text, constants, problems };
        let result = f(&mut cx);
        (self.layout.constants, self.layout.problems) = (cx.constants, cx.problems);
        result
    }

    fn build(&mut self, name: &str) -> Option<Result<Vec<u8>, WriteError>> {
        self.declare();
        self.lay_out_functions();
        let insns = std::mem::take(&mut self.layout.insns);
        let compiled = self.compile(insns);
        self.type_functions(name, &compiled);
        if !self.layout.problems.is_empty() || !self.types.problems.is_empty() {
            return None;
        }
        for (section, vars) in std::mem::take(&mut self.vars) {
            let size = self.data_by_name.get(&section).map_or(0, |&d| self.data[d].bytes.len() as u32);
            self.types.btf.datasec(&section, size, &vars);
        }
        let records = std::mem::take(&mut self.records);
        let btf_ext = records.finish(&mut self.types.btf, Endian::Little);
        let module = Module {
            endian: Endian::Little,
            code: std::mem::take(&mut self.code),
            data: std::mem::take(&mut self.data),
            externs: std::mem::take(&mut self.externs),
            btf: self.types.btf.finish(),
            btf_ext,
        };
        Some(module.write())
    }

    /// Reads every directive that declares something.
    fn declare(&mut self) {
        let directives = std::mem::take(&mut self.layout.directives);
        let mut labels = std::mem::take(&mut self.layout.data_labels).into_iter().peekable();
        let mut maps = Maps::default();
        // The variable that bytes belong to.
        let mut current: Option<(At<&'t str>, &'t str, Vec<u8>)> = None;
        for (index, (directive, span, section)) in directives.into_iter().enumerate() {
            while let Some((label, section, _)) = labels.next_if(|l| l.2 <= index) {
                self.finish_bytes(current.replace((label, section, Vec::new())));
            }
            match directive {
                Directive::Bytes(bytes) => match &mut current {
                    Some((_, of, all)) if *of == section && is_data(section) => all.extend(bytes),
                    _ if section == "license" => self.license(&bytes, span),
                    _ => self.problem(span, "bytes need a label before them, in a section of data", None),
                },
                Directive::License(bytes) => self.license(&bytes, span),
                Directive::Composite(union, members) => {
                    let fields: Vec<_> = self.with_context(|cx| {
                        let all = members.members.into_iter().map(|m| self::field(cx, m));
                        all.collect::<Vec<_>>().into_iter().flatten().collect()
                    });
                    self.types.define(union, members.name, fields);
                }
                Directive::Variable(own, variable) => {
                    let section = own.unwrap_or(if is_data(section) { section } else { ".data" });
                    self.variable(section, variable);
                }
                Directive::Map(map) => maps.add(self, map, Thing::Map),
                Directive::Inner(map) => maps.add(self, map, Thing::Inner),
                Directive::Extern(kind, decl) => self.external(kind, decl, span),
                Directive::Tag(name, component, text) => self.tags.push((name, component, text)),
                Directive::Global(_) | Directive::IsFunction(_) | Directive::Section(_) | Directive::Function(_) => {}
            }
        }
        for (label, section, _) in labels {
            self.finish_bytes(current.replace((label, section, Vec::new())));
        }
        self.finish_bytes(current);
        maps::finish(self, maps);
    }

    fn license(&mut self, text: &[u8], span: Range<usize>) {
        if self.data_by_name.contains_key("license") {
            return self.problem(span, "the license is given twice", None);
        }
        let mut bytes = text.to_vec();
        if bytes.last() != Some(&0) {
            bytes.push(0);
        }
        let symbol = DataSymbol { name: "_license".into(), offset: 0, size: bytes.len() as u64 };
        let section = self.data_section("license");
        (self.data[section].bytes, self.data[section].symbols) = (bytes, vec![symbol]);
    }

    /// Takes a name for something.
    pub(super) fn claim(&mut self, name: &At<&'t str>, thing: Thing) -> bool {
        let taken = self.things.contains_key(name.value) || self.layout.function(name.value).is_some();
        if taken {
            self.problem(name.span.clone(), format!("`{}` is defined twice", name.value), None);
        }
        self.things.entry(name.value).or_insert(thing);
        !taken
    }

    /// Appends a symbol to a section of data; its offset there.
    pub(super) fn add_data(&mut self, section: &str, name: &str, bytes: &[u8], align: u64, ty: TypeId) -> u64 {
        let at = self.data_section(section);
        let data = &mut self.data[at];
        let offset = (data.bytes.len() as u64).next_multiple_of(align.max(1));
        data.bytes.resize(offset as usize, 0);
        data.bytes.extend(bytes);
        data.symbols.push(DataSymbol { name: name.to_owned(), offset, size: bytes.len() as u64 });
        let var = SecVar { ty, offset: offset as u32, size: bytes.len() as u32 };
        self.add_var(section, var);
        offset
    }

    /// The section of data of a name, which is begun when it is new.
    fn data_section(&mut self, name: &str) -> usize {
        if let Some(&at) = self.data_by_name.get(name) {
            return at;
        }
        self.data.push(Data { name: name.to_owned(), ..Data::default() });
        self.data_by_name.insert(name.to_owned(), self.data.len() - 1);
        self.data.len() - 1
    }

    /// Takes from the bytes of data that an object may have; `false` when it has too many.
    pub(super) fn takes(&mut self, bytes: u64, span: &Range<usize>) -> bool {
        let rest = self.left.checked_sub(bytes);
        if rest.is_none() {
            self.problem(span.clone(), format!("variables and maps of more than {MOST_DATA} bytes"), None);
        }
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    fn add_var(&mut self, section: &str, var: SecVar) {
        match self.vars_by_name.get(section) {
            Some(&at) => self.vars[at].1.push(var),
            None => {
                self.vars_by_name.insert(section.to_owned(), self.vars.len());
                self.vars.push((section.to_owned(), vec![var]));
            }
        }
    }

    /// A word of a section of data refers to something.
    pub(super) fn add_data_reloc(&mut self, section: &str, at: usize, name: &str) {
        if let Some(&data) = self.data_by_name.get(section) {
            self.data[data].relocs.push(Reloc { at, target: RelocTarget::Symbol(name.to_owned()) });
        }
    }

    fn variable(&mut self, section: &str, variable: Variable<'t>) {
        let declared = self.with_context(|cx| variable.declarator.resolve(cx, true));
        let (Some(mut ty), Some(name)) = (declared.ty, declared.name.clone()) else {
            if let Some(name) = declared.name {
                let help = Some("a variable is declared as in C: `.var u32 NAME = 1`".into());
                self.problem(name.span, format!("`{}` has no type", name.value), help);
            }
            return;
        };
        if !self.claim(&name, Thing::Variable) {
            return;
        }
        if section.starts_with(".bss") && variable.init.is_some() {
            let help = Some("`.data` holds values".into());
            self.problem(name.span.clone(), format!("variables of {section} begin as zero"), help);
        }
        self.types.complete(&mut ty, variable.init.as_ref());
        let size = self.types.layout(&ty).map_or(0, |l| l.0);
        if !self.takes(size, &name.span) {
            return;
        }
        let bytes = self.types.value(&ty, variable.init.as_ref());
        let align = self.types.layout(&ty).map_or(1, |l| l.1);
        let id = self.types.id(&ty);
        let var = self.types.btf.var(name.value, id, 1);
        self.add_data(section, name.value, &bytes, align, var);
    }

    /// Ends a variable that was given as a label and bytes.
    fn finish_bytes(&mut self, variable: Option<(At<&'t str>, &'t str, Vec<u8>)>) {
        let Some((name, section, bytes)) = variable else { return };
        match section {
            "license" => return self.license(&bytes, name.span),
            ".maps" => {
                let help = Some("maps are declared by `.map NAME TYPE key=TYPE value=TYPE`".into());
                return self.problem(name.span, "a map's definition needs types", help);
            }
            _ => {}
        }
        if !self.claim(&name, Thing::Variable) {
            return;
        }
        if !self.takes(bytes.len() as u64, &name.span) {
            return;
        }
        let ty = self.types.bytes(bytes.len() as u32);
        let var = self.types.btf.var(name.value, ty, 1);
        self.add_data(section, name.value, &bytes, 8, var);
    }

    fn external(&mut self, kind: ExternKind, decl: FunctionDecl<'t>, span: Range<usize>) {
        let declared = self.with_context(|cx| decl.declarator.resolve(cx, true));
        let Some(name) = declared.name else { return };
        let weak = declared.storage.iter().any(|s| s.value == "weak");
        let (thing, section) = match kind {
            ExternKind::Function => (Thing::KernelFunction, ".ksyms"),
            ExternKind::Variable => (Thing::KernelVariable, ".ksyms"),
            ExternKind::Config => (Thing::KernelVariable, ".kconfig"),
        };
        if !self.claim(&name, thing) {
            return;
        }
        let mut size = 0;
        let id = if kind == ExternKind::Function {
            let Some(params) = decl.params else {
                let help = Some("as in `.kfunc void bpf_rcu_read_lock(void)`".into());
                return self.problem(span, "a function of the kernel needs its parameters", help);
            };
            let proto = self.prototype(declared.ty, Some(params), 0);
            self.types.btf.func(name.value, proto, 2)
        } else {
            if decl.params.is_some() {
                let help = Some("functions of the kernel are declared by `.kfunc`".into());
                return self.problem(span, "a variable has no parameters", help);
            }
            let Some(ty) = declared.ty else {
                return self.problem(name.span, format!("`{}` has no type", name.value), None);
            };
            self.types.check(&ty);
            if kind == ExternKind::Config {
                size = self.types.layout(&ty).map_or(0, |l| l.0 as u32);
            }
            let id = self.types.id(&ty);
            self.types.btf.var(name.value, id, 2)
        };
        self.externs.push(Extern { name: name.value.to_owned(), weak });
        self.add_var(section, SecVar { ty: id, offset: 0, size });
    }

    /// A function's type. `default` is what it returns when nothing is written.
    fn prototype(&mut self, ret: Option<CType<'t>>, params: Option<Vec<Declarator<'t>>>, default: TypeId) -> TypeId {
        let ret = match ret {
            Some(ty) => {
                self.types.check(&ty);
                self.types.id(&ty)
            }
            None => default,
        };
        let mut list = Vec::new();
        for param in params.unwrap_or_default() {
            if param.word() == Some("void") {
                continue;
            }
            let span = param.span();
            let declared = self.with_context(|cx| param.resolve(cx, false));
            let Some(ty) = declared.ty else {
                self.problem(span, "expected a type", None);
                continue;
            };
            self.types.check(&ty);
            let name = declared.name.map_or_else(|| format!("arg{}", list.len() + 1), |n| n.value.to_owned());
            list.push((name, self.types.id(&ty)));
        }
        self.types.btf.func_proto(ret, &list)
    }

    /// Gives every function its section.
    fn lay_out_functions(&mut self) {
        let functions = &self.layout.functions;
        let mut sections: FxHashMap<&str, usize> = FxHashMap::default();
        for f in functions {
            sections.entry(f.section).or_insert_with(|| {
                self.code.push(Code { name: f.section.to_owned(), ..Code::default() });
                self.code.len() - 1
            });
        }
        // A text without code still is an object.
        if self.code.is_empty() && self.data.is_empty() {
            self.code.push(Code { name: DEFAULT_SECTION.into(), ..Code::default() });
        }
        let end = self.layout.insns.last().map_or(0, |i| i.slot + i.draft.slots());
        for (i, f) in functions.iter().enumerate() {
            let next = functions.get(i + 1).map_or(end, |n| n.start);
            let section = sections[f.section];
            let code = &mut self.code[section];
            let start = code.functions.last().map_or(0, |l| l.start + l.len);
            self.places.push((section, start));
            code.functions.push(Function { name: f.name.clone(), start, len: next - f.start, global: f.global });
        }
        let ends = functions.iter().skip(1).map(|f| f.start).chain([end]);
        let empty = functions.iter().zip(ends).filter(|(f, end)| f.start == *end).map(|(f, _)| f);
        let empty: Vec<_> = empty.map(|f| (f.name.clone(), f.span.clone())).collect();
        for (name, span) in empty {
            self.problem(span, format!("function `{name}` has no instructions"), None);
        }
    }

    /// Encodes every instruction; the slot of each in its section, with the section and its place in the text.
    fn compile(&mut self, insns: Vec<Positioned<'t>>) -> Vec<(usize, usize, Range<usize>, usize)> {
        let outside = Outside::Object(self.things.clone());
        let mut places = Vec::new();
        for code in &mut self.code {
            let slots = code.functions.last().map_or(0, |f| f.start + f.len);
            code.insns = vec![Insn::default(); slots];
        }
        let starts = self.places.clone();
        for insn in insns {
            let (section, start) = starts[insn.function];
            let at = start + insn.slot - self.layout.functions[insn.function].start;
            let (span, function) = (insn.span.clone(), insn.function);
            places.push((section, at, span.clone(), function));
            let Some((resolved, reference)) = resolve(&mut self.layout, &outside, insn) else { continue };
            let (mut first, second) = match resolved {
                Resolved::Raw(raw) => (Insn::from_bytes(raw.to_le_bytes(), Endian::Little), None),
                Resolved::Op(op) => match encode(op) {
                    Ok(slots) => slots,
                    Err(e) => {
                        self.problem(span, encode_message(e), None);
                        continue;
                    }
                },
            };
            match reference {
                Some(Reference::Symbol(name, off)) => {
                    first.imm = if first.code == opcode::CALL { -1 } else { off };
                    self.code[section].relocs.push(Reloc { at, target: RelocTarget::Symbol(name.to_owned()) });
                }
                Some(Reference::Function(target)) => {
                    let (target_section, target_start) = starts[target];
                    let is_call = first.code == opcode::CALL;
                    let name = self.layout.functions[target].name.clone();
                    if is_call && target_section == section {
                        first.imm = target_start as i32 - at as i32 - 1;
                    } else if self.code[target_section].name == TEXT {
                        self.code[section].relocs.push(Reloc { at, target: RelocTarget::Function(name) });
                    } else {
                        let help = Some(format!("declare it by `.func static {name}`"));
                        let message =
                            format!("`{name}` is a program; only functions of {TEXT} are called from elsewhere");
                        self.problem(span, message, help);
                    }
                }
                None => {}
            }
            let slots = &mut self.code[section].insns;
            slots[at] = first;
            if let Some(second) = second {
                slots[at + 1] = second;
            }
        }
        places
    }

    /// Types of functions, and the line of each instruction.
    fn type_functions(&mut self, file: &str, places: &[(usize, usize, Range<usize>, usize)]) {
        let file_name = self.types.btf.string(file);
        let mut funcs: Vec<Vec<FuncInfo>> = vec![Vec::new(); self.code.len()];
        let mut lines: Vec<Vec<LineInfo>> = vec![Vec::new(); self.code.len()];
        // Functions by name: type and number of parameters.
        let mut tagged: FxHashMap<String, (TypeId, u32)> = FxHashMap::default();
        for i in 0..self.layout.functions.len() {
            let (section, start) = self.places[i];
            let f = &mut self.layout.functions[i];
            let (name, global, decl) = (f.name.clone(), f.global, f.decl.take());
            let int = self.types.int();
            let mut count = if global { 1 } else { 0 };
            let proto = match decl {
                Some(decl) => {
                    let declared = self.with_context(|cx| decl.declarator.resolve(cx, true));
                    let undeclared = decl.params.is_none() && global;
                    let params = decl.params;
                    count = params.as_ref().map_or(count, |p| p.len() as u32);
                    if undeclared { self.program_prototype() } else { self.prototype(declared.ty, params, int) }
                }
                None if global => self.program_prototype(),
                None => self.prototype(None, None, int),
            };
            let id = self.types.btf.func(&name, proto, global.into());
            tagged.entry(name).or_insert((id, count));
            funcs[section].push(FuncInfo { insn: start as u32, type_id: id });
        }
        for (name, component, text) in std::mem::take(&mut self.tags) {
            match tagged.get(name.value) {
                Some(&(id, params)) if component.is_none_or(|n| n < params) => {
                    self.types.btf.decl_tag(&String::from_utf8_lossy(&text), id, component);
                }
                Some(_) => self.problem(name.span, format!("`{}` has no such parameter", name.value), None),
                None => {
                    let help = self.suggest(name.value, tagged.keys().map(String::as_str));
                    self.problem(name.span, format!("there is no function `{}`", name.value), help);
                }
            }
        }
        let lines_of = LineIndex::new(self.text);
        let mut last = None;
        for (section, at, span, function) in places {
            let (line, column) = lines_of.position(span.start);
            if last == Some((*function, line)) {
                continue;
            }
            last = Some((*function, line));
            let line_text = self.types.btf.string(lines_of.text(line).trim_end());
            let info = LineInfo { insn: *at as u32, file_name, line_text, line: line as u32, column: column as u32 };
            lines[*section].push(info);
        }
        for ((code, mut funcs), mut lines) in self.code.iter().zip(funcs).zip(lines) {
            funcs.sort_by_key(|f| f.insn);
            lines.sort_by_key(|l| l.insn);
            if !funcs.is_empty() {
                self.records.add(&code.name, funcs, lines);
            }
        }
    }

    /// `int f(void *ctx)`
    fn program_prototype(&mut self) -> TypeId {
        let int = self.types.int();
        let ctx = self.types.pointer_to(0);
        self.types.btf.func_proto(int, &[("ctx".into(), ctx)])
    }
}

/// A member of a struct.
fn field<'t>(cx: &mut Context<'t>, declarator: Declarator<'t>) -> Option<(CType<'t>, At<&'t str>)> {
    let span = declarator.span();
    let declared = declarator.resolve(cx, true);
    if declared.ty.is_none() {
        cx.problem(span, "expected a type and a name");
    }
    Some((declared.ty?, declared.name?))
}

/// Where the lines of a text begin.
struct LineIndex<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> LineIndex<'t> {
    fn new(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// Line and column of a byte, from 1.
    fn position(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|&s| s <= at);
        (line, at - self.starts[line - 1] + 1)
    }

    /// A line's text, without its end.
    fn text(&self, line: usize) -> &'t str {
        let end = self.starts.get(line).map_or(self.text.len(), |&e| e - 1);
        &self.text[self.starts[line - 1]..end]
    }
}
