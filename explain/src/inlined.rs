//! Where inlined functions are called: what a programmer wrote stands there, while line records name the function's own
//! lines.
//!
//! Debugging information says it where the object still has it. Otherwise only what is certain is said: a line that
//! belongs to another function, which the source at hand names, and that function's only call; or a line of another file
//! between instructions of one and the same line.

use crate::case::Case;
use crate::files::Lines;
use crate::source::{self, SourceLine};
use ebpfkit_object::LineInfo;
use std::ops::RangeInclusive;
use std::rc::Rc;

/// Calls that are shown of one place.
const MOST: usize = 4;

/// A call that was inlined.
pub(crate) struct Call {
    /// The function.
    pub(crate) name: Option<String>,
    /// Where it is called.
    pub(crate) line: SourceLine,
}

/// Finds the calls around instructions of one program.
pub(crate) struct Calls<'c, 'a> {
    case: &'c Case<'a>,
    /// The functions that were asked about, by their first slots.
    functions: Vec<(usize, Option<Function<'a>>)>,
}

/// A function as it was compiled, with what was inlined into it.
struct Function<'a> {
    /// Its line records.
    records: Vec<&'a LineInfo>,
    /// The file that it is in.
    main: &'a str,
    /// The lines of that.
    lines: Option<Rc<Lines>>,
    /// Those of its own definition.
    body: Option<RangeInclusive<u32>>,
}

impl<'c, 'a> Calls<'c, 'a> {
    pub(crate) fn new(case: &'c Case<'a>) -> Self {
        Self { case, functions: Vec::new() }
    }

    /// The calls around an instruction, the innermost first.
    pub(crate) fn around(&mut self, insn: usize) -> Vec<Call> {
        let case = self.case;
        let known = case.object.inlined_at(case.program, insn);
        if known.is_empty() {
            return self.by_lines(insn).into_iter().collect();
        }
        let call = |i: &ebpfkit_object::dwarf::Inlined| {
            let file = recorded_name(case, &i.file);
            let text = case.line_text(&file, i.line).unwrap_or_default();
            let name = Some(plain(&i.name)).filter(|n| !n.is_empty());
            Call { name, line: SourceLine { file, line: i.line, column: i.column, text } }
        };
        known.into_iter().take(MOST).map(call).filter(|c| c.line.line != 0).collect()
    }

    /// The call by lines and texts alone.
    fn by_lines(&mut self, insn: usize) -> Option<Call> {
        let case = self.case;
        let (here, file) = (case.line_record(insn)?, case.file_at(insn)?);
        let start = case.function_start(insn);
        let known = match self.functions.iter().position(|(s, _)| *s == start) {
            Some(known) => known,
            None => {
                self.functions.push((start, function(case, start)));
                self.functions.len() - 1
            }
        };
        let Function { records, main, lines, body } = self.functions[known].1.as_ref()?;
        if file == *main {
            // Another function of the same file: only the source says where it ends.
            let (lines, body) = (lines.as_ref()?, body.as_ref()?);
            if body.contains(&here.line) {
                return None;
            }
            let callee = function_around(lines, here.line)?;
            return only_call(lines, body, &callee, main);
        }
        // A header, or another module: its function's name if the file is at hand and it is called once.
        if let (Some(lines), Some(body)) = (lines, body)
            && let Some(other) = case.file(file)
            && let Some(callee) = function_around(&other, here.line)
            && let Some(call) = only_call(lines, body, &callee, main)
        {
            return Some(call);
        }
        let btf = case.btf()?;
        let at = records.partition_point(|l| l.insn as usize <= insn);
        let is_main = |l: &&&LineInfo| btf.str_at(l.file_name) == *main;
        let before = records[..at].iter().rev().find(is_main)?;
        let after = records[at..].iter().find(is_main)?;
        let line = source::line_of(case.program, btf, before.insn as usize)?;
        (before.line == after.line).then_some(Call { name: None, line })
    }
}

/// The function that starts at a slot.
fn function<'a>(case: &Case<'a>, start: usize) -> Option<Function<'a>> {
    let end = case.function_ends().into_iter().find(|&e| e > start).unwrap_or(case.program.insns.len());
    let own = |l: &&LineInfo| (start..end).contains(&(l.insn as usize));
    let records: Vec<&LineInfo> = case.program.line_info.iter().filter(own).collect();
    let main = case.btf()?.str_at(records.first()?.file_name);
    let name = case.function_at(start)?;
    let lines = case.file(main);
    let body = lines.as_ref().and_then(|l| body(l, &name));
    Some(Function { records, main, lines, body })
}

/// A name without what compilers put around it (`{impl#0}`, hashes).
fn plain(name: &str) -> String {
    name.split("::<").next().unwrap_or(name).to_owned()
}

/// The name by which line records know a file.
fn recorded_name(case: &Case<'_>, file: &str) -> String {
    let Some(btf) = case.btf() else { return file.to_owned() };
    let names = || case.program.line_info.iter().map(|l| btf.str_at(l.file_name));
    let ends = |n: &str| n.ends_with(&format!("/{file}")) || file.ends_with(&format!("/{n}"));
    let found = names().find(|n| *n == file).or_else(|| names().find(|n| ends(n)));
    found.unwrap_or(file).to_owned()
}

/// Lines of a function's definition, from its head to its closing brace at the start of a line.
fn body(lines: &Lines, function: &str) -> Option<RangeInclusive<u32>> {
    let head = lines.heads(function).iter().copied().find(|&n| lines.get(n).is_some_and(|t| is_head(t, function)))?;
    let end = (head..lines.len()).find(|&n| lines.get(n).is_some_and(|t| t.starts_with('}')))?;
    Some(head as u32 + 1..=end as u32 + 1)
}

/// Whether a line begins the definition of a function.
fn is_head(text: &str, function: &str) -> bool {
    let starts = !text.starts_with([' ', '\t', '#', '/', '*', '}']);
    let called =
        source::find_word(text, function).is_some_and(|at| text[at + function.len()..].trim_start().starts_with('('));
    starts && called && !text.trim_end().ends_with(';')
}

/// The function whose definition a line is in.
fn function_around(lines: &Lines, line: u32) -> Option<String> {
    let is_head = |t: &str| {
        t.starts_with(|c: char| c.is_alphabetic() || c == '_') && t.contains('(') && !t.trim_end().ends_with(';')
    };
    let before = (line as usize <= lines.len()).then_some(0..line as usize)?;
    let text = before.rev().filter_map(|n| lines.get(n)).find(|t| is_head(t))?;
    let name = source::last_word(&text[..text.find('(')?])?;
    body(lines, &name).filter(|b| b.contains(&line)).map(|_| name)
}

/// The one line of a range that calls a function.
fn only_call(lines: &Lines, range: &RangeInclusive<u32>, callee: &str, file: &str) -> Option<Call> {
    let mut found = range.clone().skip(1).filter_map(|n| {
        let text = lines.numbered(n)?;
        let at = source::find_word(text, callee)?;
        text[at + callee.len()..].trim_start().starts_with('(').then(|| {
            let column = text[..at].chars().count() as u32 + 1;
            SourceLine { file: file.to_owned(), line: n, column, text: text.to_owned() }
        })
    });
    let line = found.next()?;
    found.next().is_none().then(|| Call { name: Some(callee.to_owned()), line })
}
