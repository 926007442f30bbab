//! Which program type has which context, and what it may read and write there.

use super::Layout;
use super::layouts::*;
use crate::ProgType;

/// The context of a program type.
#[derive(Clone, Copy, Debug)]
pub enum Context {
    /// A struct whose fields the kernel translates.
    Fields {
        /// The struct.
        layout: &'static Layout,
        /// Fields that this type may not touch.
        hidden: &'static [&'static str],
        /// Fields that it may write.
        writable: &'static [&'static str],
    },
    /// Bytes that are read as they are: registers, arguments, trace records.
    Plain {
        /// What they are.
        name: &'static str,
        /// Bytes; the most that can be read where the size depends on the attach point.
        size: u16,
        /// Programs may write them.
        writable: bool,
    },
}

impl Context {
    /// Name of the struct or of the bytes.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fields { layout, .. } => layout.name,
            Self::Plain { name, .. } => name,
        }
    }

    /// Bytes.
    pub const fn size(&self) -> u16 {
        match self {
            Self::Fields { layout, .. } => layout.size,
            Self::Plain { size, .. } => *size,
        }
    }
}

const fn fields(
    layout: &'static Layout,
    hidden: &'static [&'static str],
    writable: &'static [&'static str],
) -> Option<Context> {
    Some(Context::Fields { layout, hidden, writable })
}

const fn plain(name: &'static str, size: u16, writable: bool) -> Option<Context> {
    Some(Context::Plain { name, size, writable })
}

/// Fields, and those of an skb's socket: its addresses and ports.
macro_rules! with_socket {
    ($($field:literal),*) => {
        &[$($field,)* "family", "remote_ip4", "local_ip4", "remote_ip6", "local_ip6", "remote_port", "local_port"]
    };
}

const TC_HIDDEN: &[&str] = with_socket!["flow_keys"];
const LWT_HIDDEN: &[&str] =
    with_socket!["flow_keys", "tc_classid", "data_meta", "tstamp", "tstamp_type", "wire_len", "hwtstamp"];

/// The context of a program type; `None` for types that have none of their own.
pub const fn context_of(kind: ProgType) -> Option<Context> {
    use ProgType as P;
    match kind {
        P::Xdp => fields(&XDP_MD, &[], &[]),
        P::SchedCls | P::SchedAct => fields(
            &SK_BUFF,
            TC_HIDDEN,
            &["mark", "tc_index", "priority", "tc_classid", "cb", "tstamp", "queue_mapping"],
        ),
        P::SocketFilter => fields(
            &SK_BUFF,
            with_socket![
                "flow_keys",
                "tc_classid",
                "data",
                "data_meta",
                "data_end",
                "tstamp",
                "tstamp_type",
                "wire_len",
                "hwtstamp"
            ],
            &["cb"],
        ),
        P::CgroupSkb => fields(
            &SK_BUFF,
            &["flow_keys", "tc_classid", "data_meta", "wire_len", "tstamp_type"],
            &["mark", "priority", "cb", "tstamp"],
        ),
        P::LwtIn | P::LwtOut | P::LwtXmit | P::LwtSeg6local => {
            fields(&SK_BUFF, LWT_HIDDEN, &["mark", "priority", "cb"])
        }
        P::SkSkb => fields(
            &SK_BUFF,
            &["flow_keys", "tc_classid", "data_meta", "tstamp", "tstamp_type", "wire_len", "hwtstamp", "mark"],
            &["tc_index", "priority"],
        ),
        P::FlowDissector => fields(
            &SK_BUFF,
            with_socket![
                "len",
                "pkt_type",
                "mark",
                "queue_mapping",
                "protocol",
                "vlan_present",
                "vlan_tci",
                "vlan_proto",
                "priority",
                "ingress_ifindex",
                "ifindex",
                "tc_index",
                "cb",
                "hash",
                "tc_classid",
                "napi_id",
                "data_meta",
                "tstamp",
                "wire_len",
                "gso_segs",
                "sk",
                "gso_size",
                "tstamp_type",
                "hwtstamp"
            ],
            &[],
        ),
        P::CgroupSock => fields(&SOCK, &[], &["bound_dev_if", "mark", "priority"]),
        P::SockOps => fields(&SOCK_OPS, &[], &["args", "sk_txhash"]),
        P::SkLookup => fields(&SK_LOOKUP, &[], &[]),
        P::CgroupSockAddr => {
            fields(&SOCK_ADDR, &[], &["user_ip4", "user_ip6", "user_port", "msg_src_ip4", "msg_src_ip6"])
        }
        P::SkMsg => fields(&SK_MSG_MD, &[], &[]),
        P::SkReuseport => fields(&SK_REUSEPORT_MD, &[], &[]),
        P::CgroupDevice => fields(&CGROUP_DEV_CTX, &[], &[]),
        P::CgroupSysctl => fields(&SYSCTL, &[], &["file_pos"]),
        P::CgroupSockopt => fields(&SOCKOPT, &[], &["level", "optname", "optlen", "retval"]),
        P::Kprobe => plain("pt_regs", 168, false),
        P::PerfEvent => plain("bpf_perf_event_data", 184, false),
        P::Tracepoint => plain("trace record", 8192, false),
        P::RawTracepoint => plain("bpf_raw_tracepoint_args", 96, false),
        P::RawTracepointWritable => plain("bpf_raw_tracepoint_args", 96, false),
        // Security hooks may write what they were called with; their return value is all that is looked at.
        P::Lsm => plain("arguments", 96, true),
        P::Tracing | P::StructOps | P::Ext => plain("arguments", 96, false),
        P::Netfilter => plain("bpf_nf_ctx", 16, false),
        P::LircMode2 => plain("lirc sample", 4, false),
        P::Syscall => plain("arguments", 4096, true),
        _ => None,
    }
}
