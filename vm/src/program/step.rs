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

/// The steps of a program, one for each instruction.
pub(super) fn steps(insts: &[Inst], checked: bool) -> Vec<Step> {
    let loops = insts.iter().any(|i| i.op == Op::MayGoto);
    let mut steps: Vec<Step> = (0..insts.len()).map(|at| step(insts, at, checked)).collect();
    for (step, inst) in steps.iter_mut().zip(insts) {
        if matches!(inst.op, Op::CallLocal | Op::Exit) {
            step.go = dispatch::frame(inst.op, checked, loops);
        }
    }
    steps
}

fn step(insts: &[Inst], at: usize, checked: bool) -> Step {
    let inst = &insts[at];
    let rest = STRETCH - at % STRETCH - 1;
    if rest == 0 {
        return Step { go: dispatch::stop(), ..Step::of(inst, checked, false) };
    }
    // Whether a jump goes back or leaves its stretch.
    let is_far = |jump: usize, target: i32| target as usize <= jump || target as usize / STRETCH != at / STRETCH;
    let (mut step, jumps) = match fuse(&insts[at..insts.len().min(at + rest)]) {
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
