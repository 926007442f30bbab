//! Kernel functions as the kernel's BTF describes them.

use ebpfkit_abi::kfuncs::{Kfunc, KfuncFlags, name};
use ebpfkit_object::btf::TypeId;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// Kernel functions that have been looked up, by BTF id.
#[derive(Clone, Debug, Default)]
pub struct Kfuncs {
    pub(crate) known: RefCell<FxHashMap<u32, Option<Rc<Desc>>>>,
}

/// One parameter.
#[derive(Clone, Debug)]
pub(crate) struct Param {
    /// Name, which may carry suffixes such as `__sz`.
    pub name: String,
    /// Type without modifiers and typedefs.
    pub ty: TypeId,
}

impl Param {
    /// Whether the name ends in this suffix.
    pub fn has(&self, suffix: &str) -> bool {
        self.name.len() > suffix.len() && self.name.ends_with(suffix)
    }
}

/// A kernel function.
#[derive(Clone, Debug)]
pub(crate) struct Desc {
    /// BTF id.
    pub id: TypeId,
    /// Name.
    pub name: String,
    /// Name of the function that takes the arguments that calls by `name` leave to the kernel, where there are such.
    pub full_name: String,
    /// How calls are treated by the modelled kernel.
    pub flags: KfuncFlags,
    /// Its row in the table; `None` when no program may call it.
    pub row: Option<&'static Kfunc>,
    /// The kernel looks at which of a scheduler's operations calls it.
    pub by_operation: bool,
    /// Parameters.
    pub params: Vec<Param>,
    /// What it returns, without modifiers and typedefs.
    pub ret: TypeId,
}

impl Desc {
    /// Whether calls are treated in this way.
    pub fn has(&self, flag: KfuncFlags) -> bool {
        self.flags.contains(flag)
    }

    /// Whether pointers must be trusted: by the function itself, or because it takes a reference away.
    pub fn trusted_args(&self) -> bool {
        self.has(KfuncFlags::TRUSTED_ARGS) || self.has(KfuncFlags::RELEASE)
    }

    /// Whether this is one of these functions.
    pub fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str()) || names.contains(&self.full_name.as_str())
    }

    /// The name of the function that does it, as the oldest kernels that have it call it.
    pub fn api_name(&self) -> &str {
        if self.full_name.is_empty() { &self.name } else { &self.full_name }
    }

    /// Works on lists.
    pub fn is_list_api(&self) -> bool {
        self.name.starts_with("bpf_list_")
    }

    /// Works on trees.
    pub fn is_tree_api(&self) -> bool {
        self.name.starts_with("bpf_rbtree_")
    }

    /// Puts a node into a list or tree, which then owns it.
    pub fn adds_node(&self) -> bool {
        self.is(&[name::LIST_PUSH_FRONT_IMPL, name::LIST_PUSH_BACK_IMPL, name::LIST_ADD, name::RBTREE_ADD_IMPL])
    }

    /// Whether it may be called while a lock is held; `more` in kernels that allow more than graphs need.
    pub fn allowed_under_lock(&self, more: bool) -> bool {
        self.is_list_api()
            || self.is_tree_api()
            || self.name.starts_with("bpf_iter_num_")
            || self.name.starts_with("bpf_res_spin_")
            || self.is(&[name::REFCOUNT_ACQUIRE_IMPL])
            || more && (self.name.starts_with("bpf_stream_") || self.name.starts_with("bpf_arena_"))
    }
}
