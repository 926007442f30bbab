//! Code in the shapes that compilers give it: without optimisation, and with paths that never return.

use super::body::{Body, slot_off};
use super::known::{SLOTS, Slot, Value};
use super::role::Role;
use super::source::Source;
use ebpfkit_isa::opcode::{X, alu, class, jmp};

impl<S: Source> Body<'_, S> {
    /// What a compiler writes that optimises little or nothing: values go through the frame, truth values are numbers,
    /// 32-bit numbers are shifted up and down again, jumps lead to what follows them.
    pub(super) fn unoptimised(&mut self) {
        match self.source.below(7) {
            0 => self.through_the_frame(),
            1 => self.through_an_address(),
            2 => {
                // A number of 32 bits, extended in two steps.
                let (reg, down) = (self.own_number(), self.source.pick(&[alu::RSH, alu::ARSH]));
                if reg < 10 {
                    self.code.push(class::ALU64 | alu::LSH, reg, 0, 0, 32);
                    self.code.push(class::ALU64 | down, reg, 0, 0, 32);
                    self.set(reg, Value::Scalar);
                }
            }
            3 => {
                let here = self.code.label();
                self.code.jump(here);
                self.code.bind(here);
            }
            4 => {
                let reg = self.own_number();
                self.code.push(class::ALU | alu::MOV | X, reg, reg, 0, 0);
                self.set(reg, Value::Scalar);
            }
            5 => self.truth_value(),
            _ => self.select(),
        }
    }

    /// A number is stored and loaded again.
    fn through_the_frame(&mut self) {
        let (from, slot) = (self.number(), self.source.below(SLOTS as u32) as usize);
        let bytes = self.source.pick(&[4, 8, 8]);
        self.code.store(bytes, 10, slot_off(slot), from);
        let to = self.target();
        self.code.load(bytes, to, 10, slot_off(slot));
        self.set(to, Value::Scalar);
        self.known.slots[slot] = if bytes == 8 { Slot::Data } else { Slot::Empty };
    }

    /// The same through a pointer to the slot, which lies in the frame itself.
    fn through_an_address(&mut self) {
        let slots = [0, 1].map(|_| self.source.below(SLOTS as u32) as usize);
        let free = self.known.free();
        let (pointer, value) = (self.source.pick(&free), self.own_number());
        if slots[0] == slots[1] || pointer == value || value >= 10 {
            return self.through_the_frame();
        }
        self.code.mov(pointer, 10);
        self.code.add_imm(pointer, i32::from(slot_off(slots[0])));
        self.code.store(8, 10, slot_off(slots[1]), pointer);
        self.code.load(8, pointer, 10, slot_off(slots[1]));
        self.code.store(8, pointer, 0, value);
        self.code.load(8, value, pointer, 0);
        self.set(value, Value::Scalar);
        self.set(pointer, Value::Uninit);
        self.known.slots[slots[0]] = Slot::Data;
        self.known.slots[slots[1]] = Slot::Empty;
    }

    /// The outcome of a comparison as a number, by which another jump decides.
    fn truth_value(&mut self) {
        let free = self.known.free();
        let (number, truth) = (self.number(), self.source.pick(&free));
        if number == truth {
            return self.arithmetic();
        }
        let (op, imm) = (self.source.pick(&[jmp::JEQ, jmp::JSGT, jmp::JLT, jmp::JNE]), self.source.number() as i32);
        let (set, done) = (self.code.label(), self.code.label());
        self.code.mov_imm(truth, 1);
        self.code.branch(true, op, number, Err(imm), set);
        self.code.mov_imm(truth, 0);
        self.code.bind(set);
        self.code.push(class::ALU64 | alu::AND, truth, 0, 0, 1);
        self.set(truth, Value::UpTo(1));
        self.code.branch(true, jmp::JEQ, truth, Err(0), done);
        self.arithmetic();
        self.code.bind(done);
        if !self.known.regs[truth as usize].is_number() {
            self.set(truth, Value::Uninit);
        }
    }

    /// One of two constants by a comparison.
    fn select(&mut self) {
        let free = self.known.free();
        let (number, to) = (self.number(), self.source.pick(&free));
        if number == to {
            return self.arithmetic();
        }
        let skip = self.code.label();
        let [first, second, limit] = [0; 3].map(|_: i32| self.source.number() as i32);
        let wide = self.source.chance(500);
        self.code.mov_imm(to, first);
        self.code.branch(wide, jmp::JSLT, number, Err(limit), skip);
        self.code.mov_imm(to, second);
        self.code.bind(skip);
        self.set(to, Value::Scalar);
    }

    /// A check whose failure, which cannot be, calls a function that never returns.
    pub(super) fn panics(&mut self) {
        if self.later(|r| r == Role::Panic).is_empty() {
            return self.arithmetic();
        }
        let (index, mask) = (self.own_number(), self.source.pick(&[1u32, 3, 7, 63]));
        if index >= 10 {
            return;
        }
        self.code.push(class::ALU64 | alu::AND, index, 0, 0, mask as i32);
        self.set(index, Value::UpTo(mask));
        let limit = if self.mistake() { mask / 2 } else { mask };
        let failed = self.code.label();
        self.code.branch(true, jmp::JGT, index, Err(limit as i32), failed);
        self.failures.push(failed);
    }

    /// The ends of paths on which a check has failed. They lie behind everything else.
    pub(super) fn write_failures(&mut self) {
        let Some(&callee) = self.later(|r| r == Role::Panic).first() else { return };
        for failed in std::mem::take(&mut self.failures) {
            self.code.bind(failed);
            self.code.mov_imm(1, 1);
            self.code.mov_imm(2, 2);
            self.code.call(callee);
            self.never_returns();
        }
    }

    /// What stands behind a call that never returns.
    pub(super) fn never_returns(&mut self) {
        let choices = if self.mistake() { 3 } else { 2 };
        match self.source.below(choices) {
            0 => self.code.exit_with(0),
            1 => {
                let here = self.code.label();
                self.code.bind(here);
                self.code.jump(here);
            }
            // Nothing at all, so that the function may end in a call.
            _ => {}
        }
    }
}
