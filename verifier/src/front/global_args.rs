//! The contract of global functions: argument kinds from BTF and tags (`btf_prepare_func_args`).

use ebpfkit_abi::ArgType;
use ebpfkit_object::btf::TypeId;

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
