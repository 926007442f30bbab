//! What is known of functions and of their arguments.

use ebpfkit_abi::{ArgBase, ArgType, TypeFlags};
use ebpfkit_object::btf::TypeId;

/// What is known of a subprogram (`bpf_subprog_info`).
#[derive(Clone, Debug, Default)]
pub struct SubprogInfo {
    /// First slot.
    pub start: usize,
    /// Name, from BTF; empty without.
    pub name: String,
    /// Global function, verified on its own.
    pub global: bool,
    /// BTF id of the `FUNC`; zero without.
    pub func_id: u32,
    /// Stack bytes used so far.
    pub stack_depth: u32,
    /// First byte of stack that is used by a `bpf_fastcall` pattern only.
    pub fastcall_stack_off: i16,
    /// Keeps the fastcall contract.
    pub keep_fastcall_stack: bool,
    /// Reaches a tail call.
    pub has_tail_call: bool,
    /// Uses legacy packet loads.
    pub has_ld_abs: bool,
    /// Is a callback of any kind.
    pub is_cb: bool,
    /// Is an asynchronous callback.
    pub is_async_cb: bool,
    /// Is an exception callback.
    pub is_exception_cb: bool,
    /// Global function that has been called and must be verified: where it may not sleep, and where it may. Kernels
    /// that do not tell these apart use the first.
    pub called: [bool; 2],
    /// Calls something that changes packet data.
    pub changes_pkt_data: bool,
    /// Calls something that may sleep.
    pub might_sleep: bool,
    /// Throws, or calls a function that may.
    pub might_throw: bool,
    /// Arguments of a global function, prepared from BTF; prepared by the first passes.
    pub args: Vec<GlobalArg>,
    /// `args` has been filled.
    pub args_cached: bool,
    /// Blocks in reverse postorder: range in [`Env::postorder`].
    pub postorder: (usize, usize),
}

/// One argument of a global function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalArg {
    /// Kind.
    pub ty: ArgType,
    /// Bytes, for memory.
    pub mem_size: u32,
    /// Kernel type, for BTF-typed pointers.
    pub btf_id: TypeId,
}

impl GlobalArg {
    /// An argument of a kind.
    pub(crate) const fn of(base: ArgBase, flags: TypeFlags) -> Self {
        Self { ty: ArgType { base, flags, size: 0, btf: "" }, mem_size: 0, btf_id: 0 }
    }
}
