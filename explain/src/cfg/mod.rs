//! Control flow of programs: basic blocks with the edges between them, as DOT or as a picture.

mod dot;
mod layout;
mod svg;

pub use dot::dot;
pub use svg::svg;

use ebpfkit_isa::Insn;
use std::collections::{BTreeMap, BTreeSet};

/// A program to be drawn.
pub struct Program<'a> {
    /// What stands above it.
    pub title: String,
    /// Its instructions.
    pub insns: &'a [Insn],
    /// Its functions by name, in the order of their code: slots and texts of their instructions.
    pub functions: Vec<(String, Vec<(usize, String)>)>,
    /// The source lines by the slots where they begin: file and number, and the text.
    pub lines: BTreeMap<usize, (String, String)>,
    /// What runs have executed, by slot: how often each instruction, and how often each jumped.
    pub executed: Option<(Vec<u64>, Vec<u64>)>,
}

/// Why control goes from a block to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The block ends where the next begins, or in a jump.
    Only,
    /// The condition of the jump at its end does not hold.
    No,
    /// It does.
    Yes,
}

/// An edge from a block to another of the same function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edge {
    /// First slot of the block that it leads to.
    to: usize,
    kind: Kind,
}

/// Instructions that run one after the other.
struct Block<'p> {
    /// Slots and texts.
    lines: Vec<&'p (usize, String)>,
    edges: Vec<Edge>,
    /// Functions that are called, by first slot.
    calls: Vec<usize>,
    /// Functions whose address is taken, which somebody else calls.
    callbacks: Vec<usize>,
}

impl Block<'_> {
    fn start(&self) -> usize {
        self.lines.first().map_or(0, |l| l.0)
    }

    fn last(&self) -> usize {
        self.lines.last().map_or(0, |l| l.0)
    }
}

/// Where control goes from an instruction, as slots that the program has.
struct Flow {
    /// The instruction that follows.
    next: Option<usize>,
    /// Where a jump goes.
    target: Option<usize>,
    /// The function that is called.
    callee: Option<usize>,
    /// The function whose address is taken.
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

/// The blocks of a function, in the order of their code.
fn blocks<'p>(insns: &[Insn], lines: &'p [(usize, String)]) -> Vec<Block<'p>> {
    let mut leaders: BTreeSet<usize> = lines.first().map(|l| l.0).into_iter().collect();
    for (n, (at, _)) in lines.iter().enumerate() {
        let flow = flow(insns, *at);
        leaders.extend(flow.target);
        if flow.target.is_some() || flow.next.is_none() {
            leaders.extend(lines.get(n + 1).map(|l| l.0));
        }
    }
    let mut parts: BTreeMap<usize, Vec<&(usize, String)>> = BTreeMap::new();
    for line in lines {
        let Some(start) = leaders.range(..=line.0).next_back() else { continue };
        parts.entry(*start).or_default().push(line);
    }
    let block = |lines: Vec<&'p (usize, String)>| {
        let end = flow(insns, lines.last().map_or(0, |l| l.0));
        let mut edges = Vec::new();
        if let Some(to) = end.next {
            edges.push(Edge { to, kind: if end.target.is_some() { Kind::No } else { Kind::Only } });
        }
        if let Some(to) = end.target {
            edges.push(Edge { to, kind: if end.next.is_some() { Kind::Yes } else { Kind::Only } });
        }
        let flows = || lines.iter().map(|(at, _)| flow(insns, *at));
        let calls = flows().filter_map(|f| f.callee).collect();
        let callbacks = flows().filter_map(|f| f.callback).collect();
        Block { lines, edges, calls, callbacks }
    };
    parts.into_values().map(block).collect()
}
