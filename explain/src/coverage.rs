//! Coverage: which lines, branches and instructions of a program were executed, and how often.

use crate::functions;
use crate::source::line_of;
use crate::xml;
use ebpfkit_object::counts::Counts;
use ebpfkit_object::{Object, Program};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

/// A conditional jump of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// How often it jumped.
    pub jumped: u64,
    /// How often it went on to the next instruction.
    pub went_on: u64,
}

/// A line of source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The text, as the object has it.
    pub text: String,
    /// How often the line was executed: as often as that of its instructions that was executed most.
    pub hits: u64,
    /// Its instructions.
    pub insns: usize,
    /// How many of them were executed at all.
    pub executed_insns: usize,
    /// Its conditional jumps, in the order of the code.
    pub branches: Vec<Branch>,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its first line.
    pub line: u32,
    /// How often it was entered.
    pub hits: u64,
}

/// A file of source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Lines with instructions, by number.
    pub lines: BTreeMap<u32, Line>,
    /// Functions, by their names in the object.
    pub functions: Vec<Function>,
}

/// Coverage by file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Files by name; instructions without a line stand under the name of their program, by slot.
    pub files: BTreeMap<String, File>,
}

/// How much there is of something, and how much of it was executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// All.
    pub all: usize,
    /// What was executed.
    pub hit: usize,
}

impl Share {
    fn add(&mut self, hit: bool) {
        self.all += 1;
        self.hit += usize::from(hit);
    }

    /// From 0 to 1; 1 of nothing.
    pub fn rate(self) -> f64 {
        if self.all == 0 { 1.0 } else { self.hit as f64 / self.all as f64 }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} ({:.1}%)", self.hit, self.all, self.rate() * 100.0)
    }
}

/// Sums over lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines with instructions.
    pub lines: Share,
    /// Both ways of conditional jumps.
    pub branches: Share,
    /// Instructions.
    pub insns: Share,
    /// Functions.
    pub functions: Share,
}

impl Coverage {
    /// The coverage of programs of one object; those that never ran are there too.
    pub fn of(object: &Object, programs: &[&Program], counts: &Counts) -> Self {
        let mut this = Self::default();
        for program in programs {
            this.add_program(object, program, counts);
        }
        this
    }

    fn add_program(&mut self, object: &Object, program: &Program, counts: &Counts) {
        let ran = counts.of(&program.name);
        let (executed, jumped) = ran.map_or((&[][..], &[][..]), |c| (&c.executed, &c.jumped));
        let count = |counts: &[u64], slot: usize| counts.get(slot).copied().unwrap_or(0);
        // Each program counts its lines by itself, as the same function may stand in several of them.
        let mut lines: HashMap<(String, u32), Line> = HashMap::new();
        let source = |slot: usize| {
            let line = object.btf.as_deref().and_then(|btf| line_of(program, btf, slot));
            line.map_or_else(
                || (format!("{} (instructions)", program.name), slot as u32, String::new()),
                |l| (l.file, l.line, l.text),
            )
        };
        let mut slot = 0;
        while slot < program.insns.len() {
            let insn = program.insns[slot];
            let (file, number, text) = source(slot);
            let line = lines.entry((file, number)).or_insert_with(|| Line { text, ..Line::default() });
            let (hits, flow) = (count(executed, slot), insn.successors(slot));
            line.hits = line.hits.max(hits);
            line.insns += 1;
            line.executed_insns += usize::from(hits > 0);
            if flow.fallthrough.is_some() && flow.jump.is_some() {
                let jumped = count(jumped, slot);
                line.branches.push(Branch { jumped, went_on: hits.saturating_sub(jumped) });
            }
            slot += insn.slots();
        }
        for (start, name) in functions::functions(object, program) {
            let (file, line, _) = source(start);
            let hits = count(executed, start);
            self.files.entry(file).or_default().add_function(Function { name, line, hits });
        }
        for ((file, number), line) in lines {
            self.files.entry(file).or_default().add_line(number, line);
        }
    }

    /// Gives files other names, where there is a better one.
    pub fn rename(&mut self, name: &dyn Fn(&str) -> Option<String>) {
        for (old, file) in std::mem::take(&mut self.files) {
            let new = name(&old).unwrap_or(old);
            self.add(Self { files: BTreeMap::from([(new, file)]) });
        }
    }

    /// Adds what another run, or another object, has executed.
    pub fn add(&mut self, other: Self) {
        for (name, file) in other.files {
            let own = self.files.entry(name).or_default();
            for function in file.functions {
                own.add_function(function);
            }
            for (number, line) in file.lines {
                own.add_line(number, line);
            }
        }
    }

    /// The sums over all files.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for file in self.files.values() {
            file.add_to(&mut totals);
        }
        totals
    }
}

impl File {
    fn add_function(&mut self, function: Function) {
        match self.functions.iter_mut().find(|f| f.name == function.name && f.line == function.line) {
            Some(known) => known.hits += function.hits,
            None => self.functions.push(function),
        }
    }

    fn add_line(&mut self, number: u32, line: Line) {
        let known = self.lines.entry(number).or_default();
        if known.text.is_empty() {
            known.text = line.text;
        }
        known.hits += line.hits;
        known.insns = known.insns.max(line.insns);
        known.executed_insns = known.executed_insns.max(line.executed_insns);
        if known.branches.len() == line.branches.len() {
            for (known, branch) in known.branches.iter_mut().zip(line.branches) {
                known.jumped += branch.jumped;
                known.went_on += branch.went_on;
            }
        } else {
            // The same line was compiled in another way elsewhere.
            known.branches.extend(line.branches);
        }
    }

    fn add_to(&self, totals: &mut Totals) {
        for line in self.lines.values() {
            totals.lines.add(line.hits > 0);
            totals.insns.all += line.insns;
            totals.insns.hit += line.executed_insns;
            for branch in &line.branches {
                totals.branches.add(branch.jumped > 0);
                totals.branches.add(branch.went_on > 0);
            }
        }
        for function in &self.functions {
            totals.functions.add(function.hits > 0);
        }
    }
}

/// The lines beside how often each was executed. `source` gives a file's text where it can be read; otherwise only the
/// lines that have instructions are there.
pub fn text(coverage: &Coverage, source: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    for (name, file) in &coverage.files {
        let _ = writeln!(out, "{name}");
        let read = source(name).filter(|text| agrees(text, file));
        match &read {
            Some(text) => {
                for (number, text) in (1..).zip(text.lines()) {
                    write_line(&mut out, number, text, file.lines.get(&number));
                }
            }
            None => {
                for (number, line) in &file.lines {
                    write_line(&mut out, *number, &line.text, Some(line));
                }
            }
        }
        out.push('\n');
    }
    let totals = coverage.totals();
    let _ = writeln!(out, "lines         {}", totals.lines);
    let _ = writeln!(out, "branches      {}", totals.branches);
    let _ = writeln!(out, "instructions  {}", totals.insns);
    let _ = writeln!(out, "functions     {}", totals.functions);
    out
}

/// Whether a text is the one that was compiled: the lines that the object knows are the same.
fn agrees(text: &str, file: &File) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    file.lines.iter().all(|(number, line)| {
        let read = (*number as usize).checked_sub(1).and_then(|at| lines.get(at));
        line.text.is_empty() || read.is_some_and(|read| read.trim() == line.text.trim())
    })
}

/// Branches of a line that are told of one by one; loops that were unrolled have many.
const MAX_BRANCHES: usize = 4;

fn write_line(out: &mut String, number: u32, text: &str, line: Option<&Line>) {
    let count = match line {
        None => String::new(),
        Some(line) if line.hits == 0 => "#####".into(),
        // Some of the line's instructions were never reached.
        Some(line) if line.executed_insns < line.insns => format!("{}*", line.hits),
        Some(line) => line.hits.to_string(),
    };
    let _ = write!(out, "{count:>10} {number:5} | {}", text.trim_end());
    let branches = line.map_or(&[][..], |l| &l.branches);
    let open: Vec<String> = branches
        .iter()
        .enumerate()
        .filter(|(_, b)| b.jumped + b.went_on > 0 && (b.jumped == 0 || b.went_on == 0))
        .map(|(n, b)| format!("branch {} always {}", n + 1, if b.jumped == 0 { "goes on" } else { "jumps" }))
        .collect();
    if open.len() > MAX_BRANCHES {
        let _ = write!(out, "    <- {} of {} branches always go one way", open.len(), branches.len());
    } else if !open.is_empty() {
        let _ = write!(out, "    <- {}", open.join(", "));
    }
    out.push('\n');
}

/// The tracefile format of lcov, which genhtml and most services read.
pub fn lcov(coverage: &Coverage) -> String {
    let mut out = String::new();
    for (name, file) in &coverage.files {
        let mut totals = Totals::default();
        file.add_to(&mut totals);
        let _ = writeln!(out, "TN:\nSF:{name}");
        for f in &file.functions {
            let _ = writeln!(out, "FN:{},{}", f.line, f.name);
        }
        for f in &file.functions {
            let _ = writeln!(out, "FNDA:{},{}", f.hits, f.name);
        }
        let _ = writeln!(out, "FNF:{}\nFNH:{}", totals.functions.all, totals.functions.hit);
        for (number, line) in &file.lines {
            for (n, branch) in line.branches.iter().enumerate() {
                for (way, count) in [branch.went_on, branch.jumped].into_iter().enumerate() {
                    // A jump that was never reached is told apart from one that always went the other way.
                    let reached = branch.went_on + branch.jumped > 0;
                    let count = if reached { count.to_string() } else { "-".into() };
                    let _ = writeln!(out, "BRDA:{number},{n},{way},{count}");
                }
            }
        }
        let _ = writeln!(out, "BRF:{}\nBRH:{}", totals.branches.all, totals.branches.hit);
        for (number, line) in &file.lines {
            let _ = writeln!(out, "DA:{number},{}", line.hits);
        }
        let _ = writeln!(out, "LF:{}\nLH:{}\nend_of_record", totals.lines.all, totals.lines.hit);
    }
    out
}

/// Cobertura's XML (coverage-04.dtd).
pub fn cobertura(coverage: &Coverage) -> String {
    let totals = coverage.totals();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.push_str("<!DOCTYPE coverage SYSTEM \"http://cobertura.sourceforge.net/xml/coverage-04.dtd\">\n");
    let rates = |t: &Totals| {
        format!("line-rate=\"{:.4}\" branch-rate=\"{:.4}\" complexity=\"0\"", t.lines.rate(), t.branches.rate())
    };
    let _ = writeln!(
        out,
        "<coverage {} lines-covered=\"{}\" lines-valid=\"{}\" branches-covered=\"{}\" branches-valid=\"{}\" \
         version=\"1\" timestamp=\"0\">",
        rates(&totals),
        totals.lines.hit,
        totals.lines.all,
        totals.branches.hit,
        totals.branches.all
    );
    let _ =
        writeln!(out, "<sources><source>.</source></sources>\n<packages>\n<package name=\"bpf\" {}>", rates(&totals));
    out.push_str("<classes>\n");
    for (name, file) in &coverage.files {
        let mut totals = Totals::default();
        file.add_to(&mut totals);
        let name = xml::text(name);
        let _ = writeln!(out, "<class name=\"{name}\" filename=\"{name}\" {}>", rates(&totals));
        out.push_str("<methods>\n");
        for f in &file.functions {
            let rate = if f.hits > 0 { "1" } else { "0" };
            let _ = writeln!(
                out,
                "<method name=\"{}\" signature=\"\" line-rate=\"{rate}\" branch-rate=\"{rate}\"><lines><line \
                 number=\"{}\" hits=\"{}\"/></lines></method>",
                xml::text(&f.name),
                f.line,
                f.hits
            );
        }
        out.push_str("</methods>\n<lines>\n");
        for (number, line) in &file.lines {
            let mut share = Share::default();
            for branch in &line.branches {
                share.add(branch.went_on > 0);
                share.add(branch.jumped > 0);
            }
            let branch = match share.all {
                0 => "branch=\"false\"".into(),
                all => {
                    format!("branch=\"true\" condition-coverage=\"{:.0}% ({}/{all})\"", share.rate() * 100.0, share.hit)
                }
            };
            let _ = writeln!(out, "<line number=\"{number}\" hits=\"{}\" {branch}/>", line.hits);
        }
        out.push_str("</lines>\n</class>\n");
    }
    out.push_str("</classes>\n</package>\n</packages>\n</coverage>\n");
    out
}
