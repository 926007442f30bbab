//! The structs, one after the other. Source: the uAPI header `linux/bpf.h`.

use super::{Field, FieldKind, Layout};
use FieldKind::*;

const fn num(name: &'static str, offset: u16, size: u16) -> Field {
    Field { name, offset, size, count: 1, kind: Number }
}

const fn array(name: &'static str, offset: u16, count: u16) -> Field {
    Field { name, offset, size: 4, count, kind: Number }
}

const fn ptr(name: &'static str, offset: u16, size: u16, kind: FieldKind) -> Field {
    Field { name, offset, size, count: 1, kind }
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
    fields: &[
        ptr("data", 0, 4, PacketData),
        ptr("data_end", 4, 4, PacketEnd),
        ptr("data_meta", 8, 4, PacketMeta),
        num("ingress_ifindex", 12, 4),
        num("rx_queue_index", 16, 4),
        num("egress_ifindex", 20, 4),
    ],
};

/// `struct __sk_buff`
pub static SK_BUFF: Layout = Layout {
    name: "__sk_buff",
    size: 192,
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
        num("ingress_ifindex", 36, 4),
        num("ifindex", 40, 4),
        num("tc_index", 44, 4),
        array("cb", 48, 5),
        num("hash", 68, 4),
        num("tc_classid", 72, 4),
        ptr("data", 76, 4, PacketData),
        ptr("data_end", 80, 4, PacketEnd),
        num("napi_id", 84, 4),
        num("family", 88, 4),
        num("remote_ip4", 92, 4),
        num("local_ip4", 96, 4),
        array("remote_ip6", 100, 4),
        array("local_ip6", 116, 4),
        num("remote_port", 132, 4),
        num("local_port", 136, 4),
        ptr("data_meta", 140, 4, PacketMeta),
        ptr("flow_keys", 144, 8, FlowKeys),
        num("tstamp", 152, 8),
        num("wire_len", 160, 4),
        num("gso_segs", 164, 4),
        ptr("sk", 168, 8, Socket),
        num("gso_size", 176, 4),
        num("tstamp_type", 180, 1),
        num("hwtstamp", 184, 8),
    ],
};

/// `struct bpf_sock_ops`
pub static SOCK_OPS: Layout = Layout {
    name: "bpf_sock_ops",
    size: 224,
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
        num("is_fullsock", 72, 4),
        num("snd_cwnd", 76, 4),
        num("srtt_us", 80, 4),
        num("bpf_sock_ops_cb_flags", 84, 4),
        num("state", 88, 4),
        num("rtt_min", 92, 4),
        num("snd_ssthresh", 96, 4),
        num("rcv_nxt", 100, 4),
        num("snd_nxt", 104, 4),
        num("snd_una", 108, 4),
        num("mss_cache", 112, 4),
        num("ecn_flags", 116, 4),
        num("rate_delivered", 120, 4),
        num("rate_interval_us", 124, 4),
        num("packets_out", 128, 4),
        num("retrans_out", 132, 4),
        num("total_retrans", 136, 4),
        num("segs_in", 140, 4),
        num("data_segs_in", 144, 4),
        num("segs_out", 148, 4),
        num("data_segs_out", 152, 4),
        num("lost_out", 156, 4),
        num("sacked_out", 160, 4),
        num("sk_txhash", 164, 4),
        num("bytes_received", 168, 8),
        num("bytes_acked", 176, 8),
        ptr("sk", 184, 8, Socket),
        ptr("skb_data", 192, 8, PacketData),
        ptr("skb_data_end", 200, 8, PacketEnd),
        num("skb_len", 208, 4),
        num("skb_tcp_flags", 212, 4),
        num("skb_hwtstamp", 216, 8),
    ],
};

/// `struct bpf_sk_lookup`
pub static SK_LOOKUP: Layout = Layout {
    name: "bpf_sk_lookup",
    size: 72,
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
        num("ingress_ifindex", 64, 4),
    ],
};

/// `struct bpf_sock_addr`
pub static SOCK_ADDR: Layout = Layout {
    name: "bpf_sock_addr",
    size: 72,
    fields: &[
        num("user_family", 0, 4),
        num("user_ip4", 4, 4),
        array("user_ip6", 8, 4),
        num("user_port", 24, 4),
        num("family", 28, 4),
        num("type", 32, 4),
        num("protocol", 36, 4),
        num("msg_src_ip4", 40, 4),
        array("msg_src_ip6", 44, 4),
        ptr("sk", 64, 8, Socket),
    ],
};

/// `struct bpf_sock`
pub static SOCK: Layout = Layout {
    name: "bpf_sock",
    size: 80,
    fields: &[
        num("bound_dev_if", 0, 4),
        num("family", 4, 4),
        num("type", 8, 4),
        num("protocol", 12, 4),
        num("mark", 16, 4),
        num("priority", 20, 4),
        num("src_ip4", 24, 4),
        array("src_ip6", 28, 4),
        num("src_port", 44, 4),
        num("dst_port", 48, 4),
        num("dst_ip4", 52, 4),
        array("dst_ip6", 56, 4),
        num("state", 72, 4),
        num("rx_queue_mapping", 76, 4),
    ],
};

/// `struct bpf_tcp_sock`
pub static TCP_SOCK: Layout = Layout {
    name: "bpf_tcp_sock",
    size: 112,
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
        num("dsack_dups", 96, 4),
        num("delivered", 100, 4),
        num("delivered_ce", 104, 4),
        num("icsk_retransmits", 108, 4),
    ],
};

/// `struct bpf_xdp_sock`
pub static XDP_SOCK: Layout = Layout { name: "bpf_xdp_sock", size: 4, fields: &[num("queue_id", 0, 4)] };

/// `struct sk_msg_md`
pub static SK_MSG_MD: Layout = Layout {
    name: "sk_msg_md",
    size: 80,
    fields: &[
        ptr("data", 0, 8, PacketData),
        ptr("data_end", 8, 8, PacketEnd),
        num("family", 16, 4),
        num("remote_ip4", 20, 4),
        num("local_ip4", 24, 4),
        array("remote_ip6", 28, 4),
        array("local_ip6", 44, 4),
        num("remote_port", 60, 4),
        num("local_port", 64, 4),
        num("size", 68, 4),
        ptr("sk", 72, 8, Socket),
    ],
};

/// `struct sk_reuseport_md`
pub static SK_REUSEPORT_MD: Layout = Layout {
    name: "sk_reuseport_md",
    size: 56,
    fields: &[
        ptr("data", 0, 8, PacketData),
        ptr("data_end", 8, 8, PacketEnd),
        num("len", 16, 4),
        num("eth_protocol", 20, 4),
        num("ip_protocol", 24, 4),
        num("bind_inany", 28, 4),
        num("hash", 32, 4),
        ptr("sk", 40, 8, Socket),
        ptr("migrating_sk", 48, 8, Socket),
    ],
};

/// `struct bpf_cgroup_dev_ctx`
pub static CGROUP_DEV_CTX: Layout = Layout {
    name: "bpf_cgroup_dev_ctx",
    size: 12,
    fields: &[num("access_type", 0, 4), num("major", 4, 4), num("minor", 8, 4)],
};

/// `struct bpf_sysctl`
pub static SYSCTL: Layout =
    Layout { name: "bpf_sysctl", size: 8, fields: &[num("write", 0, 4), num("file_pos", 4, 4)] };

/// `struct bpf_sockopt`
pub static SOCKOPT: Layout = Layout {
    name: "bpf_sockopt",
    size: 40,
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
