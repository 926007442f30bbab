//! Limits of programs that are the same in every kernel modelled here.
//!
//! The size of a stack frame belongs to the instruction set: [`STACK_SIZE`].

pub use ebpfkit_isa::STACK_SIZE;

/// Frames that a chain of calls may have, that of the main program included (`MAX_CALL_FRAMES`).
pub const MAX_CALL_FRAMES: usize = 8;

/// The same in kernels with [`crate::Feature::LongCallChains`].
pub const MAX_LONG_CALL_FRAMES: usize = 16;

/// Arguments that a function takes in registers (`MAX_BPF_FUNC_REG_ARGS`).
pub const MAX_CALL_ARGS: usize = 5;

/// Iterations of `bpf_loop`, and of `may_goto` in one call of a function (`BPF_MAX_LOOPS`).
pub const MAX_LOOPS: u32 = 8 << 20;

/// Offsets of pointers stay between this and its negative (`BPF_MAX_VAR_OFF`).
pub const MAX_VAR_OFF: i64 = 1 << 29;

/// Arguments of a kernel function that a program is attached to (`MAX_BPF_FUNC_ARGS`).
pub const MAX_TRACED_ARGS: usize = 12;

/// Instructions that the verifier walks before it gives up (`BPF_COMPLEXITY_LIMIT_INSNS`).
pub const MAX_VERIFIED_INSNS: u64 = 1_000_000;

/// Instructions of a program that a user without `CAP_BPF` may load (`BPF_MAXINSNS`).
pub const MAX_UNPRIVILEGED_INSNS: usize = 4096;

/// Functions of a program, the main one included (`BPF_MAX_SUBPROGS`).
pub const MAX_FUNCTIONS: usize = 256;

/// Maps that one program may use (`MAX_USED_MAPS`).
pub const MAX_USED_MAPS: usize = 64;

/// Tail calls that a run may make (`MAX_TAIL_CALL_CNT`).
pub const MAX_TAIL_CALLS: u32 = 33;

/// Bytes of the name of a program or map, with the zero at its end (`BPF_OBJ_NAME_LEN`).
pub const OBJECT_NAME_SIZE: usize = 16;

/// Bytes of a page of memory.
pub const PAGE_SIZE: u32 = 4096;
