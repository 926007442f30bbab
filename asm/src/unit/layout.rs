//! Where everything of a text is: functions, labels and instructions.

use super::directive::{Directive, is_data};
use super::labels::{Found, Labels};
use super::{Item, Unit};
use crate::error::{Problem, Problems};
use crate::text::declare::{FunctionDecl, Part};
use crate::text::statement::{At, Callee, Draft, Target, Wide};
use ebpfkit_isa::Op;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::ops::Range;

/// Section of code that is in none: a program of the simplest type.
pub(crate) const DEFAULT_SECTION: &str = "socket";
/// Section of functions that programs call.
pub(crate) const TEXT: &str = ".text";

/// A function.
#[derive(Clone, Debug)]
pub(crate) struct Function<'t> {
    pub name: String,
    /// Where it begins in the text.
    pub span: Range<usize>,
    /// Where it stands in the object.
    pub section: &'t str,
    pub global: bool,
    /// As declared by `.func`.
    pub decl: Option<FunctionDecl<'t>>,
    /// First slot, counted through the whole text.
    pub start: usize,
}

/// An instruction with its place.
#[derive(Clone, Debug)]
pub(crate) struct Positioned<'t> {
    pub draft: Draft<'t>,
    pub span: Range<usize>,
    /// Slot, counted through the whole text.
    pub slot: usize,
    pub function: usize,
}

/// A text with every place known.
pub(crate) struct Layout<'t> {
    pub functions: Vec<Function<'t>>,
    /// The first function of each name.
    by_name: FxHashMap<String, usize>,
    pub labels: Labels<'t>,
    pub insns: Vec<Positioned<'t>>,
    /// Directives that stand for something in the object, with the section they are in.
    pub directives: Vec<(Directive<'t>, Range<usize>, &'t str)>,
    /// Labels of data: the section, and how many directives came before.
    pub data_labels: Vec<(At<&'t str>, &'t str, usize)>,
    /// Constants by name.
    pub constants: FxHashMap<&'t str, i128>,
    pub problems: Problems,
}

/// What begins a function besides `.func`.
#[derive(Default)]
struct Beginnings<'t> {
    /// Labels that are called, or whose address is taken.
    called: BTreeSet<&'t str>,
    global: BTreeSet<&'t str>,
    declared: BTreeSet<&'t str>,
    /// Slots that are called by their distance.
    slots: BTreeSet<i128>,
}

impl<'t> Beginnings<'t> {
    fn find(items: &[Item<'t>]) -> Self {
        let mut found = Self::default();
        let mut slot = 0i128;
        for item in items {
            match item {
                Item::Directive(Directive::Global(name), _) => {
                    found.global.insert(name.value);
                }
                Item::Directive(Directive::IsFunction(name), _) => {
                    found.declared.insert(name.value);
                }
                Item::Insn(draft, _) => {
                    let target = match draft {
                        Draft::Call(At { value: Callee::Name(n), .. }) => Some(&Target::Label(n)),
                        Draft::Call(At { value: Callee::Local(to), .. }) => Some(to),
                        Draft::Wide(_, At { value: Wide::Function(to), .. }) => Some(to),
                        Draft::Wide(_, At { value: Wide::Symbol(n, 0), .. }) => Some(&Target::Label(n)),
                        _ => None,
                    };
                    let relative;
                    let target = match draft {
                        // As for the resolver, a negative number is a distance.
                        Draft::Call(At { value: Callee::Helper(n), .. }) if *n < 0 => {
                            relative = Target::Distance(*n);
                            Some(&relative)
                        }
                        _ => target,
                    };
                    match target {
                        Some(Target::Label(name)) => {
                            found.called.insert(name);
                        }
                        // A call of itself begins nothing: it waits for a relocation.
                        Some(Target::Distance(n)) if *n != -1 => {
                            found.slots.insert(slot + 1 + n);
                        }
                        _ => {}
                    }
                    slot += draft.slots() as i128;
                }
                _ => {}
            }
        }
        found
    }
}

struct Walk<'t> {
    out: Layout<'t>,
    begin: Beginnings<'t>,
    section: &'t str,
    function: Option<usize>,
    slot: usize,
    /// Functions without a name that were given one with a number.
    unnamed: usize,
}

impl<'t> Layout<'t> {
    pub(crate) fn new(unit: Unit<'t>) -> Self {
        let begin = Beginnings::find(&unit.items);
        let out = Self {
            functions: Vec::new(),
            by_name: FxHashMap::default(),
            labels: Labels::default(),
            insns: Vec::new(),
            directives: Vec::new(),
            data_labels: Vec::new(),
            constants: unit.constants,
            problems: unit.problems,
        };
        let mut walk = Walk { out, begin, section: DEFAULT_SECTION, function: None, slot: 0, unnamed: 0 };
        for item in unit.items {
            walk.item(item);
        }
        let mut out = walk.out;
        // As in the conformance suite, the first `exit` is a label of its own name.
        let exit = out.insns.iter().find(|i| i.draft == Draft::Op(Op::Exit)).map(|i| (i.function, i.slot));
        if let (Some((function, slot)), Found::Missing) = (exit, out.labels.find("exit", 0)) {
            out.labels.add("exit", function, slot);
        }
        out
    }

    /// The first function of a name.
    pub(crate) fn function(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The function that begins at a slot.
    pub(crate) fn function_at(&self, slot: usize) -> Option<usize> {
        let first = self.functions.partition_point(|f| f.start < slot);
        self.functions.get(first).filter(|f| f.start == slot).map(|_| first)
    }

    pub(crate) fn problem(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.problems.push(Problem { span, message: message.into(), help });
    }
}

impl<'t> Walk<'t> {
    fn item(&mut self, item: Item<'t>) {
        match item {
            Item::Directive(Directive::Section(name), _) => {
                self.section = name;
                self.function = None;
            }
            Item::Directive(Directive::Function(decl), span) => self.declared(decl, span),
            Item::Directive(directive, span) => self.out.directives.push((directive, span, self.section)),
            Item::Label(name) if is_data(self.section) => {
                let before = self.out.directives.len();
                self.out.data_labels.push((name, self.section, before));
            }
            Item::Label(name) => self.label(name),
            Item::Numbered(number) => self.out.labels.add_numbered(number, self.slot),
            Item::Insn(draft, span) => self.insn(draft, span),
        }
    }

    /// `.func`
    fn declared(&mut self, decl: FunctionDecl<'t>, span: Range<usize>) {
        let before = decl.declarator.parts.split_last().map_or(&[][..], |l| l.1);
        let words = |expected: &str| before.iter().any(|p| p.value == Part::Word(expected));
        let (fixed, shared) = (words("static"), words("global"));
        let last = decl.declarator.parts.last().cloned();
        let Some(At { value: Part::Word(name), span: at }) = last else {
            return self.out.problem(span, "expected the name of a function", None);
        };
        if is_data(self.section) {
            let help = Some("`.section NAME` or `.text` begins code again".into());
            return self.out.problem(at, format!("section {} holds data", self.section), help);
        }
        // What is called by its distance, or in a listing by its name, is no program.
        let called = self.begin.slots.contains(&(self.slot as i128));
        let global = shared || self.begin.global.contains(name) || (!fixed && !called && self.section != TEXT);
        self.begin(name, at.clone(), global, Some(decl));
        self.name(name, at);
    }

    fn begin(&mut self, name: &str, span: Range<usize>, global: bool, decl: Option<FunctionDecl<'t>>) {
        if self.out.function(name).is_some() {
            self.out.problem(span.clone(), format!("function `{name}` is defined twice"), None);
        }
        // Only programs are sought outside of `.text`.
        let section = if global { self.section } else { TEXT };
        self.function = Some(self.out.functions.len());
        let name = name.to_owned();
        self.out.by_name.entry(name.clone()).or_insert(self.out.functions.len());
        self.out.functions.push(Function { name, span, section, global, decl, start: self.slot });
    }

    /// Adds a label at the current place.
    fn name(&mut self, name: &'t str, span: Range<usize>) {
        let function = self.function.unwrap_or(self.out.functions.len());
        if !self.out.labels.add(name, function, self.slot) {
            self.out.problem(span, format!("label `{name}` is defined twice"), None);
        }
    }

    fn label(&mut self, name: At<&'t str>) {
        if let Some(f) = self.function.map(|f| &self.out.functions[f])
            && f.name == name.value
            && f.start == self.slot
        {
            // `.func f` followed by `f:`.
            return;
        }
        let b = &self.begin;
        let (global, called) = (b.global.contains(name.value), b.called.contains(name.value));
        let first = self.function.is_none();
        if global || called || b.declared.contains(name.value) || first {
            let program = first && !called && self.section != TEXT;
            self.begin(name.value, name.span.clone(), global || program, None);
        }
        self.name(name.value, name.span);
    }

    fn insn(&mut self, draft: Draft<'t>, span: Range<usize>) {
        if is_data(self.section) {
            let help = Some("`.section NAME` or `.text` begins code again".into());
            return self.out.problem(span, format!("section {} holds data", self.section), help);
        }
        if self.function.is_none() {
            let mut name = "main".to_owned();
            while self.out.function(&name).is_some() {
                self.unnamed += 1;
                name = format!("main_{}", self.unnamed + 1);
            }
            self.begin(&name, span.clone(), self.section != TEXT, None);
        } else if self.begin.slots.contains(&(self.slot as i128))
            && self.function.is_some_and(|f| self.out.functions[f].start != self.slot)
        {
            self.begin(&format!("func_{}", self.slot), span.clone(), false, None);
        }
        let function = self.function.unwrap_or(0);
        let slots = draft.slots();
        self.out.insns.push(Positioned { draft, span, slot: self.slot, function });
        self.slot += slots;
    }
}
