//! Helpers that work on packets as a whole.

use super::body::Body;
use super::known::Value;
use super::role::Role;
use super::source::Source;
use ebpfkit_abi::ProgType;
use ebpfkit_abi::helpers::id;

/// Arguments of such a helper.
#[derive(Clone, Copy)]
enum Form {
    /// Offset, eight bytes of stack, length.
    Bytes,
    /// The same, and flags or another small number.
    BytesAnd(u32),
    /// A small signed number.
    Distance,
    /// A length.
    Length,
    /// The same, and flags, which are zero.
    LengthAndFlags,
}

const XDP: [(u32, Form); 4] = [
    (id::XDP_ADJUST_HEAD, Form::Distance),
    (id::XDP_ADJUST_TAIL, Form::Distance),
    (id::XDP_LOAD_BYTES, Form::Bytes),
    (id::XDP_STORE_BYTES, Form::Bytes),
];

const TC: [(u32, Form); 4] = [
    (id::SKB_LOAD_BYTES, Form::Bytes),
    (id::SKB_STORE_BYTES, Form::BytesAnd(2)),
    (id::SKB_CHANGE_TAIL, Form::LengthAndFlags),
    (id::SKB_PULL_DATA, Form::Length),
];

const OTHER: [(u32, Form); 2] = [(id::SKB_LOAD_BYTES, Form::Bytes), (id::SKB_LOAD_BYTES_RELATIVE, Form::BytesAnd(2))];

impl<S: Source> Body<'_, S> {
    pub(super) fn packet_helper(&mut self) {
        let helpers: &[(u32, Form)] = match self.kind.prog_type {
            ProgType::Xdp => &XDP,
            ProgType::SchedCls => &TC,
            ProgType::RawTracepoint => &[],
            _ => &OTHER,
        };
        if helpers.is_empty() || self.role() != Role::Main || !self.may_call() {
            return self.arithmetic();
        }
        let (helper, form) = self.source.pick(helpers);
        match form {
            Form::Bytes | Form::BytesAnd(_) => {
                self.slot_address(3);
                let (offset, len) = (self.source.below(60) as i32, 1 + self.source.below(8) as i32);
                self.code.mov_imm(2, offset);
                self.code.mov_imm(4, len);
                if let Form::BytesAnd(n) = form {
                    let last = self.source.below(n) as i32;
                    self.code.mov_imm(5, last);
                }
            }
            Form::Distance => {
                let distance = self.source.below(33) as i32 - 16;
                self.code.mov_imm(2, distance);
            }
            Form::Length | Form::LengthAndFlags => {
                let length = self.source.below(140) as i32;
                self.code.mov_imm(2, length);
                self.code.mov_imm(3, 0);
            }
        }
        self.code.mov(1, 6);
        self.code.helper(helper);
        self.known.after_call(Value::Scalar);
        self.known.forget_packet();
    }
}
