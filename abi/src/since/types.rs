#![cfg_attr(rustfmt, rustfmt::skip)]
//! First versions by the kernel's names, oldest first.

use super::Row;

/// Program types.
pub(super) const PROG_TYPES: &[Row] = &[
    (3, 19, &[
        "BPF_PROG_TYPE_SOCKET_FILTER",
    ]),
    (4, 1, &[
        "BPF_PROG_TYPE_KPROBE", "BPF_PROG_TYPE_SCHED_CLS", "BPF_PROG_TYPE_SCHED_ACT",
    ]),
    (4, 7, &[
        "BPF_PROG_TYPE_TRACEPOINT",
    ]),
    (4, 8, &[
        "BPF_PROG_TYPE_XDP",
    ]),
    (4, 9, &[
        "BPF_PROG_TYPE_PERF_EVENT",
    ]),
    (4, 10, &[
        "BPF_PROG_TYPE_CGROUP_SKB", "BPF_PROG_TYPE_CGROUP_SOCK", "BPF_PROG_TYPE_LWT_IN", "BPF_PROG_TYPE_LWT_OUT",
        "BPF_PROG_TYPE_LWT_XMIT",
    ]),
    (4, 13, &[
        "BPF_PROG_TYPE_SOCK_OPS",
    ]),
    (4, 14, &[
        "BPF_PROG_TYPE_SK_SKB",
    ]),
    (4, 15, &[
        "BPF_PROG_TYPE_CGROUP_DEVICE",
    ]),
    (4, 17, &[
        "BPF_PROG_TYPE_SK_MSG", "BPF_PROG_TYPE_RAW_TRACEPOINT", "BPF_PROG_TYPE_CGROUP_SOCK_ADDR",
    ]),
    (4, 18, &[
        "BPF_PROG_TYPE_LWT_SEG6LOCAL", "BPF_PROG_TYPE_LIRC_MODE2",
    ]),
    (4, 19, &[
        "BPF_PROG_TYPE_SK_REUSEPORT",
    ]),
    (4, 20, &[
        "BPF_PROG_TYPE_FLOW_DISSECTOR",
    ]),
    (5, 2, &[
        "BPF_PROG_TYPE_CGROUP_SYSCTL", "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE",
    ]),
    (5, 3, &[
        "BPF_PROG_TYPE_CGROUP_SOCKOPT",
    ]),
    (5, 5, &[
        "BPF_PROG_TYPE_TRACING",
    ]),
    (5, 6, &[
        "BPF_PROG_TYPE_STRUCT_OPS", "BPF_PROG_TYPE_EXT",
    ]),
    (5, 7, &[
        "BPF_PROG_TYPE_LSM",
    ]),
    (5, 9, &[
        "BPF_PROG_TYPE_SK_LOOKUP",
    ]),
    (5, 14, &[
        "BPF_PROG_TYPE_SYSCALL",
    ]),
    (6, 4, &[
        "BPF_PROG_TYPE_NETFILTER",
    ]),
];

/// Map types.
pub(super) const MAP_TYPES: &[Row] = &[
    (3, 19, &[
        "BPF_MAP_TYPE_HASH", "BPF_MAP_TYPE_ARRAY",
    ]),
    (4, 2, &[
        "BPF_MAP_TYPE_PROG_ARRAY",
    ]),
    (4, 3, &[
        "BPF_MAP_TYPE_PERF_EVENT_ARRAY",
    ]),
    (4, 6, &[
        "BPF_MAP_TYPE_PERCPU_HASH", "BPF_MAP_TYPE_PERCPU_ARRAY", "BPF_MAP_TYPE_STACK_TRACE",
    ]),
    (4, 8, &[
        "BPF_MAP_TYPE_CGROUP_ARRAY",
    ]),
    (4, 10, &[
        "BPF_MAP_TYPE_LRU_HASH", "BPF_MAP_TYPE_LRU_PERCPU_HASH",
    ]),
    (4, 11, &[
        "BPF_MAP_TYPE_LPM_TRIE",
    ]),
    (4, 12, &[
        "BPF_MAP_TYPE_ARRAY_OF_MAPS", "BPF_MAP_TYPE_HASH_OF_MAPS",
    ]),
    (4, 14, &[
        "BPF_MAP_TYPE_DEVMAP", "BPF_MAP_TYPE_SOCKMAP",
    ]),
    (4, 15, &[
        "BPF_MAP_TYPE_CPUMAP",
    ]),
    (4, 18, &[
        "BPF_MAP_TYPE_XSKMAP", "BPF_MAP_TYPE_SOCKHASH",
    ]),
    (4, 19, &[
        "BPF_MAP_TYPE_CGROUP_STORAGE", "BPF_MAP_TYPE_REUSEPORT_SOCKARRAY",
    ]),
    (4, 20, &[
        "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE", "BPF_MAP_TYPE_QUEUE", "BPF_MAP_TYPE_STACK",
    ]),
    (5, 2, &[
        "BPF_MAP_TYPE_SK_STORAGE",
    ]),
    (5, 4, &[
        "BPF_MAP_TYPE_DEVMAP_HASH",
    ]),
    (5, 6, &[
        "BPF_MAP_TYPE_STRUCT_OPS",
    ]),
    (5, 8, &[
        "BPF_MAP_TYPE_RINGBUF",
    ]),
    (5, 10, &[
        "BPF_MAP_TYPE_INODE_STORAGE",
    ]),
    (5, 11, &[
        "BPF_MAP_TYPE_TASK_STORAGE",
    ]),
    (5, 16, &[
        "BPF_MAP_TYPE_BLOOM_FILTER",
    ]),
    (6, 1, &[
        "BPF_MAP_TYPE_USER_RINGBUF",
    ]),
    (6, 2, &[
        "BPF_MAP_TYPE_CGRP_STORAGE",
    ]),
    (6, 9, &[
        "BPF_MAP_TYPE_ARENA",
    ]),
    (6, 19, &[
        "BPF_MAP_TYPE_INSN_ARRAY",
    ]),
    (7, 3, &[
        "BPF_MAP_TYPE_RHASH",
    ]),
];

/// Attach types.
pub(super) const ATTACH_TYPES: &[Row] = &[
    (4, 10, &[
        "BPF_CGROUP_INET_INGRESS", "BPF_CGROUP_INET_EGRESS", "BPF_CGROUP_INET_SOCK_CREATE",
    ]),
    (4, 13, &[
        "BPF_CGROUP_SOCK_OPS",
    ]),
    (4, 14, &[
        "BPF_SK_SKB_STREAM_PARSER", "BPF_SK_SKB_STREAM_VERDICT",
    ]),
    (4, 15, &[
        "BPF_CGROUP_DEVICE",
    ]),
    (4, 17, &[
        "BPF_SK_MSG_VERDICT", "BPF_CGROUP_INET4_BIND", "BPF_CGROUP_INET6_BIND", "BPF_CGROUP_INET4_CONNECT",
        "BPF_CGROUP_INET6_CONNECT", "BPF_CGROUP_INET4_POST_BIND", "BPF_CGROUP_INET6_POST_BIND",
    ]),
    (4, 18, &[
        "BPF_CGROUP_UDP4_SENDMSG", "BPF_CGROUP_UDP6_SENDMSG", "BPF_LIRC_MODE2",
    ]),
    (4, 20, &[
        "BPF_FLOW_DISSECTOR",
    ]),
    (5, 2, &[
        "BPF_CGROUP_SYSCTL", "BPF_CGROUP_UDP4_RECVMSG", "BPF_CGROUP_UDP6_RECVMSG",
    ]),
    (5, 3, &[
        "BPF_CGROUP_GETSOCKOPT", "BPF_CGROUP_SETSOCKOPT",
    ]),
    (5, 5, &[
        "BPF_TRACE_RAW_TP", "BPF_TRACE_FENTRY", "BPF_TRACE_FEXIT",
    ]),
    (5, 7, &[
        "BPF_MODIFY_RETURN", "BPF_LSM_MAC",
    ]),
    (5, 8, &[
        "BPF_TRACE_ITER", "BPF_CGROUP_INET4_GETPEERNAME", "BPF_CGROUP_INET6_GETPEERNAME",
        "BPF_CGROUP_INET4_GETSOCKNAME", "BPF_CGROUP_INET6_GETSOCKNAME", "BPF_XDP_DEVMAP",
    ]),
    (5, 9, &[
        "BPF_CGROUP_INET_SOCK_RELEASE", "BPF_XDP_CPUMAP", "BPF_SK_LOOKUP", "BPF_XDP",
    ]),
    (5, 13, &[
        "BPF_SK_SKB_VERDICT",
    ]),
    (5, 14, &[
        "BPF_SK_REUSEPORT_SELECT", "BPF_SK_REUSEPORT_SELECT_OR_MIGRATE",
    ]),
    (5, 15, &[
        "BPF_PERF_EVENT",
    ]),
    (5, 18, &[
        "BPF_TRACE_KPROBE_MULTI",
    ]),
    (6, 0, &[
        "BPF_LSM_CGROUP",
    ]),
    (6, 4, &[
        "BPF_STRUCT_OPS", "BPF_NETFILTER",
    ]),
    (6, 6, &[
        "BPF_TCX_INGRESS", "BPF_TCX_EGRESS", "BPF_TRACE_UPROBE_MULTI",
    ]),
    (6, 7, &[
        "BPF_NETKIT_PRIMARY", "BPF_NETKIT_PEER", "BPF_CGROUP_UNIX_CONNECT", "BPF_CGROUP_UNIX_SENDMSG",
        "BPF_CGROUP_UNIX_RECVMSG", "BPF_CGROUP_UNIX_GETPEERNAME", "BPF_CGROUP_UNIX_GETSOCKNAME",
    ]),
    (6, 10, &[
        "BPF_TRACE_KPROBE_SESSION",
    ]),
    (6, 13, &[
        "BPF_TRACE_UPROBE_SESSION",
    ]),
    (7, 0, &[
        "BPF_TRACE_FSESSION",
    ]),
    (7, 2, &[
        "BPF_TRACE_FENTRY_MULTI", "BPF_TRACE_FEXIT_MULTI", "BPF_TRACE_FSESSION_MULTI",
    ]),
];
