//! The structs behind a program's context: what C programs see, and what the kernel has.

use crate::ProgType;

/// Context of a program type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtxType {
    /// Program types that have it.
    pub types: &'static [ProgType],
    /// Struct that programs are written against; empty when the context has no name.
    pub user: &'static str,
    /// The kernel's own struct; empty when it is no struct.
    pub kernel: &'static str,
}

const fn row(types: &'static [ProgType], user: &'static str, kernel: &'static str) -> CtxType {
    CtxType { types, user, kernel }
}

/// The rows. `pt_regs` is also known by the typedef `bpf_user_pt_regs_t`.
#[rustfmt::skip]
pub static ROWS: &[CtxType] = &[
    row(&[ProgType::SocketFilter, ProgType::SchedCls, ProgType::SchedAct, ProgType::CgroupSkb, ProgType::LwtIn,
          ProgType::LwtOut, ProgType::LwtXmit, ProgType::LwtSeg6local, ProgType::SkSkb], "__sk_buff", "sk_buff"),
    row(&[ProgType::Xdp], "xdp_md", "xdp_buff"),
    row(&[ProgType::CgroupSock], "bpf_sock", "sock"),
    row(&[ProgType::CgroupSockAddr], "bpf_sock_addr", "bpf_sock_addr_kern"),
    row(&[ProgType::SockOps], "bpf_sock_ops", "bpf_sock_ops_kern"),
    row(&[ProgType::SkMsg], "sk_msg_md", "sk_msg"),
    row(&[ProgType::FlowDissector], "__sk_buff", "bpf_flow_dissector"),
    row(&[ProgType::Kprobe], "pt_regs", "pt_regs"),
    row(&[ProgType::PerfEvent], "bpf_perf_event_data", "bpf_perf_event_data_kern"),
    row(&[ProgType::RawTracepoint, ProgType::RawTracepointWritable], "bpf_raw_tracepoint_args", ""),
    row(&[ProgType::CgroupDevice], "bpf_cgroup_dev_ctx", "bpf_cgroup_dev_ctx"),
    row(&[ProgType::CgroupSysctl], "bpf_sysctl", "bpf_sysctl_kern"),
    row(&[ProgType::CgroupSockopt], "bpf_sockopt", "bpf_sockopt_kern"),
    row(&[ProgType::SkReuseport], "sk_reuseport_md", "sk_reuseport_kern"),
    row(&[ProgType::SkLookup], "bpf_sk_lookup", "bpf_sk_lookup_kern"),
    row(&[ProgType::Netfilter], "bpf_nf_ctx", "bpf_nf_ctx"),
];

/// The row of a program type; `None` when its context is no struct.
pub fn find(kind: ProgType) -> Option<&'static CtxType> {
    ROWS.iter().find(|r| r.types.contains(&kind))
}

/// Whether a struct of the kernel's is what another struct stands for in programs (`btf_is_projection_of`).
pub fn is_projection(user: &str, kernel: &str) -> bool {
    matches!((user, kernel), ("__sk_buff", "sk_buff") | ("xdp_md", "xdp_buff"))
}
