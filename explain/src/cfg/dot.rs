//! Control flow as a DOT digraph: one box for each basic block, in a frame for each function, in a frame for each program.

use super::{Kind, Program, blocks};
use std::fmt::Write;

/// The digraph of a file's programs. A call of a function is a dashed edge to it, a callback a dotted one.
pub fn dot(name: &str, programs: &[Program<'_>]) -> String {
    let mut out = format!("digraph \"{}\" {{\n  node [shape=box, fontname=monospace];\n", escape(name));
    for (n, program) in programs.iter().enumerate() {
        let _ = writeln!(out, "  subgraph cluster_{n} {{\n    label=\"{}\";", escape(&program.title));
        let mut edges = String::new();
        for (f, (function, lines)) in program.functions.iter().enumerate() {
            let _ = writeln!(out, "    subgraph cluster_{n}_{f} {{\n      label=\"{}\";", escape(function));
            for block in blocks(program.insns, lines) {
                let node = |slot: usize| format!("p{n}_{slot}");
                let start = node(block.start());
                let label: String = block.lines.iter().map(|(at, text)| format!("{at}: {}\\l", escape(text))).collect();
                let _ = writeln!(out, "      {start} [label=\"{label}\"];");
                let mut edge = |to: usize, style: &str| {
                    let _ = writeln!(edges, "    {start} -> {}{style};", node(to));
                };
                for e in &block.edges {
                    edge(
                        e.to,
                        match e.kind {
                            Kind::Only => "",
                            Kind::No => " [label=\"no\"]",
                            Kind::Yes => " [label=\"yes\"]",
                        },
                    );
                }
                block.calls.iter().for_each(|callee| edge(*callee, " [style=dashed]"));
                block.callbacks.iter().for_each(|f| edge(*f, " [style=dotted, label=\"callback\"]"));
            }
            out.push_str("    }\n");
        }
        // Edges may cross the frames of functions, so they stand outside of them.
        out.push_str(&edges);
        out.push_str("  }\n");
    }
    out.push_str("}\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
