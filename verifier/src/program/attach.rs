//! What a program attaches to.

use ebpfkit_abi::iterators::IterTarget;
use ebpfkit_object::btf::TypeId;

/// What a program attaches to.
#[derive(Clone, Debug, Default)]
pub struct AttachInfo {
    /// Prototype of the function, in the kernel's types; zero when it has none.
    pub proto: TypeId,
    /// Name of the function or tracepoint, or of the struct_ops member.
    pub name: String,
    /// Struct of operations that a struct_ops program implements a part of; empty for other programs.
    pub struct_ops: String,
    /// Arguments of a struct_ops program that may be null, as bits.
    pub nullable: u32,
    /// Arguments of a struct_ops program that it owns a reference to: index and identity.
    pub owned: Vec<(usize, u32)>,
    /// Kind of objects that an iterator program visits.
    pub iterator: Option<&'static IterTarget>,
}
