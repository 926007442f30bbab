//! Loops that the verifier walks until nothing changes: `may_goto` and number iterators.

use super::body::Body;
use super::construct::Kfunc;
use super::known::{SLOTS, Value};
use super::source::Source;
use ebpfkit_isa::opcode::jmp;

/// Loops of these kinds inside each other.
const MOST_OPEN: u32 = 2;

impl<S: Source> Body<'_, S> {
    /// Whether one more may be begun. Inside each other they rarely converge before the verifier gives up, which takes
    /// long.
    fn may_open(&mut self) -> bool {
        self.open_loops == 0 || self.open_loops < MOST_OPEN && self.source.chance(50)
    }

    /// A loop that the program may be told to leave, and leaves by itself after a few iterations.
    pub(super) fn may_goto(&mut self, depth: u32) {
        let Some(free) = self.counters(depth) else { return self.arithmetic() };
        if !self.may_open() {
            return self.arithmetic();
        }
        let (counter, iterations, reserved) = self.begin_counting(&free);
        self.known.carry_little(self.source);
        let head = self.known.clone();
        let (start, done) = (self.code.label(), self.code.label());
        self.code.bind(start);
        self.code.may_goto(done);
        self.open_loops += 1;
        self.block(depth + 2);
        self.open_loops -= 1;
        self.restore(&head);
        self.code.add_imm(counter, 1);
        let first = self.source.chance(500);
        if first {
            self.code.branch(true, jmp::JLT, counter, Err(iterations), start);
        } else {
            self.code.branch(true, jmp::JGE, counter, Err(iterations), done);
            self.code.jump(start);
        }
        self.code.bind(done);
        self.known = head;
        self.known.reserved = reserved;
    }

    /// A loop over a number iterator.
    pub(super) fn iterator(&mut self, depth: u32) {
        let Some(kfuncs) = self.kfuncs.filter(|_| self.may_call() && depth <= 2 && self.may_open()) else {
            return self.arithmetic();
        };
        let [new, next, destroy] = [Kfunc::IterNew, Kfunc::IterNext, Kfunc::IterDestroy].map(|f| kfuncs.id(f));
        // Below the slots that everything else uses.
        let offset = -8 * (SLOTS as i32 + 1 + self.iterators as i32);
        let (from, iterations) = (self.source.below(5) as i32 - 2, self.source.below(7) as i32);
        self.iterator_call(offset, Some((from, from + iterations)), new);
        self.known.at_loop_head();
        self.known.carry_little(self.source);
        let head = self.known.clone();
        let (start, done) = (self.code.label(), self.code.label());
        self.code.bind(start);
        self.iterator_call(offset, None, next);
        if !self.mistake() {
            self.code.branch(true, jmp::JEQ, 0, Err(0), done);
        }
        let to = if self.source.chance(500) { 0 } else { self.target() };
        let bytes = self.source.pick(&[1, 2, 4, 4]);
        self.code.load(bytes, to, 0, 0);
        self.set(to, Value::Scalar);
        self.iterators += 1;
        self.open_loops += 1;
        self.block(depth + 2);
        self.open_loops -= 1;
        self.iterators -= 1;
        self.restore(&head);
        self.code.jump(start);
        self.code.bind(done);
        if !self.mistake() {
            self.iterator_call(offset, None, destroy);
        }
        self.known = head;
        self.known.after_call(Value::Uninit);
    }

    fn iterator_call(&mut self, offset: i32, range: Option<(i32, i32)>, function: u32) {
        self.code.mov(1, 10);
        self.code.add_imm(1, offset);
        if let Some((from, to)) = range {
            self.code.mov_imm(2, from);
            self.code.mov_imm(3, to);
        }
        self.code.kfunc(function);
        self.known.after_call(Value::Uninit);
    }
}
