//! Names of kernel functions that code knows by themselves. Each is that of a row.

macro_rules! names {
    ($($constant:ident = $name:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub const $constant: &str = $name;
        )*

        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$((stringify!($constant), $name)),*];
    };
}

names! {
    CAST_TO_KERN_CTX = "bpf_cast_to_kern_ctx";
    DYNPTR_CLONE = "bpf_dynptr_clone";
    DYNPTR_FILE_DISCARD = "bpf_dynptr_file_discard";
    DYNPTR_FROM_FILE = "bpf_dynptr_from_file";
    DYNPTR_FROM_SKB = "bpf_dynptr_from_skb";
    DYNPTR_FROM_SKB_META = "bpf_dynptr_from_skb_meta";
    DYNPTR_FROM_XDP = "bpf_dynptr_from_xdp";
    DYNPTR_SLICE = "bpf_dynptr_slice";
    DYNPTR_SLICE_RDWR = "bpf_dynptr_slice_rdwr";
    GET_KMEM_CACHE = "bpf_get_kmem_cache";
    ITER_CSS_TASK_NEW = "bpf_iter_css_task_new";
    LIST_ADD = "bpf_list_add";
    LIST_DEL = "bpf_list_del";
    LIST_IS_FIRST = "bpf_list_is_first";
    LIST_IS_LAST = "bpf_list_is_last";
    LIST_PUSH_BACK_IMPL = "bpf_list_push_back_impl";
    LIST_PUSH_FRONT_IMPL = "bpf_list_push_front_impl";
    LOCAL_IRQ_SAVE = "bpf_local_irq_save";
    OBJ_DROP_IMPL = "bpf_obj_drop_impl";
    OBJ_NEW_IMPL = "bpf_obj_new_impl";
    PERCPU_OBJ_DROP_IMPL = "bpf_percpu_obj_drop_impl";
    PERCPU_OBJ_NEW_IMPL = "bpf_percpu_obj_new_impl";
    PREEMPT_DISABLE = "bpf_preempt_disable";
    PREEMPT_ENABLE = "bpf_preempt_enable";
    RBTREE_ADD_IMPL = "bpf_rbtree_add_impl";
    RCU_READ_LOCK = "bpf_rcu_read_lock";
    RCU_READ_UNLOCK = "bpf_rcu_read_unlock";
    RDONLY_CAST = "bpf_rdonly_cast";
    REFCOUNT_ACQUIRE_IMPL = "bpf_refcount_acquire_impl";
    RES_SPIN_LOCK = "bpf_res_spin_lock";
    RES_SPIN_LOCK_IRQSAVE = "bpf_res_spin_lock_irqsave";
    SESSION_COOKIE = "bpf_session_cookie";
    THROW = "bpf_throw";
    TRAP = "__bpf_trap";
    WQ_SET_CALLBACK_IMPL = "bpf_wq_set_callback_impl";
    XDP_PULL_DATA = "bpf_xdp_pull_data";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn every_name_is_that_of_a_row() {
        for (constant, name) in ALL {
            assert!(super::super::find(name).is_some(), "{constant}: no row of abi/src/kfuncs has the name {name}");
            let short = name.trim_start_matches('_').trim_start_matches("bpf_");
            assert_eq!(*constant, short.to_uppercase(), "the constant of {name}");
        }
    }
}
