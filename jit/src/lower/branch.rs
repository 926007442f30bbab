//! Jumps, and the budget that they are counted in.

use super::{I32, Translator, trusted};
use crate::flow::Next;
use crate::opt::unroll::LoopJump;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, Value};
use ebpfkit_isa::{JmpOp, Operand, Width};
use ebpfkit_vm::native::offset;

impl Translator<'_, '_> {
    pub(crate) fn jump(&mut self) {
        if let Next::To(to) = self.env.code.next(self.at) {
            self.charge_jump();
            self.go(to);
        }
    }

    /// Ends the block with a jump, or by going on to the next.
    pub(crate) fn go(&mut self, to: usize) {
        self.pay_debt(to);
        let target = self.block_at(to);
        self.b.ins().jump(target, &[]);
        (self.block.ended, self.block.leads_to) = (true, [to; 2]);
    }

    /// Before a jump: takes what it costs from the budget, whether it is taken or not. Of an unrolled loop the second
    /// iteration pays for both; until it has, or on the way out, the first one's jump is a debt.
    fn charge_jump(&mut self) {
        let cost = i64::from(self.env.code.cost(self.at));
        if !self.counts || cost == 0 {
            return;
        }
        let left = self.b.use_var(self.left);
        // A jump inside of the loop may lead out of it, further back.
        let less = match self.unrolling.as_ref().filter(|u| u.jump.slot == self.at) {
            Some(u) if !u.second => return,
            Some(_) => self.charge_both(left, cost),
            None => self.charge(left, cost),
        };
        self.b.def_var(self.left, less);
    }

    /// What an unrolled loop owes on the way from here to a slot: its first iteration's jump, when the second has begun
    /// and not paid, or does not follow.
    fn debt(&self, to: usize) -> Option<LoopJump> {
        let unrolling = self.unrolling.as_ref()?;
        let leaves = self.flow.leader(to).is_none_or(|block| !unrolling.one.contains(block));
        let at_end = self.at == unrolling.jump.slot;
        (leaves && at_end != unrolling.second && unrolling.jump.cost > 0).then_some(unrolling.jump)
    }

    /// Pays what is owed on the way to a slot; a fault is the loop's jump's.
    fn pay_debt(&mut self, to: usize) {
        if let Some(jump) = self.debt(to) {
            let at = std::mem::replace(&mut self.at, jump.slot);
            let left = self.b.use_var(self.left);
            let less = self.charge(left, jump.cost.into());
            self.b.def_var(self.left, less);
            self.at = at;
        }
    }

    /// Takes instructions from the budget, of which there are `left`; what is left then. The function ends when there
    /// are too few.
    fn charge(&mut self, left: Value, cost: i64) -> Value {
        self.charge_or(left, cost, |t| {
            let cost = t.number(cost);
            t.refill(left, cost)
        })
    }

    /// The same of two jumps that cost as much.
    fn charge_both(&mut self, left: Value, cost: i64) -> Value {
        self.charge_or(left, 2 * cost, |t| {
            let was_cold = std::mem::replace(&mut t.is_cold, true);
            let left = t.charge(left, cost);
            let left = t.charge(left, cost);
            t.is_cold = was_cold;
            left
        })
    }

    /// Takes instructions from the budget; where there are too few, `short` says what is left.
    fn charge_or(&mut self, left: Value, cost: i64, short: impl FnOnce(&mut Self) -> Value) -> Value {
        let (few, enough, go_on) = (self.cold_block(), self.new_block(), self.new_block());
        self.b.append_block_param(go_on, I64);
        let cost = self.number(cost);
        let is_enough = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, left, cost);
        self.b.ins().brif(is_enough, enough, &[], few, &[]);
        self.begin(few);
        let next = short(self);
        self.b.ins().jump(go_on, &[BlockArg::Value(next)]);
        self.begin(enough);
        let less = self.b.ins().isub(left, cost);
        let less = self.optimisation_barrier(less);
        self.b.ins().jump(go_on, &[BlockArg::Value(less)]);
        self.begin(go_on);
        self.block.ended = false;
        self.b.block_params(go_on)[0]
    }

    /// Before a call of a function of the program: takes what it costs.
    pub(crate) fn charge_call(&mut self, cost: u64) {
        if !self.env.code.counts() {
            return;
        }
        let left = self.b.ins().load(I64, trusted(), self.run, offset::LEFT);
        let less = self.charge(left, cost as i64);
        self.b.ins().store(trusted(), less, self.run, offset::LEFT);
    }

    /// Takes what is left of the budget from the run: at the start, and after calls, which take their share.
    pub(crate) fn fetch_budget(&mut self) {
        if self.counts {
            let left = self.b.ins().load(I64, trusted(), self.run, offset::LEFT);
            self.b.def_var(self.left, left);
        }
    }

    /// Leaves it in the run: before calls, and at the end.
    pub(crate) fn leave_budget(&mut self) {
        if self.counts {
            let left = self.b.use_var(self.left);
            self.b.ins().store(trusted(), left, self.run, offset::LEFT);
        }
    }

    /// Ends the block with a branch.
    fn branch(&mut self, condition: Value, taken: usize, after: usize) {
        let slots = [taken, after];
        let targets = slots.map(|slot| self.block_at(slot));
        // Out of rare code through blocks of its own, so that what has to be moved on the way is moved there.
        let by: [Block; 2] = std::array::from_fn(|n| {
            if self.is_cold || self.debt(slots[n]).is_some() { self.new_block() } else { targets[n] }
        });
        self.b.ins().brif(condition, by[0], &[], by[1], &[]);
        for n in 0..2 {
            if by[n] != targets[n] {
                self.begin(by[n]);
                self.pay_debt(slots[n]);
                self.b.ins().jump(targets[n], &[]);
            }
        }
        (self.block.ended, self.block.leads_to) = (true, [taken, after]);
    }

    /// The slots that a conditional jump leads to, once it is charged for. One that leads to a single slot, or to none, ends
    /// the block.
    fn either(&mut self) -> Option<(usize, usize)> {
        match self.env.code.next(self.at) {
            Next::To(to) => {
                self.charge_jump();
                self.go(to);
                None
            }
            Next::Either(taken, after) => {
                self.charge_jump();
                Some((taken, after))
            }
            Next::End => {
                self.nowhere();
                None
            }
        }
    }

    pub(crate) fn conditional(&mut self, op: JmpOp, width: Width, dst: u8, src: Operand) {
        let Some((taken, after)) = self.either() else { return };
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
    /// program has one: at the end of a loop, that is a move and a jump in each iteration.
    fn keep_sum(&mut self, reg: u8) {
        if self.block.known.is_stepped(reg) {
            let value = self.get(reg);
            let value = self.optimisation_barrier(value);
            self.redefine(reg, value);
        }
    }

    /// Goes on while iterations are left.
    pub(crate) fn may_goto(&mut self) {
        let Some((taken, after)) = self.either() else { return };
        let loops = self.b.use_var(self.loops);
        let zero = self.b.ins().iconst(I32, 0);
        let out = self.b.ins().icmp(IntCC::Equal, loops, zero);
        let less = self.b.ins().iadd_imm_s(loops, -1);
        // When it was zero, the function leaves this loop and may come to another: zero stays.
        let less = self.b.ins().select(out, zero, less);
        self.b.def_var(self.loops, less);
        let (to, other) = (self.block_at(taken), self.block_at(after));
        self.b.ins().brif(out, to, &[], other, &[]);
        self.block.ended = true;
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
