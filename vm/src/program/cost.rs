//! What a run's budget is charged for entering a function.

use super::dense::{Inst, Op};

/// By function: its instructions from the first to the last, whatever way control takes through them.
///
/// As each jump that closes a loop is charged the instructions from its target up to itself, a run never executes more
/// instructions than its budget, but for one pass through its main function: what a path through a function passes
/// between loops, it passes once. Where control can leave a function other than by its end, which no verifier accepts,
/// the function has the whole program.
pub(super) fn costs(insts: &[Inst], entries: &[u32]) -> Vec<u64> {
    let end = insts.len().saturating_sub(1);
    let starts = entries.iter().map(|e| *e as usize);
    let ends = starts.clone().skip(1).chain([end]);
    starts
        .zip(ends)
        .map(|(start, behind)| {
            let body = start..behind;
            let leaves = |i: &Inst| i.op != Op::CallLocal && i.op.has_target() && !body.contains(&(i.off as usize));
            let ends = insts[..behind].last().is_some_and(|i| matches!(i.op, Op::Exit | Op::Ja | Op::End));
            let is_closed = ends && !insts[body.clone()].iter().any(leaves);
            (if is_closed { behind.saturating_sub(start) } else { end }) as u64
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inst(op: Op, off: i32) -> Inst {
        Inst { op, off, ..Inst::END }
    }

    #[test]
    fn functions_cost_their_length() {
        // Two functions that keep to themselves, and a last one that jumps into the second.
        let insts = [
            inst(Op::CallLocal, 2),
            inst(Op::Exit, 0),
            inst(Op::Jeq64K, 4),
            inst(Op::Nop, 0),
            inst(Op::Exit, 0),
            inst(Op::Ja, 3),
            Inst::END,
        ];
        assert_eq!(costs(&insts, &[0, 2, 5]), [2, 3, 6]);
        // The first one runs into the second.
        let falls = [inst(Op::Nop, 0), inst(Op::Nop, 0), inst(Op::Exit, 0), Inst::END];
        assert_eq!(costs(&falls, &[0, 1]), [3, 2]);
    }
}
