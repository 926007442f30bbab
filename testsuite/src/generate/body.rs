//! The statements of one function.

use super::code::{Code, Label};
use super::construct::{Construct, Kfuncs};
use super::kind::Kind;
use super::known::{Known, Memory, SLOTS, Slot, Value};
use super::maps::Numbers;
use super::role::Role;
use super::source::Source;
use super::{ENTRIES, VALUE_SIZES};
use ebpfkit_abi::helpers::id;
use ebpfkit_isa::opcode::{X, alu, class, jmp};

const CONDITIONS: [u8; 11] =
    [jmp::JEQ, jmp::JNE, jmp::JGT, jmp::JGE, jmp::JLT, jmp::JLE, jmp::JSGT, jmp::JSGE, jmp::JSLT, jmp::JSLE, jmp::JSET];

const ARITHMETIC: [u8; 10] =
    [alu::ADD, alu::SUB, alu::MUL, alu::DIV, alu::OR, alu::AND, alu::MOD, alu::XOR, alu::ADD, alu::SUB];

const SHIFTS: [u8; 3] = [alu::LSH, alu::RSH, alu::ARSH];

/// Offset from the frame pointer of a slot.
pub(super) fn slot_off(slot: usize) -> i16 {
    -8 * (slot as i16 + 1)
}

/// One function being written.
pub(super) struct Body<'a, S> {
    pub(super) source: &'a mut S,
    pub(super) code: Code,
    pub(super) known: Known,
    /// Statements that may still be written.
    pub(super) budget: u32,
    /// The function's number, and what all are for; the later ones may be called.
    pub(super) number: usize,
    pub(super) roles: &'a [Role],
    pub(super) mistakes: u32,
    pub(super) kind: &'static Kind,
    /// What the program does besides.
    pub(super) constructs: &'a [Construct],
    pub(super) maps: Numbers,
    pub(super) kfuncs: Option<Kfuncs>,
    /// Something is held, such as a record: nothing may end the program.
    pub(super) holds: bool,
    /// A record is reserved.
    pub(super) has_record: bool,
    /// Iterators that are open.
    pub(super) iterators: u32,
    /// These, and loops of `may_goto`.
    pub(super) open_loops: u32,
    /// Where checks that have failed jump to.
    pub(super) failures: Vec<Label>,
}

impl<S: Source> Body<'_, S> {
    /// Writes the whole function, with its exit.
    pub(super) fn write(&mut self) {
        self.arguments();
        if self.role() == Role::Panic {
            return self.never_returns();
        }
        self.block(0);
        self.result();
        let is_callback = matches!(self.role(), Role::Iteration { .. } | Role::Element { .. });
        if is_callback || self.role() == Role::Main && self.kind.narrow_result {
            self.code.push(class::ALU64 | alu::AND, 0, 0, 0, 1);
        }
        self.code.exit();
        self.write_failures();
    }

    pub(super) fn role(&self) -> Role {
        self.roles[self.number]
    }

    /// What the function starts with.
    fn arguments(&mut self) {
        let memory = |of, size| Value::Memory { of, size };
        let stack = |has| if has { memory(Memory::Frame, 8) } else { Value::Scalar };
        match self.role() {
            Role::Main => {
                self.code.mov(6, 1);
                self.known.regs[6] = Value::Ctx;
                self.known.reserved = 1 << 6;
            }
            Role::Panic => self.code.mov(0, 1),
            Role::Static | Role::Global => self.known.regs[1..=3].fill(Value::Scalar),
            Role::Iteration { stack: has } => {
                self.known.regs[1] = Value::Scalar;
                self.known.regs[2] = stack(has);
            }
            Role::Element { map, stack: has } => {
                self.code.load(4, 2, 2, 0);
                self.known.regs[2] = Value::Scalar;
                self.known.regs[3] = memory(Memory::Value(map), VALUE_SIZES[map] as u16);
                self.known.regs[4] = stack(has);
            }
        }
    }

    pub(super) fn mistake(&mut self) -> bool {
        let chance = self.mistakes;
        self.source.chance(chance)
    }

    /// r0 becomes a mix of what the numbers hold.
    fn result(&mut self) {
        let numbers = self.known.regs_where(Value::is_number);
        let first = numbers.iter().copied().find(|&r| r == 0).or_else(|| numbers.first().copied());
        match first {
            Some(0) => {}
            Some(r) => self.code.mov(0, r),
            None => self.code.mov_imm(0, 1),
        }
        for &r in numbers.iter().filter(|&&r| Some(r) != first) {
            self.code.push(class::ALU64 | alu::MUL, 0, 0, 0, 31);
            self.code.push(class::ALU64 | alu::XOR | X, 0, r, 0, 0);
        }
        self.known.regs[0] = Value::Scalar;
    }

    pub(super) fn block(&mut self, depth: u32) {
        let statements = 1 + self.source.below(if depth == 0 { self.budget.max(1) } else { 6 });
        for _ in 0..statements {
            if self.budget == 0 {
                return;
            }
            self.budget -= 1;
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: u32) {
        if !self.constructs.is_empty() && self.source.chance(200) {
            return self.construct(depth);
        }
        if self.constructs.contains(&Construct::Unoptimised) && self.source.chance(500) {
            return self.unoptimised();
        }
        match self.source.below(if depth < 4 { 26 } else { 20 }) {
            0..=4 => self.arithmetic(),
            5 => _ = self.constant(),
            6 | 7 => self.store_stack(),
            8 => self.load_stack(),
            9 => self.spill(),
            10 => self.fill(),
            11 => self.atomic(),
            12 | 13 => self.value_access(),
            14 => self.bound(),
            15 => self.convert(),
            16 => self.packet_access(),
            17 => self.map_write(),
            18 => self.wandering_access(),
            19 => self.ordered_access(),
            20..=22 => self.branch(depth),
            23 => self.lookup(depth),
            24 => self.repeat(depth),
            _ => self.call(),
        }
    }

    /// A register to write to.
    pub(super) fn target(&mut self) -> u8 {
        let free = self.known.free();
        if self.mistake() { self.source.below(11) as u8 } else { self.source.pick(&free) }
    }

    /// A register that holds a number, made if there is none. By mistake, any register.
    pub(super) fn number(&mut self) -> u8 {
        if self.mistake() {
            return self.source.below(11) as u8;
        }
        let numbers = self.known.regs_where(Value::is_number);
        if numbers.is_empty() {
            return self.constant();
        }
        self.source.pick(&numbers)
    }

    /// A register that holds a number and may be written.
    pub(super) fn own_number(&mut self) -> u8 {
        let r = self.number();
        if r < 10 && self.known.reserved >> r & 1 == 0 {
            return r;
        }
        let free = self.known.free();
        let to = self.source.pick(&free);
        self.code.mov(to, r);
        self.set(to, Value::Scalar);
        to
    }

    pub(super) fn set(&mut self, reg: u8, value: Value) {
        if let Some(r) = self.known.regs.get_mut(reg as usize) {
            *r = value;
        }
    }

    pub(super) fn constant(&mut self) -> u8 {
        let to = self.target();
        let value = self.source.number();
        match i32::try_from(value as i64) {
            Ok(imm) if self.source.chance(900) => self.code.mov_imm(to, imm),
            _ => self.code.imm64(to, value),
        }
        self.set(to, Value::Scalar);
        to
    }

    pub(super) fn arithmetic(&mut self) {
        let wide = if self.source.chance(600) { class::ALU64 } else { class::ALU };
        let dst = self.own_number();
        let shift = self.source.chance(200);
        let op = if shift { self.source.pick(&SHIFTS) } else { self.source.pick(&ARITHMETIC) };
        // Signed division and remainder have the offset 1.
        let off = i16::from(matches!(op, alu::DIV | alu::MOD) && self.source.chance(300));
        if self.source.chance(500) {
            let src = self.number();
            self.code.push(wide | op | X, dst, src, off, 0);
        } else {
            let bits = if wide == class::ALU64 { 64 } else { 32 };
            let mut imm = if shift { self.source.below(bits) as i32 } else { self.source.number() as i32 };
            if matches!(op, alu::DIV | alu::MOD) && imm == 0 && !self.mistake() {
                imm = 3;
            }
            self.code.push(wide | op, dst, 0, off, imm);
        }
        self.set(dst, Value::Scalar);
    }

    /// Moves, negation, byte order, sign extension.
    fn convert(&mut self) {
        let dst = self.own_number();
        match self.source.below(6) {
            0 => self.code.push(class::ALU64 | alu::NEG, dst, 0, 0, 0),
            1 => self.code.push(class::ALU | alu::NEG, dst, 0, 0, 0),
            2 => {
                let order = self.source.pick(&[0, X]);
                let bits = self.source.pick(&[16, 32, 64]);
                self.code.push(class::ALU | alu::END | order, dst, 0, 0, bits);
            }
            3 => {
                let bits = self.source.pick(&[16, 32, 64]);
                self.code.push(class::ALU64 | alu::END, dst, 0, 0, bits);
            }
            4 => {
                let (src, bits) = (self.number(), self.source.pick(&[0, 8, 16, 32]));
                self.code.push(class::ALU64 | alu::MOV | X, dst, src, bits, 0);
            }
            _ => {
                let (src, bits) = (self.number(), self.source.pick(&[0, 8, 16]));
                self.code.push(class::ALU | alu::MOV | X, dst, src, bits, 0);
            }
        }
        self.set(dst, Value::Scalar);
    }

    /// A number gets a known upper bound.
    fn bound(&mut self) {
        let dst = self.own_number();
        let max = self.source.pick(&[0u32, 1, 3, 7, 15, 31, 63]);
        self.code.push(class::ALU64 | alu::AND, dst, 0, 0, max as i32);
        self.set(dst, Value::UpTo(max));
    }

    /// A key in a stack slot, r1 the map and r2 the key.
    pub(super) fn key(&mut self, map: usize) {
        let slot = self.source.below(SLOTS as u32) as usize;
        if self.source.chance(500) {
            let key = self.source.below(ENTRIES + 1) as i32;
            self.code.store_imm(8, 10, slot_off(slot), key);
        } else {
            let number = self.number();
            self.code.store(8, 10, slot_off(slot), number);
            if number < 10 && !self.known.regs[number as usize].is_number() {
                self.known.slots[slot] = Slot::Empty;
            }
        }
        self.known.slots[slot] = Slot::Data;
        self.code.mov(2, 10);
        self.code.add_imm(2, i32::from(slot_off(slot)));
        self.code.map(1, map);
    }

    /// Whether r0 to r5 may be lost to a call.
    pub(super) fn may_call(&self) -> bool {
        self.known.reserved & 0x3f == 0
    }

    fn lookup(&mut self, depth: u32) {
        if !self.may_call() {
            return self.arithmetic();
        }
        let map = self.source.below(VALUE_SIZES.len() as u32) as usize;
        self.key(map);
        self.code.helper(id::MAP_LOOKUP_ELEM);
        self.known.after_call(Value::Uninit);
        let value = Value::Memory { of: Memory::Value(map), size: VALUE_SIZES[map] as u16 };
        let saved: Vec<u8> = self.known.free().into_iter().filter(|&r| r >= 7).collect();
        let skip = self.code.label();
        if !self.mistake() {
            self.code.branch(true, jmp::JEQ, 0, Err(0), skip);
        }
        let before = self.known.clone();
        self.known.regs[0] = value;
        if !saved.is_empty() {
            let keep = self.source.pick(&saved);
            self.code.mov(keep, 0);
            self.set(keep, value);
        }
        self.value_access();
        self.block(depth + 1);
        self.end_null_check(skip, before);
    }

    /// The end of what is skipped when `r0` is NULL; `before` is what was known at the check.
    pub(super) fn end_null_check(&mut self, skip: Label, before: Known) {
        self.code.bind(skip);
        let mut without = before;
        without.regs[0] = Value::Scalar;
        self.known.merge(&without);
    }

    /// Sets or removes an element.
    fn map_write(&mut self) {
        let data = self.slots_where(|s| s == Slot::Data);
        if !self.may_call() {
            return self.arithmetic();
        }
        let hash = 1;
        self.key(hash);
        if data.len() >= 2 && self.source.chance(700) {
            // Two neighbouring slots are a value.
            let pair = data.windows(2).find(|w| w[1] == w[0] + 1).map(|w| w[1]);
            let Some(slot) = pair.filter(|&s| self.known.slots[s] == Slot::Data) else {
                self.code.helper(id::MAP_DELETE_ELEM);
                return self.known.after_call(Value::Scalar);
            };
            self.code.mov(3, 10);
            self.code.add_imm(3, i32::from(slot_off(slot)));
            let flags = self.source.below(4) as i32;
            self.code.mov_imm(4, flags);
            self.code.helper(id::MAP_UPDATE_ELEM);
        } else {
            self.code.helper(id::MAP_DELETE_ELEM);
        }
        self.known.after_call(Value::Scalar);
    }

    fn branch(&mut self, depth: u32) {
        let (wide, op, dst) = (self.source.chance(600), self.source.pick(&CONDITIONS), self.number());
        let src = if self.source.chance(500) { Ok(self.number()) } else { Err(self.source.number() as i32) };
        let (other, done) = (self.code.label(), self.code.label());
        self.code.branch(wide, op, dst, src, other);
        let before = self.known.clone();
        self.block(depth + 1);
        let after_first = std::mem::replace(&mut self.known, before);
        if self.source.chance(500) {
            self.code.jump(done);
            self.code.bind(other);
            self.block(depth + 1);
        } else {
            self.code.bind(other);
        }
        self.code.bind(done);
        self.known.merge(&after_first);
    }

    /// Registers that a loop may count in; `None` where there are too few, or loops are too deep already.
    pub(super) fn counters(&self, depth: u32) -> Option<Vec<u8>> {
        let free: Vec<u8> = self.known.free().into_iter().filter(|&r| r >= 7).collect();
        (free.len() >= 2 && depth <= 2).then_some(free)
    }

    /// The head of a loop that counts from zero: the register, how often the loop runs, and which registers were reserved
    /// before.
    pub(super) fn begin_counting(&mut self, free: &[u8]) -> (u8, i32, u16) {
        let (counter, iterations) = (self.source.pick(free), 1 + self.source.below(6) as i32);
        self.code.mov_imm(counter, 0);
        let reserved = self.known.reserved;
        self.known.reserved |= 1 << counter;
        self.set(counter, Value::Scalar);
        self.known.at_loop_head();
        (counter, iterations, reserved)
    }

    /// A loop with a counter that runs a few times.
    fn repeat(&mut self, depth: u32) {
        let Some(free) = self.counters(depth) else { return self.arithmetic() };
        let (counter, iterations, reserved) = self.begin_counting(&free);
        let head = self.known.clone();
        let start = self.code.label();
        self.code.bind(start);
        self.block(depth + 1);
        self.restore(&head);
        self.code.add_imm(counter, 1);
        let limit = if self.source.chance(self.mistakes / 8) { -1 } else { iterations };
        self.code.branch(true, jmp::JLT, counter, Err(limit), start);
        self.known = head;
        self.known.reserved = reserved;
    }

    /// Makes true again what was known at the head of a loop.
    pub(super) fn restore(&mut self, head: &Known) {
        for r in 0..10u8 {
            let (was, is) = (head.regs[r as usize], self.known.regs[r as usize]);
            if was.is_number() && !is.is_number() {
                self.code.mov_imm(r, i32::from(r));
            }
        }
        for slot in 0..SLOTS {
            let is_data = match self.known.slots[slot] {
                Slot::Data => true,
                Slot::Spill(v) => v.is_number(),
                Slot::Empty => false,
            };
            if head.slots[slot] == Slot::Data && !is_data {
                self.code.store_imm(8, 10, slot_off(slot), slot as i32);
            }
        }
    }

    /// Later functions that are for something.
    pub(super) fn later(&self, fits: impl Fn(Role) -> bool) -> Vec<usize> {
        (self.number + 1..self.roles.len()).filter(|&n| fits(self.roles[n])).collect()
    }

    /// Calls a later function with three numbers.
    pub(super) fn call(&mut self) {
        let callees = self.later(|r| matches!(r, Role::Static | Role::Global));
        if callees.is_empty() || !self.may_call() {
            return self.arithmetic();
        }
        let callee = self.source.pick(&callees);
        for r in 1..=3u8 {
            if !self.known.regs[r as usize].is_number() {
                let imm = self.source.number() as i32;
                self.code.mov_imm(r, imm);
            }
        }
        self.code.call(callee);
        self.known.after_call(Value::Scalar);
    }
}
