//! Control flow of programs as a DOT digraph: one box for each basic block, in a frame for each function, in a frame for
//! each program.

use ebpfkit_isa::Insn;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// A program to be drawn.
pub struct Program<'a> {
    /// What stands above it.
    pub title: String,
    /// Its instructions.
    pub insns: &'a [Insn],
    /// Its functions by name, in the order of their code: slots and texts of their instructions.
    pub functions: Vec<(String, Vec<(usize, String)>)>,
}

/// Where control goes from an instruction, as slots that the program has.
struct Flow {
    /// The instruction that follows.
    next: Option<usize>,
    /// Where a jump goes.
    target: Option<usize>,
    /// The function that is called.
    callee: Option<usize>,
    /// The function whose address is taken, which somebody else calls.
    callback: Option<usize>,
}

fn flow(insns: &[Insn], at: usize) -> Flow {
    let insn = insns[at];
    let s = insn.successors(at);
    let inside = |slot: Option<i64>| usize::try_from(slot?).ok().filter(|slot| *slot < insns.len());
    Flow {
        next: s.fallthrough.filter(|slot| *slot < insns.len()),
        target: inside(s.jump),
        callee: inside(s.call),
        callback: inside(insn.function(at).filter(|_| s.call.is_none())),
    }
}

/// The digraph of a file's programs. A call of a function is a dashed edge to it, a callback a dotted one.
pub fn dot(name: &str, programs: &[Program<'_>]) -> String {
    let mut out = format!("digraph \"{}\" {{\n  node [shape=box, fontname=monospace];\n", escape(name));
    for (n, program) in programs.iter().enumerate() {
        let _ = writeln!(out, "  subgraph cluster_{n} {{\n    label=\"{}\";", escape(&program.title));
        let mut edges = String::new();
        for (f, (function, lines)) in program.functions.iter().enumerate() {
            let _ = writeln!(out, "    subgraph cluster_{n}_{f} {{\n      label=\"{}\";", escape(function));
            draw(program.insns, lines, n, &mut out, &mut edges);
            out.push_str("    }\n");
        }
        // Edges may cross the frames of functions, so they stand outside of them.
        out.push_str(&edges);
        out.push_str("  }\n");
    }
    out.push_str("}\n");
    out
}

/// Draws a function's blocks, and the edges that leave them.
fn draw(insns: &[Insn], lines: &[(usize, String)], program: usize, out: &mut String, edges: &mut String) {
    let mut leaders: BTreeSet<usize> = lines.first().map(|l| l.0).into_iter().collect();
    for (at, _) in lines {
        let flow = flow(insns, *at);
        leaders.extend(flow.target);
        if flow.target.is_some() || flow.next.is_none() {
            leaders.extend(lines.iter().map(|l| l.0).find(|slot| slot > at));
        }
    }
    let mut blocks: BTreeMap<usize, Vec<&(usize, String)>> = BTreeMap::new();
    for line in lines {
        let Some(start) = leaders.range(..=line.0).next_back() else { continue };
        blocks.entry(*start).or_default().push(line);
    }
    for block in blocks.values() {
        let (Some((start, _)), Some((last, _))) = (block.first(), block.last()) else { continue };
        let node = |slot: usize| format!("p{program}_{slot}");
        let label: String = block.iter().map(|(at, text)| format!("{at}: {}\\l", escape(text))).collect();
        let _ = writeln!(out, "      {} [label=\"{label}\"];", node(*start));
        let mut edge = |to: usize, style: &str| {
            let _ = writeln!(edges, "    {} -> {}{style};", node(*start), node(to));
        };
        let end = flow(insns, *last);
        if let Some(next) = end.next {
            edge(next, if end.target.is_some() { " [label=\"no\"]" } else { "" });
        }
        if let Some(target) = end.target {
            edge(target, if end.next.is_some() { " [label=\"yes\"]" } else { "" });
        }
        for (at, _) in block {
            let flow = flow(insns, *at);
            if let Some(callee) = flow.callee {
                edge(callee, " [style=dashed]");
            }
            if let Some(callback) = flow.callback {
                edge(callback, " [style=dotted, label=\"callback\"]");
            }
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
