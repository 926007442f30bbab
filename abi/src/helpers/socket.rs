//! Sockets: lookup, conversion, options, redirection.

use super::map_sets::{REUSEPORT_SOCKARRAY, SOCKETS, SOCKHASH, SOCKMAP};
use super::rows::helpers;
use super::words::{
    ACQUIRES, ANY, CAP_PERFMON, CASTS, CHANGES, CTX, CTX_OR_NULL, GPL, IN, INOUT, INT, KEY, MAP, OUT, PKT, SIZE, SIZE0,
    SOCK_COMMON, SOCK_COMMON_OR_NULL_RET, SOCKET_OR_NULL, SOCKET_OR_NULL_RET, TCP_SOCK_OR_NULL_RET, TYPED_SOCK,
    TYPED_SOCK_OR_NULL, TYPED_SOCK_RELEASE, btf, btf_or_null_ret, fixed_in, proto, v,
};
use crate::callers::set::{
    ADDR_CONNECT, CGROUP_SKB, CGROUP_SOCK, CONVERTS_SOCK, ITER_SOCK, LSM_CGROUP, SETSOCKOPT, SK_LOOKUP, SK_MSG,
    SK_REUSEPORT, SK_SKB, SOCK_ADDR, SOCK_CREATE, SOCK_LOOKUPS, SOCK_OPS, SOCKET_FILTER, SOCKOPT, STRUCT_OPS_TCP_CA,
    TC, TYPED, XDP,
};

#[rustfmt::skip]
helpers! {
    GET_SOCKET_COOKIE = 46, "bpf_get_socket_cookie", v(4, 12), [
        proto(&[TYPED_SOCK_OR_NULL], INT, 0, TYPED | SK_REUSEPORT),
        proto(&[CTX], INT, 0, SOCK_ADDR | TC | CGROUP_SKB | CGROUP_SOCK | SK_SKB | SOCKET_FILTER | SOCK_OPS),
    ];
    GET_SOCKET_UID = 47, "bpf_get_socket_uid", v(4, 12), [proto(&[CTX], INT, 0, TC | CGROUP_SKB | SK_SKB | SOCKET_FILTER)];
    SETSOCKOPT = 49, "bpf_setsockopt", v(4, 13), [
        proto(&[CTX, ANY, ANY, IN, SIZE], INT, 0, SOCK_ADDR | SOCK_OPS | SOCK_CREATE),
        proto(&[TYPED_SOCK, ANY, ANY, IN, SIZE], INT, 0, LSM_CGROUP | SETSOCKOPT | STRUCT_OPS_TCP_CA | ITER_SOCK),
    ];
    SK_REDIRECT_MAP = 52, "bpf_sk_redirect_map", v(4, 14), on(SOCKMAP), [proto(&[CTX, MAP, ANY, ANY], INT, 0, SK_SKB)];
    SOCK_MAP_UPDATE = 53, "bpf_sock_map_update", v(4, 14), on(SOCKMAP), [proto(&[CTX, MAP, KEY, ANY], INT, PKT, SOCK_OPS)];
    GETSOCKOPT = 57, "bpf_getsockopt", v(4, 15), [
        proto(&[CTX, ANY, ANY, OUT, SIZE], INT, 0, SOCK_ADDR | SOCK_OPS | SOCK_CREATE),
        proto(&[TYPED_SOCK, ANY, ANY, OUT, SIZE], INT, 0, LSM_CGROUP | SETSOCKOPT | STRUCT_OPS_TCP_CA | ITER_SOCK),
    ];
    SOCK_OPS_CB_FLAGS_SET = 59, "bpf_sock_ops_cb_flags_set", v(4, 16), [proto(&[CTX, ANY], INT, 0, SOCK_OPS)];
    MSG_REDIRECT_MAP = 60, "bpf_msg_redirect_map", v(4, 17), on(SOCKMAP), [proto(&[CTX, MAP, ANY, ANY], INT, 0, SK_MSG)];
    MSG_APPLY_BYTES = 61, "bpf_msg_apply_bytes", v(4, 17), [proto(&[CTX, ANY], INT, 0, SK_MSG)];
    MSG_CORK_BYTES = 62, "bpf_msg_cork_bytes", v(4, 17), [proto(&[CTX, ANY], INT, 0, SK_MSG)];
    MSG_PULL_DATA = 63, "bpf_msg_pull_data", v(4, 17), [proto(&[CTX, ANY, ANY, ANY], INT, CHANGES, SK_MSG)];
    BIND = 64, "bpf_bind", v(4, 17), [proto(&[CTX, IN, SIZE], INT, 0, ADDR_CONNECT)];
    SOCK_HASH_UPDATE = 70, "bpf_sock_hash_update", v(4, 18), on(SOCKHASH), [proto(&[CTX, MAP, KEY, ANY], INT, PKT, SOCK_OPS)];
    MSG_REDIRECT_HASH = 71, "bpf_msg_redirect_hash", v(4, 18), on(SOCKHASH), [proto(&[CTX, MAP, KEY, ANY], INT, 0, SK_MSG)];
    SK_REDIRECT_HASH = 72, "bpf_sk_redirect_hash", v(4, 18), on(SOCKHASH), [proto(&[CTX, MAP, KEY, ANY], INT, 0, SK_SKB)];
    SK_SELECT_REUSEPORT = 82, "bpf_sk_select_reuseport", v(4, 19), on(SOCKETS | REUSEPORT_SOCKARRAY), [proto(&[CTX, MAP, KEY, ANY], INT, 0, SK_REUSEPORT)];
    SK_LOOKUP_TCP = 84, "bpf_sk_lookup_tcp", v(4, 20), [
        proto(&[CTX, IN, SIZE0, ANY, ANY], SOCKET_OR_NULL_RET, ACQUIRES, SOCK_ADDR),
        proto(&[CTX, IN, SIZE0, ANY, ANY], SOCKET_OR_NULL_RET, PKT | ACQUIRES, TC | CGROUP_SKB | SK_SKB | XDP),
    ];
    SK_LOOKUP_UDP = 85, "bpf_sk_lookup_udp", v(4, 20), [
        proto(&[CTX, IN, SIZE0, ANY, ANY], SOCKET_OR_NULL_RET, ACQUIRES, SOCK_ADDR),
        proto(&[CTX, IN, SIZE0, ANY, ANY], SOCKET_OR_NULL_RET, PKT | ACQUIRES, TC | CGROUP_SKB | SK_SKB | XDP),
    ];
    SK_RELEASE = 86, "bpf_sk_release", v(4, 20), [proto(&[TYPED_SOCK_RELEASE], INT, 0, SOCK_LOOKUPS | SK_LOOKUP)];
    MSG_PUSH_DATA = 90, "bpf_msg_push_data", v(4, 20), [proto(&[CTX, ANY, ANY, ANY], INT, CHANGES, SK_MSG)];
    MSG_POP_DATA = 91, "bpf_msg_pop_data", v(5, 0), [proto(&[CTX, ANY, ANY, ANY], INT, CHANGES, SK_MSG)];
    SK_FULLSOCK = 95, "bpf_sk_fullsock", v(5, 1), [proto(&[SOCK_COMMON], SOCKET_OR_NULL_RET, CASTS, TC | CGROUP_SKB)];
    TCP_SOCK = 96, "bpf_tcp_sock", v(5, 1), [proto(&[SOCK_COMMON], TCP_SOCK_OR_NULL_RET, CASTS, TC | SOCKOPT | CGROUP_SKB | SOCK_OPS)];
    GET_LISTENER_SOCK = 98, "bpf_get_listener_sock", v(5, 1), [proto(&[SOCK_COMMON], SOCKET_OR_NULL_RET, 0, TC | CGROUP_SKB)];
    SKC_LOOKUP_TCP = 99, "bpf_skc_lookup_tcp", v(5, 2), [
        proto(&[CTX, IN, SIZE0, ANY, ANY], SOCK_COMMON_OR_NULL_RET, ACQUIRES, SOCK_ADDR),
        proto(&[CTX, IN, SIZE0, ANY, ANY], SOCK_COMMON_OR_NULL_RET, PKT | ACQUIRES, TC | CGROUP_SKB | SK_SKB | XDP),
    ];
    TCP_CHECK_SYNCOOKIE = 100, "bpf_tcp_check_syncookie", v(5, 2), [proto(&[TYPED_SOCK, IN, SIZE, IN, SIZE], INT, GPL | PKT, TC | XDP)];
    TCP_GEN_SYNCOOKIE = 110, "bpf_tcp_gen_syncookie", v(5, 4), [proto(&[TYPED_SOCK, IN, SIZE, IN, SIZE], INT, GPL | PKT, TC | XDP)];
    TCP_SEND_ACK = 116, "bpf_tcp_send_ack", v(5, 6), [proto(&[btf("tcp_sock"), ANY], INT, 0, STRUCT_OPS_TCP_CA)];
    GET_NETNS_COOKIE = 122, "bpf_get_netns_cookie", v(5, 7), [proto(&[CTX_OR_NULL], INT, 0, SOCK_ADDR | TC | SOCKOPT | CGROUP_SKB | CGROUP_SOCK | SK_MSG | SOCKET_FILTER | SOCK_OPS)];
    SK_ASSIGN = 124, "bpf_sk_assign", v(5, 7), [
        proto(&[CTX, SOCKET_OR_NULL, ANY], INT, 0, SK_LOOKUP),
        proto(&[CTX, TYPED_SOCK, ANY], INT, 0, TC),
    ];
    SK_CGROUP_ID = 128, "bpf_sk_cgroup_id", v(5, 8), [proto(&[TYPED_SOCK], INT, 0, CGROUP_SKB)];
    SK_ANCESTOR_CGROUP_ID = 129, "bpf_sk_ancestor_cgroup_id", v(5, 8), [proto(&[TYPED_SOCK, ANY], INT, 0, CGROUP_SKB)];
    SKC_TO_TCP6_SOCK = 136, "bpf_skc_to_tcp6_sock", v(5, 9), [proto(&[TYPED_SOCK], btf_or_null_ret("tcp6_sock"), CASTS | CAP_PERFMON, CONVERTS_SOCK)];
    SKC_TO_TCP_SOCK = 137, "bpf_skc_to_tcp_sock", v(5, 9), [proto(&[TYPED_SOCK], btf_or_null_ret("tcp_sock"), CASTS | CAP_PERFMON, CONVERTS_SOCK)];
    SKC_TO_TCP_TIMEWAIT_SOCK = 138, "bpf_skc_to_tcp_timewait_sock", v(5, 9), [proto(&[TYPED_SOCK], btf_or_null_ret("tcp_timewait_sock"), CASTS | CAP_PERFMON, CONVERTS_SOCK)];
    SKC_TO_TCP_REQUEST_SOCK = 139, "bpf_skc_to_tcp_request_sock", v(5, 9), [proto(&[TYPED_SOCK], btf_or_null_ret("tcp_request_sock"), CASTS | CAP_PERFMON, CONVERTS_SOCK)];
    SKC_TO_UDP6_SOCK = 140, "bpf_skc_to_udp6_sock", v(5, 9), [proto(&[TYPED_SOCK], btf_or_null_ret("udp6_sock"), CASTS | CAP_PERFMON, CONVERTS_SOCK)];
    LOAD_HDR_OPT = 142, "bpf_load_hdr_opt", v(5, 10), [proto(&[CTX, INOUT, SIZE, ANY], INT, 0, SOCK_OPS)];
    STORE_HDR_OPT = 143, "bpf_store_hdr_opt", v(5, 10), [proto(&[CTX, IN, SIZE, ANY], INT, CHANGES, SOCK_OPS)];
    RESERVE_HDR_OPT = 144, "bpf_reserve_hdr_opt", v(5, 10), [proto(&[CTX, ANY, ANY], INT, 0, SOCK_OPS)];
    SOCK_FROM_FILE = 162, "bpf_sock_from_file", v(5, 11), [proto(&[btf("file")], btf_or_null_ret("socket"), 0, TYPED)];
    SKC_TO_UNIX_SOCK = 178, "bpf_skc_to_unix_sock", v(5, 16), [proto(&[TYPED_SOCK], btf_or_null_ret("unix_sock"), CAP_PERFMON, CONVERTS_SOCK)];
    SKC_TO_MPTCP_SOCK = 196, "bpf_skc_to_mptcp_sock", v(5, 19), [proto(&[SOCK_COMMON], btf_or_null_ret("mptcp_sock"), CASTS | CAP_PERFMON, CONVERTS_SOCK)];
    TCP_RAW_GEN_SYNCOOKIE_IPV4 = 204, "bpf_tcp_raw_gen_syncookie_ipv4", v(6, 0), [proto(&[fixed_in(20), IN, SIZE0], INT, GPL | PKT, TC | XDP)];
    TCP_RAW_GEN_SYNCOOKIE_IPV6 = 205, "bpf_tcp_raw_gen_syncookie_ipv6", v(6, 0), [proto(&[fixed_in(40), IN, SIZE0], INT, GPL | PKT, TC | XDP)];
    TCP_RAW_CHECK_SYNCOOKIE_IPV4 = 206, "bpf_tcp_raw_check_syncookie_ipv4", v(6, 0), [proto(&[fixed_in(20), fixed_in(20)], INT, GPL | PKT, TC | XDP)];
    TCP_RAW_CHECK_SYNCOOKIE_IPV6 = 207, "bpf_tcp_raw_check_syncookie_ipv6", v(6, 0), [proto(&[fixed_in(40), fixed_in(20)], INT, GPL | PKT, TC | XDP)];
}
