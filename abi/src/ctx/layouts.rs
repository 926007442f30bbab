//! The structs, one after the other. Source: the uAPI header `linux/bpf.h`.

use super::{Field, FieldKind, Layout, Since};
use crate::{Feature, KernelVersion};
use FieldKind::*;

const fn num(name: &'static str, offset: u16, size: u16) -> Field {
    Field { name, offset, size, count: 1, kind: Number, later: None }
}

const fn array(name: &'static str, offset: u16, count: u16) -> Field {
    Field { name, offset, size: 4, count, kind: Number, later: None }
}

const fn ptr(name: &'static str, offset: u16, size: u16, kind: FieldKind) -> Field {
    Field { name, offset, size, count: 1, kind, later: None }
}

impl Field {
    /// The field came with a later version than the struct.
    const fn since(mut self, major: u16, minor: u16) -> Self {
        self.later = Some(Since::Version(KernelVersion::new(major, minor, 0)));
        self
    }

    /// The field came with a feature.
    const fn with(mut self, feature: Feature) -> Self {
        self.later = Some(Since::Feature(feature));
        self
    }
}

const fn v(major: u16, minor: u16) -> KernelVersion {
    KernelVersion::new(major, minor, 0)
}

/// Every struct of this file.
pub const LAYOUTS: &[&Layout] = &[
    &XDP_MD,
    &SK_BUFF,
    &SOCK_OPS,
    &SK_LOOKUP,
    &SOCK_ADDR,
    &SOCK,
    &TCP_SOCK,
    &XDP_SOCK,
    &SK_MSG_MD,
    &SK_REUSEPORT_MD,
    &CGROUP_DEV_CTX,
    &SYSCTL,
    &SOCKOPT,
];

/// `struct xdp_md`
pub static XDP_MD: Layout = Layout {
    name: "xdp_md",
    size: 24,
    since: v(4, 8),
    fields: &[
        ptr("data", 0, 4, PacketData),
        ptr("data_end", 4, 4, PacketEnd),
        ptr("data_meta", 8, 4, PacketMeta).since(4, 15),
        num("ingress_ifindex", 12, 4).since(4, 16),
        num("rx_queue_index", 16, 4).since(4, 16),
        num("egress_ifindex", 20, 4).since(5, 8),
    ],
};

/// `struct __sk_buff`
pub static SK_BUFF: Layout = Layout {
    name: "__sk_buff",
    size: 192,
    since: v(4, 1),
    fields: &[
        num("len", 0, 4),
        num("pkt_type", 4, 4),
        num("mark", 8, 4),
        num("queue_mapping", 12, 4),
        num("protocol", 16, 4),
        num("vlan_present", 20, 4),
        num("vlan_tci", 24, 4),
        num("vlan_proto", 28, 4),
        num("priority", 32, 4),
        num("ingress_ifindex", 36, 4).since(4, 2),
        num("ifindex", 40, 4).since(4, 2),
        num("tc_index", 44, 4).since(4, 2),
        array("cb", 48, 5).since(4, 2),
        num("hash", 68, 4).since(4, 3),
        num("tc_classid", 72, 4).since(4, 3),
        ptr("data", 76, 4, PacketData).since(4, 7),
        ptr("data_end", 80, 4, PacketEnd).since(4, 7),
        num("napi_id", 84, 4).since(4, 12),
        num("family", 88, 4).since(4, 14),
        num("remote_ip4", 92, 4).since(4, 14),
        num("local_ip4", 96, 4).since(4, 14),
        array("remote_ip6", 100, 4).since(4, 14),
        array("local_ip6", 116, 4).since(4, 14),
        num("remote_port", 132, 4).since(4, 14),
        num("local_port", 136, 4).since(4, 14),
        ptr("data_meta", 140, 4, PacketMeta).since(4, 15),
        ptr("flow_keys", 144, 8, FlowKeys).since(4, 20),
        num("tstamp", 152, 8).since(5, 0),
        num("wire_len", 160, 4).since(5, 0),
        num("gso_segs", 164, 4).since(5, 1),
        ptr("sk", 168, 8, Socket).since(5, 1),
        num("gso_size", 176, 4).since(5, 7),
        num("tstamp_type", 180, 1).since(5, 18),
        num("hwtstamp", 184, 8).with(Feature::HardwareTimes),
    ],
};

/// `struct bpf_sock_ops`
pub static SOCK_OPS: Layout = Layout {
    name: "bpf_sock_ops",
    size: 224,
    since: v(4, 13),
    fields: &[
        num("op", 0, 4),
        array("args", 4, 4),
        num("family", 20, 4),
        num("remote_ip4", 24, 4),
        num("local_ip4", 28, 4),
        array("remote_ip6", 32, 4),
        array("local_ip6", 48, 4),
        num("remote_port", 64, 4),
        num("local_port", 68, 4),
        num("is_fullsock", 72, 4).since(4, 16),
        num("snd_cwnd", 76, 4).since(4, 16),
        num("srtt_us", 80, 4).since(4, 16),
        num("bpf_sock_ops_cb_flags", 84, 4).since(4, 16),
        num("state", 88, 4).since(4, 16),
        num("rtt_min", 92, 4).since(4, 16),
        num("snd_ssthresh", 96, 4).since(4, 16),
        num("rcv_nxt", 100, 4).since(4, 16),
        num("snd_nxt", 104, 4).since(4, 16),
        num("snd_una", 108, 4).since(4, 16),
        num("mss_cache", 112, 4).since(4, 16),
        num("ecn_flags", 116, 4).since(4, 16),
        num("rate_delivered", 120, 4).since(4, 16),
        num("rate_interval_us", 124, 4).since(4, 16),
        num("packets_out", 128, 4).since(4, 16),
        num("retrans_out", 132, 4).since(4, 16),
        num("total_retrans", 136, 4).since(4, 16),
        num("segs_in", 140, 4).since(4, 16),
        num("data_segs_in", 144, 4).since(4, 16),
        num("segs_out", 148, 4).since(4, 16),
        num("data_segs_out", 152, 4).since(4, 16),
        num("lost_out", 156, 4).since(4, 16),
        num("sacked_out", 160, 4).since(4, 16),
        num("sk_txhash", 164, 4).since(4, 16),
        num("bytes_received", 168, 8).since(4, 16),
        num("bytes_acked", 176, 8).since(4, 16),
        ptr("sk", 184, 8, Socket).since(5, 3),
        ptr("skb_data", 192, 8, PacketData).since(5, 10),
        ptr("skb_data_end", 200, 8, PacketEnd).since(5, 10),
        num("skb_len", 208, 4).since(5, 10),
        num("skb_tcp_flags", 212, 4).since(5, 10),
        num("skb_hwtstamp", 216, 8).with(Feature::HardwareTimesOfSockets),
    ],
};

/// `struct bpf_sk_lookup`
pub static SK_LOOKUP: Layout = Layout {
    name: "bpf_sk_lookup",
    size: 72,
    since: v(5, 9),
    fields: &[
        ptr("sk", 0, 8, Socket),
        num("family", 8, 4),
        num("protocol", 12, 4),
        num("remote_ip4", 16, 4),
        array("remote_ip6", 20, 4),
        num("remote_port", 36, 4),
        num("local_ip4", 40, 4),
        array("local_ip6", 44, 4),
        num("local_port", 60, 4),
        num("ingress_ifindex", 64, 4).with(Feature::InterfaceOfLookups),
    ],
};

/// `struct bpf_sock_addr`
pub static SOCK_ADDR: Layout = Layout {
    name: "bpf_sock_addr",
    size: 72,
    since: v(4, 17),
    fields: &[
        num("user_family", 0, 4),
        num("user_ip4", 4, 4),
        array("user_ip6", 8, 4),
        num("user_port", 24, 4),
        num("family", 28, 4),
        num("type", 32, 4),
        num("protocol", 36, 4),
        num("msg_src_ip4", 40, 4).since(4, 18),
        array("msg_src_ip6", 44, 4).since(4, 18),
        ptr("sk", 64, 8, Socket).since(5, 3),
    ],
};

/// `struct bpf_sock`
pub static SOCK: Layout = Layout {
    name: "bpf_sock",
    size: 80,
    since: v(4, 10),
    fields: &[
        num("bound_dev_if", 0, 4),
        num("family", 4, 4),
        num("type", 8, 4),
        num("protocol", 12, 4),
        num("mark", 16, 4).since(4, 14),
        num("priority", 20, 4).since(4, 14),
        num("src_ip4", 24, 4).since(4, 17),
        array("src_ip6", 28, 4).since(4, 17),
        num("src_port", 44, 4).since(4, 17),
        num("dst_port", 48, 4).since(5, 1),
        num("dst_ip4", 52, 4).since(5, 1),
        array("dst_ip6", 56, 4).since(5, 1),
        num("state", 72, 4).since(5, 1),
        num("rx_queue_mapping", 76, 4).since(5, 8),
    ],
};

/// `struct bpf_tcp_sock`
pub static TCP_SOCK: Layout = Layout {
    name: "bpf_tcp_sock",
    size: 112,
    since: v(5, 1),
    fields: &[
        num("snd_cwnd", 0, 4),
        num("srtt_us", 4, 4),
        num("rtt_min", 8, 4),
        num("snd_ssthresh", 12, 4),
        num("rcv_nxt", 16, 4),
        num("snd_nxt", 20, 4),
        num("snd_una", 24, 4),
        num("mss_cache", 28, 4),
        num("ecn_flags", 32, 4),
        num("rate_delivered", 36, 4),
        num("rate_interval_us", 40, 4),
        num("packets_out", 44, 4),
        num("retrans_out", 48, 4),
        num("total_retrans", 52, 4),
        num("segs_in", 56, 4),
        num("data_segs_in", 60, 4),
        num("segs_out", 64, 4),
        num("data_segs_out", 68, 4),
        num("lost_out", 72, 4),
        num("sacked_out", 76, 4),
        num("bytes_received", 80, 8),
        num("bytes_acked", 88, 8),
        num("dsack_dups", 96, 4).since(5, 3),
        num("delivered", 100, 4).since(5, 3),
        num("delivered_ce", 104, 4).since(5, 3),
        num("icsk_retransmits", 108, 4).since(5, 3),
    ],
};

/// `struct bpf_xdp_sock`
pub static XDP_SOCK: Layout =
    Layout { name: "bpf_xdp_sock", size: 4, since: v(5, 3), fields: &[num("queue_id", 0, 4)] };

/// `struct sk_msg_md`
pub static SK_MSG_MD: Layout = Layout {
    name: "sk_msg_md",
    size: 80,
    since: v(4, 17),
    fields: &[
        ptr("data", 0, 8, PacketData),
        ptr("data_end", 8, 8, PacketEnd),
        num("family", 16, 4).since(4, 18),
        num("remote_ip4", 20, 4).since(4, 18),
        num("local_ip4", 24, 4).since(4, 18),
        array("remote_ip6", 28, 4).since(4, 18),
        array("local_ip6", 44, 4).since(4, 18),
        num("remote_port", 60, 4).since(4, 18),
        num("local_port", 64, 4).since(4, 18),
        num("size", 68, 4).since(5, 0),
        ptr("sk", 72, 8, Socket).since(5, 8),
    ],
};

/// `struct sk_reuseport_md`
pub static SK_REUSEPORT_MD: Layout = Layout {
    name: "sk_reuseport_md",
    size: 56,
    since: v(4, 19),
    fields: &[
        ptr("data", 0, 8, PacketData),
        ptr("data_end", 8, 8, PacketEnd),
        num("len", 16, 4),
        num("eth_protocol", 20, 4),
        num("ip_protocol", 24, 4),
        num("bind_inany", 28, 4),
        num("hash", 32, 4),
        ptr("sk", 40, 8, Socket).with(Feature::SocketsOfReuseport),
        ptr("migrating_sk", 48, 8, Socket).with(Feature::SocketsOfReuseport),
    ],
};

/// `struct bpf_cgroup_dev_ctx`
pub static CGROUP_DEV_CTX: Layout = Layout {
    name: "bpf_cgroup_dev_ctx",
    size: 12,
    since: v(4, 15),
    fields: &[num("access_type", 0, 4), num("major", 4, 4), num("minor", 8, 4)],
};

/// `struct bpf_sysctl`
pub static SYSCTL: Layout =
    Layout { name: "bpf_sysctl", size: 8, since: v(5, 2), fields: &[num("write", 0, 4), num("file_pos", 4, 4)] };

/// `struct bpf_sockopt`
pub static SOCKOPT: Layout = Layout {
    name: "bpf_sockopt",
    size: 40,
    since: v(5, 3),
    fields: &[
        ptr("sk", 0, 8, Socket),
        ptr("optval", 8, 8, OptVal),
        ptr("optval_end", 16, 8, OptValEnd),
        num("level", 24, 4),
        num("optname", 28, 4),
        num("optlen", 32, 4),
        num("retval", 36, 4),
    ],
};
