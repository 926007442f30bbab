//! Which jumps close a loop.

use super::dense::{Inst, Op};

/// Where control goes after an instruction; a call comes back.
fn successors(insts: &[Inst], at: usize) -> [Option<usize>; 2] {
    let inst = &insts[at];
    let jump = (inst.op.is_jump() || inst.op == Op::MayGoto).then_some(inst.off as usize);
    let goes_on = !matches!(inst.op, Op::Ja | Op::Exit | Op::End);
    [goes_on.then_some(at + 1), jump]
}

/// By instruction: whether it is a jump whose target is not behind it, and from whose target control can come to it.
/// Every loop has one.
pub(super) fn loop_jumps(insts: &[Inst]) -> Vec<bool> {
    let is_backward = |at: &usize| successors(insts, *at)[1].is_some_and(|to| to <= *at);
    let back: Vec<usize> = (0..insts.len()).filter(is_backward).collect();
    let mut closing = vec![false; insts.len()];
    if !back.is_empty() {
        let components = components(insts);
        for at in back {
            closing[at] = components[at] == components[insts[at].off as usize];
        }
    }
    closing
}

/// By instruction: the number of its strongly connected component (Tarjan's algorithm, without recursion).
fn components(insts: &[Inst]) -> Vec<u32> {
    const NONE: u32 = u32::MAX;
    let mut component = vec![NONE; insts.len()];
    // When an instruction was seen first, counted from one, and the first seen that it leads back to.
    let (mut seen, mut low) = (vec![0u32; insts.len()], vec![0u32; insts.len()]);
    let mut count = 0;
    // Instructions without a component, in the order in which they were seen.
    let mut path = Vec::new();
    // An instruction, and how many of its successors have been tried.
    let mut open: Vec<(usize, usize)> = Vec::new();
    for root in 0..insts.len() {
        if seen[root] == 0 {
            open.push((root, 0));
        }
        while let Some((at, tried)) = open.last_mut() {
            let (at, number) = (*at, *tried);
            *tried += 1;
            if number == 0 {
                count += 1;
                (seen[at], low[at]) = (count, count);
                path.push(at);
            }
            if let Some(to) = successors(insts, at).get(number) {
                match *to {
                    Some(to) if seen[to] == 0 => open.push((to, 0)),
                    Some(to) if component[to] == NONE => low[at] = low[at].min(seen[to]),
                    _ => {}
                }
                continue;
            }
            open.pop();
            if low[at] == seen[at] {
                let first = path.iter().rposition(|p| *p == at).unwrap_or(0);
                path.drain(first..).for_each(|p| component[p] = at as u32);
            }
            if let Some((before, _)) = open.last() {
                low[*before] = low[*before].min(low[at]);
            }
        }
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inst(op: Op, off: i32) -> Inst {
        Inst { op, off, ..Inst::END }
    }

    fn closing(insts: &[Inst]) -> Vec<usize> {
        let all = loop_jumps(insts);
        (0..insts.len()).filter(|at| all[*at]).collect()
    }

    #[test]
    fn a_jump_back_to_a_common_end_closes_no_loop() {
        let insts = [
            inst(Op::Jeq64K, 3),
            inst(Op::Nop, 0),
            inst(Op::Exit, 0),
            inst(Op::Jeq64K, 1),
            inst(Op::Nop, 0),
            inst(Op::Ja, 2),
            Inst::END,
        ];
        assert_eq!(closing(&insts), [0; 0]);
    }

    #[test]
    fn loops_are_found_whatever_they_look_like() {
        // A jump to itself; one loop around another; a loop with two entries whose parts stand in reverse order.
        assert_eq!(closing(&[inst(Op::Ja, 0), Inst::END]), [0]);
        let nested = [inst(Op::Nop, 0), inst(Op::Jeq64K, 1), inst(Op::Jeq64K, 0), inst(Op::Exit, 0), Inst::END];
        assert_eq!(closing(&nested), [1, 2]);
        let two =
            [inst(Op::Jeq64K, 3), inst(Op::Nop, 0), inst(Op::Ja, 3), inst(Op::Jeq64K, 1), inst(Op::Exit, 0), Inst::END];
        assert_eq!(closing(&two), [3]);
        // A call comes back, and its function has no part in the loop.
        let calls = [inst(Op::CallLocal, 3), inst(Op::MayGoto, 0), inst(Op::Exit, 0), inst(Op::Exit, 0), Inst::END];
        assert_eq!(closing(&calls), [1]);
    }
}
