//! Jumps, and the budget that they are counted in.

use super::{I32, Translator, trusted};
use crate::flow::Next;
use crate::index::Slot;
use crate::opt::unroll::LoopJump;
use crate::trampoline;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use ebpfkit_isa::{JmpOp, Operand, Width};
use ebpfkit_vm::native::offset;

impl Translator<'_, '_> {
    pub(crate) fn jump(&mut self) {
        if let Next::To(to) = self.env.code.next(self.at) {
            self.charged(|t| t.go(to));
        }
    }

    /// Ends the block with a jump, or by going on to the next.
    pub(crate) fn go(&mut self, to: Slot) {
        let target = self.block_at(to);
        let jump = |t: &mut Self| _ = t.b.ins().jump(target, &[]);
        match self.debt(to) {
            Some(owed) => self.pay(owed, jump),
            None => jump(self),
        }
        (self.block.ended, self.block.leads_to) = (true, [Some(to); 2]);
    }

    /// Ends the block with a jump that `leave` makes, once it is paid for, whether it is taken or not. Of an unrolled
    /// loop the second iteration pays for both; until it has, or on the way out, the first one's jump is a debt.
    fn charged(&mut self, leave: impl Fn(&mut Self)) {
        let cost = self.env.code.cost(self.at);
        if !self.counts || cost == 0 {
            return leave(self);
        }
        // A jump inside of the loop may lead out of it, further back.
        match self.unrolling.as_ref().filter(|u| u.jump.slot == self.at) {
            Some(u) if !u.second => leave(self),
            unrolled => {
                let jumps = if unrolled.is_some() { 2 } else { 1 };
                self.charge(jumps, cost.into(), leave);
            }
        }
    }

    /// What an unrolled loop owes on the way from here to a slot: its first iteration's jump, when the second has begun
    /// and not paid, or does not follow.
    fn debt(&self, to: Slot) -> Option<LoopJump> {
        let unrolling = self.unrolling.as_ref()?;
        let leaves = self.flow.leader(to).is_none_or(|block| !unrolling.one.contains(block));
        let at_end = self.at == unrolling.jump.slot;
        (leaves && at_end != unrolling.second && unrolling.jump.cost > 0).then_some(unrolling.jump)
    }

    /// Ends the block with the jump that `leave` makes, once what is owed is paid; a fault is the loop's jump's.
    fn pay(&mut self, owed: LoopJump, leave: impl Fn(&mut Self)) {
        let at = std::mem::replace(&mut self.at, owed.slot);
        self.charge(1, owed.cost.into(), leave);
        self.at = at;
    }

    /// Takes what `jumps` jumps cost from the budget, then leaves.
    ///
    /// Where the slice has too few instructions, the run is asked for each jump; that path leaves by a jump of its own. If
    /// it came back to this place, what is left would have two origins here, and loops would move it about.
    fn charge(&mut self, jumps: i64, cost: i64, leave: impl Fn(&mut Self)) {
        let (few, enough) = (self.cold_block(), self.new_block());
        let left = self.b.use_var(self.left);
        let (one, all) = (self.number(cost), self.number(jumps * cost));
        let is_enough = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, left, all);
        self.b.ins().brif(is_enough, enough, &[], few, &[]);
        self.begin(few);
        let was_cold = std::mem::replace(&mut self.is_cold, true);
        self.leave_budget();
        for _ in 0..jumps {
            self.spend(one);
        }
        self.fetch_budget();
        leave(self);
        self.is_cold = was_cold;
        self.begin(enough);
        self.block.ended = false;
        let less = self.b.ins().isub(left, all);
        let less = self.optimisation_barrier(less);
        self.b.def_var(self.left, less);
        leave(self);
    }

    /// Before a call of a function of the program: takes what it costs.
    pub(crate) fn charge_call(&mut self, cost: u64) {
        if !self.env.code.counts() {
            return;
        }
        let (few, enough, go_on) = (self.cold_block(), self.new_block(), self.new_block());
        let left = self.b.ins().load(I64, trusted(), self.run, offset::LEFT);
        let cost = self.number(cost as i64);
        let is_enough = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, left, cost);
        self.b.ins().brif(is_enough, enough, &[], few, &[]);
        self.begin(few);
        self.spend(cost);
        self.b.ins().jump(go_on, &[]);
        self.begin(enough);
        let less = self.b.ins().isub(left, cost);
        self.b.ins().store(trusted(), less, self.run, offset::LEFT);
        self.b.ins().jump(go_on, &[]);
        self.begin(go_on);
        self.block.ended = false;
    }

    /// Lets the run take instructions from its budget, of which it knows what is left. All registers stay.
    fn spend(&mut self, count: Value) {
        let was_cold = std::mem::replace(&mut self.is_cold, true);
        self.trampoline(trampoline::SPEND, &[count]);
        self.stop_on_fault();
        self.is_cold = was_cold;
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
    fn branch(&mut self, condition: Value, taken: Slot, after: Slot) {
        let slots = [taken, after];
        let targets = slots.map(|slot| self.block_at(slot));
        // Out of rare code through blocks of its own, so that what has to be moved on the way is moved there; and with a
        // debt, which is paid once for all iterations, through one that does not stand among the loop's.
        let by: [Block; 2] = std::array::from_fn(|n| {
            if self.is_cold || self.debt(slots[n]).is_some() { self.cold_block() } else { targets[n] }
        });
        self.b.ins().brif(condition, by[0], &[], by[1], &[]);
        let was_cold = std::mem::replace(&mut self.is_cold, true);
        for n in 0..2 {
            if by[n] != targets[n] {
                self.begin(by[n]);
                self.go(slots[n]);
            }
        }
        self.is_cold = was_cold;
        (self.block.ended, self.block.leads_to) = (true, slots.map(Some));
    }

    /// Ends the block with a conditional jump, which `branch` makes to the slots that it leads to; one that leads to a
    /// single slot is no branch.
    fn either(&mut self, branch: impl Fn(&mut Self, Slot, Slot)) {
        match self.env.code.next(self.at) {
            Next::To(to) => self.charged(|t| t.go(to)),
            Next::Either(taken, after) => self.charged(|t| branch(t, taken, after)),
            Next::End => self.nowhere(),
        }
    }

    pub(crate) fn conditional(&mut self, op: JmpOp, width: Width, dst: u8, src: Operand) {
        if matches!((op, src), (JmpOp::Eq | JmpOp::Ne, Operand::Imm(_))) {
            self.keep_sum(dst);
        }
        self.either(|t, taken, after| {
            let (a, b) = (t.get_width(width, dst), t.operand(width, src));
            let condition = match condition(op) {
                Some(cc) => t.b.ins().icmp(cc, a, b),
                None => t.b.ins().band(a, b),
            };
            t.branch(condition, taken, after);
        });
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
        self.either(|t, taken, after| {
            let loops = t.b.use_var(t.loops);
            let zero = t.b.ins().iconst(I32, 0);
            let out = t.b.ins().icmp(IntCC::Equal, loops, zero);
            let less = t.b.ins().iadd_imm_s(loops, -1);
            // When it was zero, the function leaves this loop and may come to another: zero stays.
            let less = t.b.ins().select(out, zero, less);
            t.b.def_var(t.loops, less);
            t.branch(out, taken, after);
        });
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
