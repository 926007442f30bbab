//! Control flow of a program as a DOT digraph: one box for each basic block.

use ebpfkit_isa::{Insn, opcode};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Where control may go after an instruction, as slots: the next one and the jump's target.
fn successors(insns: &[Insn], at: usize) -> (Option<usize>, Option<usize>) {
    let insn = insns[at];
    let len = if insn.is_ld_imm64() { 2 } else { 1 };
    let next = Some(at + len).filter(|&n| n < insns.len());
    let class = insn.class();
    if class != opcode::class::JMP && class != opcode::class::JMP32 {
        return (next, None);
    }
    let target = |distance: i64| usize::try_from(at as i64 + 1 + distance).ok().filter(|&t| t < insns.len());
    match insn.op() {
        opcode::jmp::EXIT => (None, None),
        opcode::jmp::CALL => (next, None),
        opcode::jmp::JA if class == opcode::class::JMP32 => (None, target(insn.imm.into())),
        opcode::jmp::JA => (None, target(insn.off.into())),
        _ => (next, target(insn.off.into())),
    }
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
            at += if insns[at].is_ld_imm64() { 2 } else { 1 };
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

/// First slot of the subprogram that is called here.
fn callee(insns: &[Insn], at: usize) -> Option<usize> {
    let insn = insns[at];
    let local = insn.code == opcode::CALL && insn.src == opcode::pseudo::CALL;
    local.then(|| usize::try_from(at as i64 + 1 + i64::from(insn.imm)).ok().filter(|&t| t < insns.len())).flatten()
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
