//! Time, randomness, strings, system calls, remote controls.

use super::rows::helpers;
use super::words::{
    ANY, CAP_BPF, CAP_PERFMON, CTX, FASTCALL, GPL, IN, IN_OR_NULL, INOUT_OR_NULL, INT, OUT, SIZE, SIZE0, SLEEPS, STR,
    btf, fixed_out, proto, v,
};
use crate::callers::set::{
    CGROUP_DEVICE, CGROUP_SKB, CGROUP_SOCK, CGROUP_SYSCTL, EVERY, FLOW_DISSECTOR, LIRC_MODE2, LSM_ANY, LWT, NETFILTER,
    SK_LOOKUP, SK_MSG, SK_REUSEPORT, SK_SKB, SOCK_ADDR, SOCK_LOOKUPS, SOCK_OPS, SOCKET_FILTER, SOCKOPT, STRUCT_OPS,
    STRUCT_OPS_TCP_CA, SYSCALL, TC, TRACING, XDP,
};

#[rustfmt::skip]
helpers! {
    KTIME_GET_NS = 5, "bpf_ktime_get_ns", v(4, 1), [proto(&[], INT, 0, EVERY | LIRC_MODE2)];
    GET_PRANDOM_U32 = 7, "bpf_get_prandom_u32", v(4, 17), [proto(&[], INT, 0, EVERY | LIRC_MODE2)];
    GET_SMP_PROCESSOR_ID = 8, "bpf_get_smp_processor_id", v(4, 1), [
        proto(&[], INT, FASTCALL, TRACING | LWT | TC | XDP),
        proto(&[], INT, 0, SOCK_ADDR | SOCKOPT | CGROUP_DEVICE | CGROUP_SKB | CGROUP_SOCK | CGROUP_SYSCTL | FLOW_DISSECTOR | NETFILTER | SK_LOOKUP | SK_MSG | SK_REUSEPORT | SK_SKB | SOCKET_FILTER | SOCK_OPS | STRUCT_OPS | STRUCT_OPS_TCP_CA),
    ];
    GET_NUMA_NODE_ID = 42, "bpf_get_numa_node_id", v(4, 10), [proto(&[], INT, 0, EVERY)];
    RC_REPEAT = 77, "bpf_rc_repeat", v(4, 18), [proto(&[CTX], INT, GPL, LIRC_MODE2)];
    RC_KEYDOWN = 78, "bpf_rc_keydown", v(4, 18), [proto(&[CTX, ANY, ANY, ANY], INT, GPL, LIRC_MODE2)];
    RC_POINTER_REL = 92, "bpf_rc_pointer_rel", v(5, 0), [proto(&[CTX, ANY, ANY], INT, GPL, LIRC_MODE2)];
    STRTOL = 105, "bpf_strtol", v(5, 2), [proto(&[IN, SIZE, ANY, fixed_out(8)], INT, 0, EVERY)];
    STRTOUL = 106, "bpf_strtoul", v(5, 2), [proto(&[IN, SIZE, ANY, fixed_out(8)], INT, 0, EVERY)];
    JIFFIES64 = 118, "bpf_jiffies64", v(5, 6), [proto(&[], INT, CAP_BPF, EVERY)];
    KTIME_GET_BOOT_NS = 125, "bpf_ktime_get_boot_ns", v(5, 8), [proto(&[], INT, 0, EVERY | LIRC_MODE2)];
    BPRM_OPTS_SET = 159, "bpf_bprm_opts_set", v(5, 11), [proto(&[btf("linux_binprm"), ANY], INT, 0, LSM_ANY)];
    KTIME_GET_COARSE_NS = 160, "bpf_ktime_get_coarse_ns", v(5, 11), [proto(&[], INT, 0, SOCK_LOOKUPS | LWT | CGROUP_SOCK | CGROUP_SYSCTL | FLOW_DISSECTOR | SK_LOOKUP | SK_MSG | SK_REUSEPORT | SOCKET_FILTER | SOCK_OPS | STRUCT_OPS | STRUCT_OPS_TCP_CA)];
    IMA_INODE_HASH = 161, "bpf_ima_inode_hash", v(5, 11), [proto(&[btf("inode"), OUT, SIZE], INT, SLEEPS, LSM_ANY)];
    SNPRINTF = 165, "bpf_snprintf", v(5, 13), [proto(&[INOUT_OR_NULL, SIZE0, STR, IN_OR_NULL, SIZE0], INT, GPL | CAP_PERFMON, EVERY)];
    SYS_BPF = 166, "bpf_sys_bpf", v(5, 14), [proto(&[ANY, IN, SIZE], INT, SLEEPS, SYSCALL)];
    BTF_FIND_BY_NAME_KIND = 167, "bpf_btf_find_by_name_kind", v(5, 14), [proto(&[IN, SIZE, ANY, ANY], INT, SLEEPS, SYSCALL)];
    SYS_CLOSE = 168, "bpf_sys_close", v(5, 14), [proto(&[ANY], INT, SLEEPS, SYSCALL)];
    KALLSYMS_LOOKUP_NAME = 179, "bpf_kallsyms_lookup_name", v(5, 16), [proto(&[IN, SIZE0, ANY, fixed_out(8)], INT, 0, SYSCALL)];
    STRNCMP = 182, "bpf_strncmp", v(5, 17), [proto(&[IN, SIZE, STR], INT, 0, EVERY)];
    IMA_FILE_HASH = 193, "bpf_ima_file_hash", v(5, 18), [proto(&[btf("file"), OUT, SIZE], INT, SLEEPS, LSM_ANY)];
    KTIME_GET_TAI_NS = 208, "bpf_ktime_get_tai_ns", v(6, 1), [proto(&[], INT, 0, EVERY)];
}
