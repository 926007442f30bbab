//! Limits of programs that are the same in every kernel modelled here.
//!
//! The size of a stack frame belongs to the instruction set: [`STACK_SIZE`].

pub use ebpfkit_isa::STACK_SIZE;

/// Frames that a chain of calls may have, that of the main program included.
pub const MAX_CALL_FRAMES: usize = 8;

/// Arguments that a function takes in registers.
pub const MAX_CALL_ARGS: usize = 5;

/// Iterations of `bpf_loop`.
pub const MAX_LOOPS: u32 = 8 << 20;

/// Instructions that the verifier walks before it gives up.
pub const MAX_VERIFIED_INSNS: u64 = 1_000_000;

/// Instructions of a program that a user without `CAP_BPF` may load.
pub const MAX_UNPRIVILEGED_INSNS: usize = 4096;

/// Functions of a program, the main one included.
pub const MAX_FUNCTIONS: usize = 256;

/// Maps that one program may use.
pub const MAX_USED_MAPS: usize = 64;

/// Tail calls that a run may make.
pub const MAX_TAIL_CALLS: u32 = 33;

/// Bytes of the name of a program or map, with the zero at its end.
pub const OBJECT_NAME_SIZE: usize = 16;

/// Bytes of a page of memory.
pub const PAGE_SIZE: usize = 4096;
