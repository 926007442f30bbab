//! The eBPF instruction set as RFC 9669 defines it, with what the Linux kernel adds.
//!
//! An instruction is an [`Insn`]: one 8-byte slot, fields as they stand in the encoding.
//! [`opcode`] names the parts of the opcode byte; the `Op` form in [`op`] is what engines match on.
//! This crate depends on nothing and touches neither files nor system calls.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod code;
mod flow;
pub mod insn;
pub mod op;
pub mod opcode;
mod regs;
pub mod table;

pub use code::{EncodeError, decode, encode, row};
pub use flow::Successors;
pub use insn::{Endian, Insn};
pub use op::{AluOp, AtomicOp, CallKind, DecodeError, ImmKind, JmpOp, Op, Operand, Size, Width};
pub use regs::RegSet;

/// Registers that a program can name: `r0` to `r10`.
pub const REG_COUNT: usize = 11;
/// The frame pointer, read-only.
pub const R10: u8 = 10;
/// Bytes of stack a frame may use (kernel: `MAX_BPF_STACK`).
pub const STACK_SIZE: usize = 512;
