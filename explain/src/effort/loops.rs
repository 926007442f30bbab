//! Loops of a program's control flow.

use ebpfkit_isa::Insn;

/// A natural loop: what reaches the jump back to its first instruction without passing that.
pub(super) struct Loop {
    /// First slot.
    pub header: usize,
    /// Its slots, the header included.
    pub body: Vec<usize>,
}

/// The loops of a program; those with the same first instruction are one.
pub(super) fn loops(insns: &[Insn]) -> Vec<Loop> {
    let successors = |at: usize| insns[at].successors(at).within(insns.len());
    let (mut state, mut predecessors) = (vec![Visit::New; insns.len()], vec![Vec::new(); insns.len()]);
    let mut back: Vec<(usize, usize)> = Vec::new();
    for start in entries(insns) {
        // Depth first with a stack of our own, as programs may be long.
        let mut stack = vec![(start, successors(start))];
        if std::mem::replace(&mut state[start], Visit::Open) != Visit::New {
            state[start] = Visit::Done;
            continue;
        }
        while let Some((at, rest)) = stack.last_mut() {
            let at = *at;
            let Some(next) = rest.next() else {
                state[at] = Visit::Done;
                stack.pop();
                continue;
            };
            predecessors[next].push(at);
            match state[next] {
                Visit::New => {
                    state[next] = Visit::Open;
                    stack.push((next, successors(next)));
                }
                Visit::Open => back.push((next, at)),
                Visit::Done => {}
            }
        }
    }
    back.sort_unstable();
    back.chunk_by(|a, b| a.0 == b.0).map(|edges| natural(edges, &predecessors)).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    New,
    Open,
    Done,
}

/// Where functions begin.
fn entries(insns: &[Insn]) -> Vec<usize> {
    let called = (0..insns.len()).filter_map(|at| {
        let insn = insns[at];
        insn.successors(at).call.or_else(|| insn.function(at)).and_then(|t| usize::try_from(t).ok())
    });
    let mut all: Vec<usize> = std::iter::once(0).chain(called).filter(|at| *at < insns.len()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn natural(edges: &[(usize, usize)], predecessors: &[Vec<usize>]) -> Loop {
    let header = edges[0].0;
    let mut body = std::collections::BTreeSet::from([header]);
    let mut open: Vec<usize> = edges.iter().map(|e| e.1).collect();
    while let Some(at) = open.pop() {
        if body.insert(at) {
            open.extend(&predecessors[at]);
        }
    }
    Loop { header, body: body.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_loops_belong_to_outer_ones() {
        let text = "r0 = 0\n\
                    outer: r1 = 0\n\
                    inner: r1 += 1\n\
                    if r1 < 5 goto inner\n\
                    r0 += 1\n\
                    if r0 < 5 goto outer\n\
                    exit\n";
        let insns = ebpfkit_asm::assemble_insns(text, ebpfkit_asm::Syntax::PseudoC).unwrap_or_else(|e| panic!("{e}"));
        let found: Vec<_> = loops(&insns).into_iter().map(|l| (l.header, l.body)).collect();
        assert_eq!(found, [(1, vec![1, 2, 3, 4, 5]), (2, vec![2, 3])]);
    }
}
