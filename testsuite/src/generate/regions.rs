//! Kernel functions: regions that are entered and left, and operations on dynamic pointers.

use super::body::Body;
use super::construct::Kfunc;
use super::known::{Memory, SLOTS, Value};
use super::role::Role;
use super::source::Source;
use ebpfkit_abi::ProgType;
use ebpfkit_isa::opcode::{alu, class, jmp};

/// Offset from the frame pointer of the saved interrupt state, below the dynamic pointer.
const IRQ_STATE: i32 = -8 * (SLOTS as i32 + 5);
/// And of a copy of the dynamic pointer.
const CLONE: i32 = IRQ_STATE - 16;
/// And of a buffer for its bytes.
const BUFFER: i32 = CLONE - 16;

impl<S: Source> Body<'_, S> {
    /// A region under RCU, without preemption or without interrupts.
    pub(super) fn region(&mut self, depth: u32) {
        let Some(kfuncs) = self.kfuncs.filter(|_| self.may_call()) else { return self.arithmetic() };
        // Only preemption is counted.
        let (enter, leave) = match self.source.below(if self.holds { 1 } else { 3 }) {
            0 => (Kfunc::PreemptDisable, Kfunc::PreemptEnable),
            1 => (Kfunc::RcuLock, Kfunc::RcuUnlock),
            _ => (Kfunc::IrqSave, Kfunc::IrqRestore),
        };
        let call = |this: &mut Self, function: Kfunc| {
            if matches!(function, Kfunc::IrqSave | Kfunc::IrqRestore) {
                this.code.mov(1, 10);
                this.code.add_imm(1, IRQ_STATE);
            }
            this.code.kfunc(kfuncs.id(function));
            this.known.after_call(Value::Uninit);
        };
        call(self, enter);
        let held = std::mem::replace(&mut self.holds, true);
        self.block(depth + 1);
        self.holds = held;
        if !self.mistake() {
            call(self, leave);
        }
    }

    /// A dynamic pointer to the packet or a map value, and kernel functions on it.
    pub(super) fn dynptr_kfuncs(&mut self) {
        let Some(kfuncs) = self.kfuncs.filter(|_| self.may_call()) else { return self.arithmetic() };
        let from = match self.kind.prog_type {
            ProgType::Xdp => Some(Kfunc::DynptrFromXdp),
            ProgType::SchedCls | ProgType::SocketFilter | ProgType::CgroupSkb => Some(Kfunc::DynptrFromSkb),
            _ => None,
        };
        match from.filter(|_| self.role() == Role::Main) {
            Some(from) => {
                self.code.mov(1, 6);
                self.code.mov_imm(2, 0);
                self.dynptr_address(3);
                self.code.kfunc(kfuncs.id(from));
                self.known.after_call(Value::Scalar);
            }
            None => {
                if self.dynptr_to_value().is_none() {
                    return self.arithmetic();
                }
            }
        }
        for _ in 0..1 + self.source.below(3) {
            match self.source.below(5) {
                0 => self.ask(kfuncs.id(Kfunc::DynptrSize)),
                1 => {
                    self.ask(kfuncs.id(Kfunc::DynptrIsNull));
                    // A truth value is one byte; the others are whatever they were.
                    self.code.push(class::ALU | alu::AND, 0, 0, 0, 1);
                }
                2 => {
                    let (start, end) = (self.source.below(20) as i32, 10 + self.source.below(40) as i32);
                    self.dynptr_address(1);
                    self.code.mov_imm(2, start);
                    self.code.mov_imm(3, end);
                    self.code.kfunc(kfuncs.id(Kfunc::DynptrAdjust));
                    self.known.after_call(Value::Scalar);
                }
                3 => {
                    self.dynptr_address(1);
                    self.code.mov(2, 10);
                    self.code.add_imm(2, CLONE);
                    self.code.kfunc(kfuncs.id(Kfunc::DynptrClone));
                    self.known.after_call(Value::Scalar);
                    self.code.mov(1, 10);
                    self.code.add_imm(1, CLONE);
                    self.code.kfunc(kfuncs.id(Kfunc::DynptrSize));
                    self.known.after_call(Value::Scalar);
                }
                _ => self.slice(kfuncs.id(Kfunc::DynptrSlice)),
            }
        }
    }

    fn ask(&mut self, function: u32) {
        self.dynptr_address(1);
        self.code.kfunc(function);
        self.known.after_call(Value::Scalar);
    }

    /// Bytes to read: where they are, or in a buffer.
    fn slice(&mut self, function: u32) {
        let (offset, with_buffer) = (self.source.below(30) as i32, self.source.chance(500));
        self.dynptr_address(1);
        self.code.mov_imm(2, offset);
        if with_buffer {
            self.code.store_imm(8, 10, BUFFER as i16, 0);
            self.code.mov(3, 10);
            self.code.add_imm(3, BUFFER);
        } else {
            self.code.mov_imm(3, 0);
        }
        self.code.mov_imm(4, 8);
        self.code.kfunc(function);
        self.known.after_call(Value::Uninit);
        let (skip, done) = (self.code.label(), self.code.label());
        self.code.branch(true, jmp::JEQ, 0, Err(0), skip);
        let (bytes, off) = (self.source.pick(&[1, 2, 4]), self.source.pick(&[0, 4]));
        self.code.load(bytes, 0, 0, off);
        self.code.jump(done);
        self.code.bind(skip);
        self.code.mov_imm(0, -1);
        self.code.bind(done);
        self.known.forget(Memory::Slice);
        self.set(0, Value::Scalar);
    }
}
