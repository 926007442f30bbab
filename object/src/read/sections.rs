//! Section names and what they mean: program type, expected attach type, flags (libbpf's `SEC()` names).

use crate::model::ProgramFlags;
use ebpfkit_abi::{AttachType as A, ProgType as P};

/// How much of a section's name a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The whole name.
    Exact,
    /// The name, alone or followed by a slash and a target.
    WithTarget,
}

/// One section name.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Name or its part before the slash.
    pub name: &'static str,
    /// How it is compared.
    pub matching: Match,
    /// Program type.
    pub prog_type: P,
    /// Expected attach type.
    pub attach: A,
    /// Load flags.
    pub flags: u32,
}

const fn exact(name: &'static str, prog_type: P, attach: A) -> Row {
    Row { name, matching: Match::Exact, prog_type, attach, flags: 0 }
}

const fn target(name: &'static str, prog_type: P, attach: A) -> Row {
    Row { name, matching: Match::WithTarget, prog_type, attach, flags: 0 }
}

const fn sleepable(row: Row) -> Row {
    Row { flags: ProgramFlags::SLEEPABLE, ..row }
}

const fn frags(row: Row) -> Row {
    Row { flags: ProgramFlags::XDP_HAS_FRAGS, ..row }
}

const NONE: A = A(0);

/// Every section name, the longer of two that begin alike first.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    exact("socket", P::SocketFilter, NONE),
    exact("sk_reuseport/migrate", P::SkReuseport, A::SkReuseportSelectOrMigrate),
    exact("sk_reuseport", P::SkReuseport, A::SkReuseportSelect),
    target("kprobe", P::Kprobe, NONE),
    target("uprobe", P::Kprobe, NONE),
    sleepable(target("uprobe.s", P::Kprobe, NONE)),
    target("kretprobe", P::Kprobe, NONE),
    target("uretprobe", P::Kprobe, NONE),
    sleepable(target("uretprobe.s", P::Kprobe, NONE)),
    target("kprobe.multi", P::Kprobe, A::TraceKprobeMulti),
    target("kretprobe.multi", P::Kprobe, A::TraceKprobeMulti),
    target("kprobe.session", P::Kprobe, A::TraceKprobeSession),
    target("uprobe.multi", P::Kprobe, A::TraceUprobeMulti),
    target("uretprobe.multi", P::Kprobe, A::TraceUprobeMulti),
    target("uprobe.session", P::Kprobe, A::TraceUprobeSession),
    sleepable(target("uprobe.multi.s", P::Kprobe, A::TraceUprobeMulti)),
    sleepable(target("uretprobe.multi.s", P::Kprobe, A::TraceUprobeMulti)),
    sleepable(target("uprobe.session.s", P::Kprobe, A::TraceUprobeSession)),
    target("ksyscall", P::Kprobe, NONE),
    target("kretsyscall", P::Kprobe, NONE),
    target("usdt", P::Kprobe, NONE),
    sleepable(target("usdt.s", P::Kprobe, NONE)),
    exact("tc/ingress", P::SchedCls, A::TcxIngress),
    exact("tc/egress", P::SchedCls, A::TcxEgress),
    exact("tcx/ingress", P::SchedCls, A::TcxIngress),
    exact("tcx/egress", P::SchedCls, A::TcxEgress),
    exact("tc", P::SchedCls, NONE),
    exact("classifier", P::SchedCls, NONE),
    exact("action", P::SchedAct, NONE),
    exact("netkit/primary", P::SchedCls, A::NetkitPrimary),
    exact("netkit/peer", P::SchedCls, A::NetkitPeer),
    target("tracepoint", P::Tracepoint, NONE),
    target("tp", P::Tracepoint, NONE),
    sleepable(target("tracepoint.s", P::Tracepoint, NONE)),
    sleepable(target("tp.s", P::Tracepoint, NONE)),
    target("raw_tracepoint", P::RawTracepoint, NONE),
    target("raw_tp", P::RawTracepoint, NONE),
    sleepable(target("raw_tracepoint.s", P::RawTracepoint, NONE)),
    sleepable(target("raw_tp.s", P::RawTracepoint, NONE)),
    target("raw_tracepoint.w", P::RawTracepointWritable, NONE),
    target("raw_tp.w", P::RawTracepointWritable, NONE),
    target("tp_btf", P::Tracing, A::TraceRawTp),
    sleepable(target("tp_btf.s", P::Tracing, A::TraceRawTp)),
    target("fentry", P::Tracing, A::TraceFentry),
    target("fmod_ret", P::Tracing, A::ModifyReturn),
    target("fexit", P::Tracing, A::TraceFexit),
    sleepable(target("fentry.s", P::Tracing, A::TraceFentry)),
    sleepable(target("fmod_ret.s", P::Tracing, A::ModifyReturn)),
    sleepable(target("fexit.s", P::Tracing, A::TraceFexit)),
    target("fsession", P::Tracing, A::TraceFsession),
    sleepable(target("fsession.s", P::Tracing, A::TraceFsession)),
    target("fsession.multi", P::Tracing, A::TraceFsessionMulti),
    sleepable(target("fsession.multi.s", P::Tracing, A::TraceFsessionMulti)),
    target("fentry.multi", P::Tracing, A::TraceFentryMulti),
    target("fexit.multi", P::Tracing, A::TraceFexitMulti),
    sleepable(target("fentry.multi.s", P::Tracing, A::TraceFentryMulti)),
    sleepable(target("fexit.multi.s", P::Tracing, A::TraceFexitMulti)),
    target("freplace", P::Ext, NONE),
    target("lsm", P::Lsm, A::LsmMac),
    sleepable(target("lsm.s", P::Lsm, A::LsmMac)),
    target("lsm_cgroup", P::Lsm, A::LsmCgroup),
    target("iter", P::Tracing, A::TraceIter),
    sleepable(target("iter.s", P::Tracing, A::TraceIter)),
    sleepable(exact("syscall", P::Syscall, NONE)),
    frags(exact("xdp.frags/devmap", P::Xdp, A::XdpDevmap)),
    exact("xdp/devmap", P::Xdp, A::XdpDevmap),
    frags(exact("xdp.frags/cpumap", P::Xdp, A::XdpCpumap)),
    exact("xdp/cpumap", P::Xdp, A::XdpCpumap),
    frags(exact("xdp.frags", P::Xdp, A::Xdp)),
    exact("xdp", P::Xdp, A::Xdp),
    exact("perf_event", P::PerfEvent, NONE),
    exact("lwt_in", P::LwtIn, NONE),
    exact("lwt_out", P::LwtOut, NONE),
    exact("lwt_xmit", P::LwtXmit, NONE),
    exact("lwt_seg6local", P::LwtSeg6local, NONE),
    exact("sockops", P::SockOps, A::CgroupSockOps),
    exact("sk_skb/stream_parser", P::SkSkb, A::SkSkbStreamParser),
    exact("sk_skb/stream_verdict", P::SkSkb, A::SkSkbStreamVerdict),
    exact("sk_skb/verdict", P::SkSkb, A::SkSkbVerdict),
    exact("sk_skb", P::SkSkb, NONE),
    exact("sk_msg", P::SkMsg, A::SkMsgVerdict),
    exact("lirc_mode2", P::LircMode2, A::LircMode2),
    exact("flow_dissector", P::FlowDissector, A::FlowDissector),
    exact("cgroup_skb/ingress", P::CgroupSkb, A::CgroupInetIngress),
    exact("cgroup_skb/egress", P::CgroupSkb, A::CgroupInetEgress),
    exact("cgroup/skb", P::CgroupSkb, NONE),
    exact("cgroup/sock_create", P::CgroupSock, A::CgroupInetSockCreate),
    exact("cgroup/sock_release", P::CgroupSock, A::CgroupInetSockRelease),
    exact("cgroup/sock", P::CgroupSock, A::CgroupInetSockCreate),
    exact("cgroup/post_bind4", P::CgroupSock, A::CgroupInet4PostBind),
    exact("cgroup/post_bind6", P::CgroupSock, A::CgroupInet6PostBind),
    exact("cgroup/bind4", P::CgroupSockAddr, A::CgroupInet4Bind),
    exact("cgroup/bind6", P::CgroupSockAddr, A::CgroupInet6Bind),
    exact("cgroup/connect4", P::CgroupSockAddr, A::CgroupInet4Connect),
    exact("cgroup/connect6", P::CgroupSockAddr, A::CgroupInet6Connect),
    exact("cgroup/connect_unix", P::CgroupSockAddr, A::CgroupUnixConnect),
    exact("cgroup/sendmsg4", P::CgroupSockAddr, A::CgroupUdp4Sendmsg),
    exact("cgroup/sendmsg6", P::CgroupSockAddr, A::CgroupUdp6Sendmsg),
    exact("cgroup/sendmsg_unix", P::CgroupSockAddr, A::CgroupUnixSendmsg),
    exact("cgroup/recvmsg4", P::CgroupSockAddr, A::CgroupUdp4Recvmsg),
    exact("cgroup/recvmsg6", P::CgroupSockAddr, A::CgroupUdp6Recvmsg),
    exact("cgroup/recvmsg_unix", P::CgroupSockAddr, A::CgroupUnixRecvmsg),
    exact("cgroup/getpeername4", P::CgroupSockAddr, A::CgroupInet4Getpeername),
    exact("cgroup/getpeername6", P::CgroupSockAddr, A::CgroupInet6Getpeername),
    exact("cgroup/getpeername_unix", P::CgroupSockAddr, A::CgroupUnixGetpeername),
    exact("cgroup/getsockname4", P::CgroupSockAddr, A::CgroupInet4Getsockname),
    exact("cgroup/getsockname6", P::CgroupSockAddr, A::CgroupInet6Getsockname),
    exact("cgroup/getsockname_unix", P::CgroupSockAddr, A::CgroupUnixGetsockname),
    exact("cgroup/sysctl", P::CgroupSysctl, A::CgroupSysctl),
    exact("cgroup/getsockopt", P::CgroupSockopt, A::CgroupGetsockopt),
    exact("cgroup/setsockopt", P::CgroupSockopt, A::CgroupSetsockopt),
    exact("cgroup/dev", P::CgroupDevice, A::CgroupDevice),
    target("struct_ops", P::StructOps, NONE),
    sleepable(target("struct_ops.s", P::StructOps, NONE)),
    exact("sk_lookup", P::SkLookup, A::SkLookup),
    exact("netfilter", P::Netfilter, A::Netfilter),
];

/// The row of a section name without its leading `?`, and the target behind the slash.
pub fn lookup(section: &str) -> Option<(&'static Row, &str)> {
    ROWS.iter().find_map(|row| match row.matching {
        Match::Exact => (section == row.name).then_some((row, "")),
        Match::WithTarget => {
            let rest = section.strip_prefix(row.name)?;
            if rest.is_empty() { Some((row, "")) } else { Some((row, rest.strip_prefix('/')?)) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_targets() {
        assert_eq!(lookup("kprobe/do_exit").map(|(r, t)| (r.prog_type, t)), Some((P::Kprobe, "do_exit")));
        assert_eq!(lookup("kprobe.multi/x*").map(|(r, _)| r.attach), Some(A::TraceKprobeMulti));
        assert!(lookup("xdp_custom").is_none());
        assert!(lookup("xdp/eth0").is_none());
        assert_eq!(lookup("lsm.s/file_open").map(|(r, _)| r.flags), Some(ProgramFlags::SLEEPABLE));
    }

    #[test]
    fn every_row_finds_itself() {
        for row in ROWS {
            let found = lookup(row.name).map(|(r, _)| r.name);
            assert_eq!(found, Some(row.name));
        }
    }
}
