//! Who calls a helper: program types, split by attach type where that decides.

use crate::{AttachType as A, ProgType as P};

/// A set of kinds of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Callers(pub(crate) u64);

/// The kinds, one bit each, and the groups that the tables name. `ADDR_*` are socket-address programs by attach
/// type: connect (inet and unix), sendmsg, bind, and `ADDR_NAMES` for recvmsg, getpeername and getsockname, which
/// return one value only.
pub(crate) mod set {
    pub(crate) const SOCKET_FILTER: u64 = 1 << 0;
    pub(crate) const KPROBE: u64 = 1 << 1;
    pub(crate) const SCHED_CLS: u64 = 1 << 2;
    pub(crate) const SCHED_ACT: u64 = 1 << 3;
    pub(crate) const TRACEPOINT: u64 = 1 << 4;
    pub(crate) const XDP: u64 = 1 << 5;
    pub(crate) const PERF_EVENT: u64 = 1 << 6;
    pub(crate) const CGROUP_SKB: u64 = 1 << 7;
    pub(crate) const CGROUP_SOCK: u64 = 1 << 8;
    pub(crate) const LWT_IN: u64 = 1 << 9;
    pub(crate) const LWT_OUT: u64 = 1 << 10;
    pub(crate) const LWT_XMIT: u64 = 1 << 11;
    pub(crate) const SOCK_OPS: u64 = 1 << 12;
    pub(crate) const SK_SKB: u64 = 1 << 13;
    pub(crate) const CGROUP_DEVICE: u64 = 1 << 14;
    pub(crate) const SK_MSG: u64 = 1 << 15;
    pub(crate) const RAW_TP: u64 = 1 << 16;
    pub(crate) const ADDR_BIND: u64 = 1 << 17;
    pub(crate) const ADDR_CONNECT: u64 = 1 << 18;
    pub(crate) const ADDR_CONNECT_UNIX: u64 = 1 << 19;
    pub(crate) const ADDR_SENDMSG: u64 = 1 << 20;
    pub(crate) const ADDR_NAMES: u64 = 1 << 21;
    pub(crate) const LWT_SEG6LOCAL: u64 = 1 << 22;
    pub(crate) const LIRC_MODE2: u64 = 1 << 23;
    pub(crate) const SK_REUSEPORT: u64 = 1 << 24;
    pub(crate) const FLOW_DISSECTOR: u64 = 1 << 25;
    pub(crate) const CGROUP_SYSCTL: u64 = 1 << 26;
    pub(crate) const RAW_TP_WRITABLE: u64 = 1 << 27;
    pub(crate) const GETSOCKOPT: u64 = 1 << 28;
    pub(crate) const SETSOCKOPT: u64 = 1 << 29;
    pub(crate) const BTF_TP: u64 = 1 << 30;
    pub(crate) const FENTRY: u64 = 1 << 31;
    pub(crate) const FEXIT: u64 = 1 << 32;
    pub(crate) const FMOD_RET: u64 = 1 << 33;
    pub(crate) const ITER: u64 = 1 << 34;
    pub(crate) const STRUCT_OPS: u64 = 1 << 35;
    pub(crate) const STRUCT_OPS_TCP_CA: u64 = 1 << 36;
    pub(crate) const LSM: u64 = 1 << 37;
    pub(crate) const LSM_CGROUP: u64 = 1 << 38;
    pub(crate) const SK_LOOKUP: u64 = 1 << 39;
    pub(crate) const SYSCALL: u64 = 1 << 40;
    pub(crate) const NETFILTER: u64 = 1 << 41;

    /// Iterators over TCP and Unix sockets, beside what all iterators have.
    pub(crate) const ITER_SOCK: u64 = 1 << 42;

    /// Control groups where a socket is made, beside what all programs at sockets have.
    pub(crate) const SOCK_CREATE: u64 = 1 << 43;

    pub(crate) const EVERY: u64 = ((1 << 42) - 1) & !LIRC_MODE2;
    pub(crate) const TC: u64 = SCHED_CLS | SCHED_ACT;
    pub(crate) const LWT: u64 = LWT_IN | LWT_OUT | LWT_XMIT | LWT_SEG6LOCAL;
    pub(crate) const RAW: u64 = RAW_TP | RAW_TP_WRITABLE;
    pub(crate) const PROBES: u64 = KPROBE | TRACEPOINT | PERF_EVENT | RAW;
    pub(crate) const TRAMPOLINE: u64 = FENTRY | FEXIT | FMOD_RET;
    pub(crate) const LSM_ANY: u64 = LSM | LSM_CGROUP;
    pub(crate) const TYPED: u64 = BTF_TP | TRAMPOLINE | ITER | LSM_ANY | SYSCALL;
    pub(crate) const TRACING: u64 = PROBES | TYPED;
    pub(crate) const SOCK_ADDR: u64 = ADDR_BIND | ADDR_CONNECT | ADDR_CONNECT_UNIX | ADDR_SENDMSG | ADDR_NAMES;
    pub(crate) const SOCKOPT: u64 = GETSOCKOPT | SETSOCKOPT;
    pub(crate) const SOCK_LOOKUPS: u64 = TC | CGROUP_SKB | XDP | SK_SKB | SOCK_ADDR;
    pub(crate) const CONVERTS_SOCK: u64 =
        SOCK_LOOKUPS | LWT | TYPED | SOCKET_FILTER | SOCK_OPS | SK_MSG | FLOW_DISSECTOR | SK_LOOKUP;
}

impl Callers {
    /// Whether one kind is in both.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The kind of a program. Extensions have that of the program they extend, which the caller gives; a program
    /// type without helpers gives the empty set.
    pub fn of(kind: P, attach: A) -> Self {
        use set::*;
        Self(match kind {
            P::SocketFilter => SOCKET_FILTER,
            P::Kprobe => KPROBE,
            P::SchedCls => SCHED_CLS,
            P::SchedAct => SCHED_ACT,
            P::Tracepoint => TRACEPOINT,
            P::Xdp => XDP,
            P::PerfEvent => PERF_EVENT,
            P::CgroupSkb => CGROUP_SKB,
            P::CgroupSock if attach == A::CgroupInetSockCreate => CGROUP_SOCK | SOCK_CREATE,
            P::CgroupSock => CGROUP_SOCK,
            P::LwtIn => LWT_IN,
            P::LwtOut => LWT_OUT,
            P::LwtXmit => LWT_XMIT,
            P::SockOps => SOCK_OPS,
            P::SkSkb => SK_SKB,
            P::CgroupDevice => CGROUP_DEVICE,
            P::SkMsg => SK_MSG,
            P::RawTracepoint => RAW_TP,
            P::CgroupSockAddr => match attach {
                A::CgroupInet4Bind | A::CgroupInet6Bind => ADDR_BIND,
                A::CgroupInet4Connect | A::CgroupInet6Connect => ADDR_CONNECT,
                A::CgroupUnixConnect => ADDR_CONNECT_UNIX,
                A::CgroupUdp4Sendmsg | A::CgroupUdp6Sendmsg | A::CgroupUnixSendmsg => ADDR_SENDMSG,
                _ => ADDR_NAMES,
            },
            P::LwtSeg6local => LWT_SEG6LOCAL,
            P::LircMode2 => LIRC_MODE2,
            P::SkReuseport => SK_REUSEPORT,
            P::FlowDissector => FLOW_DISSECTOR,
            P::CgroupSysctl => CGROUP_SYSCTL,
            P::RawTracepointWritable => RAW_TP_WRITABLE,
            P::CgroupSockopt if attach == A::CgroupSetsockopt => SETSOCKOPT,
            P::CgroupSockopt => GETSOCKOPT,
            P::Tracing => match attach {
                A::TraceFentry => FENTRY,
                A::TraceFexit | A::TraceFsession => FEXIT,
                A::ModifyReturn => FMOD_RET,
                A::TraceIter => ITER,
                _ => BTF_TP,
            },
            P::StructOps => STRUCT_OPS,
            P::Lsm if attach == A::LsmCgroup => LSM_CGROUP,
            P::Lsm => LSM,
            P::SkLookup => SK_LOOKUP,
            P::Syscall => SYSCALL,
            P::Netfilter => NETFILTER,
            _ => 0,
        })
    }

    /// The kind of an iterator program, by what it visits.
    pub fn of_iterator(name: &str) -> Self {
        let sockets = if matches!(name, "tcp" | "unix") { set::ITER_SOCK } else { 0 };
        Self(set::ITER | sockets)
    }

    /// The kind of a program in a table of operations, by the table's struct.
    pub fn of_struct_ops(name: &str) -> Self {
        Self(match name {
            "tcp_congestion_ops" => set::STRUCT_OPS_TCP_CA,
            // It names no helpers at all.
            crate::test_run::OPERATIONS => 0,
            _ => set::STRUCT_OPS,
        })
    }
}
