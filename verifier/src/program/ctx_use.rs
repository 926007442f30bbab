//! What the accesses to a context take for granted.

use ebpfkit_object::btf::TypeId;

/// What the accesses to a context take for granted.
#[derive(Clone, Debug, Default)]
pub struct CtxUse {
    /// Bytes that are accessed, from the start (`max_ctx_offset`).
    pub bytes: u32,
    /// Pointers to kernel structs that were loaded: byte offset and type; zero for a buffer.
    pub arguments: Vec<(u32, TypeId)>,
    /// Bytes of the buffer that are accessed.
    pub buffer_bytes: u32,
}
