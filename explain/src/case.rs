//! A rejection with all that is known around it: what the families of rejections ask when they explain one.

use crate::diagnosis::{Blame, Span};
use crate::files::{Line, Lines, Texts};
use crate::names::Names;
use crate::origin::{self, Event, How, Location};
use crate::source::{self, SourceLine};
use crate::trace::Trace;
use ebpfkit_abi::ProgType;
use ebpfkit_abi::ctx::{Context, Field, context_of};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{alu, class, pseudo};
use ebpfkit_object::btf::Type;
use ebpfkit_object::{Btf, LineInfo, Map, Object, Program};
use ebpfkit_verifier::log::plain_insn_text;
use ebpfkit_verifier::{KernelModel, Reason, RegBase, RegState, Rejection};
use std::rc::Rc;

/// What is being explained.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) kernel: &'a KernelModel,
    pub(crate) object: &'a Object,
    pub(crate) program: &'a Program,
    pub(crate) rejection: &'a Rejection,
    pub(crate) trace: &'a Trace,
    pub(crate) texts: &'a Texts<'a>,
}

/// A diagnosis in the making.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// What is wrong.
    pub(crate) headline: String,
    /// The instruction that is meant, where it is another one than the rejected.
    pub(crate) at: Option<usize>,
    /// The line that is meant, where no instruction stands for it.
    pub(crate) place: Option<Span>,
    /// What is to be said of it.
    pub(crate) label: String,
    /// Other places, in any order.
    pub(crate) spans: Vec<Span>,
    /// What else matters.
    pub(crate) notes: Vec<String>,
    /// What to do, the best first.
    pub(crate) help: Vec<String>,
    /// Whose fault it is.
    pub(crate) blame: Blame,
}

impl Draft {
    /// Begins with what is wrong and what the rejected instruction does.
    pub(crate) fn new(headline: impl Into<String>, label: impl Into<String>) -> Self {
        Self { headline: headline.into(), label: label.into(), ..Self::default() }
    }

    pub(crate) fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    pub(crate) fn blame(mut self, blame: Blame) -> Self {
        self.blame = blame;
        self
    }

    pub(crate) fn at(mut self, insn: usize) -> Self {
        self.at = Some(insn);
        self
    }

    pub(crate) fn span(mut self, span: Span) -> Self {
        self.spans.push(span);
        self
    }
}

impl<'a> Case<'a> {
    /// Names of what registers point to.
    pub(crate) fn names(&self) -> Names<'a> {
        Names { kernel: self.kernel, object: self.object, maps: &self.trace.maps }
    }

    pub(crate) fn reason(&self) -> &'a Reason {
        &self.rejection.reason
    }

    /// Slot of the rejected instruction.
    pub(crate) fn at(&self) -> usize {
        self.rejection.insn
    }

    pub(crate) fn insn(&self, at: usize) -> Insn {
        self.program.insns.get(at).copied().unwrap_or_default()
    }

    /// The rejected instruction.
    pub(crate) fn here(&self) -> Insn {
        self.insn(self.at())
    }

    /// The step of the rejected instruction, or else the last one of the path.
    pub(crate) fn step(&self) -> Option<usize> {
        self.trace.last()
    }

    /// Whether the path reaches the rejected instruction.
    pub(crate) fn is_reached(&self) -> bool {
        self.step().is_some_and(|s| self.trace.steps[s].insn == self.at())
    }

    /// A register before the rejected instruction.
    pub(crate) fn reg(&self, reg: u8) -> Option<&'a RegState> {
        if !self.is_reached() {
            return None;
        }
        self.trace.reg(self.step()?, reg)
    }

    /// Events of a register's value before the rejected instruction, the last first.
    pub(crate) fn history(&self, reg: u8) -> Vec<Event> {
        if self.is_reached() { self.history_at(self.step().unwrap_or(0), Location::Reg(reg)) } else { Vec::new() }
    }

    pub(crate) fn history_at(&self, step: usize, location: Location) -> Vec<Event> {
        self.trace.histories.get(step, location, || origin::history(self.trace, &self.program.insns, step, location))
    }

    /// Slot of an event's instruction.
    pub(crate) fn event_insn(&self, event: &Event) -> usize {
        self.trace.steps.get(event.step).map_or(0, |s| s.insn)
    }

    pub(crate) fn btf(&self) -> Option<&'a Btf> {
        self.object.btf.as_deref()
    }

    /// The source line of an instruction.
    pub(crate) fn source(&self, insn: usize) -> Option<SourceLine> {
        source::line_of(self.program, self.btf()?, insn)
    }

    /// Its record.
    pub(crate) fn line_record(&self, insn: usize) -> Option<&'a LineInfo> {
        source::record_of(self.program, self.btf()?, insn)
    }

    /// The file that an instruction comes from.
    pub(crate) fn file_at(&self, insn: usize) -> Option<&'a str> {
        Some(self.btf()?.str_at(self.line_record(insn)?.file_name))
    }

    /// The source line of an access. Of a load whose place is the sign of an assignment the column is that of what is
    /// assigned.
    pub(crate) fn access_line(&self, insn: usize) -> Option<SourceLine> {
        let line = self.source(insn)?;
        let at = (line.column as usize).checked_sub(1)?;
        let rest: String = line.text.chars().skip(at).collect();
        let Some(right) = rest.strip_prefix('=').filter(|r| !r.starts_with('=')) else {
            // What a macro reads stands inside of its arguments.
            let inside = self.insn(insn).class() == class::LDX
                && !source::is_assembly(&line.file)
                && source::base_at(&line).is_none()
                && source::address_at(&line).is_none();
            let found = if inside { source::cast_access(&line) } else { None };
            return Some(found.unwrap_or(line));
        };
        if self.insn(insn).class() != class::LDX {
            return Some(line);
        }
        let column = line.column + 1 + right.chars().take_while(|c| c.is_whitespace()).count() as u32;
        Some(SourceLine { column, ..line })
    }

    /// The text of the source line of an instruction, or nothing.
    pub(crate) fn text(&self, insn: usize) -> String {
        let text = self.line_record(insn).and_then(|l| Some(self.btf()?.str_at(l.line_text)));
        text.unwrap_or_default().to_owned()
    }

    /// The place of an instruction in words: `line 12`, or `instruction 12`.
    pub(crate) fn line_of(&self, insn: usize) -> String {
        match self.line_record(insn) {
            Some(l) if l.line != 0 => format!("line {}", l.line),
            _ => format!("instruction {insn}"),
        }
    }

    /// Whether two instructions belong to the same line of source.
    pub(crate) fn same_line(&self, a: usize, b: usize) -> bool {
        let Some(btf) = self.btf() else { return a == b };
        let same_file = |x: u32, y: u32| x == y || btf.str_at(x) == btf.str_at(y);
        match (self.line_record(a), self.line_record(b)) {
            (Some(a), Some(b)) => a.line == b.line && same_file(a.file_name, b.file_name),
            _ => a == b,
        }
    }

    /// A span at an instruction.
    pub(crate) fn span(&self, insn: usize, label: impl Into<String>) -> Span {
        let label = label.into();
        match self.source(insn) {
            Some(l) => {
                let (column, end_column) = source::extent(&l);
                Span { file: l.file, line: l.line, column, end_column, text: l.text, insn: Some(insn), label }
            }
            None => Span {
                file: format!("{}:{}", self.object.name, self.program.section),
                text: self.insn_text(insn),
                insn: Some(insn),
                label,
                ..Span::default()
            },
        }
    }

    /// The text of an instruction.
    pub(crate) fn insn_text(&self, insn: usize) -> String {
        let next = self.program.insns.get(insn + 1).copied();
        let named = |i: Insn| self.callee_of(i, insn);
        self.program.insns.get(insn).map(|&i| plain_insn_text(i, next, &named)).unwrap_or_default()
    }

    /// The name of what a call calls.
    pub(crate) fn callee(&self, at: usize) -> Option<String> {
        let insn = self.insn(at);
        if insn.is_call() { self.callee_of(insn, at) } else { None }
    }

    /// The last call on the path, before the rejected instruction, of a function whose name has one of these words in it.
    pub(crate) fn last_call(&self, words: &[&str]) -> Option<usize> {
        let before = self.trace.steps[..self.step()?].iter().rev();
        before.map(|s| s.insn).find(|&at| self.callee(at).is_some_and(|c| words.iter().any(|w| c.contains(w))))
    }

    fn callee_of(&self, insn: Insn, at: usize) -> Option<String> {
        match insn.src {
            0 => ebpfkit_abi::helpers::helper_name(u32::try_from(insn.imm).ok()?).map(str::to_owned),
            pseudo::KFUNC_CALL => Some(self.kernel.btf()?.name(insn.imm as u32).to_owned()).filter(|n| !n.is_empty()),
            pseudo::CALL => self.function_at(usize::try_from(insn.function(at)?).ok()?),
            _ => None,
        }
    }

    /// The name of the function that contains or starts at a slot.
    pub(crate) fn function_at(&self, insn: usize) -> Option<String> {
        let btf = self.btf()?;
        let after = self.program.func_info.partition_point(|f| f.insn as usize <= insn);
        let info = self.program.func_info.get(after.checked_sub(1)?)?;
        Some(btf.name(info.type_id).to_owned()).filter(|n| !n.is_empty())
    }

    /// First slot of the function that contains a slot.
    pub(crate) fn function_start(&self, insn: usize) -> usize {
        let after = self.program.func_info.partition_point(|f| f.insn as usize <= insn);
        match after.checked_sub(1).and_then(|i| self.program.func_info.get(i)) {
            Some(info) => info.insn as usize,
            None => self.local_starts().into_iter().rfind(|&s| s <= insn).unwrap_or(0),
        }
    }

    /// First slots of all functions, in order.
    pub(crate) fn local_starts(&self) -> Vec<usize> {
        let called = self.program.insns.iter().enumerate().filter_map(|(at, i)| usize::try_from(i.function(at)?).ok());
        let mut starts: Vec<usize> = std::iter::once(0).chain(called).collect();
        starts.sort_unstable();
        starts.dedup();
        starts
    }

    /// Slots behind the last ones of functions.
    pub(crate) fn function_ends(&self) -> Vec<usize> {
        self.local_starts().into_iter().skip(1).chain([self.program.insns.len()]).collect()
    }

    /// The text of a file that the object was made from, if it is at hand and still the same.
    pub(crate) fn file(&self, file: &str) -> Option<Rc<Lines>> {
        self.texts.file(file)
    }

    /// The text of a line: from the object's records, or from the file itself.
    pub(crate) fn line_text(&self, file: &str, line: u32) -> Option<String> {
        let btf = self.btf()?;
        let recorded = self.program.line_info.iter().find(|l| l.line == line && btf.str_at(l.file_name) == file);
        match recorded.map(|l| btf.str_at(l.line_text)).filter(|t| !t.is_empty()) {
            Some(text) => Some(text.to_owned()),
            None => self.file(file)?.numbered(line).map(str::to_owned),
        }
    }

    /// The file that most of the program comes from.
    pub(crate) fn main_file(&self) -> Option<&'a str> {
        let start = self.function_start(self.at());
        let line = self.program.line_info.iter().find(|l| l.insn as usize >= start)?;
        Some(self.btf()?.str_at(line.file_name))
    }

    /// The line on which a function is defined: file, number and text.
    pub(crate) fn declaration(&self, name: &str) -> Option<(String, u32, String)> {
        let file = self.main_file()?;
        let lines = self.file(file)?;
        lines.heads(name).iter().find_map(|&at| {
            let t = lines.get(at)?;
            let behind = &t[source::find_word(t, name)? + name.len()..];
            behind.trim_start().starts_with(['(', ',']).then(|| (file.to_owned(), at as u32 + 1, t.to_owned()))
        })
    }

    /// A line of the main file that fits, the one nearest before a line that has a word where there are several.
    pub(crate) fn find_line(&self, fits: &dyn Fn(&str) -> bool, near: &str) -> Option<SourceLine> {
        let file = self.main_file()?;
        let lines = self.file(file)?;
        let found: Vec<usize> = lines.iter().enumerate().filter(|(_, t)| fits(t)).map(|(n, _)| n).collect();
        let end = lines.with_word(near).find(|&n| lines.get(n).is_some_and(|t| t.contains('}')));
        let at = match (found.as_slice(), end) {
            ([one], _) => *one,
            (several, Some(end)) => *several.iter().rfind(|&&n| n <= end)?,
            _ => return None,
        };
        Some(SourceLine { file: file.to_owned(), line: at as u32 + 1, column: 0, text: lines.get(at)?.to_owned() })
    }

    /// Lines of the function around a slot, as far as its records reach: numbers and texts.
    pub(crate) fn function_lines(&self, insn: usize) -> Vec<(u32, Line)> {
        let (Some(btf), Some(file)) = (self.btf(), self.main_file()) else { return Vec::new() };
        let Some(lines) = self.file(file) else { return Vec::new() };
        let start = self.function_start(insn);
        let end = self.function_ends().into_iter().find(|&e| e > start).unwrap_or(self.program.insns.len());
        let own = self
            .program
            .line_info
            .iter()
            .filter(|l| (start..end).contains(&(l.insn as usize)) && btf.str_at(l.file_name) == file);
        let numbers: Vec<u32> = own.map(|l| l.line).collect();
        let (Some(&first), Some(&last)) = (numbers.iter().min(), numbers.iter().max()) else { return Vec::new() };
        let first = self.function_at(start).and_then(|f| self.declaration(&f)).map_or(first, |d| d.1.min(first));
        // No instruction needs to stand for the lines at the end.
        let end = (last + 1..).map_while(|n| Some((n, lines.numbered(n)?))).find(|(_, t)| t.starts_with('}'));
        let last = end.map_or(last, |(n, _)| n - 1);
        let first = (first as usize).saturating_sub(1);
        (first..(last as usize).min(lines.len())).map(|n| Line::of(&lines, n)).collect()
    }

    /// Whether the program is written in Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.main_file().is_some_and(source::is_rust)
    }

    /// The last instruction of the path, before a step, whose line is in the program's own file.
    pub(crate) fn own_line_before(&self, step: usize) -> Option<usize> {
        let file = self.main_file()?;
        let mut before = self.trace.steps.iter().take(step + 1).rev().map(|s| s.insn);
        let btf = self.btf()?;
        before.find(|&at| self.line_record(at).is_some_and(|l| l.line != 0 && btf.str_at(l.file_name) == file))
    }

    /// What a pointer is called whose name is not known: by its register where the line is an instruction.
    pub(crate) fn pointer_name(&self, reg: u8) -> String {
        match self.file_at(self.at()).is_some_and(|f| !source::is_assembly(f)) {
            true => "the pointer".into(),
            false => format!("r{reg}"),
        }
    }

    /// Lines of the C function that is written around a line, its head first: numbers and texts.
    pub(crate) fn scope(&self, line: &SourceLine) -> Vec<(u32, Line)> {
        let Some(lines) = self.file(&line.file) else { return Vec::new() };
        let here = (line.line as usize).min(lines.len());
        let starts = |t: &str| t.starts_with(|c: char| c.is_alphabetic() || c == '_') && !t.trim_end().ends_with(':');
        let head = (0..here).rev().find(|&n| lines.get(n).is_some_and(starts)).unwrap_or(0);
        (head..here).map(|n| Line::of(&lines, n)).collect()
    }

    /// Whether a name can be used at a line of C: it stands before it in the same function. Without the file nothing is
    /// known, and it is taken for one.
    pub(crate) fn is_known_at(&self, line: &SourceLine, name: &str) -> bool {
        let scope = self.scope(line);
        scope.is_empty() || scope.iter().any(|(n, t)| *n < line.line && source::find_word(t, name).is_some())
    }

    /// Whether a name is in use in the function around a line, before it or behind; without the file it may be.
    pub(crate) fn is_named_around(&self, line: &SourceLine, name: &str) -> bool {
        let (Some(lines), Some(head)) = (self.file(&line.file), self.scope(line).first().map(|h| h.0)) else {
            return true;
        };
        let body = (head as usize..).map_while(|n| lines.get(n)).take_while(|t| !t.starts_with('}'));
        lines.get(head as usize - 1).into_iter().chain(body).any(|t| source::find_word(t, name).is_some())
    }

    /// Whether a variable is declared as an unsigned number, in the function around a line or at the file's own level.
    pub(crate) fn is_unsigned(&self, line: &SourceLine, name: &str) -> bool {
        let scope = self.scope(line);
        if let Some(unsigned) = scope.iter().rev().find_map(|(_, t)| source::declared_unsigned(t, name)) {
            return unsigned;
        }
        let Some(lines) = self.file(&line.file) else { return false };
        let mut named = lines.with_word(name).filter_map(|n| lines.get(n));
        named.any(|t| !t.starts_with(char::is_whitespace) && source::declares_unsigned(t, name))
    }

    /// Whether a variable is declared as a signed number in the function around a line.
    pub(crate) fn is_signed(&self, line: &SourceLine, name: &str) -> bool {
        let scope = self.scope(line);
        scope.iter().rev().find_map(|(_, t)| source::declared_unsigned(t, name)) == Some(false)
    }

    /// Whether the program's own text has a word, comments aside.
    pub(crate) fn uses_word(&self, word: &str) -> bool {
        let lines = self.main_file().and_then(|f| self.file(f));
        lines.is_some_and(|l| l.with_word(word).filter_map(|n| l.get(n)).any(|t| source::has_word(t, word)))
    }

    /// The value of a name that the file defines as a plain number.
    pub(crate) fn constant(&self, name: &str) -> Option<i64> {
        let lines = self.file(self.main_file()?)?;
        let named = lines.with_word(name).filter_map(|n| lines.get(n));
        let mut values = named.filter_map(|t| {
            let rest = t.trim_start().strip_prefix("#define")?.trim_start().strip_prefix(name)?;
            let value = rest.trim().trim_matches(['(', ')']).trim_end_matches(['U', 'L', 'u', 'l']);
            match value.strip_prefix("0x") {
                Some(hex) => i64::from_str_radix(hex, 16).ok(),
                None => value.parse().ok(),
            }
        });
        values.next()
    }

    /// The one `return` of the function around a slot that returns a constant.
    pub(crate) fn return_line(&self, insn: usize, value: i32) -> Option<(String, u32, String)> {
        let file = self.main_file()?;
        let statement = format!("return {value};");
        let lines = self.function_lines(insn);
        let found: Vec<_> = lines.into_iter().filter(|(_, t)| t.trim() == statement).collect();
        match found.as_slice() {
            [(n, t)] => Some((file.to_owned(), *n, t.to_string())),
            _ => None,
        }
    }

    /// A span at a line that no instruction needs to stand for.
    pub(crate) fn span_at(&self, file: &str, line: u32, label: impl Into<String>) -> Option<Span> {
        let text = self.line_text(file, line)?;
        Some(Span { file: file.to_owned(), line, text, label: label.into(), ..Span::default() })
    }

    /// The names and types of the parameters of the function that starts at a slot.
    pub(crate) fn params(&self, start: usize) -> Vec<(String, u32)> {
        let Some(btf) = self.btf() else { return Vec::new() };
        let Some(info) = self.program.func_info.iter().find(|f| f.insn as usize == start) else { return Vec::new() };
        let Some(Type::Func { proto, .. }) = btf.get(info.type_id) else { return Vec::new() };
        btf.params(proto).map(|p| (p.name.to_owned(), p.ty)).collect()
    }

    /// The map of a register: by its number in the verification.
    pub(crate) fn map(&self, reg: &RegState) -> Option<&'a Map> {
        self.names().map(reg)
    }

    /// The name of the struct of a typed pointer.
    pub(crate) fn struct_name(&self, reg: &RegState) -> Option<String> {
        self.names().struct_name(reg)
    }

    /// The member of a struct of the kernel at a byte offset: `struct.member`, through members of structs.
    pub(crate) fn member_at(&self, reg: &RegState, off: i64) -> Option<String> {
        let (origin, id) = reg.btf()?;
        member_path(self.names().types(origin)?, id, u32::try_from(off).ok()?, 0)
    }

    /// The field of the context at a byte offset.
    pub(crate) fn ctx_field(&self, off: i64) -> Option<&'static Field> {
        match context_of(self.program.prog_type)? {
            Context::Fields { layout, .. } => layout.at(u16::try_from(off).ok()?),
            Context::Plain { .. } => None,
        }
    }

    /// What a value is called in the source, where the line that made it says so.
    pub(crate) fn name(&self, history: &[Event]) -> Option<String> {
        for event in history {
            let insn = self.event_insn(event);
            let text = self.text(insn);
            let made_by = match event.how {
                How::Result => self.callee(insn),
                How::Returned => self.callee(insn),
                How::Loaded { base } => {
                    let base = self.trace.reg(event.step, base)?;
                    let off = i64::from(self.insn(insn).off) + i64::from(base.off);
                    match base.ty.base {
                        RegBase::Ctx => match self.ctx_field(off) {
                            Some(field) => Some(field.name.to_owned()),
                            // The member that the line names at its column, after an arrow.
                            None => self.source(insn).and_then(|l| {
                                let word = source::word_at(&l)?;
                                l.text.contains(&format!("->{word}")).then_some(word)
                            }),
                        },
                        RegBase::BtfId => self.member_at(base, off),
                        // The member that the line names at its column.
                        _ => self.source(insn).and_then(|l| source::word_at(&l)),
                    }
                }
                How::Passed | How::Entry | How::CallbackArgument => {
                    let Location::Reg(r @ 1..=5) = event.location else { return None };
                    let depth_start = self.trace.steps.get(event.step + usize::from(event.how != How::Entry))?.insn;
                    let params = self.params(self.function_start(depth_start));
                    return params.get(usize::from(r) - 1).map(|p| p.0.clone()).filter(|n| !n.is_empty());
                }
                _ => None,
            };
            if let Some(made_by) = made_by {
                return source::assigned(&text, &made_by).or_else(|| self.compared(history));
            }
        }
        self.compared(history)
    }

    /// What a number is called where it is compared with a constant, if that is plain.
    fn compared(&self, history: &[Event]) -> Option<String> {
        // Shifts extend the sign or scale an index, and change nothing of what is meant.
        let shifts = [alu::LSH, alu::RSH, alu::ARSH];
        let changes = |e: &Event| match e.how {
            How::Computed { op, with: None, .. } => !shifts.contains(&op),
            How::Computed { .. } => true,
            How::Narrow { bits } => bits < 32,
            _ => false,
        };
        let changed = history.iter().position(changes);
        let bounded = history.iter().take(changed.unwrap_or(history.len())).filter(|e| e.how == How::Bounded);
        bounded.into_iter().find_map(|e| {
            let at = self.event_insn(e);
            let insn = self.insn(at);
            let line = self.source(at).filter(|_| !insn.is_src_reg())?;
            source::compared(&line, insn.imm)
        })
    }
}

/// The path of members that leads to a byte of a struct.
fn member_path(btf: &Btf, id: u32, off: u32, depth: u32) -> Option<String> {
    if depth > 8 {
        return None;
    }
    let id = btf.resolve(id);
    let member = btf.members(id).filter(|m| m.bit_offset / 8 <= off).last()?;
    let inner = btf.resolve(member.ty);
    let rest = off - member.bit_offset / 8;
    let below = matches!(btf.get(inner), Some(Type::Struct(_) | Type::Union(_)))
        .then(|| member_path(btf, inner, rest, depth + 1))
        .flatten();
    match (member.name, below) {
        ("", below) => below,
        (name, Some(below)) => Some(format!("{name}.{below}")),
        (name, None) => Some(name.to_owned()),
    }
}

/// Bytes of stack that the function around a slot uses, as far as its code and the path show.
pub(crate) fn stack_used(case: &Case<'_>, at: usize) -> usize {
    let start = case.function_start(at);
    let end = case.function_ends().into_iter().find(|&e| e > start).unwrap_or(case.program.insns.len());
    let direct = (start..end).filter_map(|i| {
        let insn = case.insn(i);
        (insn.memory_base() == Some(10)).then(|| usize::from(insn.off.unsigned_abs()))
    });
    let by_path = case.trace.steps.iter().filter(|s| s.insn >= start && s.insn < end);
    let by_path = by_path.filter_map(|s| s.frame.as_ref()).map(|f| f.stack.allocated());
    direct.chain(by_path).max().unwrap_or(0)
}

/// A value that the program may return where it gives up.
pub(crate) fn exit_value(case: &Case<'_>, step: usize) -> i32 {
    let nested = case.trace.steps.get(step).is_some_and(|s| s.depth > 0) || case.trace.start != 0;
    if nested {
        return 0;
    }
    match case.program.prog_type {
        ProgType::Xdp => 2,
        ProgType::SkSkb | ProgType::SkMsg | ProgType::SkLookup | ProgType::SkReuseport => 1,
        ProgType::CgroupSkb
        | ProgType::CgroupSock
        | ProgType::CgroupSockAddr
        | ProgType::CgroupDevice
        | ProgType::CgroupSysctl
        | ProgType::CgroupSockopt => 1,
        ProgType::Netfilter => 1,
        _ => 0,
    }
}

/// The statement that returns what [`exit_value`] does.
pub(crate) fn exit_text(case: &Case<'_>, step: usize) -> String {
    let value = exit_value(case, step);
    let nested = case.trace.steps.get(step).is_some_and(|s| s.depth > 0) || case.trace.start != 0;
    let named = if nested { None } else { ebpfkit_abi::retval_name(case.program.prog_type, value as u32) };
    // Names that the program's headers may not have are only used where it uses them itself.
    let named = named.filter(|n| n.starts_with("XDP_") || case.uses_word(n));
    format!("return {};", named.map_or_else(|| value.to_string(), str::to_owned))
}
