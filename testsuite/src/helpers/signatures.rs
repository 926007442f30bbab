//! What each argument of a helper or kernel function should be, so that some calls get beyond the first check.

use ebpfkit_abi::helpers;
use ebpfkit_abi::proto::{ArgBase, ArgType, TypeFlags};

/// What an argument should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not read.
    Nothing,
    /// Any number: flags, an index, an offset.
    Number,
    /// Bytes of the memory that the argument before points to.
    Size,
    /// Memory of the program.
    Memory,
    /// The context.
    Context,
    /// A map; which one matters to the helper.
    Map,
    /// A key of the map before.
    Key,
    /// A value for the map before.
    Value,
    /// A function of the program.
    Function,
    /// Zero-terminated text.
    Text,
    /// A dynptr.
    Dynptr,
    /// An iterator.
    Iterator,
    /// The head of a list, or the root of a tree.
    Head,
    /// A node in an object.
    Node,
    /// An object that a call has given: allocated, a socket, a set of CPUs, a record.
    Object,
    /// A lock.
    Lock,
    /// A timer.
    Timer,
    /// A place for a pointer.
    KptrSlot,
    /// The number of a type of the program.
    Type,
    /// An address in an arena.
    Arena,
}

/// The kinds of a call's five arguments.
pub type Signature = [Kind; 5];

fn of_argument(arg: ArgType) -> Kind {
    match arg.base {
        ArgBase::DontCare => Kind::Nothing,
        ArgBase::ConstMapPtr => Kind::Map,
        ArgBase::MapKey => Kind::Key,
        ArgBase::MapValue => Kind::Value,
        ArgBase::Mem | ArgBase::Stack => Kind::Memory,
        ArgBase::ConstStr => Kind::Text,
        ArgBase::ConstSize | ArgBase::ConstSizeOrZero | ArgBase::ConstAllocSizeOrZero => Kind::Size,
        ArgBase::Ctx => Kind::Context,
        ArgBase::Anything => Kind::Number,
        ArgBase::SpinLock => Kind::Lock,
        ArgBase::RingbufMem => Kind::Object,
        ArgBase::SockCommon | ArgBase::Socket | ArgBase::BtfIdSockCommon => Kind::Object,
        ArgBase::BtfId | ArgBase::PercpuBtfId => Kind::Object,
        ArgBase::Func => Kind::Function,
        ArgBase::Timer => Kind::Timer,
        ArgBase::KptrXchgDest => Kind::KptrSlot,
        ArgBase::Dynptr => Kind::Dynptr,
        ArgBase::Arena if arg.flags.contains(TypeFlags::MAYBE_NULL) => Kind::Number,
        ArgBase::Arena => Kind::Arena,
    }
}

/// The signature of a helper: that of its first prototype.
pub fn of_helper(id: u32) -> Signature {
    let prototype = helpers::find(id).and_then(|h| h.prototypes.first());
    prototype.map_or([Kind::Nothing; 5], |p| p.args.map(of_argument))
}

/// The signature of a kernel function; `None` for one that has no row.
pub fn of_kfunc(name: &str) -> Option<Signature> {
    let (_, kinds) = KFUNCS.iter().find(|(names, _)| names.split(' ').any(|n| n == name))?;
    let mut signature = [Kind::Nothing; 5];
    signature[..kinds.len()].copy_from_slice(kinds);
    Some(signature)
}

/// Names of kernel functions without `bpf_`, and the kinds of their arguments. The kernel's types say the same, but are
/// not there on every machine.
#[rustfmt::skip]
const KFUNCS: &[(&str, &[Kind])] = {
    use Kind::*;
    &[
        ("bpf_cpumask_create", &[]),
        ("bpf_cpumask_acquire bpf_cpumask_release bpf_cpumask_setall bpf_cpumask_clear bpf_cpumask_first \
          bpf_cpumask_first_zero bpf_cpumask_any_distribute bpf_cpumask_empty bpf_cpumask_full bpf_cpumask_weight", &[Object]),
        ("bpf_cpumask_set_cpu bpf_cpumask_clear_cpu bpf_cpumask_test_cpu bpf_cpumask_test_and_set_cpu \
          bpf_cpumask_test_and_clear_cpu", &[Number, Object]),
        ("bpf_cpumask_first_and bpf_cpumask_any_and_distribute bpf_cpumask_equal bpf_cpumask_intersects \
          bpf_cpumask_subset bpf_cpumask_copy", &[Object, Object]),
        ("bpf_cpumask_and bpf_cpumask_or bpf_cpumask_xor", &[Object, Object, Object]),
        ("bpf_list_push_front_impl bpf_list_push_back_impl", &[Head, Node, Number, Number]),
        ("bpf_list_pop_front bpf_list_pop_back bpf_list_front bpf_list_back bpf_rbtree_first bpf_rbtree_root", &[Head]),
        ("bpf_rbtree_add_impl", &[Head, Node, Function, Number, Number]),
        ("bpf_rbtree_remove bpf_rbtree_left bpf_rbtree_right", &[Head, Node]),
        ("bpf_iter_num_new", &[Iterator, Number, Number]),
        ("bpf_iter_bits_new", &[Iterator, Memory, Number]),
        ("bpf_iter_num_next bpf_iter_num_destroy bpf_iter_bits_next bpf_iter_bits_destroy", &[Iterator]),
        ("bpf_dynptr_from_skb bpf_dynptr_from_xdp", &[Context, Number, Dynptr]),
        ("bpf_dynptr_slice bpf_dynptr_slice_rdwr", &[Dynptr, Number, Memory, Size]),
        ("bpf_dynptr_adjust", &[Dynptr, Number, Number]),
        ("bpf_dynptr_is_null bpf_dynptr_is_rdonly bpf_dynptr_size", &[Dynptr]),
        ("bpf_dynptr_clone", &[Dynptr, Dynptr]),
        ("bpf_dynptr_copy", &[Dynptr, Number, Dynptr, Number, Number]),
        ("bpf_dynptr_memset", &[Dynptr, Number, Number, Number]),
        ("bpf_copy_from_user_str", &[Memory, Size, Text, Number]),
        ("bpf_path_d_path", &[Object, Memory, Size]),
        ("bpf_strlen", &[Text]),
        ("bpf_strnlen bpf_strchr", &[Text, Number]),
        ("bpf_strcmp", &[Text, Text]),
        ("bpf_xdp_metadata_rx_timestamp", &[Context, Memory]),
        ("bpf_xdp_metadata_rx_hash bpf_xdp_metadata_rx_vlan_tag", &[Context, Memory, Memory]),
        ("bpf_obj_new_impl bpf_percpu_obj_new_impl", &[Type, Number]),
        ("bpf_obj_drop_impl bpf_percpu_obj_drop_impl bpf_refcount_acquire_impl", &[Object, Number]),
        ("bpf_rdonly_cast", &[Object, Type]),
        ("bpf_arena_alloc_pages", &[Map, Arena, Number, Number, Number]),
        ("bpf_arena_free_pages", &[Map, Arena, Number]),
        ("bpf_map_sum_elem_count", &[Map]),
        ("bpf_xdp_ct_lookup bpf_skb_ct_lookup bpf_xdp_ct_alloc bpf_skb_ct_alloc", &[Context, Memory, Size, Memory, Size]),
        ("bpf_ct_release bpf_ct_insert_entry", &[Object]),
        ("bpf_ct_set_timeout bpf_ct_change_timeout bpf_ct_set_status bpf_ct_change_status", &[Object, Number]),
        ("bpf_ct_set_nat_info", &[Object, Memory, Number, Number]),
        ("bpf_stream_vprintk bpf_stream_vprintk_impl", &[Number, Text, Memory, Size, Number]),
        ("bpf_throw", &[Number]),
        ("bpf_rcu_read_lock bpf_rcu_read_unlock bpf_preempt_disable bpf_preempt_enable", &[]),
        ("bpf_local_irq_save bpf_local_irq_restore", &[Memory]),
        ("bpf_res_spin_lock bpf_res_spin_unlock", &[Lock]),
        ("bpf_task_acquire bpf_task_release bpf_cgroup_acquire bpf_cgroup_release", &[Object]),
        ("bpf_task_from_pid bpf_task_from_vpid", &[Number]),
        ("bpf_task_under_cgroup", &[Object, Object]),
    ]
};

#[cfg(test)]
mod tests {
    #[test]
    fn every_kernel_function_has_a_row() {
        let missing: Vec<_> = ebpfkit_vm::helpers::kfunc_names().filter(|n| super::of_kfunc(n).is_none()).collect();
        assert!(missing.is_empty(), "add the kinds of their arguments to KFUNCS: {missing:?}");
    }
}
