//! Calls of functions of the same program.

use crate::domain::RegBase;
use crate::reason::{CallReason, reject};
use crate::state::{Frame, FuncState};
use crate::{Env, Step, Stop};
use ebpfkit_isa::Insn;

impl Env<'_> {
    /// Enters a static function: a new frame that sees the caller's r1 to r5.
    pub(super) fn check_subprog_call(&mut self, insn: Insn) -> Step {
        let at = self.path.insn_idx;
        let target = insn.function(at).and_then(|t| usize::try_from(t).ok());
        let Some((target, subprog)) = target.and_then(|t| Some((t, self.find_subprog(t)?))) else {
            return Err(Stop::unsupported("a call into the middle of a function"));
        };
        if self.subprogs[subprog].global {
            return self.check_global_call(subprog);
        }
        let frames = self.path.state.frames.len();
        if frames >= self.max_call_frames() {
            return reject(CallReason::CallStackTooDeep { frames: frames + 1 });
        }
        let mut callee = FuncState::new(at as i32, frames as u32, subprog as u32);
        callee.regs[1..=5].copy_from_slice(&self.path.state.cur().regs[1..=5]);
        // Before the caller loses the arguments.
        self.path.state.parentage.enter(true);
        for reg in 0..=5 {
            self.mark_reg_not_init(reg);
        }
        self.leave_stack_chain();
        self.path.state.frames.push(Frame::new(callee));
        self.log_enter();
        self.path.insn_idx = target;
        Ok(())
    }

    /// Leaves the current frame for its caller at `exit`.
    pub fn prepare_func_exit(&mut self) -> Step {
        self.update_live_stack();
        let r0 = *self.reg(0);
        if r0.ty.base == RegBase::Stack {
            return reject(CallReason::ReturnsStackPointer {});
        }
        if self.path.state.cur().in_callback {
            return self.leave_callback();
        }
        let callsite = self.path.state.cur().callsite;
        let caller = self.path.state.curframe() - 1;
        self.path.state.frame_mut(caller).regs[0] = r0;
        self.log_leave(usize::try_from(callsite).unwrap_or(0) + 1);
        self.path.state.leave(true);
        self.path.insn_idx = usize::try_from(callsite).unwrap_or(0) + 1;
        Ok(())
    }
}
