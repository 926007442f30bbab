//! What the arguments of a call of a kernel function have shown.

use crate::domain::BtfRef;
use crate::memory::dynptr::DynptrArg;
use ebpfkit_object::btf::TypeId;
use ebpfkit_object::record::Field;

/// An iterator argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct IterArg {
    /// Frame whose stack it lies on.
    pub frame: usize,
    /// Its first slot.
    pub slot: usize,
}

/// What the arguments have shown (`bpf_kfunc_call_arg_meta`).
#[derive(Clone, Debug, Default)]
pub(super) struct KfuncMeta {
    /// Reference of the argument that has one.
    pub ref_obj_id: u32,
    /// The register that the call releases.
    pub release: Option<u8>,
    /// Size of the memory that is returned, from a parameter.
    pub ret_size: u64,
    /// The memory that is returned may only be read.
    pub ret_rdonly: bool,
    /// Function of the program that is called back.
    pub callback: Option<u32>,
    /// The constant argument.
    pub constant: Option<u64>,
    /// Type of the allocated object.
    pub object: Option<(BtfRef, TypeId)>,
    /// The program owns the object that it passes.
    pub owning: bool,
    /// List head.
    pub list: Option<Field>,
    /// Tree root.
    pub tree: Option<Field>,
    /// The register with the dynptr that the call releases.
    pub released_dynptr: Option<u8>,
    /// The initialised dynptr.
    pub dynptr: Option<DynptrArg>,
    /// The iterator.
    pub iter: Option<IterArg>,
    /// The map, and which lookup it came from.
    pub map: Option<(u32, u32)>,
}
