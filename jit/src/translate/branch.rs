//! Jumps, and the budget that they are counted in.

use super::{I32, Translator, trusted};
use crate::flow::Next;
use crate::runtime;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, Value};
use ebpfkit_isa::{JmpOp, Operand, Width};
use ebpfkit_vm::native::offset;

impl Translator<'_, '_> {
    pub(super) fn jump(&mut self) {
        if let Next::To(to) = self.env.code.next(self.at) {
            self.go(to);
        }
    }

    /// Ends the block with a jump, or by going on to the next.
    pub(super) fn go(&mut self, to: usize) {
        self.spend(&[to]);
        let target = self.block(to);
        self.b.ins().jump(target, &[]);
        (self.ended, self.leads_to) = (true, [to; 2]);
    }

    /// Before a jump that may close a loop, where there are checks: takes the instructions of the loop from the budget,
    /// whether it is taken or not.
    fn spend(&mut self, to: &[usize]) {
        if !self.env.checked {
            return;
        }
        let count = to.iter().map(|to| self.turn(*to)).max().unwrap_or(0);
        if count == 0 {
            return;
        }
        let (stop, go_on) = (self.cold_block(), self.new_block());
        let left = self.b.use_var(self.left);
        let count = self.number(count);
        let enough = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, left, count);
        self.b.ins().brif(enough, go_on, &[], stop, &[]);
        self.begin(stop);
        self.runtime(runtime::no_budget as *const () as usize, &[]);
        self.fail();
        self.ended = false;
        self.begin(go_on);
        let less = self.b.ins().isub(left, count);
        let less = self.done_here(less);
        self.b.def_var(self.left, less);
    }

    /// Instructions of the loop that a jump from here may close; zero when it closes none.
    fn turn(&self, to: usize) -> i64 {
        if !self.flow.goes_back(self.block_now, to) {
            return 0;
        }
        let slots = (self.at + 1).abs_diff(to).max(1) as i64;
        match &self.turns {
            // Of two turns of a loop the second counts for both.
            Some(t) if self.flow.leader(to) == Some(t.one.first) => {
                if t.second {
                    2 * slots
                } else {
                    0
                }
            }
            _ => slots,
        }
    }

    /// Takes what is left of the budget from the run: at the start, and after calls, which take their share.
    pub(super) fn fetch_budget(&mut self) {
        if self.counts {
            let left = self.b.ins().load(I64, trusted(), self.run, offset::LEFT);
            self.b.def_var(self.left, left);
        }
    }

    /// Leaves it in the run: before calls, and at the end.
    pub(super) fn leave_budget(&mut self) {
        if self.counts {
            let left = self.b.use_var(self.left);
            self.b.ins().store(trusted(), left, self.run, offset::LEFT);
        }
    }

    /// Ends the block with a branch.
    fn branch(&mut self, condition: Value, taken: usize, after: usize) {
        let targets = [self.block(taken), self.block(after)];
        // Out of rare code through blocks of its own, so that what has to be moved on the way is moved there.
        let by = if self.is_cold { [self.cold_block(), self.cold_block()] } else { targets };
        self.b.ins().brif(condition, by[0], &[], by[1], &[]);
        if self.is_cold {
            for (from, to) in by.into_iter().zip(targets) {
                self.begin(from);
                self.b.ins().jump(to, &[]);
            }
        }
        (self.ended, self.leads_to) = (true, [taken, after]);
    }

    pub(super) fn conditional(&mut self, op: JmpOp, width: Width, dst: u8, src: Operand) {
        let (taken, after) = match self.env.code.next(self.at) {
            Next::To(to) => return self.go(to),
            Next::Either(taken, after) => (taken, after),
            Next::End => return self.nowhere(),
        };
        self.spend(&[taken, after]);
        if matches!((op, src), (JmpOp::Eq | JmpOp::Ne, Operand::Imm(_))) {
            self.keep_sum(dst);
        }
        let (a, b) = (self.get_width(width, dst), self.operand(width, src));
        let condition = match condition(op) {
            Some(cc) => self.b.ins().icmp(cc, a, b),
            None => self.b.ins().band(a, b),
        };
        self.branch(condition, taken, after);
    }

    /// Before a register is compared with a number: makes it what it is now, where it was counted up or down.
    ///
    /// The optimiser would compare the value before the step with another number, and so keep two values where the
    /// program has one: at the end of a loop, that is a move and a jump for each turn.
    fn keep_sum(&mut self, reg: u8) {
        if self.tracked.is_stepped(reg) {
            let value = self.get(reg);
            let value = self.done_here(value);
            self.redefine(reg, value);
        }
    }

    /// Goes on while iterations are left.
    pub(super) fn may_goto(&mut self) {
        let (taken, after) = match self.env.code.next(self.at) {
            Next::To(to) => return self.go(to),
            Next::Either(taken, after) => (taken, after),
            Next::End => return self.nowhere(),
        };
        self.spend(&[taken, after]);
        let loops = self.b.use_var(self.loops);
        let zero = self.b.ins().iconst(I32, 0);
        let out = self.b.ins().icmp(IntCC::Equal, loops, zero);
        let less = self.b.ins().iadd_imm_s(loops, -1);
        // When it was zero, the function leaves this loop and may come to another: zero stays.
        let less = self.b.ins().select(out, zero, less);
        self.b.def_var(self.loops, less);
        let (to, other) = (self.block(taken), self.block(after));
        self.b.ins().brif(out, to, &[], other, &[]);
        self.ended = true;
    }
}

/// The comparison of a jump; `None` for `JSET`.
fn condition(op: JmpOp) -> Option<IntCC> {
    Some(match op {
        JmpOp::Eq => IntCC::Equal,
        JmpOp::Ne => IntCC::NotEqual,
        JmpOp::Gt => IntCC::UnsignedGreaterThan,
        JmpOp::Ge => IntCC::UnsignedGreaterThanOrEqual,
        JmpOp::Lt => IntCC::UnsignedLessThan,
        JmpOp::Le => IntCC::UnsignedLessThanOrEqual,
        JmpOp::Sgt => IntCC::SignedGreaterThan,
        JmpOp::Sge => IntCC::SignedGreaterThanOrEqual,
        JmpOp::Slt => IntCC::SignedLessThan,
        JmpOp::Sle => IntCC::SignedLessThanOrEqual,
        JmpOp::Set => return None,
    })
}
