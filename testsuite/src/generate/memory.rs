//! Memory of other kinds: ring buffer records, dynamic pointers, values with locks, inner maps, classic packet loads.

use super::body::{Body, slot_off};
use super::construct::Construct;
use super::known::{Memory, SLOTS, Slot, Value};
use super::maps::{BEHIND_LOCK, LOCK, LOCKED_SIZE, OUTER_SLOTS};
use super::role::Role;
use super::source::Source;
use super::{ENTRIES, VALUE_SIZES};
use ebpfkit_abi::helpers::id;
use ebpfkit_isa::opcode::{alu, class, jmp};

/// Offset from the frame pointer of the dynamic pointer, below slots and iterators.
const DYNPTR: i32 = -8 * (SLOTS as i32 + 4);

/// Offsets of classic packet loads that start at the link header or the network header.
const LINK: i32 = -0x20_0000;
const NETWORK: i32 = -0x10_0000;

impl<S: Source> Body<'_, S> {
    /// One of the constructs that the program is to have.
    pub(super) fn construct(&mut self, depth: u32) {
        let which = self.source.pick(self.constructs);
        if depth > 3 {
            return self.arithmetic();
        }
        match which {
            Construct::Loop => self.bpf_loop(),
            Construct::Elements => self.elements(),
            Construct::MayGoto => self.may_goto(depth),
            Construct::Iterator => self.iterator(depth),
            Construct::Ring => match self.source.below(5) {
                0 => self.ring_query(),
                1 => self.ring_output(),
                _ => self.record(depth),
            },
            Construct::Dynptr => self.dynptr(),
            Construct::Lock => self.locked(),
            Construct::Legacy => self.legacy(),
            Construct::Nested => self.nested(depth),
            Construct::Tail => self.tail_call(),
            Construct::Packets => self.packet_helper(),
            Construct::Regions => self.region(depth),
            Construct::DynptrKfuncs => self.dynptr_kfuncs(),
            Construct::Inner => self.inner(depth),
            Construct::Panics => self.panics(),
            Construct::Typedefs => self.locked(),
            Construct::Unoptimised => self.unoptimised(),
            // These are everywhere.
            Construct::Kinds => self.packet_access(),
            Construct::Types | Construct::Globals | Construct::Untyped => self.call(),
        }
    }

    /// A register that keeps its value over calls and may be written.
    fn saved(&mut self) -> Option<u8> {
        let free: Vec<u8> = self.known.free().into_iter().filter(|&r| r >= 7).collect();
        (free.len() >= 2).then(|| self.source.pick(&free))
    }

    /// A record of a ring buffer, submitted or discarded in the end.
    fn record(&mut self, depth: u32) {
        let Some(keep) = self.saved().filter(|_| self.may_call() && !self.has_record) else {
            return self.arithmetic();
        };
        let size = self.source.pick(&[8u16, 16, 24, 40]);
        self.code.map(1, self.maps.ring);
        self.code.mov_imm(2, i32::from(size));
        self.code.mov_imm(3, 0);
        self.code.helper(id::RINGBUF_RESERVE);
        self.known.after_call(Value::Uninit);
        let skip = self.code.label();
        if !self.mistake() {
            self.code.branch(true, jmp::JEQ, 0, Err(0), skip);
        }
        let before = self.known.clone();
        self.code.mov(keep, 0);
        for at in (0..size).step_by(8) {
            let imm = self.source.number() as i32;
            self.code.store_imm(8, keep, at as i16, imm);
        }
        let record = Value::Memory { of: Memory::Record, size };
        self.set(0, record);
        self.set(keep, record);
        let reserved = self.known.reserved;
        self.known.reserved |= 1 << keep;
        let held = std::mem::replace(&mut self.holds, true);
        self.has_record = true;
        self.value_access();
        self.block(depth + 1);
        self.holds = held;
        self.has_record = false;
        self.known.reserved = reserved;
        self.known.forget(Memory::Record);
        if !self.mistake() {
            self.code.mov(1, keep);
            let (flags, end) =
                (self.source.pick(&[0, 1, 2]), self.source.pick(&[id::RINGBUF_SUBMIT, id::RINGBUF_DISCARD]));
            self.code.mov_imm(2, flags);
            self.code.helper(end);
        }
        self.known.after_call(Value::Uninit);
        self.end_null_check(skip, before);
    }

    /// Copies a slot to a ring buffer.
    fn ring_output(&mut self) {
        if !self.may_call() {
            return self.arithmetic();
        }
        self.slot_address(2);
        self.code.map(1, self.maps.ring);
        self.code.mov_imm(3, 8);
        let flags = self.source.pick(&[0, 1, 2]);
        self.code.mov_imm(4, flags);
        self.code.helper(id::RINGBUF_OUTPUT);
        self.known.after_call(Value::Scalar);
    }

    fn ring_query(&mut self) {
        if !self.may_call() {
            return self.arithmetic();
        }
        let what = self.source.below(5) as i32;
        self.code.map(1, self.maps.ring);
        self.code.mov_imm(2, what);
        self.code.helper(id::RINGBUF_QUERY);
        self.known.after_call(Value::Scalar);
    }

    /// `dst` points to a slot that has data.
    pub(super) fn slot_address(&mut self, dst: u8) {
        let slot = self.source.below(SLOTS as u32) as usize;
        if self.known.slots[slot] != Slot::Data {
            let imm = self.source.number() as i32;
            self.code.store_imm(8, 10, slot_off(slot), imm);
            self.known.slots[slot] = Slot::Data;
        }
        self.code.mov(dst, 10);
        self.code.add_imm(dst, i32::from(slot_off(slot)));
    }

    /// A dynamic pointer to a map value; its size.
    pub(super) fn dynptr_to_value(&mut self) -> Option<i32> {
        let values = self.known.regs_where(|v| matches!(v, Value::Memory { of: Memory::Value(_), .. }));
        if values.is_empty() || !self.may_call() {
            return None;
        }
        let value = self.source.pick(&values);
        let Value::Memory { size, .. } = self.known.regs[value as usize] else { return None };
        let stray = if self.mistake() { 60 } else { 0 };
        let size = 1 + self.source.below(u32::from(size)) as i32 + stray;
        if value != 1 {
            self.code.mov(1, value);
        }
        self.code.mov_imm(2, size);
        self.code.mov_imm(3, 0);
        self.dynptr_address(4);
        self.code.helper(id::DYNPTR_FROM_MEM);
        self.known.after_call(Value::Scalar);
        Some(size)
    }

    /// A dynamic pointer to a map value, and a few operations on it.
    fn dynptr(&mut self) {
        let Some(size) = self.dynptr_to_value() else { return self.arithmetic() };
        for _ in 0..1 + self.source.below(3) {
            let offset = self.source.below(size as u32 + 2) as i32;
            let len = 1 + self.source.below(8) as i32;
            match self.source.below(3) {
                0 => {
                    self.slot_address(1);
                    self.code.mov_imm(2, len);
                    self.dynptr_address(3);
                    self.code.mov_imm(4, offset);
                    self.code.mov_imm(5, 0);
                    self.code.helper(id::DYNPTR_READ);
                    self.known.after_call(Value::Scalar);
                }
                1 => {
                    self.slot_address(3);
                    self.dynptr_address(1);
                    self.code.mov_imm(2, offset);
                    self.code.mov_imm(4, len);
                    self.code.mov_imm(5, 0);
                    self.code.helper(id::DYNPTR_WRITE);
                    self.known.after_call(Value::Scalar);
                }
                _ => {
                    // Enough for any access.
                    let len = len + 8;
                    self.dynptr_address(1);
                    self.code.mov_imm(2, offset);
                    self.code.mov_imm(3, len);
                    self.code.helper(id::DYNPTR_DATA);
                    self.known.after_call(Value::Uninit);
                    let skip = self.code.label();
                    self.code.branch(true, jmp::JEQ, 0, Err(0), skip);
                    let before = self.known.clone();
                    self.set(0, Value::Memory { of: Memory::Slice, size: len as u16 });
                    self.value_access();
                    self.end_null_check(skip, before);
                }
            }
        }
        // What is written to its slots next makes the slices of this one unusable.
        self.known.forget(Memory::Slice);
    }

    pub(super) fn dynptr_address(&mut self, dst: u8) {
        self.code.mov(dst, 10);
        self.code.add_imm(dst, DYNPTR);
    }

    /// A lookup whose key is in a slot; jumps where there is nothing.
    fn look_up(&mut self, skip: super::code::Label) {
        self.code.helper(id::MAP_LOOKUP_ELEM);
        self.known.after_call(Value::Uninit);
        if !self.mistake() {
            self.code.branch(true, jmp::JEQ, 0, Err(0), skip);
        }
    }

    /// A value with a lock, used while it is locked.
    fn locked(&mut self) {
        let Some(keep) = self.saved().filter(|_| self.may_call()) else { return self.arithmetic() };
        let skip = self.code.label();
        self.key(self.maps.locked);
        self.look_up(skip);
        let before = self.known.clone();
        self.code.mov(keep, 0);
        self.code.add_imm(keep, i32::from(BEHIND_LOCK));
        let size = LOCKED_SIZE as u16 - BEHIND_LOCK as u16;
        self.set(keep, Value::Memory { of: Memory::Value(self.maps.locked), size });
        let reserved = self.known.reserved;
        self.known.reserved |= 1 << keep;
        self.lock(keep, id::SPIN_LOCK);
        for _ in 0..1 + self.source.below(4) {
            match self.source.below(5) {
                0 => self.arithmetic(),
                1 => self.atomic(),
                2 => self.store_stack(),
                _ => self.value_access(),
            }
        }
        if !self.mistake() {
            self.lock(keep, id::SPIN_UNLOCK);
        }
        self.known.reserved = reserved;
        self.end_null_check(skip, before);
    }

    fn lock(&mut self, behind: u8, helper: u32) {
        self.code.mov(1, behind);
        self.code.add_imm(1, i32::from(LOCK - BEHIND_LOCK));
        self.code.helper(helper);
        self.known.after_call(Value::Uninit);
    }

    /// A packet load that ends the program where there is no packet.
    fn legacy(&mut self) {
        if self.role() != Role::Main || !self.may_call() || (self.holds || self.iterators > 0) && !self.mistake() {
            return self.arithmetic();
        }
        let bytes = self.source.pick(&[1, 2, 4]);
        let from = self.source.pick(&[0, 0, 0, LINK, NETWORK]);
        let offset = from + self.source.below(30) as i32;
        let index = if self.source.chance(400) {
            let index = self.own_number();
            let mask = self.source.pick(&[1, 7, 15, 63]);
            self.code.push(class::ALU64 | alu::AND, index, 0, 0, mask);
            self.set(index, Value::UpTo(mask as u32));
            Some(index)
        } else {
            None
        };
        self.code.legacy(bytes, index, offset);
        self.known.after_call(Value::Scalar);
    }

    /// A value of a map that another map holds.
    fn nested(&mut self, depth: u32) {
        if !self.may_call() {
            return self.arithmetic();
        }
        let skip = self.code.label();
        let (outer, inner) = (self.source.below(OUTER_SLOTS + 1) as i32, self.source.below(ENTRIES + 1) as i32);
        let slots = [0, 1].map(|_| self.source.below(SLOTS as u32) as usize);
        for (slot, key) in slots.into_iter().zip([outer, inner]) {
            self.code.store_imm(8, 10, slot_off(slot), key);
            self.known.slots[slot] = Slot::Data;
        }
        self.code.mov(2, 10);
        self.code.add_imm(2, i32::from(slot_off(slots[0])));
        self.code.map(1, self.maps.outer);
        self.look_up(skip);
        self.code.mov(1, 0);
        self.code.mov(2, 10);
        self.code.add_imm(2, i32::from(slot_off(slots[1])));
        self.look_up(skip);
        let before = self.known.clone();
        self.set(0, Value::Memory { of: Memory::Value(0), size: VALUE_SIZES[0] as u16 });
        self.value_access();
        self.block(depth + 1);
        self.end_null_check(skip, before);
    }

    /// An element of an inner map of some kind, or of an array, whose key is a constant.
    fn inner(&mut self, depth: u32) {
        if !self.may_call() {
            return self.arithmetic();
        }
        let skip = self.code.label();
        let before = self.known.clone();
        let keys = ENTRIES + u32::from(self.mistake());
        let key = self.source.below(keys) as i32;
        let slot = self.source.below(SLOTS as u32) as usize;
        let plain = self.source.chance(300);
        self.code.store_imm(4, 10, slot_off(slot), 0);
        self.known.slots[slot] = Slot::Empty;
        if plain {
            self.code.map(1, 0);
        } else {
            self.key_in(slot);
            self.code.map(1, self.maps.inner_outer);
            self.code.helper(id::MAP_LOOKUP_ELEM);
            self.known.after_call(Value::Uninit);
            self.code.branch(true, jmp::JEQ, 0, Err(0), skip);
            self.code.mov(1, 0);
        }
        self.code.store_imm(4, 10, slot_off(slot), key);
        self.key_in(slot);
        self.code.helper(id::MAP_LOOKUP_ELEM);
        self.known.after_call(Value::Uninit);
        let there = plain || self.maps.inner_is_whole;
        if !there && !self.mistake() || there && self.source.chance(300) {
            self.code.branch(true, jmp::JEQ, 0, Err(0), skip);
        }
        self.set(0, Value::Memory { of: Memory::Value(0), size: VALUE_SIZES[0] as u16 });
        self.value_access();
        self.block(depth + 1);
        self.code.bind(skip);
        let mut without = before;
        without.after_call(Value::Uninit);
        without.slots[slot] = Slot::Empty;
        self.known.merge(&without);
    }

    /// r2 points to the key in a slot.
    fn key_in(&mut self, slot: usize) {
        self.code.mov(2, 10);
        self.code.add_imm(2, i32::from(slot_off(slot)));
    }
}
