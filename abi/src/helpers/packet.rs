//! Packets: bytes, checksums, tunnels, redirection.

use super::map_sets::{CGROUP_ARRAY, CPUMAP, DEVICES, XSKMAP};
use super::rows::helpers;
use super::words::{
    ANY, CHANGES, CTX, GPL, IN, IN_OR_NULL, INOUT, INT, MAP, OUT, PKT, SIZE, SIZE0, btf, fixed_inout, proto, v,
};
use crate::callers::set::{
    CGROUP_DEVICE, CGROUP_SKB, CGROUP_SOCK, CGROUP_SYSCTL, FLOW_DISSECTOR, LWT, LWT_IN, LWT_SEG6LOCAL, LWT_XMIT,
    NETFILTER, SK_LOOKUP, SK_MSG, SK_REUSEPORT, SK_SKB, SOCK_ADDR, SOCK_OPS, SOCKET_FILTER, SOCKOPT, STRUCT_OPS,
    STRUCT_OPS_TCP_CA, TC, TRACING, TYPED, XDP,
};

#[rustfmt::skip]
helpers! {
    SKB_STORE_BYTES = 9, "bpf_skb_store_bytes", v(4, 1), [proto(&[CTX, ANY, IN, SIZE, ANY], INT, CHANGES, TC | LWT_XMIT | SK_SKB)];
    L3_CSUM_REPLACE = 10, "bpf_l3_csum_replace", v(4, 1), [proto(&[CTX, ANY, ANY, ANY, ANY], INT, CHANGES, TC | LWT_XMIT)];
    L4_CSUM_REPLACE = 11, "bpf_l4_csum_replace", v(4, 1), [proto(&[CTX, ANY, ANY, ANY, ANY], INT, CHANGES, TC | LWT_XMIT)];
    CLONE_REDIRECT = 13, "bpf_clone_redirect", v(4, 2), [proto(&[CTX, ANY, ANY], INT, CHANGES, TC | LWT_XMIT)];
    GET_CGROUP_CLASSID = 17, "bpf_get_cgroup_classid", v(4, 3), [
        proto(&[CTX], INT, 0, LWT | TC),
        proto(&[], INT, 0, TRACING | SOCK_ADDR | SOCKOPT | CGROUP_DEVICE | CGROUP_SKB | CGROUP_SOCK | CGROUP_SYSCTL | FLOW_DISSECTOR | NETFILTER | SK_LOOKUP | SK_MSG | SK_REUSEPORT | SK_SKB | SOCKET_FILTER | SOCK_OPS | STRUCT_OPS | STRUCT_OPS_TCP_CA | XDP),
    ];
    SKB_VLAN_PUSH = 18, "bpf_skb_vlan_push", v(4, 3), [proto(&[CTX, ANY, ANY], INT, CHANGES, TC)];
    SKB_VLAN_POP = 19, "bpf_skb_vlan_pop", v(4, 3), [proto(&[CTX], INT, CHANGES, TC)];
    SKB_GET_TUNNEL_KEY = 20, "bpf_skb_get_tunnel_key", v(4, 3), [proto(&[CTX, OUT, SIZE, ANY], INT, 0, TC | LWT_XMIT)];
    SKB_SET_TUNNEL_KEY = 21, "bpf_skb_set_tunnel_key", v(4, 3), [proto(&[CTX, IN, SIZE, ANY], INT, 0, TC | LWT_XMIT)];
    REDIRECT = 23, "bpf_redirect", v(4, 4), [proto(&[ANY, ANY], INT, 0, TC | LWT_XMIT | XDP)];
    GET_ROUTE_REALM = 24, "bpf_get_route_realm", v(4, 4), [proto(&[CTX], INT, 0, LWT | TC)];
    SKB_LOAD_BYTES = 26, "bpf_skb_load_bytes", v(4, 5), [proto(&[CTX, ANY, OUT, SIZE], INT, 0, LWT | TC | CGROUP_SKB | FLOW_DISSECTOR | SK_REUSEPORT | SK_SKB | SOCKET_FILTER)];
    CSUM_DIFF = 28, "bpf_csum_diff", v(4, 6), [proto(&[IN_OR_NULL, SIZE0, IN_OR_NULL, SIZE0, ANY], INT, PKT, LWT | TC | XDP)];
    SKB_GET_TUNNEL_OPT = 29, "bpf_skb_get_tunnel_opt", v(4, 6), [proto(&[CTX, OUT, SIZE], INT, 0, TC | LWT_XMIT)];
    SKB_SET_TUNNEL_OPT = 30, "bpf_skb_set_tunnel_opt", v(4, 6), [proto(&[CTX, IN, SIZE], INT, 0, TC | LWT_XMIT)];
    SKB_CHANGE_PROTO = 31, "bpf_skb_change_proto", v(4, 8), [proto(&[CTX, ANY, ANY], INT, CHANGES, TC)];
    SKB_CHANGE_TYPE = 32, "bpf_skb_change_type", v(4, 8), [proto(&[CTX, ANY], INT, 0, TC)];
    SKB_UNDER_CGROUP = 33, "bpf_skb_under_cgroup", v(4, 8), on(CGROUP_ARRAY), [proto(&[CTX, MAP, ANY], INT, 0, LWT | TC)];
    GET_HASH_RECALC = 34, "bpf_get_hash_recalc", v(4, 8), [proto(&[CTX], INT, 0, LWT | TC)];
    SKB_CHANGE_TAIL = 38, "bpf_skb_change_tail", v(4, 9), [proto(&[CTX, ANY, ANY], INT, CHANGES, TC | LWT_XMIT | SK_SKB)];
    SKB_PULL_DATA = 39, "bpf_skb_pull_data", v(4, 9), [proto(&[CTX, ANY], INT, CHANGES, LWT | TC | SK_SKB)];
    CSUM_UPDATE = 40, "bpf_csum_update", v(4, 9), [proto(&[CTX, ANY], INT, 0, TC | LWT_XMIT)];
    SET_HASH_INVALID = 41, "bpf_set_hash_invalid", v(4, 9), [proto(&[CTX], INT, 0, TC | LWT_XMIT)];
    SKB_CHANGE_HEAD = 43, "bpf_skb_change_head", v(4, 10), [proto(&[CTX, ANY, ANY], INT, CHANGES, TC | LWT_XMIT | SK_SKB)];
    XDP_ADJUST_HEAD = 44, "bpf_xdp_adjust_head", v(4, 10), [proto(&[CTX, ANY], INT, CHANGES, XDP)];
    SET_HASH = 48, "bpf_set_hash", v(4, 13), [proto(&[CTX, ANY], INT, 0, TC)];
    SKB_ADJUST_ROOM = 50, "bpf_skb_adjust_room", v(4, 13), [proto(&[CTX, ANY, ANY, ANY], INT, CHANGES, TC | SK_SKB)];
    REDIRECT_MAP = 51, "bpf_redirect_map", v(4, 14), on(DEVICES | CPUMAP | XSKMAP), [proto(&[MAP, ANY, ANY], INT, 0, XDP)];
    XDP_ADJUST_META = 54, "bpf_xdp_adjust_meta", v(4, 15), [proto(&[CTX, ANY], INT, CHANGES, XDP)];
    XDP_ADJUST_TAIL = 65, "bpf_xdp_adjust_tail", v(4, 18), [proto(&[CTX, ANY], INT, CHANGES, XDP)];
    SKB_GET_XFRM_STATE = 66, "bpf_skb_get_xfrm_state", v(4, 18), [proto(&[CTX, ANY, OUT, SIZE, ANY], INT, 0, TC)];
    SKB_LOAD_BYTES_RELATIVE = 68, "bpf_skb_load_bytes_relative", v(4, 18), [proto(&[CTX, ANY, OUT, SIZE, ANY], INT, 0, TC | CGROUP_SKB | SK_REUSEPORT | SOCKET_FILTER)];
    FIB_LOOKUP = 69, "bpf_fib_lookup", v(4, 18), [proto(&[CTX, INOUT, SIZE, ANY], INT, GPL, TC | XDP)];
    LWT_PUSH_ENCAP = 73, "bpf_lwt_push_encap", v(4, 18), [proto(&[CTX, ANY, IN, SIZE], INT, CHANGES, LWT_IN | LWT_XMIT)];
    LWT_SEG6_STORE_BYTES = 74, "bpf_lwt_seg6_store_bytes", v(4, 18), [proto(&[CTX, ANY, IN, SIZE], INT, CHANGES, LWT_SEG6LOCAL)];
    LWT_SEG6_ADJUST_SRH = 75, "bpf_lwt_seg6_adjust_srh", v(4, 18), [proto(&[CTX, ANY, ANY], INT, CHANGES, LWT_SEG6LOCAL)];
    LWT_SEG6_ACTION = 76, "bpf_lwt_seg6_action", v(4, 18), [proto(&[CTX, ANY, IN, SIZE], INT, CHANGES, LWT_SEG6LOCAL)];
    SKB_CGROUP_ID = 79, "bpf_skb_cgroup_id", v(4, 18), [proto(&[CTX], INT, 0, TC | CGROUP_SKB)];
    SKB_ANCESTOR_CGROUP_ID = 83, "bpf_skb_ancestor_cgroup_id", v(4, 19), [proto(&[CTX, ANY], INT, 0, TC | CGROUP_SKB)];
    SKB_ECN_SET_CE = 97, "bpf_skb_ecn_set_ce", v(5, 1), [proto(&[CTX], INT, 0, TC | CGROUP_SKB)];
    CSUM_LEVEL = 135, "bpf_csum_level", v(5, 8), [proto(&[CTX, ANY], INT, 0, TC | LWT_XMIT)];
    SKB_CGROUP_CLASSID = 151, "bpf_skb_cgroup_classid", v(5, 10), [proto(&[CTX], INT, 0, TC)];
    REDIRECT_NEIGH = 152, "bpf_redirect_neigh", v(5, 10), [proto(&[ANY, IN_OR_NULL, SIZE0, ANY], INT, 0, TC)];
    REDIRECT_PEER = 155, "bpf_redirect_peer", v(5, 10), [proto(&[ANY, ANY], INT, 0, TC)];
    CHECK_MTU = 163, "bpf_check_mtu", v(5, 12), [proto(&[CTX, ANY, fixed_inout(4), ANY, ANY], INT, GPL, TC | XDP)];
    XDP_GET_BUFF_LEN = 188, "bpf_xdp_get_buff_len", v(5, 18), [
        proto(&[btf("xdp_buff")], INT, 0, TYPED),
        proto(&[CTX], INT, 0, XDP),
    ];
    XDP_LOAD_BYTES = 189, "bpf_xdp_load_bytes", v(5, 18), [proto(&[CTX, ANY, OUT, SIZE], INT, 0, XDP)];
    XDP_STORE_BYTES = 190, "bpf_xdp_store_bytes", v(5, 18), [proto(&[CTX, ANY, IN, SIZE], INT, 0, XDP)];
    SKB_SET_TSTAMP = 192, "bpf_skb_set_tstamp", v(5, 18), [proto(&[CTX, ANY, ANY], INT, 0, TC)];
}
