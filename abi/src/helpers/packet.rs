//! Packets: bytes, checksums, tunnels, redirection.

use super::callers::set::{
    CGROUP_DEVICE, CGROUP_SKB, CGROUP_SOCK, CGROUP_SYSCTL, FLOW_DISSECTOR, LWT, LWT_IN, LWT_SEG6LOCAL, LWT_XMIT,
    NETFILTER, SK_LOOKUP, SK_MSG, SK_REUSEPORT, SK_SKB, SOCK_ADDR, SOCK_OPS, SOCKET_FILTER, SOCKOPT, STRUCT_OPS,
    STRUCT_OPS_TCP_CA, TC, TRACING, TYPED, XDP,
};
use super::words::{
    ANY, CHANGES, CTX, GPL, IN, IN_OR_NULL, INOUT, INT, MAP, OUT, PKT, SIZE, SIZE0, btf, fixed_inout, helper, proto, v,
};
use crate::proto::Helper;

/// The rows.
#[rustfmt::skip]
pub(super) static ROWS: &[Helper] = &[
    helper(9, "bpf_skb_store_bytes", v(4, 1), &[proto(&[CTX, ANY, IN, SIZE, ANY], INT, CHANGES, TC | LWT_XMIT | SK_SKB)]),
    helper(10, "bpf_l3_csum_replace", v(4, 1), &[proto(&[CTX, ANY, ANY, ANY, ANY], INT, CHANGES, TC | LWT_XMIT)]),
    helper(11, "bpf_l4_csum_replace", v(4, 1), &[proto(&[CTX, ANY, ANY, ANY, ANY], INT, CHANGES, TC | LWT_XMIT)]),
    helper(13, "bpf_clone_redirect", v(4, 2), &[proto(&[CTX, ANY, ANY], INT, CHANGES, TC | LWT_XMIT)]),
    helper(17, "bpf_get_cgroup_classid", v(4, 3), &[
        proto(&[CTX], INT, 0, LWT | TC),
        proto(&[], INT, 0, TRACING | SOCK_ADDR | SOCKOPT | CGROUP_DEVICE | CGROUP_SKB | CGROUP_SOCK | CGROUP_SYSCTL | FLOW_DISSECTOR | NETFILTER | SK_LOOKUP | SK_MSG | SK_REUSEPORT | SK_SKB | SOCKET_FILTER | SOCK_OPS | STRUCT_OPS | STRUCT_OPS_TCP_CA | XDP),
    ]),
    helper(18, "bpf_skb_vlan_push", v(4, 3), &[proto(&[CTX, ANY, ANY], INT, CHANGES, TC)]),
    helper(19, "bpf_skb_vlan_pop", v(4, 3), &[proto(&[CTX], INT, CHANGES, TC)]),
    helper(20, "bpf_skb_get_tunnel_key", v(4, 3), &[proto(&[CTX, OUT, SIZE, ANY], INT, 0, TC | LWT_XMIT)]),
    helper(21, "bpf_skb_set_tunnel_key", v(4, 3), &[proto(&[CTX, IN, SIZE, ANY], INT, 0, TC | LWT_XMIT)]),
    helper(23, "bpf_redirect", v(4, 4), &[proto(&[ANY, ANY], INT, 0, TC | LWT_XMIT | XDP)]),
    helper(24, "bpf_get_route_realm", v(4, 4), &[proto(&[CTX], INT, 0, LWT | TC)]),
    helper(26, "bpf_skb_load_bytes", v(4, 5), &[proto(&[CTX, ANY, OUT, SIZE], INT, 0, LWT | TC | CGROUP_SKB | FLOW_DISSECTOR | SK_REUSEPORT | SK_SKB | SOCKET_FILTER)]),
    helper(28, "bpf_csum_diff", v(4, 6), &[proto(&[IN_OR_NULL, SIZE0, IN_OR_NULL, SIZE0, ANY], INT, PKT, LWT | TC | XDP)]),
    helper(29, "bpf_skb_get_tunnel_opt", v(4, 6), &[proto(&[CTX, OUT, SIZE], INT, 0, TC | LWT_XMIT)]),
    helper(30, "bpf_skb_set_tunnel_opt", v(4, 6), &[proto(&[CTX, IN, SIZE], INT, 0, TC | LWT_XMIT)]),
    helper(31, "bpf_skb_change_proto", v(4, 8), &[proto(&[CTX, ANY, ANY], INT, CHANGES, TC)]),
    helper(32, "bpf_skb_change_type", v(4, 8), &[proto(&[CTX, ANY], INT, 0, TC)]),
    helper(33, "bpf_skb_under_cgroup", v(4, 8), &[proto(&[CTX, MAP, ANY], INT, 0, LWT | TC)]),
    helper(34, "bpf_get_hash_recalc", v(4, 8), &[proto(&[CTX], INT, 0, LWT | TC)]),
    helper(38, "bpf_skb_change_tail", v(4, 9), &[proto(&[CTX, ANY, ANY], INT, CHANGES, TC | LWT_XMIT | SK_SKB)]),
    helper(39, "bpf_skb_pull_data", v(4, 9), &[proto(&[CTX, ANY], INT, CHANGES, LWT | TC | SK_SKB)]),
    helper(40, "bpf_csum_update", v(4, 9), &[proto(&[CTX, ANY], INT, 0, TC | LWT_XMIT)]),
    helper(41, "bpf_set_hash_invalid", v(4, 9), &[proto(&[CTX], INT, 0, TC | LWT_XMIT)]),
    helper(43, "bpf_skb_change_head", v(4, 10), &[proto(&[CTX, ANY, ANY], INT, CHANGES, TC | LWT_XMIT | SK_SKB)]),
    helper(44, "bpf_xdp_adjust_head", v(4, 10), &[proto(&[CTX, ANY], INT, CHANGES, XDP)]),
    helper(48, "bpf_set_hash", v(4, 13), &[proto(&[CTX, ANY], INT, 0, TC)]),
    helper(50, "bpf_skb_adjust_room", v(4, 13), &[proto(&[CTX, ANY, ANY, ANY], INT, CHANGES, TC | SK_SKB)]),
    helper(51, "bpf_redirect_map", v(4, 14), &[proto(&[MAP, ANY, ANY], INT, 0, XDP)]),
    helper(54, "bpf_xdp_adjust_meta", v(4, 15), &[proto(&[CTX, ANY], INT, CHANGES, XDP)]),
    helper(65, "bpf_xdp_adjust_tail", v(4, 18), &[proto(&[CTX, ANY], INT, CHANGES, XDP)]),
    helper(66, "bpf_skb_get_xfrm_state", v(4, 18), &[proto(&[CTX, ANY, OUT, SIZE, ANY], INT, 0, TC)]),
    helper(68, "bpf_skb_load_bytes_relative", v(4, 18), &[proto(&[CTX, ANY, OUT, SIZE, ANY], INT, 0, TC | CGROUP_SKB | SK_REUSEPORT | SOCKET_FILTER)]),
    helper(69, "bpf_fib_lookup", v(4, 18), &[proto(&[CTX, INOUT, SIZE, ANY], INT, GPL, TC | XDP)]),
    helper(73, "bpf_lwt_push_encap", v(4, 18), &[proto(&[CTX, ANY, IN, SIZE], INT, CHANGES, LWT_IN | LWT_XMIT)]),
    helper(74, "bpf_lwt_seg6_store_bytes", v(4, 18), &[proto(&[CTX, ANY, IN, SIZE], INT, CHANGES, LWT_SEG6LOCAL)]),
    helper(75, "bpf_lwt_seg6_adjust_srh", v(4, 18), &[proto(&[CTX, ANY, ANY], INT, CHANGES, LWT_SEG6LOCAL)]),
    helper(76, "bpf_lwt_seg6_action", v(4, 18), &[proto(&[CTX, ANY, IN, SIZE], INT, CHANGES, LWT_SEG6LOCAL)]),
    helper(79, "bpf_skb_cgroup_id", v(4, 18), &[proto(&[CTX], INT, 0, TC | CGROUP_SKB)]),
    helper(83, "bpf_skb_ancestor_cgroup_id", v(4, 19), &[proto(&[CTX, ANY], INT, 0, TC | CGROUP_SKB)]),
    helper(97, "bpf_skb_ecn_set_ce", v(5, 1), &[proto(&[CTX], INT, 0, TC | CGROUP_SKB)]),
    helper(135, "bpf_csum_level", v(5, 8), &[proto(&[CTX, ANY], INT, 0, TC | LWT_XMIT)]),
    helper(151, "bpf_skb_cgroup_classid", v(5, 10), &[proto(&[CTX], INT, 0, TC)]),
    helper(152, "bpf_redirect_neigh", v(5, 10), &[proto(&[ANY, IN_OR_NULL, SIZE0, ANY], INT, 0, TC)]),
    helper(155, "bpf_redirect_peer", v(5, 10), &[proto(&[ANY, ANY], INT, 0, TC)]),
    helper(163, "bpf_check_mtu", v(5, 12), &[proto(&[CTX, ANY, fixed_inout(4), ANY, ANY], INT, GPL, TC | XDP)]),
    helper(188, "bpf_xdp_get_buff_len", v(5, 18), &[
        proto(&[btf("xdp_buff")], INT, 0, TYPED),
        proto(&[CTX], INT, 0, XDP),
    ]),
    helper(189, "bpf_xdp_load_bytes", v(5, 18), &[proto(&[CTX, ANY, OUT, SIZE], INT, 0, XDP)]),
    helper(190, "bpf_xdp_store_bytes", v(5, 18), &[proto(&[CTX, ANY, IN, SIZE], INT, 0, XDP)]),
    helper(192, "bpf_skb_set_tstamp", v(5, 18), &[proto(&[CTX, ANY, ANY], INT, 0, TC)]),
];
