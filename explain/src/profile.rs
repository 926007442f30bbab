//! Profiles of runs: where instructions and time go, by source line and by function.

use crate::functions;
use crate::source::line_of;
use ebpfkit_object::Object;
use ebpfkit_object::counts::Counts;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What something has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Instructions executed.
    pub insns: u64,
    /// Nanoseconds, measured around each instruction; helpers that are called count where they are called.
    pub time_ns: u64,
}

/// The cost of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineCost {
    /// File; empty where the instruction has no line.
    pub file: String,
    /// Line, from 1; the slot where the instruction has no line.
    pub line: u32,
    /// The line's text.
    pub text: String,
    /// The function that it is in.
    pub function: String,
    /// Cost.
    #[serde(flatten)]
    pub cost: Cost,
}

/// The cost of a function, without those that it calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionCost {
    /// The program that it is part of.
    pub program: String,
    /// Its name.
    pub function: String,
    /// Cost.
    #[serde(flatten)]
    pub cost: Cost,
}

/// Where instructions and time went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// All together.
    pub total: Cost,
    /// Functions, the most expensive first.
    pub functions: Vec<FunctionCost>,
    /// Lines, the most expensive first.
    pub lines: Vec<LineCost>,
    /// Stacks of calls: names of functions from the outside in, separated by semicolons, and the instructions of the last.
    #[serde(skip)]
    pub stacks: Vec<(String, u64)>,
}

impl Profile {
    /// The profile of an object's programs that have run; nothing where one of them is not the object's.
    pub fn of(object: &Object, counts: &Counts) -> Self {
        let mut this = Self::default();
        let mut lines: BTreeMap<(String, String, u32), LineCost> = BTreeMap::new();
        let of_object = |c: &ebpfkit_object::counts::ProgramCounts| object.programs.iter().find(|p| p.name == c.name);
        let Some(programs) = counts.programs.iter().map(of_object).collect::<Option<Vec<_>>>() else { return this };
        let names: Vec<_> = programs.iter().map(|p| functions::functions(object, p)).collect();
        for ((program, executed), names) in programs.iter().zip(&counts.programs).zip(&names) {
            let mut costs: BTreeMap<&str, Cost> = BTreeMap::new();
            for (slot, (insns, time_ns)) in executed.executed.iter().zip(&executed.time_ns).enumerate() {
                if *insns == 0 {
                    continue;
                }
                let function = functions::at(names, slot);
                let line = object.btf.as_deref().and_then(|btf| line_of(program, btf, slot));
                let (file, number, text) = line.map_or_else(
                    || (String::new(), slot as u32, format!("instruction {slot}")),
                    |l| (l.file, l.line, l.text),
                );
                let key = (function.to_owned(), file.clone(), number);
                let new = || LineCost {
                    file,
                    line: number,
                    text: text.trim().to_owned(),
                    function: function.to_owned(),
                    cost: Cost::default(),
                };
                let line = lines.entry(key).or_insert_with(new);
                for cost in [&mut line.cost, costs.entry(function).or_default(), &mut this.total] {
                    cost.insns += insns;
                    cost.time_ns += time_ns;
                }
            }
            let function = |(function, cost): (&str, Cost)| FunctionCost {
                program: program.name.clone(),
                function: function.to_owned(),
                cost,
            };
            this.functions.extend(costs.into_iter().map(function));
        }
        this.lines = lines.into_values().collect();
        this.lines.sort_by_key(|l| std::cmp::Reverse(l.cost.insns));
        this.functions.sort_by_key(|f| std::cmp::Reverse(f.cost.insns));
        let mut stacks: Vec<String> = Vec::with_capacity(counts.calls.len());
        for call in &counts.calls {
            let name = functions::at(&names[call.program], call.function);
            // Stacks are written with semicolons between names.
            let name = name.replace([';', ' '], "_");
            stacks.push(call.caller.map_or_else(|| name.clone(), |caller| format!("{};{name}", stacks[caller])));
        }
        this.stacks = stacks.into_iter().zip(counts.calls.iter().map(|c| c.insns)).filter(|s| s.1 > 0).collect();
        this
    }

    /// One line for each stack of calls, which flame graphs are made of.
    pub fn folded(&self) -> String {
        self.stacks.iter().map(|(stack, insns)| format!("{stack} {insns}\n")).collect()
    }

    /// Tables of the most expensive functions and lines, at most `top` of each.
    pub fn table(&self, top: usize) -> String {
        let mut out = String::new();
        let share = |cost: &Cost| cost.insns as f64 * 100.0 / self.total.insns.max(1) as f64;
        let _ = writeln!(out, "{} instructions, {:.1} us", self.total.insns, self.total.time_ns as f64 / 1e3);
        let _ = writeln!(out, "\n   insns      %        us  function");
        for f in self.functions.iter().take(top) {
            let name =
                if f.program == f.function { f.program.clone() } else { format!("{} ({})", f.function, f.program) };
            row(&mut out, &f.cost, share(&f.cost), &name);
        }
        let _ = writeln!(out, "\n   insns      %        us  line");
        for l in self.lines.iter().take(top) {
            let source = if l.file.is_empty() { l.function.clone() } else { format!("{}:{}", l.file, l.line) };
            row(&mut out, &l.cost, share(&l.cost), &format!("{source}: {}", l.text));
        }
        if self.lines.len() > top {
            let _ = writeln!(out, "{:>8} lines more", self.lines.len() - top);
        }
        out
    }
}

fn row(out: &mut String, cost: &Cost, share: f64, name: &str) {
    let _ = writeln!(out, "{:>8}  {share:5.1}  {:>8.1}  {name}", cost.insns, cost.time_ns as f64 / 1e3);
}
