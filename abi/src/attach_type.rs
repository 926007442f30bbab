//! Attach types (`enum bpf_attach_type`).

crate::numbered! {
    /// The expected attach type, which narrows what a program type may do.
    pub enum AttachType {
        CgroupInetIngress = 0, (4, 10), "BPF_CGROUP_INET_INGRESS", "cgroup_inet_ingress";
        CgroupInetEgress = 1, (4, 10), "BPF_CGROUP_INET_EGRESS", "cgroup_inet_egress";
        CgroupInetSockCreate = 2, (4, 10), "BPF_CGROUP_INET_SOCK_CREATE", "cgroup_inet_sock_create";
        CgroupSockOps = 3, (4, 13), "BPF_CGROUP_SOCK_OPS", "cgroup_sock_ops";
        SkSkbStreamParser = 4, (4, 14), "BPF_SK_SKB_STREAM_PARSER", "sk_skb_stream_parser";
        SkSkbStreamVerdict = 5, (4, 14), "BPF_SK_SKB_STREAM_VERDICT", "sk_skb_stream_verdict";
        CgroupDevice = 6, (4, 15), "BPF_CGROUP_DEVICE", "cgroup_device";
        SkMsgVerdict = 7, (4, 17), "BPF_SK_MSG_VERDICT", "sk_msg_verdict";
        CgroupInet4Bind = 8, (4, 17), "BPF_CGROUP_INET4_BIND", "cgroup_inet4_bind";
        CgroupInet6Bind = 9, (4, 17), "BPF_CGROUP_INET6_BIND", "cgroup_inet6_bind";
        CgroupInet4Connect = 10, (4, 17), "BPF_CGROUP_INET4_CONNECT", "cgroup_inet4_connect";
        CgroupInet6Connect = 11, (4, 17), "BPF_CGROUP_INET6_CONNECT", "cgroup_inet6_connect";
        CgroupInet4PostBind = 12, (4, 17), "BPF_CGROUP_INET4_POST_BIND", "cgroup_inet4_post_bind";
        CgroupInet6PostBind = 13, (4, 17), "BPF_CGROUP_INET6_POST_BIND", "cgroup_inet6_post_bind";
        CgroupUdp4Sendmsg = 14, (4, 18), "BPF_CGROUP_UDP4_SENDMSG", "cgroup_udp4_sendmsg";
        CgroupUdp6Sendmsg = 15, (4, 18), "BPF_CGROUP_UDP6_SENDMSG", "cgroup_udp6_sendmsg";
        LircMode2 = 16, (4, 18), "BPF_LIRC_MODE2", "lirc_mode2";
        FlowDissector = 17, (4, 20), "BPF_FLOW_DISSECTOR", "flow_dissector";
        CgroupSysctl = 18, (5, 2), "BPF_CGROUP_SYSCTL", "cgroup_sysctl";
        CgroupUdp4Recvmsg = 19, (5, 2), "BPF_CGROUP_UDP4_RECVMSG", "cgroup_udp4_recvmsg";
        CgroupUdp6Recvmsg = 20, (5, 2), "BPF_CGROUP_UDP6_RECVMSG", "cgroup_udp6_recvmsg";
        CgroupGetsockopt = 21, (5, 3), "BPF_CGROUP_GETSOCKOPT", "cgroup_getsockopt";
        CgroupSetsockopt = 22, (5, 3), "BPF_CGROUP_SETSOCKOPT", "cgroup_setsockopt";
        TraceRawTp = 23, (5, 5), "BPF_TRACE_RAW_TP", "trace_raw_tp";
        TraceFentry = 24, (5, 5), "BPF_TRACE_FENTRY", "trace_fentry";
        TraceFexit = 25, (5, 5), "BPF_TRACE_FEXIT", "trace_fexit";
        ModifyReturn = 26, (5, 7), "BPF_MODIFY_RETURN", "modify_return";
        LsmMac = 27, (5, 7), "BPF_LSM_MAC", "lsm_mac";
        TraceIter = 28, (5, 8), "BPF_TRACE_ITER", "trace_iter";
        CgroupInet4Getpeername = 29, (5, 8), "BPF_CGROUP_INET4_GETPEERNAME", "cgroup_inet4_getpeername";
        CgroupInet6Getpeername = 30, (5, 8), "BPF_CGROUP_INET6_GETPEERNAME", "cgroup_inet6_getpeername";
        CgroupInet4Getsockname = 31, (5, 8), "BPF_CGROUP_INET4_GETSOCKNAME", "cgroup_inet4_getsockname";
        CgroupInet6Getsockname = 32, (5, 8), "BPF_CGROUP_INET6_GETSOCKNAME", "cgroup_inet6_getsockname";
        XdpDevmap = 33, (5, 8), "BPF_XDP_DEVMAP", "xdp_devmap";
        CgroupInetSockRelease = 34, (5, 9), "BPF_CGROUP_INET_SOCK_RELEASE", "cgroup_inet_sock_release";
        XdpCpumap = 35, (5, 9), "BPF_XDP_CPUMAP", "xdp_cpumap";
        SkLookup = 36, (5, 9), "BPF_SK_LOOKUP", "sk_lookup";
        Xdp = 37, (5, 9), "BPF_XDP", "xdp";
        SkSkbVerdict = 38, (5, 13), "BPF_SK_SKB_VERDICT", "sk_skb_verdict";
        SkReuseportSelect = 39, (5, 14), "BPF_SK_REUSEPORT_SELECT", "sk_reuseport_select";
        SkReuseportSelectOrMigrate = 40, (5, 14), "BPF_SK_REUSEPORT_SELECT_OR_MIGRATE", "sk_reuseport_select_or_migrate";
        PerfEvent = 41, (5, 15), "BPF_PERF_EVENT", "perf_event";
        TraceKprobeMulti = 42, (5, 18), "BPF_TRACE_KPROBE_MULTI", "trace_kprobe_multi";
        LsmCgroup = 43, (6, 0), "BPF_LSM_CGROUP", "lsm_cgroup";
        StructOps = 44, (6, 4), "BPF_STRUCT_OPS", "struct_ops";
        Netfilter = 45, (6, 4), "BPF_NETFILTER", "netfilter";
        TcxIngress = 46, (6, 6), "BPF_TCX_INGRESS", "tcx_ingress";
        TcxEgress = 47, (6, 6), "BPF_TCX_EGRESS", "tcx_egress";
        TraceUprobeMulti = 48, (6, 6), "BPF_TRACE_UPROBE_MULTI", "trace_uprobe_multi";
        CgroupUnixConnect = 49, (6, 7), "BPF_CGROUP_UNIX_CONNECT", "cgroup_unix_connect";
        CgroupUnixSendmsg = 50, (6, 7), "BPF_CGROUP_UNIX_SENDMSG", "cgroup_unix_sendmsg";
        CgroupUnixRecvmsg = 51, (6, 7), "BPF_CGROUP_UNIX_RECVMSG", "cgroup_unix_recvmsg";
        CgroupUnixGetpeername = 52, (6, 7), "BPF_CGROUP_UNIX_GETPEERNAME", "cgroup_unix_getpeername";
        CgroupUnixGetsockname = 53, (6, 7), "BPF_CGROUP_UNIX_GETSOCKNAME", "cgroup_unix_getsockname";
        NetkitPrimary = 54, (6, 7), "BPF_NETKIT_PRIMARY", "netkit_primary";
        NetkitPeer = 55, (6, 7), "BPF_NETKIT_PEER", "netkit_peer";
        TraceKprobeSession = 56, (6, 10), "BPF_TRACE_KPROBE_SESSION", "trace_kprobe_session";
        TraceUprobeSession = 57, (6, 13), "BPF_TRACE_UPROBE_SESSION", "trace_uprobe_session";
        TraceFsession = 58, (7, 0), "BPF_TRACE_FSESSION", "trace_fsession";
        TraceFentryMulti = 59, (7, 2), "BPF_TRACE_FENTRY_MULTI", "trace_fentry_multi";
        TraceFexitMulti = 60, (7, 2), "BPF_TRACE_FEXIT_MULTI", "trace_fexit_multi";
        TraceFsessionMulti = 61, (7, 2), "BPF_TRACE_FSESSION_MULTI", "trace_fsession_multi";
    }
}
