//! Buffers that leave the program: ring buffers, dynptrs, perf events, sequence files.

use super::map_sets::{PERF_EVENT_ARRAY, RINGBUF, USER_RINGBUF};
use super::rows::helpers;
use super::words::{
    ACQUIRES, ALLOC_SIZE0, ANY, CALLS_BACK, CAP_BPF, CTX, DYNPTR, FUNC, GPL, IN, IN_OR_NULL, INT, LOCAL_DYNPTR_OUT,
    MAP, MEM_OR_NULL_RET, OUT, RINGBUF_DYNPTR_OUT, RINGBUF_DYNPTR_RELEASE, RINGBUF_MEM_OR_NULL_RET,
    RINGBUF_MEM_RELEASE, SIZE, SIZE0, STACK_OR_NULL, VOID, btf, proto, v,
};
use crate::callers::set::{
    CGROUP_DEVICE, CGROUP_SOCK, CGROUP_SYSCTL, EVERY, ITER, LWT, SK_LOOKUP, SK_MSG, SOCK_LOOKUPS, SOCK_OPS,
    SOCKET_FILTER, SOCKOPT, TRACING, TYPED,
};

#[rustfmt::skip]
helpers! {
    PERF_EVENT_OUTPUT = 25, "bpf_perf_event_output", v(4, 4), on(PERF_EVENT_ARRAY), [proto(&[CTX, MAP, ANY, IN, SIZE0], INT, GPL, TRACING | SOCK_LOOKUPS | LWT | SOCKOPT | CGROUP_DEVICE | CGROUP_SOCK | CGROUP_SYSCTL | SK_LOOKUP | SK_MSG | SOCKET_FILTER | SOCK_OPS)];
    SKB_OUTPUT = 111, "bpf_skb_output", v(5, 5), on(PERF_EVENT_ARRAY), [proto(&[btf("sk_buff"), MAP, ANY, IN, SIZE0], INT, GPL, TYPED)];
    XDP_OUTPUT = 121, "bpf_xdp_output", v(5, 7), on(PERF_EVENT_ARRAY), [proto(&[btf("xdp_buff"), MAP, ANY, IN, SIZE0], INT, GPL, TYPED)];
    SEQ_PRINTF = 126, "bpf_seq_printf", v(5, 8), [proto(&[btf("seq_file"), IN, SIZE, IN_OR_NULL, SIZE0], INT, GPL, ITER)];
    SEQ_WRITE = 127, "bpf_seq_write", v(5, 8), [proto(&[btf("seq_file"), IN, SIZE0], INT, GPL, ITER)];
    RINGBUF_OUTPUT = 130, "bpf_ringbuf_output", v(5, 8), on(RINGBUF), [proto(&[MAP, IN, SIZE0, ANY], INT, 0, EVERY)];
    RINGBUF_RESERVE = 131, "bpf_ringbuf_reserve", v(5, 8), on(RINGBUF), [proto(&[MAP, ALLOC_SIZE0, ANY], RINGBUF_MEM_OR_NULL_RET, ACQUIRES, EVERY)];
    RINGBUF_SUBMIT = 132, "bpf_ringbuf_submit", v(5, 8), [proto(&[RINGBUF_MEM_RELEASE, ANY], VOID, 0, EVERY)];
    RINGBUF_DISCARD = 133, "bpf_ringbuf_discard", v(5, 8), [proto(&[RINGBUF_MEM_RELEASE, ANY], VOID, 0, EVERY)];
    RINGBUF_QUERY = 134, "bpf_ringbuf_query", v(5, 8), on(RINGBUF), [proto(&[MAP, ANY], INT, 0, EVERY)];
    SEQ_PRINTF_BTF = 150, "bpf_seq_printf_btf", v(5, 10), [proto(&[btf("seq_file"), IN, SIZE0, ANY], INT, GPL, ITER)];
    DYNPTR_FROM_MEM = 197, "bpf_dynptr_from_mem", v(5, 19), [proto(&[OUT, SIZE0, ANY, LOCAL_DYNPTR_OUT], INT, CAP_BPF, EVERY)];
    RINGBUF_RESERVE_DYNPTR = 198, "bpf_ringbuf_reserve_dynptr", v(5, 19), on(RINGBUF), [proto(&[MAP, ANY, ANY, RINGBUF_DYNPTR_OUT], INT, CAP_BPF, EVERY)];
    RINGBUF_SUBMIT_DYNPTR = 199, "bpf_ringbuf_submit_dynptr", v(5, 19), on(RINGBUF), [proto(&[RINGBUF_DYNPTR_RELEASE, ANY], VOID, CAP_BPF, EVERY)];
    RINGBUF_DISCARD_DYNPTR = 200, "bpf_ringbuf_discard_dynptr", v(5, 19), on(RINGBUF), [proto(&[RINGBUF_DYNPTR_RELEASE, ANY], VOID, CAP_BPF, EVERY)];
    DYNPTR_READ = 201, "bpf_dynptr_read", v(5, 19), [proto(&[OUT, SIZE0, DYNPTR, ANY, ANY], INT, CAP_BPF, EVERY)];
    DYNPTR_WRITE = 202, "bpf_dynptr_write", v(5, 19), [proto(&[DYNPTR, ANY, IN, SIZE0, ANY], INT, CAP_BPF, EVERY)];
    DYNPTR_DATA = 203, "bpf_dynptr_data", v(5, 19), [proto(&[DYNPTR, ANY, ALLOC_SIZE0], MEM_OR_NULL_RET, CAP_BPF, EVERY)];
    USER_RINGBUF_DRAIN = 209, "bpf_user_ringbuf_drain", v(6, 1), on(USER_RINGBUF), [proto(&[MAP, FUNC, STACK_OR_NULL, ANY], INT, CAP_BPF | CALLS_BACK, EVERY)];
}
