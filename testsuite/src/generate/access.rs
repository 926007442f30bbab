//! Statements that access memory: the stack, values of maps, the packet and the context.

use super::body::{Body, slot_off};
use super::construct::Construct;
use super::known::{Memory, SLOTS, Slot, Value};
use super::source::Source;
use ebpfkit_isa::opcode::{X, alu, atomic, class, jmp, mode, size};

impl<S: Source> Body<'_, S> {
    /// An offset inside a slot that is aligned for an access.
    pub(super) fn point_to_slot(&mut self, slot: usize, bytes: u8) -> i16 {
        let steps = 8 / u32::from(bytes);
        let within = self.source.below(steps) as i16 * i16::from(bytes);
        let stray = if self.mistake() { self.source.below(1200) as i16 - 600 } else { 0 };
        slot_off(slot) + within + stray
    }

    pub(super) fn store_stack(&mut self) {
        let slot = self.source.below(SLOTS as u32) as usize;
        let mut bytes = self.source.pick(&[1, 2, 4, 8]);
        let has_number = matches!(self.known.slots[slot], Slot::Spill(v) if v.is_number());
        if self.known.slots[slot] != Slot::Data && !has_number {
            bytes = 8;
        }
        let off = self.point_to_slot(slot, bytes);
        if self.source.chance(300) {
            let imm = self.source.number() as i32;
            self.code.store_imm(bytes, 10, off, imm);
        } else {
            let src = self.number();
            self.code.store(bytes, 10, off, src);
        }
        self.known.slots[slot] = Slot::Data;
    }

    /// An access to two neighbouring slots at a bounded offset that may not be known.
    pub(super) fn wandering_access(&mut self) {
        let data = self.slots_where(|s| s == Slot::Data || matches!(s, Slot::Spill(v) if v.is_number()));
        let Some(low) = data.windows(2).find(|w| w[1] == w[0] + 1).map(|w| w[1]) else { return self.store_stack() };
        let (index, free) = (self.own_number(), self.known.free());
        let base = self.source.pick(&free);
        if base == index || index >= 10 {
            return;
        }
        let mask = self.source.pick(&[1u32, 3, 7, 8, 8]);
        self.code.push(class::ALU64 | alu::AND, index, 0, 0, mask as i32);
        self.set(index, Value::UpTo(mask));
        self.code.mov(base, 10);
        self.code.add_imm(base, i32::from(slot_off(low)));
        self.code.push(class::ALU64 | alu::ADD | X, base, index, 0, 0);
        self.set(base, Value::Uninit);
        let bytes = if mask == 8 { self.source.pick(&[1, 2, 4, 8]) } else { 1 };
        match self.source.below(3) {
            0 => {
                let (to, stray) = (self.target(), if self.mistake() { 16 } else { 0 });
                self.code.load(bytes, to, base, stray);
                return self.set(to, Value::Scalar);
            }
            1 => {
                let imm = self.source.pick(&[0, 1, -1]);
                self.code.store_imm(bytes, base, 0, imm);
            }
            _ => {
                let src = self.number();
                if src == base {
                    return;
                }
                self.code.store(bytes, base, 0, src);
            }
        }
        for slot in [low - 1, low] {
            self.known.slots[slot] = Slot::Data;
        }
    }

    /// Register and offset of aligned data, in a map value or on the stack.
    fn data_address(&mut self, bytes: u8) -> Option<(u8, i16)> {
        if let Some((reg, size)) = self.value_register()
            && self.source.chance(600)
        {
            let offsets = (size / i32::from(bytes)).max(1) as u32;
            return Some((reg, self.source.below(offsets) as i16 * i16::from(bytes)));
        }
        let data = self.slots_where(|s| s == Slot::Data);
        if data.is_empty() {
            return None;
        }
        let slot = self.source.pick(&data);
        Some((10, self.point_to_slot(slot, bytes)))
    }

    /// A load that acquires or a store that releases, on the stack or in a map value.
    pub(super) fn ordered_access(&mut self) {
        let bytes = self.source.pick(&[1u8, 2, 4, 8]);
        let Some((base, off)) = self.data_address(bytes) else { return self.store_stack() };
        if self.source.chance(500) {
            let to = self.target();
            self.code.atomic(bytes, to, off, base, atomic::LOAD_ACQ);
            self.set(to, Value::Scalar);
        } else {
            let src = self.number();
            self.code.atomic(bytes, base, off, src, atomic::STORE_REL);
        }
    }

    pub(super) fn slots_where(&self, fits: impl Fn(Slot) -> bool) -> Vec<usize> {
        (0..SLOTS).filter(|&s| fits(self.known.slots[s])).collect()
    }

    pub(super) fn load_stack(&mut self) {
        let with_data = self.slots_where(|s| s == Slot::Data || matches!(s, Slot::Spill(v) if v.is_number()));
        if with_data.is_empty() {
            return self.store_stack();
        }
        let slot = self.source.pick(&with_data);
        let bytes = self.source.pick(&[1, 2, 4, 8]);
        let (off, to) = (self.point_to_slot(slot, bytes), self.target());
        if bytes < 8 && self.source.chance(250) {
            let bits = [size::B, size::H, size::W][bytes.trailing_zeros() as usize];
            self.code.push(class::LDX | mode::MEMSX | bits, to, 10, off, 0);
        } else {
            self.code.load(bytes, to, 10, off);
        }
        self.set(to, Value::Scalar);
    }

    pub(super) fn spill(&mut self) {
        let regs = self.known.regs_where(|v| v != Value::Uninit);
        if regs.is_empty() {
            return;
        }
        let (reg, slot) = (self.source.pick(&regs), self.source.below(SLOTS as u32) as usize);
        self.code.store(8, 10, slot_off(slot), reg);
        self.known.slots[slot] = Slot::Spill(self.known.regs[reg as usize]);
    }

    pub(super) fn fill(&mut self) {
        let spilled = self.slots_where(|s| matches!(s, Slot::Spill(_)));
        if spilled.is_empty() {
            return self.spill();
        }
        let (slot, to) = (self.source.pick(&spilled), self.target());
        self.code.load(8, to, 10, slot_off(slot));
        if let Slot::Spill(value) = self.known.slots[slot] {
            self.set(to, value);
        }
    }

    /// An atomic operation on stack or a map value.
    pub(super) fn atomic(&mut self) {
        const OPS: [i32; 9] = [
            atomic::ADD,
            atomic::OR,
            atomic::AND,
            atomic::XOR,
            atomic::ADD | atomic::FETCH,
            atomic::OR | atomic::FETCH,
            atomic::XOR | atomic::FETCH,
            atomic::XCHG,
            atomic::CMPXCHG,
        ];
        let bytes = self.source.pick(&[4, 8]);
        let Some((base, off)) = self.data_address(bytes) else { return self.store_stack() };
        let (op, src) = (self.source.pick(&OPS), self.own_number());
        if src == base {
            return;
        }
        if op == atomic::CMPXCHG {
            if self.known.reserved & 1 != 0 || base == 0 {
                return;
            }
            if !self.known.regs[0].is_number() {
                self.code.mov_imm(0, 0);
            }
            self.set(0, Value::Scalar);
        } else if op & atomic::FETCH != 0 {
            self.set(src, Value::Scalar);
        }
        self.code.atomic(bytes, base, off, src, op);
    }

    /// A register that points into a map value, with the bytes behind it.
    fn value_register(&mut self) -> Option<(u8, i32)> {
        let regs = self.known.regs_where(|v| matches!(v, Value::Memory { .. }));
        if regs.is_empty() {
            return None;
        }
        let reg = self.source.pick(&regs);
        let Value::Memory { size, .. } = self.known.regs[reg as usize] else { return None };
        Some((reg, size.into()))
    }

    /// Loads from or stores to a map value, at a fixed or a bounded offset.
    pub(super) fn value_access(&mut self) {
        let Some((reg, size)) = self.value_register() else { return self.arithmetic() };
        let mut bytes = self.source.pick(&[1u8, 2, 4, 8]);
        let stray = if self.mistake() { self.source.below(80) as i16 } else { 0 };
        let mut base = reg;
        let mut off = self.source.below((size / i32::from(bytes)).max(1) as u32) as i16 * i16::from(bytes) + stray;
        if self.source.chance(400) {
            let index = self.own_number();
            let free = self.known.free();
            base = self.source.pick(&free);
            if index == base || base == reg || index == reg {
                return;
            }
            let on_stack = matches!(self.known.regs[reg as usize], Value::Memory { of: Memory::Frame, .. });
            if on_stack && !self.mistake() {
                // The stack is accessed at aligned offsets only.
                bytes = 1;
            }
            let left = (size - i32::from(bytes)).max(0) as u32;
            let mask = [0u32, 1, 3, 7, 15, 31, 63].into_iter().rfind(|&m| m <= left).unwrap_or(0);
            if !self.mistake() {
                self.code.push(class::ALU64 | alu::AND, index, 0, 0, mask as i32);
                self.set(index, Value::UpTo(mask));
            }
            self.code.mov(base, reg);
            self.code.push(class::ALU64 | alu::ADD | X, base, index, 0, 0);
            self.set(base, Value::Uninit);
            off = stray;
        }
        if self.source.chance(500) {
            let src = self.number();
            if src == base {
                return;
            }
            self.code.store(bytes, base, off, src);
        } else {
            let to = self.target();
            self.code.load(bytes, to, base, off);
            self.set(to, Value::Scalar);
        }
    }

    /// Reads or writes the packet behind a check of its length.
    pub(super) fn packet_access(&mut self) {
        let Some(&ctx) = self.known.regs_where(|v| v == Value::Ctx).first() else { return self.arithmetic() };
        let on = self.constructs.contains(&Construct::Kinds);
        let Some((data_field, end_field)) = self.kind.data.filter(|_| !on || self.source.chance(600)) else {
            return self.context_access(ctx);
        };
        let free = self.known.free();
        let (data, end, to) = (self.source.pick(&free), self.source.pick(&free), self.source.pick(&free));
        if data == end || data == to || end == to || [data, end, to].contains(&ctx) {
            return;
        }
        let length = 1 + self.source.below(80) as u16;
        let skip = self.code.label();
        self.code.load(4, data, ctx, data_field);
        self.code.load(4, end, ctx, end_field);
        self.code.mov(to, data);
        self.code.add_imm(to, i32::from(length));
        self.code.branch(true, jmp::JGT, to, Ok(end), skip);
        let mut bytes = self.source.pick(&[1u8, 2, 4, 8]);
        while u16::from(bytes) > length {
            bytes /= 2;
        }
        let stray = if self.mistake() { 3 } else { 0 };
        let off = self.source.below(u32::from(length) - u32::from(bytes) + 1) as i16 + stray;
        if self.source.chance(300) && (self.kind.writes || self.mistake()) {
            let imm = self.source.number() as i32;
            self.code.store_imm(bytes, data, off, imm);
            self.code.mov_imm(to, imm);
        } else {
            self.code.load(bytes, to, data, off);
        }
        let done = self.code.label();
        self.code.jump(done);
        self.code.bind(skip);
        self.code.mov_imm(to, -1);
        self.code.bind(done);
        self.set(to, Value::Scalar);
        self.set(data, Value::Packet { proved: 0 });
        self.set(end, Value::Uninit);
    }

    /// Reads or writes a field of the context.
    fn context_access(&mut self, ctx: u8) {
        let stray = if self.mistake() { self.source.below(12) as i16 - 4 } else { 0 };
        let (fields, writable) = (self.kind.fields, self.kind.writable);
        if !writable.is_empty() && self.source.chance(400) {
            let (off, bytes) = self.source.pick(writable);
            let src = self.number();
            return self.code.store(bytes, ctx, off + stray, src);
        }
        let (off, bytes) = self.source.pick(fields);
        let to = self.target();
        self.code.load(bytes, to, ctx, off + stray);
        self.set(to, Value::Scalar);
    }
}
