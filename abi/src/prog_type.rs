//! Program types (`enum bpf_prog_type`).

crate::numbered! {
    /// What kind of hook a program is for; it decides context, helpers and return values.
    pub enum ProgType {
        Unspec = 0, (0, 0), "BPF_PROG_TYPE_UNSPEC", "unspec";
        SocketFilter = 1, (3, 19), "BPF_PROG_TYPE_SOCKET_FILTER", "socket_filter";
        Kprobe = 2, (4, 1), "BPF_PROG_TYPE_KPROBE", "kprobe";
        SchedCls = 3, (4, 1), "BPF_PROG_TYPE_SCHED_CLS", "sched_cls";
        SchedAct = 4, (4, 1), "BPF_PROG_TYPE_SCHED_ACT", "sched_act";
        Tracepoint = 5, (4, 7), "BPF_PROG_TYPE_TRACEPOINT", "tracepoint";
        Xdp = 6, (4, 8), "BPF_PROG_TYPE_XDP", "xdp";
        PerfEvent = 7, (4, 9), "BPF_PROG_TYPE_PERF_EVENT", "perf_event";
        CgroupSkb = 8, (4, 10), "BPF_PROG_TYPE_CGROUP_SKB", "cgroup_skb";
        CgroupSock = 9, (4, 10), "BPF_PROG_TYPE_CGROUP_SOCK", "cgroup_sock";
        LwtIn = 10, (4, 10), "BPF_PROG_TYPE_LWT_IN", "lwt_in";
        LwtOut = 11, (4, 10), "BPF_PROG_TYPE_LWT_OUT", "lwt_out";
        LwtXmit = 12, (4, 10), "BPF_PROG_TYPE_LWT_XMIT", "lwt_xmit";
        SockOps = 13, (4, 13), "BPF_PROG_TYPE_SOCK_OPS", "sock_ops";
        SkSkb = 14, (4, 14), "BPF_PROG_TYPE_SK_SKB", "sk_skb";
        CgroupDevice = 15, (4, 15), "BPF_PROG_TYPE_CGROUP_DEVICE", "cgroup_device";
        SkMsg = 16, (4, 17), "BPF_PROG_TYPE_SK_MSG", "sk_msg";
        RawTracepoint = 17, (4, 17), "BPF_PROG_TYPE_RAW_TRACEPOINT", "raw_tracepoint";
        CgroupSockAddr = 18, (4, 17), "BPF_PROG_TYPE_CGROUP_SOCK_ADDR", "cgroup_sock_addr";
        LwtSeg6local = 19, (4, 18), "BPF_PROG_TYPE_LWT_SEG6LOCAL", "lwt_seg6local";
        LircMode2 = 20, (4, 18), "BPF_PROG_TYPE_LIRC_MODE2", "lirc_mode2";
        SkReuseport = 21, (4, 19), "BPF_PROG_TYPE_SK_REUSEPORT", "sk_reuseport";
        FlowDissector = 22, (4, 20), "BPF_PROG_TYPE_FLOW_DISSECTOR", "flow_dissector";
        CgroupSysctl = 23, (5, 2), "BPF_PROG_TYPE_CGROUP_SYSCTL", "cgroup_sysctl";
        RawTracepointWritable = 24, (5, 2), "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE", "raw_tracepoint_writable";
        CgroupSockopt = 25, (5, 3), "BPF_PROG_TYPE_CGROUP_SOCKOPT", "cgroup_sockopt";
        Tracing = 26, (5, 5), "BPF_PROG_TYPE_TRACING", "tracing";
        StructOps = 27, (5, 6), "BPF_PROG_TYPE_STRUCT_OPS", "struct_ops";
        Ext = 28, (5, 6), "BPF_PROG_TYPE_EXT", "ext";
        Lsm = 29, (5, 7), "BPF_PROG_TYPE_LSM", "lsm";
        SkLookup = 30, (5, 9), "BPF_PROG_TYPE_SK_LOOKUP", "sk_lookup";
        Syscall = 31, (5, 14), "BPF_PROG_TYPE_SYSCALL", "syscall";
        Netfilter = 32, (6, 4), "BPF_PROG_TYPE_NETFILTER", "netfilter";
    }
}

impl ProgType {
    /// Whether programs may write to what their contexts call data: a packet, a message, the value of an option.
    pub const fn writes_packets(self) -> bool {
        matches!(
            self,
            Self::SchedCls
                | Self::SchedAct
                | Self::Xdp
                | Self::LwtXmit
                | Self::SkSkb
                | Self::SkMsg
                | Self::CgroupSockopt
        )
    }
}
