//! Maps, callbacks over them, locks, timers and kernel pointers in values.

use super::callers::set::{EVERY, LIRC_MODE2};
use super::words::{
    ACQUIRES, ANY, CALLS_BACK, CALLS_BACK_LATER, CAP_BPF, CHANGES, CTX, FUNC, GPL, INT, KEY, KPTR_DEST,
    KPTR_OR_NULL_RELEASE, MAP, PERCPU, PERCPU_OR_NULL_RET, PERCPU_RET, PKT, SPIN_LOCK, STACK_OR_NULL, TIMER, VALUE,
    VALUE_OR_NULL_RET, VALUE_OUT, VOID, btf_or_null_ret, helper, proto, v,
};
use crate::proto::Helper;

/// The rows.
#[rustfmt::skip]
pub(super) static ROWS: &[Helper] = &[
    helper(1, "bpf_map_lookup_elem", v(3, 18), &[proto(&[MAP, KEY], VALUE_OR_NULL_RET, PKT, EVERY | LIRC_MODE2)]),
    helper(2, "bpf_map_update_elem", v(3, 18), &[proto(&[MAP, KEY, VALUE, ANY], INT, PKT, EVERY | LIRC_MODE2)]),
    helper(3, "bpf_map_delete_elem", v(3, 19), &[proto(&[MAP, KEY], INT, PKT, EVERY | LIRC_MODE2)]),
    helper(12, "bpf_tail_call", v(4, 2), &[proto(&[CTX, MAP, ANY], VOID, CHANGES, EVERY | LIRC_MODE2)]),
    helper(87, "bpf_map_push_elem", v(4, 20), &[proto(&[MAP, VALUE, ANY], INT, PKT, EVERY | LIRC_MODE2)]),
    helper(88, "bpf_map_pop_elem", v(4, 20), &[proto(&[MAP, VALUE_OUT], INT, 0, EVERY | LIRC_MODE2)]),
    helper(89, "bpf_map_peek_elem", v(4, 20), &[proto(&[MAP, VALUE_OUT], INT, 0, EVERY | LIRC_MODE2)]),
    helper(93, "bpf_spin_lock", v(5, 1), &[proto(&[SPIN_LOCK], VOID, CAP_BPF, EVERY)]),
    helper(94, "bpf_spin_unlock", v(5, 1), &[proto(&[SPIN_LOCK], VOID, CAP_BPF, EVERY)]),
    helper(153, "bpf_per_cpu_ptr", v(5, 10), &[proto(&[PERCPU, ANY], PERCPU_OR_NULL_RET, CAP_BPF, EVERY)]),
    helper(154, "bpf_this_cpu_ptr", v(5, 10), &[proto(&[PERCPU], PERCPU_RET, CAP_BPF, EVERY)]),
    helper(164, "bpf_for_each_map_elem", v(5, 13), &[proto(&[MAP, FUNC, STACK_OR_NULL, ANY], INT, CAP_BPF | CALLS_BACK, EVERY)]),
    helper(169, "bpf_timer_init", v(5, 15), &[proto(&[TIMER, MAP, ANY], INT, GPL | CAP_BPF, EVERY)]),
    helper(170, "bpf_timer_set_callback", v(5, 15), &[proto(&[TIMER, FUNC], INT, GPL | CAP_BPF | CALLS_BACK_LATER, EVERY)]),
    helper(171, "bpf_timer_start", v(5, 15), &[proto(&[TIMER, ANY, ANY], INT, GPL | CAP_BPF, EVERY)]),
    helper(172, "bpf_timer_cancel", v(5, 15), &[proto(&[TIMER], INT, GPL | CAP_BPF, EVERY)]),
    helper(181, "bpf_loop", v(5, 17), &[proto(&[ANY, FUNC, STACK_OR_NULL, ANY], INT, CAP_BPF | CALLS_BACK, EVERY)]),
    helper(194, "bpf_kptr_xchg", v(5, 19), &[proto(&[KPTR_DEST, KPTR_OR_NULL_RELEASE], btf_or_null_ret(""), CAP_BPF | ACQUIRES, EVERY)]),
    helper(195, "bpf_map_lookup_percpu_elem", v(5, 19), &[proto(&[MAP, KEY, ANY], VALUE_OR_NULL_RET, PKT, EVERY)]),
];
