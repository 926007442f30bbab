//! Tables and other texts of efforts.

use super::{Effort, LineWork, Work};
use std::cmp::Reverse;
use std::fmt::Write;

/// By what lines are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Instructions processed.
    #[default]
    Processed,
    /// States kept.
    States,
    /// Paths that ended early.
    Pruned,
    /// States compared in vain.
    InVain,
    /// Ways put aside.
    Forks,
    /// File and line.
    Line,
}

impl Sort {
    /// Every order, with its name and what it means.
    pub const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Processed, "processed", "Instructions processed"),
        (Self::States, "states", "States kept"),
        (Self::Pruned, "pruned", "Paths that ended early"),
        (Self::InVain, "in-vain", "States compared in vain"),
        (Self::Forks, "forks", "Paths put aside to be walked later"),
        (Self::Line, "line", "File and line"),
    ];

    /// The order of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|o| o.1 == name).map(|o| o.0)
    }
}

/// The lines in an order.
fn sorted(effort: &Effort, sort: Sort) -> Vec<&LineWork> {
    let mut lines: Vec<_> = effort.lines.iter().collect();
    match sort {
        Sort::Line => lines.sort_by_key(|l| &l.source),
        _ => lines.sort_by_key(|l| Reverse(by(sort, &l.work))),
    }
    lines
}

fn by(sort: Sort, work: &Work) -> u64 {
    match sort {
        Sort::States => work.states,
        Sort::Pruned => work.pruned,
        Sort::InVain => work.in_vain,
        Sort::Forks => work.forks,
        Sort::Processed | Sort::Line => work.processed,
    }
}

const HEAD: &str = "processed      %   states   pruned  in vain    forks";

fn row(out: &mut String, work: &Work, total: u64, name: &str) {
    let share = work.processed as f64 * 100.0 / total.max(1) as f64;
    let Work { processed, states, pruned, in_vain, forks } = work;
    let _ = writeln!(out, "{processed:>9}  {share:5.1} {states:>8} {pruned:>8} {in_vain:>8} {forks:>8}  {name}");
}

/// Tables of functions, loops, lines and differences, at most `top` rows of each.
pub fn table(effort: &Effort, top: usize, sort: Sort) -> String {
    let (mut out, total) = (String::new(), effort.total.processed);
    let _ = writeln!(
        out,
        "{}: {total} instructions processed, {} states kept, {} paths ended early, {} comparisons in vain, {} forks (at \
         most {} waiting)",
        effort.program,
        effort.total.states,
        effort.total.pruned,
        effort.total.in_vain,
        effort.total.forks,
        effort.most_pending
    );
    for advice in &effort.advice {
        let _ = writeln!(out, "help: {advice}");
    }
    if effort.functions.len() > 1 {
        let _ = writeln!(out, "\n{HEAD}  function");
        for f in effort.functions.iter().filter(|f| f.work.processed > 0).take(top) {
            row(&mut out, &f.work, total, &format!("{} ({} instructions)", f.name, f.insns));
        }
    }
    if !effort.loops.is_empty() {
        let _ = writeln!(out, "\n{HEAD}  loop");
        for l in effort.loops.iter().take(top) {
            let name = format!("{}: {} ({} instructions, {} times)", l.source, l.source.text, l.insns, l.iterations);
            row(&mut out, &l.work, total, &name);
        }
    }
    let _ = writeln!(out, "\n{HEAD}  line");
    let lines = sorted(effort, sort);
    for l in lines.iter().take(top) {
        row(&mut out, &l.work, total, &format!("{}: {}", l.source, l.source.text));
    }
    if lines.len() > top {
        let _ = writeln!(out, "{:>9}  lines more", lines.len() - top);
    }
    if !effort.differences.is_empty() {
        let _ = writeln!(out, "\n    times  states that did not agree");
        for d in effort.differences.iter().take(top) {
            let _ = write!(out, "{:>9}  {}: {}: {}", d.times, d.source, d.source.text, d.part);
            if !d.old.is_empty() || !d.new.is_empty() {
                let _ = write!(out, " was {}, is {}", or_nothing(&d.old), or_nothing(&d.new));
            }
            out.push('\n');
            for source in &d.needed_by {
                let _ = writeln!(out, "           its value matters at {source}: {}", source.text);
            }
        }
    }
    out
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "nothing" } else { text }
}

/// One row for each line of each program.
pub fn csv(efforts: &[Effort]) -> String {
    let mut out = String::from("program,function,file,line,processed,states,pruned,in_vain,forks,text\n");
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    for effort in efforts {
        for l in &effort.lines {
            let Work { processed, states, pruned, in_vain, forks } = l.work;
            let _ = writeln!(
                out,
                "{},{},{},{},{processed},{states},{pruned},{in_vain},{forks},{}",
                quoted(&effort.program),
                quoted(&l.function),
                quoted(&l.source.file),
                l.source.line,
                quoted(&l.source.text)
            );
        }
    }
    out
}

/// One line for each chain of calls of each program, which flame graphs are made of.
pub fn folded(efforts: &[Effort]) -> String {
    let mut out = String::new();
    for (stack, processed) in efforts.iter().flat_map(|e| &e.stacks) {
        let _ = writeln!(out, "{stack} {processed}");
    }
    out
}

/// What changed against the efforts of an earlier build, program by program and line by line: lines are the same when
/// their function and text are.
pub fn compare(before: &[Effort], now: &[Effort], top: usize) -> String {
    let mut out = String::new();
    for effort in now {
        let Some(old) = before.iter().find(|e| e.program == effort.program) else {
            let _ = writeln!(out, "{}: new, {} instructions processed", effort.program, effort.total.processed);
            continue;
        };
        let (from, to) = (old.total.processed, effort.total.processed);
        let change = (to as f64 - from as f64) * 100.0 / from.max(1) as f64;
        let _ = writeln!(out, "{}: {from} -> {to} instructions processed ({change:+.1}%)", effort.program);
        let mut changes: std::collections::BTreeMap<(&str, &str), (i64, i64)> = Default::default();
        for l in &old.lines {
            changes.entry((&l.function, &l.source.text)).or_default().0 += l.work.processed as i64;
        }
        for l in &effort.lines {
            changes.entry((&l.function, &l.source.text)).or_default().1 += l.work.processed as i64;
        }
        let mut changes: Vec<_> = changes.into_iter().filter(|(_, (a, b))| a != b).collect();
        changes.sort_by_key(|(_, (a, b))| Reverse((b - a).abs()));
        for ((function, text), (a, b)) in changes.iter().take(top) {
            let _ = writeln!(out, "{:>+10}  {a:>9} -> {b:>9}  {function}: {text}", b - a);
        }
    }
    for gone in before.iter().filter(|e| now.iter().all(|n| n.program != e.program)) {
        let _ = writeln!(out, "{}: gone", gone.program);
    }
    out
}
