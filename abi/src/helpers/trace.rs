//! Tracing: memory of the kernel and of user space, stacks, tasks, functions, messages.

use super::map_sets::{CGROUP_ARRAY, PERF_EVENT_ARRAY, STACK_TRACE};
use super::rows::helpers;
use super::words::{
    ANY, CALLS_BACK, CAP_BPF, CAP_PERFMON, CTX, FUNC, GPL, IN, IN_OR_NULL, INOUT, INOUT_OR_NULL, INT, MAP, OPTIONAL,
    OUT, RETURNS_SIZE, SIZE, SIZE0, SLEEPS, STACK_OR_NULL, btf, btf_ret, fixed_out, proto, trusted_ret, v,
};
use crate::callers::set::{
    BTF_TP, EVERY, KPROBE, LIRC_MODE2, LSM, PERF_EVENT, PROBES, RAW, TRACEPOINT, TRACING, TRAMPOLINE, TYPED,
};

#[rustfmt::skip]
helpers! {
    PROBE_READ = 4, "bpf_probe_read", v(4, 1), [proto(&[OUT, SIZE0, ANY], INT, GPL, TRACING)];
    TRACE_PRINTK = 6, "bpf_trace_printk", v(4, 1), [proto(&[IN, SIZE], INT, GPL | CAP_PERFMON, EVERY | LIRC_MODE2)];
    GET_CURRENT_PID_TGID = 14, "bpf_get_current_pid_tgid", v(4, 2), [proto(&[], INT, 0, EVERY)];
    GET_CURRENT_UID_GID = 15, "bpf_get_current_uid_gid", v(4, 2), [proto(&[], INT, 0, EVERY)];
    GET_CURRENT_COMM = 16, "bpf_get_current_comm", v(4, 2), [proto(&[OUT, SIZE], INT, CAP_PERFMON, EVERY)];
    PERF_EVENT_READ = 22, "bpf_perf_event_read", v(4, 3), on(PERF_EVENT_ARRAY), [proto(&[MAP, ANY], INT, GPL | CAP_PERFMON, EVERY)];
    GET_STACKID = 27, "bpf_get_stackid", v(4, 6), on(STACK_TRACE), [
        proto(&[CTX, MAP, ANY], INT, 0, PERF_EVENT),
        proto(&[CTX, MAP, ANY], INT, GPL, TYPED | RAW | KPROBE | TRACEPOINT),
    ];
    GET_CURRENT_TASK = 35, "bpf_get_current_task", v(4, 8), [proto(&[], INT, GPL | CAP_PERFMON, EVERY)];
    PROBE_WRITE_USER = 36, "bpf_probe_write_user", v(4, 8), [proto(&[ANY, IN, SIZE], INT, GPL | OPTIONAL, TRACING)];
    CURRENT_TASK_UNDER_CGROUP = 37, "bpf_current_task_under_cgroup", v(4, 9), on(CGROUP_ARRAY), [proto(&[MAP, ANY], INT, CAP_BPF, EVERY)];
    PROBE_READ_STR = 45, "bpf_probe_read_str", v(4, 11), [proto(&[OUT, SIZE0, ANY], INT, GPL | RETURNS_SIZE, TRACING)];
    PERF_EVENT_READ_VALUE = 55, "bpf_perf_event_read_value", v(4, 15), on(PERF_EVENT_ARRAY), [proto(&[MAP, ANY, OUT, SIZE], INT, GPL | CAP_PERFMON, EVERY)];
    PERF_PROG_READ_VALUE = 56, "bpf_perf_prog_read_value", v(4, 15), [proto(&[CTX, OUT, SIZE], INT, GPL, PERF_EVENT)];
    OVERRIDE_RETURN = 58, "bpf_override_return", v(4, 16), [proto(&[CTX, ANY], INT, GPL | OPTIONAL, KPROBE)];
    GET_STACK = 67, "bpf_get_stack", v(4, 18), [
        proto(&[CTX, OUT, SIZE0, ANY], INT, GPL | RETURNS_SIZE, TYPED | RAW),
        proto(&[CTX, OUT, SIZE0, ANY], INT, GPL | RETURNS_SIZE, KPROBE),
        proto(&[CTX, OUT, SIZE0, ANY], INT, GPL | RETURNS_SIZE, PERF_EVENT | TRACEPOINT),
    ];
    SEND_SIGNAL = 109, "bpf_send_signal", v(5, 3), [proto(&[ANY], INT, CAP_PERFMON, EVERY)];
    PROBE_READ_USER = 112, "bpf_probe_read_user", v(5, 5), [proto(&[OUT, SIZE0, ANY], INT, GPL | CAP_PERFMON, EVERY)];
    PROBE_READ_KERNEL = 113, "bpf_probe_read_kernel", v(5, 5), [proto(&[OUT, SIZE0, ANY], INT, GPL | CAP_PERFMON, EVERY)];
    PROBE_READ_USER_STR = 114, "bpf_probe_read_user_str", v(5, 5), [proto(&[OUT, SIZE0, ANY], INT, GPL | CAP_PERFMON | RETURNS_SIZE, EVERY)];
    PROBE_READ_KERNEL_STR = 115, "bpf_probe_read_kernel_str", v(5, 5), [proto(&[OUT, SIZE0, ANY], INT, GPL | CAP_PERFMON | RETURNS_SIZE, EVERY)];
    SEND_SIGNAL_THREAD = 117, "bpf_send_signal_thread", v(5, 6), [proto(&[ANY], INT, CAP_PERFMON, EVERY)];
    READ_BRANCH_RECORDS = 119, "bpf_read_branch_records", v(5, 7), [proto(&[CTX, INOUT_OR_NULL, SIZE0, ANY], INT, GPL, PERF_EVENT)];
    GET_NS_CURRENT_PID_TGID = 120, "bpf_get_ns_current_pid_tgid", v(5, 7), [proto(&[ANY, ANY, OUT, SIZE], INT, 0, EVERY)];
    GET_TASK_STACK = 141, "bpf_get_task_stack", v(5, 9), [proto(&[btf("task_struct"), OUT, SIZE0, ANY], INT, CAP_PERFMON | RETURNS_SIZE, EVERY)];
    D_PATH = 147, "bpf_d_path", v(5, 10), [proto(&[btf("path"), INOUT, SIZE0], INT, 0, TYPED)];
    COPY_FROM_USER = 148, "bpf_copy_from_user", v(5, 10), [proto(&[OUT, SIZE0, ANY], INT, SLEEPS | CAP_PERFMON, EVERY)];
    SNPRINTF_BTF = 149, "bpf_snprintf_btf", v(5, 10), [proto(&[INOUT, SIZE, IN, SIZE, ANY], INT, CAP_PERFMON, EVERY)];
    GET_CURRENT_TASK_BTF = 158, "bpf_get_current_task_btf", v(5, 11), [proto(&[], trusted_ret("task_struct"), GPL | CAP_PERFMON, EVERY)];
    GET_FUNC_IP = 173, "bpf_get_func_ip", v(5, 15), [proto(&[CTX], INT, GPL, TRACING)];
    GET_ATTACH_COOKIE = 174, "bpf_get_attach_cookie", v(5, 15), [proto(&[CTX], INT, 0, PROBES | TRAMPOLINE | LSM | BTF_TP)];
    TASK_PT_REGS = 175, "bpf_task_pt_regs", v(5, 15), [proto(&[btf("task_struct")], btf_ret("pt_regs"), GPL | CAP_PERFMON, EVERY)];
    GET_BRANCH_SNAPSHOT = 176, "bpf_get_branch_snapshot", v(5, 16), [proto(&[OUT, SIZE0], INT, GPL | CAP_PERFMON, EVERY)];
    TRACE_VPRINTK = 177, "bpf_trace_vprintk", v(5, 16), [proto(&[IN, SIZE, IN_OR_NULL, SIZE0], INT, GPL | CAP_PERFMON, EVERY)];
    FIND_VMA = 180, "bpf_find_vma", v(5, 17), [proto(&[btf("task_struct"), ANY, FUNC, STACK_OR_NULL, ANY], INT, CALLS_BACK | CAP_PERFMON, EVERY)];
    GET_FUNC_ARG = 183, "bpf_get_func_arg", v(5, 17), [proto(&[CTX, ANY, fixed_out(8)], INT, 0, TRAMPOLINE | LSM | BTF_TP)];
    GET_FUNC_RET = 184, "bpf_get_func_ret", v(5, 17), [proto(&[CTX, fixed_out(8)], INT, 0, TRAMPOLINE | LSM)];
    GET_FUNC_ARG_CNT = 185, "bpf_get_func_arg_cnt", v(5, 17), [proto(&[CTX], INT, 0, TRAMPOLINE | LSM | BTF_TP)];
    COPY_FROM_USER_TASK = 191, "bpf_copy_from_user_task", v(5, 18), [proto(&[OUT, SIZE0, ANY, btf("task_struct"), ANY], INT, GPL | SLEEPS | CAP_PERFMON, EVERY)];
}
