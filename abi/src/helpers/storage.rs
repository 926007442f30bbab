//! Storage that belongs to sockets, tasks, inodes and control groups.

use super::map_sets::{CGROUP_STORAGES, CGRP_STORAGE, INODE_STORAGE, SK_STORAGE, TASK_STORAGE};
use super::rows::helpers;
use super::words::{
    ANY, CAP_BPF, CTX, INT, MAP, TYPED_SOCK, VALUE_OR_NULL, VALUE_OR_NULL_RET, VALUE_RET, btf_or_null, proto, v,
};
use crate::callers::set::{
    BTF_TP, CGROUP_DEVICE, CGROUP_SKB, CGROUP_SOCK, CGROUP_SYSCTL, EVERY, ITER, LSM_ANY, LSM_CGROUP, SK_MSG, SOCK_ADDR,
    SOCK_OPS, SOCKOPT, STRUCT_OPS_TCP_CA, SYSCALL, TC, TRAMPOLINE,
};

#[rustfmt::skip]
helpers! {
    GET_LOCAL_STORAGE = 81, "bpf_get_local_storage", v(4, 19), on(CGROUP_STORAGES), [proto(&[MAP, ANY], VALUE_RET, 0, SOCK_ADDR | SOCKOPT | CGROUP_DEVICE | CGROUP_SKB | CGROUP_SOCK | CGROUP_SYSCTL | LSM_CGROUP | SOCK_OPS)];
    SK_STORAGE_GET = 107, "bpf_sk_storage_get", v(5, 2), on(SK_STORAGE), [
        proto(&[MAP, CTX, VALUE_OR_NULL, ANY], VALUE_OR_NULL_RET, 0, CGROUP_SOCK),
        proto(&[MAP, btf_or_null("sock_common"), VALUE_OR_NULL, ANY], VALUE_OR_NULL_RET, 0, TRAMPOLINE | BTF_TP | ITER | SYSCALL),
        proto(&[MAP, TYPED_SOCK, VALUE_OR_NULL, ANY], VALUE_OR_NULL_RET, 0, SOCK_ADDR | TC | LSM_ANY | SOCKOPT | CGROUP_SKB | SK_MSG | SOCK_OPS | STRUCT_OPS_TCP_CA),
    ];
    SK_STORAGE_DELETE = 108, "bpf_sk_storage_delete", v(5, 2), on(SK_STORAGE), [
        proto(&[MAP, btf_or_null("sock_common")], INT, 0, TRAMPOLINE | BTF_TP | ITER | SYSCALL),
        proto(&[MAP, TYPED_SOCK], INT, 0, SOCK_ADDR | TC | LSM_ANY | SOCKOPT | CGROUP_SKB | SK_MSG | SOCK_OPS | STRUCT_OPS_TCP_CA),
    ];
    INODE_STORAGE_GET = 145, "bpf_inode_storage_get", v(5, 10), on(INODE_STORAGE), [proto(&[MAP, btf_or_null("inode"), VALUE_OR_NULL, ANY], VALUE_OR_NULL_RET, 0, LSM_ANY)];
    INODE_STORAGE_DELETE = 146, "bpf_inode_storage_delete", v(5, 10), on(INODE_STORAGE), [proto(&[MAP, btf_or_null("inode")], INT, 0, LSM_ANY)];
    TASK_STORAGE_GET = 156, "bpf_task_storage_get", v(5, 11), on(TASK_STORAGE), [proto(&[MAP, btf_or_null("task_struct"), VALUE_OR_NULL, ANY], VALUE_OR_NULL_RET, CAP_BPF, EVERY)];
    TASK_STORAGE_DELETE = 157, "bpf_task_storage_delete", v(5, 11), on(TASK_STORAGE), [proto(&[MAP, btf_or_null("task_struct")], INT, CAP_BPF, EVERY)];
    CGRP_STORAGE_GET = 210, "bpf_cgrp_storage_get", v(6, 2), on(CGRP_STORAGE), [proto(&[MAP, btf_or_null("cgroup"), VALUE_OR_NULL, ANY], VALUE_OR_NULL_RET, CAP_BPF, EVERY)];
    CGRP_STORAGE_DELETE = 211, "bpf_cgrp_storage_delete", v(6, 2), on(CGRP_STORAGE), [proto(&[MAP, btf_or_null("cgroup")], INT, CAP_BPF, EVERY)];
}
