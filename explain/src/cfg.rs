//! Control flow of a program as a DOT digraph: one box for each basic block.

use ebpfkit_isa::Insn;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Where control may go inside the function after an instruction: the next slot and the jump's target.
fn successors(insns: &[Insn], at: usize) -> (Option<usize>, Option<usize>) {
    let s = insns[at].successors(at);
    (s.fallthrough.filter(|&n| n < insns.len()), inside(insns, s.jump))
}

/// First slot of the function that is called here.
fn callee(insns: &[Insn], at: usize) -> Option<usize> {
    inside(insns, insns[at].successors(at).call)
}

fn inside(insns: &[Insn], slot: Option<i64>) -> Option<usize> {
    usize::try_from(slot?).ok().filter(|&t| t < insns.len())
}

/// The digraph of a program; `text` prints one instruction. Calls of subprograms are dashed edges.
pub fn dot(name: &str, insns: &[Insn], text: &dyn Fn(&[Insn], usize) -> String) -> String {
    let mut leaders: BTreeSet<usize> = [0].into();
    for at in 0..insns.len() {
        let (next, target) = successors(insns, at);
        if let Some(t) = target {
            leaders.insert(t);
        }
        if (target.is_some() || next.is_none()) && at + 1 < insns.len() {
            leaders.insert(at + 1);
        }
        if let Some(callee) = callee(insns, at) {
            leaders.insert(callee);
        }
    }
    let mut out = format!("digraph \"{}\" {{\n  node [shape=box, fontname=monospace];\n", escape(name));
    let starts: Vec<usize> = leaders.into_iter().filter(|&l| l < insns.len()).collect();
    for (i, &start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(insns.len());
        let mut label = String::new();
        let mut at = start;
        let mut last = start;
        while at < end {
            let _ = write!(label, "{at}: {}\\l", escape(&text(insns, at)));
            last = at;
            at += insns[at].slots();
        }
        let _ = writeln!(out, "  b{start} [label=\"{label}\"];");
        let (next, target) = successors(insns, last);
        if let Some(n) = next {
            let style = if target.is_some() { " [label=\"no\"]" } else { "" };
            let _ = writeln!(out, "  b{start} -> b{n}{style};");
        }
        if let Some(t) = target {
            let style = if next.is_some() { " [label=\"yes\"]" } else { "" };
            let _ = writeln!(out, "  b{start} -> b{t}{style};");
        }
        for at in start..end {
            if let Some(callee) = callee(insns, at) {
                let _ = writeln!(out, "  b{start} -> b{callee} [style=dashed];");
            }
        }
    }
    out.push_str("}\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
