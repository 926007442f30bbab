//! The form that runs: one record an instruction, with the function that does it.

use super::dense::{Inst, Op};
use super::fuse::{Fused, fuse};
use crate::interp::dispatch::{self, Handler};

/// One step of a program. The dense instruction of the same index says in full what is to be done; the function does
/// only the fast path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Does it.
    pub go: Handler,
    /// Immediate, or several small numbers, as the function wants it.
    pub imm: u64,
    /// Memory: byte offset. Jumps and calls: steps from this one to the target.
    pub off: i32,
    /// Destination register.
    pub dst: u8,
    /// Source register.
    pub src: u8,
}

/// Steps that run without a look outside at most; each stretch ends in a step that stops.
///
/// Where the compiler does not make jumps of calls at the end of a function, as in builds without optimisation, the
/// functions of a stretch lie on the machine's stack, so that it must not be long.
const STRETCH: usize = 512;

/// The steps of a program, one for each instruction; `loops` says which of them are jumps that close a loop.
pub(super) fn steps(insts: &[Inst], loops: &[bool], checked: bool) -> Vec<Step> {
    let may_goto = insts.iter().any(|i| i.op == Op::MayGoto);
    let mut steps: Vec<Step> = (0..insts.len()).map(|at| step(insts, loops, at, checked)).collect();
    for (step, inst) in steps.iter_mut().zip(insts) {
        if matches!(inst.op, Op::CallLocal | Op::Exit) {
            step.go = dispatch::frame(inst.op, checked, may_goto);
        }
    }
    steps
}

fn step(insts: &[Inst], loops: &[bool], at: usize, checked: bool) -> Step {
    let inst = &insts[at];
    let rest = STRETCH - at % STRETCH - 1;
    let stop = || Step { go: dispatch::stop(), ..Step::of(inst, checked, false) };
    if rest == 0 {
        return stop();
    }
    // Whether a jump closes a loop or leaves its stretch.
    let leaves = |target: i32| target as usize / STRETCH != at / STRETCH;
    let is_far = |jump: usize, target: i32| loops[jump] || leaves(target);
    // A far one that goes back would be charged; this one is not.
    let is_free = |jump: usize, target: i32| target as usize <= jump && !loops[jump] && leaves(target);
    if inst.op.has_target() && inst.op != Op::CallLocal && is_free(at, inst.off) {
        return stop();
    }
    let fused = fuse(&insts[at..insts.len().min(at + rest)]);
    let fused = fused.filter(|f| f.what.jump().is_none_or(|number| !is_free(at + number, f.off)));
    let (mut step, jumps) = match fused {
        Some(Fused { what, dst, src, off, imm }) => {
            let far = what.jump().is_some_and(|number| is_far(at + number, off));
            (Step { go: dispatch::fused(what, far), imm, off, dst, src }, what.jump().is_some())
        }
        None => {
            let jumps = inst.op.has_target();
            (Step::of(inst, checked, jumps && is_far(at, inst.off)), jumps)
        }
    };
    if jumps {
        step.off = step.off.wrapping_sub(at as i32);
    }
    step
}

impl Step {
    /// The step of an instruction for itself; `off` is as it stands there. `far` is that of [`dispatch::handler`].
    pub(crate) fn of(inst: &Inst, checked: bool, far: bool) -> Self {
        let Inst { op, dst, src, off, imm } = *inst;
        Self { go: dispatch::handler(op, checked, far), imm, off, dst, src }
    }
}
