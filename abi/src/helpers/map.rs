//! Maps, callbacks over them, locks, timers and kernel pointers in values.

use super::map_sets::{
    BLOOM_FILTER, DEVICES, LOCAL_STORAGES, MAPS_OF_MAPS, PER_CPU, PLAIN, PROG_ARRAY, QUEUES, SOCKETS, XSKMAP,
};
use super::rows::helpers;
use super::words::{
    ACQUIRES, ANY, CALLS_BACK, CALLS_BACK_LATER, CAP_BPF, CHANGES, CTX, FUNC, GPL, INT, KEY, KPTR_DEST,
    KPTR_OR_NULL_RELEASE, MAP, PERCPU, PERCPU_OR_NULL_RET, PERCPU_RET, PKT, SPIN_LOCK, STACK_OR_NULL, TIMER, VALUE,
    VALUE_OR_NULL_RET, VALUE_OUT, VOID, btf_or_null_ret, proto, v,
};
use crate::callers::set::{EVERY, LIRC_MODE2};

#[rustfmt::skip]
helpers! {
    MAP_LOOKUP_ELEM = 1, "bpf_map_lookup_elem", v(3, 18), on(PLAIN | MAPS_OF_MAPS | DEVICES | SOCKETS | XSKMAP), [proto(&[MAP, KEY], VALUE_OR_NULL_RET, PKT, EVERY | LIRC_MODE2)];
    MAP_UPDATE_ELEM = 2, "bpf_map_update_elem", v(3, 18), on(PLAIN | SOCKETS), [proto(&[MAP, KEY, VALUE, ANY], INT, PKT, EVERY | LIRC_MODE2)];
    MAP_DELETE_ELEM = 3, "bpf_map_delete_elem", v(3, 19), on(PLAIN | SOCKETS), [proto(&[MAP, KEY], INT, PKT, EVERY | LIRC_MODE2)];
    TAIL_CALL = 12, "bpf_tail_call", v(4, 2), on(PROG_ARRAY), [proto(&[CTX, MAP, ANY], VOID, CHANGES, EVERY | LIRC_MODE2)];
    MAP_PUSH_ELEM = 87, "bpf_map_push_elem", v(4, 20), on(QUEUES | BLOOM_FILTER), [proto(&[MAP, VALUE, ANY], INT, PKT, EVERY | LIRC_MODE2)];
    MAP_POP_ELEM = 88, "bpf_map_pop_elem", v(4, 20), on(QUEUES), [proto(&[MAP, VALUE_OUT], INT, 0, EVERY | LIRC_MODE2)];
    MAP_PEEK_ELEM = 89, "bpf_map_peek_elem", v(4, 20), on(QUEUES | BLOOM_FILTER), [proto(&[MAP, VALUE_OUT], INT, 0, EVERY | LIRC_MODE2)];
    SPIN_LOCK = 93, "bpf_spin_lock", v(5, 1), [proto(&[SPIN_LOCK], VOID, CAP_BPF, EVERY)];
    SPIN_UNLOCK = 94, "bpf_spin_unlock", v(5, 1), [proto(&[SPIN_LOCK], VOID, CAP_BPF, EVERY)];
    PER_CPU_PTR = 153, "bpf_per_cpu_ptr", v(5, 10), [proto(&[PERCPU, ANY], PERCPU_OR_NULL_RET, CAP_BPF, EVERY)];
    THIS_CPU_PTR = 154, "bpf_this_cpu_ptr", v(5, 10), [proto(&[PERCPU], PERCPU_RET, CAP_BPF, EVERY)];
    FOR_EACH_MAP_ELEM = 164, "bpf_for_each_map_elem", v(5, 13), [proto(&[MAP, FUNC, STACK_OR_NULL, ANY], INT, CAP_BPF | CALLS_BACK, EVERY)];
    TIMER_INIT = 169, "bpf_timer_init", v(5, 15), [proto(&[TIMER, MAP, ANY], INT, GPL | CAP_BPF, EVERY)];
    TIMER_SET_CALLBACK = 170, "bpf_timer_set_callback", v(5, 15), [proto(&[TIMER, FUNC], INT, GPL | CAP_BPF | CALLS_BACK_LATER, EVERY)];
    TIMER_START = 171, "bpf_timer_start", v(5, 15), [proto(&[TIMER, ANY, ANY], INT, GPL | CAP_BPF, EVERY)];
    TIMER_CANCEL = 172, "bpf_timer_cancel", v(5, 15), [proto(&[TIMER], INT, GPL | CAP_BPF, EVERY)];
    LOOP = 181, "bpf_loop", v(5, 17), [proto(&[ANY, FUNC, STACK_OR_NULL, ANY], INT, CAP_BPF | CALLS_BACK, EVERY)];
    KPTR_XCHG = 194, "bpf_kptr_xchg", v(5, 19), on(PLAIN | LOCAL_STORAGES), [proto(&[KPTR_DEST, KPTR_OR_NULL_RELEASE], btf_or_null_ret(""), CAP_BPF | ACQUIRES, EVERY)];
    MAP_LOOKUP_PERCPU_ELEM = 195, "bpf_map_lookup_percpu_elem", v(5, 19), on(PER_CPU), [proto(&[MAP, KEY, ANY], VALUE_OR_NULL_RET, PKT, EVERY)];
}
