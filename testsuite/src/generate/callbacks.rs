//! Helpers that call functions of the program, and calls of other programs.

use super::body::Body;
use super::known::Value;
use super::maps::PROGRAM_SLOTS;
use super::role::Role;
use super::source::Source;
use ebpfkit_abi::helpers::id;
use ebpfkit_isa::opcode::{alu, class};

impl<S: Source> Body<'_, S> {
    /// `dst` points to eight bytes of the frame, or is zero.
    fn callback_context(&mut self, dst: u8, stack: bool) {
        if !stack {
            return self.code.mov_imm(dst, 0);
        }
        self.slot_address(dst);
    }

    /// A call of a helper with a callback, once its first argument is there.
    fn call_with(&mut self, callback: usize, stack: bool, helper: u32) {
        self.code.function(2, callback);
        self.callback_context(3, stack);
        let flags = i32::from(self.mistake());
        self.code.mov_imm(4, flags);
        self.code.helper(helper);
        self.known.after_call(Value::Scalar);
    }

    /// `bpf_loop`.
    pub(super) fn bpf_loop(&mut self) {
        let callees = self.later(|r| matches!(r, Role::Iteration { .. }));
        if callees.is_empty() || !self.may_call() {
            return self.arithmetic();
        }
        let callee = self.source.pick(&callees);
        let Role::Iteration { stack } = self.roles[callee] else { return };
        if self.source.chance(600) {
            // A callback that is never called is removed, and its address with it the program.
            let iterations = if self.mistake() { 0 } else { 1 + self.source.below(6) as i32 };
            self.code.mov_imm(1, iterations);
        } else {
            let number = self.number();
            if number != 1 {
                self.code.mov(1, number);
            }
            let mask = self.source.pick(&[1, 3, 7]);
            self.code.push(class::ALU64 | alu::AND, 1, 0, 0, mask);
            if !self.mistake() {
                self.code.add_imm(1, 1);
            }
        }
        self.call_with(callee, stack, id::LOOP);
    }

    /// `bpf_for_each_map_elem` over an array, whose order is known.
    pub(super) fn elements(&mut self) {
        let callees = self.later(|r| matches!(r, Role::Element { .. }));
        if callees.is_empty() || !self.may_call() {
            return self.arithmetic();
        }
        let callee = self.source.pick(&callees);
        let Role::Element { map, stack } = self.roles[callee] else { return };
        self.code.map(1, map);
        self.call_with(callee, stack, id::FOR_EACH_MAP_ELEM);
    }

    /// A tail call, whose slot may be empty.
    pub(super) fn tail_call(&mut self) {
        if self.role() != Role::Main || !self.may_call() || self.holds || self.iterators > 0 {
            return self.arithmetic();
        }
        let slot = self.source.below(PROGRAM_SLOTS + 2) as i32;
        self.code.mov(1, 6);
        self.code.map(2, self.maps.programs);
        self.code.mov_imm(3, slot);
        self.code.helper(id::TAIL_CALL);
        self.known.after_call(Value::Uninit);
    }
}
