//! Parts of the opcode byte (RFC 9669 sections 3 to 5, and `linux/bpf.h` for what the kernel adds).
#![allow(clippy::identity_op)]

/// Instruction classes, bits 0 to 2.
pub mod class {
    /// Non-standard loads: 64-bit immediates, legacy packet loads.
    pub const LD: u8 = 0x00;
    /// Loads into a register.
    pub const LDX: u8 = 0x01;
    /// Stores of an immediate.
    pub const ST: u8 = 0x02;
    /// Stores of a register, atomics.
    pub const STX: u8 = 0x03;
    /// 32-bit arithmetic.
    pub const ALU: u8 = 0x04;
    /// 64-bit jumps, calls, exit.
    pub const JMP: u8 = 0x05;
    /// 32-bit jumps.
    pub const JMP32: u8 = 0x06;
    /// 64-bit arithmetic.
    pub const ALU64: u8 = 0x07;
}

/// Source bit: the operand is the immediate.
pub const K: u8 = 0x00;
/// Source bit: the operand is a register.
pub const X: u8 = 0x08;

/// Access sizes, bits 3 and 4.
pub mod size {
    /// Four bytes.
    pub const W: u8 = 0x00;
    /// Two bytes.
    pub const H: u8 = 0x08;
    /// One byte.
    pub const B: u8 = 0x10;
    /// Eight bytes.
    pub const DW: u8 = 0x18;
}

/// Load and store modes, bits 5 to 7.
pub mod mode {
    /// 64-bit immediate.
    pub const IMM: u8 = 0x00;
    /// Legacy packet access at a constant offset.
    pub const ABS: u8 = 0x20;
    /// Legacy packet access at a variable offset.
    pub const IND: u8 = 0x40;
    /// Regular memory access.
    pub const MEM: u8 = 0x60;
    /// Sign-extending load.
    pub const MEMSX: u8 = 0x80;
    /// Atomic operation.
    pub const ATOMIC: u8 = 0xc0;
}

/// Arithmetic operations, bits 4 to 7.
pub mod alu {
    /// Addition.
    pub const ADD: u8 = 0x00;
    /// Subtraction.
    pub const SUB: u8 = 0x10;
    /// Multiplication.
    pub const MUL: u8 = 0x20;
    /// Division, signed with `off == 1`.
    pub const DIV: u8 = 0x30;
    /// Bitwise or.
    pub const OR: u8 = 0x40;
    /// Bitwise and.
    pub const AND: u8 = 0x50;
    /// Shift left.
    pub const LSH: u8 = 0x60;
    /// Logical shift right.
    pub const RSH: u8 = 0x70;
    /// Negation.
    pub const NEG: u8 = 0x80;
    /// Remainder, signed with `off == 1`.
    pub const MOD: u8 = 0x90;
    /// Bitwise exclusive or.
    pub const XOR: u8 = 0xa0;
    /// Move, sign-extending with `off` 8, 16 or 32; address-space cast with `off == 1`.
    pub const MOV: u8 = 0xb0;
    /// Arithmetic shift right.
    pub const ARSH: u8 = 0xc0;
    /// Byte order conversion; in class ALU64 an unconditional swap.
    pub const END: u8 = 0xd0;
}

/// Jump operations, bits 4 to 7.
pub mod jmp {
    /// Always; in class JMP32 the offset is in `imm` (`gotol`).
    pub const JA: u8 = 0x00;
    /// Equal.
    pub const JEQ: u8 = 0x10;
    /// Unsigned greater.
    pub const JGT: u8 = 0x20;
    /// Unsigned greater or equal.
    pub const JGE: u8 = 0x30;
    /// Some common bit.
    pub const JSET: u8 = 0x40;
    /// Not equal.
    pub const JNE: u8 = 0x50;
    /// Signed greater.
    pub const JSGT: u8 = 0x60;
    /// Signed greater or equal.
    pub const JSGE: u8 = 0x70;
    /// Call.
    pub const CALL: u8 = 0x80;
    /// Return.
    pub const EXIT: u8 = 0x90;
    /// Unsigned less.
    pub const JLT: u8 = 0xa0;
    /// Unsigned less or equal.
    pub const JLE: u8 = 0xb0;
    /// Signed less.
    pub const JSLT: u8 = 0xc0;
    /// Signed less or equal.
    pub const JSLE: u8 = 0xd0;
    /// Conditional pseudo-jumps of the kernel; `src` 0 is `may_goto`.
    pub const JCOND: u8 = 0xe0;
}

/// Atomic operations, in `imm`.
pub mod atomic {
    /// Also return the old value.
    pub const FETCH: i32 = 0x01;
    /// Add.
    pub const ADD: i32 = 0x00;
    /// Or.
    pub const OR: i32 = 0x40;
    /// And.
    pub const AND: i32 = 0x50;
    /// Exclusive or.
    pub const XOR: i32 = 0xa0;
    /// Exchange.
    pub const XCHG: i32 = 0xe1;
    /// Compare and exchange with `r0`.
    pub const CMPXCHG: i32 = 0xf1;
    /// Load-acquire (kernel, `0x100`).
    pub const LOAD_ACQ: i32 = 0x100;
    /// Store-release (kernel, `0x110`).
    pub const STORE_REL: i32 = 0x110;
}

/// Kinds of a 64-bit immediate, in `src` (`BPF_PSEUDO_*`).
pub mod pseudo {
    /// A map by file descriptor. Inside ebpfkit `imm` is the map's index in the object.
    pub const MAP_FD: u8 = 1;
    /// A map's first value by file descriptor, plus the second slot's `imm`.
    pub const MAP_VALUE: u8 = 2;
    /// A kernel variable by BTF id.
    pub const BTF_ID: u8 = 3;
    /// The address of a subprogram, `imm` slots away.
    pub const FUNC: u8 = 4;
    /// A map by index into the load's descriptor array.
    pub const MAP_IDX: u8 = 5;
    /// A map's first value by index into the load's descriptor array.
    pub const MAP_IDX_VALUE: u8 = 6;
    /// `call` of a subprogram, `imm` slots away.
    pub const CALL: u8 = 1;
    /// `call` of a kernel function by BTF id.
    pub const KFUNC_CALL: u8 = 2;
    /// `may_goto` in [`super::jmp::JCOND`].
    pub const MAY_GOTO: u8 = 0;
}

/// First slot of a 64-bit immediate load.
pub const LD_IMM64: u8 = class::LD | size::DW | mode::IMM;
/// `exit`.
pub const EXIT: u8 = class::JMP | jmp::EXIT;
/// `call`.
pub const CALL: u8 = class::JMP | jmp::CALL;
/// `callx`: call of the address in a register.
pub const CALLX: u8 = class::JMP | jmp::CALL | X;
/// `goto`.
pub const JA: u8 = class::JMP | jmp::JA;
/// `gotol`.
pub const JA32: u8 = class::JMP32 | jmp::JA;
/// Jump to the instruction whose address a register holds.
pub const GOTOX: u8 = class::JMP | jmp::JA | X;
/// `may_goto`.
pub const MAY_GOTO: u8 = class::JMP | jmp::JCOND;
