//! Rejections by arithmetic and comparisons.

use super::rows::reasons;
use crate::domain::Tnum;
use std::borrow::Cow;

reasons! {
    /// Rejections by arithmetic and comparisons.
    Scalar => ScalarReason {
        "EBPF0101" UninitRegister { reg: u8 } EACCES, "R{reg} !read_ok";
        "EBPF0104" InvalidRegister { reg: u8 } EINVAL, "R{reg} is invalid";
        "EBPF0103" FramePointerWrite {} EACCES, "frame pointer is read only";
        "EBPF0104" ReservedFields { what: &'static str } EINVAL, "{what} uses reserved fields";
        "EBPF0104" InvalidAluOpcode { op: u8 } EINVAL, "invalid BPF_ALU opcode {op:x}";
        "EBPF0104" InvalidJumpOpcode { op: u8 } EINVAL, "invalid BPF_JMP/JMP32 opcode {op:x}";
        "EBPF0107" DivByZero {} EINVAL, "div by zero";
        "EBPF0107" InvalidShift { shift: i32 } EINVAL, "invalid shift {shift}";
        "EBPF0109" AddrSpace {} EINVAL, "addr_space_cast insn can only convert between address space 1 and 0";
        "EBPF0109" AddrSpaceWithoutArena {} EINVAL, "addr_space_cast insn can only be used in a program that has an associated arena";
        "EBPF0109" WithAndWithoutArena {} EINVAL, "same insn cannot be used with and without arena pointer";
        "EBPF0104" InvalidMayGoto { imm: i32 } EINVAL, "invalid may_goto imm {imm}";
        /// An indirect jump to something that is no address of an instruction.
        "EBPF0602" NoJumpAddress { reg: u8, ty: String } EINVAL, "R{reg} has type {ty}, expected PTR_TO_INSN";
        /// An indirect jump through an entry behind any table.
        "EBPF0602" JumpIndexTooLarge { reg: u8, which: &'static str, value: u64 } ERANGE, "the sum of R{reg} {which}_value {value} is too big";
        /// An indirect jump through an entry behind its table.
        "EBPF0602" OutsideJumpTable { reg: u8, first: u64, last: u64, entries: u32 } EINVAL, "R{reg} points to outside of jump table: [{first},{last}] max_entries {entries}";
        "EBPF0112" PointerArithmetic { reg: u8 } EACCES, "R{reg} pointer arithmetic prohibited";
        "EBPF0116" SignExtendPointer { reg: u8 } EACCES, "R{reg} sign-extension part of pointer";
        "EBPF0116" PartialPointerCopy { reg: u8 } EACCES, "R{reg} partial copy of pointer";
        "EBPF0112" TwoPointers { reg: u8, op: &'static str } EACCES, "R{reg} pointer {op} pointer prohibited";
        "EBPF0116" PointerArithmetic32 { reg: u8 } EACCES, "R{reg} 32-bit pointer arithmetic prohibited";
        "EBPF0117" PointerArithmeticNull { reg: u8, kind: Cow<'static, str> } EACCES, "R{reg} pointer arithmetic on {kind} prohibited, null-check it first", without NullChecksAdvised "R{reg} pointer arithmetic on {kind} prohibited";
        "EBPF0118" PointerArithmeticKind { reg: u8, kind: Cow<'static, str> } EACCES, "R{reg} pointer arithmetic on {kind} prohibited";
        "EBPF0119" PointerMathTooFar { kind: Cow<'static, str>, value: i64 } EINVAL, "math between {kind} pointer and {value} is not allowed";
        "EBPF0119" PointerOffsetTooFar { kind: Cow<'static, str>, off: i64 } EINVAL, "{kind} pointer offset {off} is not allowed";
        "EBPF0121" PointerMathUnbounded { kind: Cow<'static, str> } EINVAL, "math between {kind} pointer and register with unbounded min value is not allowed";
        "EBPF0119" PointerOutOfBounds { value: i64, kind: Cow<'static, str> } EINVAL, "value {value} makes {kind} pointer be out of bounds";
        "EBPF0112" ScalarMinusPointer { reg: u8 } EACCES, "R{reg} tried to subtract pointer from scalar";
        "EBPF0112" StackPointerSub { reg: u8 } EACCES, "R{reg} subtraction from stack pointer prohibited";
        "EBPF0112" PointerBitwise { reg: u8, op: &'static str } EACCES, "R{reg} bitwise operator {op} on pointer prohibited";
        "EBPF0112" PointerOperator { reg: u8, op: &'static str } EACCES, "R{reg} pointer arithmetic with {op} operator prohibited";
        "EBPF0264" PointerComparison { reg: u8 } EACCES, "R{reg} pointer comparison prohibited";
        "EBPF0130" SanitizeBounds { reg: u8 } EACCES, "R{reg} has unknown scalar with mixed signed bounds, pointer arithmetic with it prohibited for !root";
        "EBPF0130" SanitizeKind { reg: u8 } EACCES, "R{reg} has pointer with unsupported alu operation, pointer arithmetic with it prohibited for !root";
        "EBPF0130" SanitizePaths { reg: u8, op: &'static str } EACCES, "R{reg} tried to {op} from different maps, paths or scalars, pointer arithmetic with it prohibited for !root";
        "EBPF0130" SanitizeLimit { reg: u8, op: &'static str } EACCES, "R{reg} tried to {op} beyond pointer bounds, pointer arithmetic with it prohibited for !root";
        "EBPF0263" SanitizeStackVariable { reg: u8, var_off: Tnum, off: i32 } EACCES, "R{reg} variable stack access prohibited for !root, var_off={var_off} off={off}";
        "EBPF0263" SanitizeStackRange { reg: u8, off: i32 } EACCES, "R{reg} stack pointer arithmetic goes out of range, prohibited for !root; off={off}";
        "EBPF0130" SanitizeMapValueRange { detail: String, reg: u8 } EACCES, "{detail}\nR{reg} pointer arithmetic of map value goes out of range, prohibited for !root";
    }
}
