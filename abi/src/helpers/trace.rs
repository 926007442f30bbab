//! Tracing: memory of the kernel and of user space, stacks, tasks, functions, messages.

use super::callers::set::{
    BTF_TP, EVERY, KPROBE, LIRC_MODE2, LSM_ANY, PERF_EVENT, PROBES, RAW, TRACEPOINT, TRACING, TRAMPOLINE, TYPED,
};
use super::words::{
    ANY, CALLS_BACK, CAP_BPF, CAP_PERFMON, CTX, FUNC, GPL, IN, IN_OR_NULL, INOUT, INOUT_OR_NULL, INT, MAP, OPTIONAL,
    OUT, SIZE, SIZE0, SLEEPS, SLEEPS_IF_MAY, STACK_OR_NULL, btf, btf_ret, fixed_out, helper, proto, trusted_ret, v,
};
use crate::proto::Helper;

/// The rows.
#[rustfmt::skip]
pub(super) static ROWS: &[Helper] = &[
    helper(4, "bpf_probe_read", v(4, 1), &[proto(&[OUT, SIZE0, ANY], INT, GPL, TRACING)]),
    helper(6, "bpf_trace_printk", v(4, 1), &[proto(&[IN, SIZE], INT, GPL | CAP_PERFMON, EVERY | LIRC_MODE2)]),
    helper(14, "bpf_get_current_pid_tgid", v(4, 2), &[proto(&[], INT, 0, EVERY)]),
    helper(15, "bpf_get_current_uid_gid", v(4, 2), &[proto(&[], INT, 0, EVERY)]),
    helper(16, "bpf_get_current_comm", v(4, 2), &[proto(&[OUT, SIZE], INT, CAP_PERFMON, EVERY)]),
    helper(22, "bpf_perf_event_read", v(4, 3), &[proto(&[MAP, ANY], INT, GPL | CAP_PERFMON, EVERY)]),
    helper(27, "bpf_get_stackid", v(4, 6), &[
        proto(&[CTX, MAP, ANY], INT, 0, PERF_EVENT),
        proto(&[CTX, MAP, ANY], INT, GPL, TYPED | RAW | KPROBE | TRACEPOINT),
    ]),
    helper(35, "bpf_get_current_task", v(4, 8), &[proto(&[], INT, GPL | CAP_PERFMON, EVERY)]),
    helper(36, "bpf_probe_write_user", v(4, 8), &[proto(&[ANY, IN, SIZE], INT, GPL | OPTIONAL, TRACING)]),
    helper(37, "bpf_current_task_under_cgroup", v(4, 9), &[proto(&[MAP, ANY], INT, CAP_BPF, EVERY)]),
    helper(45, "bpf_probe_read_str", v(4, 11), &[proto(&[OUT, SIZE0, ANY], INT, GPL, TRACING)]),
    helper(55, "bpf_perf_event_read_value", v(4, 15), &[proto(&[MAP, ANY, OUT, SIZE], INT, GPL | CAP_PERFMON, EVERY)]),
    helper(56, "bpf_perf_prog_read_value", v(4, 15), &[proto(&[CTX, OUT, SIZE], INT, GPL, PERF_EVENT)]),
    helper(58, "bpf_override_return", v(4, 16), &[proto(&[CTX, ANY], INT, GPL | OPTIONAL, KPROBE)]),
    helper(67, "bpf_get_stack", v(4, 18), &[
        proto(&[CTX, OUT, SIZE0, ANY], INT, GPL, TYPED | RAW),
        proto(&[CTX, OUT, SIZE0, ANY], INT, GPL | SLEEPS_IF_MAY, KPROBE),
        proto(&[CTX, OUT, SIZE0, ANY], INT, GPL, PERF_EVENT | TRACEPOINT),
    ]),
    helper(109, "bpf_send_signal", v(5, 3), &[proto(&[ANY], INT, CAP_PERFMON, EVERY)]),
    helper(112, "bpf_probe_read_user", v(5, 5), &[proto(&[OUT, SIZE0, ANY], INT, GPL | CAP_PERFMON, EVERY)]),
    helper(113, "bpf_probe_read_kernel", v(5, 5), &[proto(&[OUT, SIZE0, ANY], INT, GPL | CAP_PERFMON, EVERY)]),
    helper(114, "bpf_probe_read_user_str", v(5, 5), &[proto(&[OUT, SIZE0, ANY], INT, GPL | CAP_PERFMON, EVERY)]),
    helper(115, "bpf_probe_read_kernel_str", v(5, 5), &[proto(&[OUT, SIZE0, ANY], INT, GPL | CAP_PERFMON, EVERY)]),
    helper(117, "bpf_send_signal_thread", v(5, 6), &[proto(&[ANY], INT, CAP_PERFMON, EVERY)]),
    helper(119, "bpf_read_branch_records", v(5, 7), &[proto(&[CTX, INOUT_OR_NULL, SIZE0, ANY], INT, GPL, PERF_EVENT)]),
    helper(120, "bpf_get_ns_current_pid_tgid", v(5, 7), &[proto(&[ANY, ANY, OUT, SIZE], INT, 0, EVERY)]),
    helper(141, "bpf_get_task_stack", v(5, 9), &[proto(&[btf("task_struct"), OUT, SIZE0, ANY], INT, SLEEPS_IF_MAY | CAP_PERFMON, EVERY)]),
    helper(147, "bpf_d_path", v(5, 10), &[proto(&[btf("path"), INOUT, SIZE0], INT, 0, TYPED)]),
    helper(148, "bpf_copy_from_user", v(5, 10), &[proto(&[OUT, SIZE0, ANY], INT, SLEEPS | CAP_PERFMON, EVERY)]),
    helper(149, "bpf_snprintf_btf", v(5, 10), &[proto(&[INOUT, SIZE, IN, SIZE, ANY], INT, CAP_PERFMON, EVERY)]),
    helper(158, "bpf_get_current_task_btf", v(5, 11), &[proto(&[], trusted_ret("task_struct"), GPL | CAP_PERFMON, EVERY)]),
    helper(173, "bpf_get_func_ip", v(5, 15), &[proto(&[CTX], INT, GPL, TRACING)]),
    helper(174, "bpf_get_attach_cookie", v(5, 15), &[proto(&[CTX], INT, 0, PROBES | TRAMPOLINE | LSM_ANY | BTF_TP)]),
    helper(175, "bpf_task_pt_regs", v(5, 15), &[proto(&[btf("task_struct")], btf_ret("pt_regs"), GPL | CAP_PERFMON, EVERY)]),
    helper(176, "bpf_get_branch_snapshot", v(5, 16), &[proto(&[OUT, SIZE0], INT, GPL | CAP_PERFMON, EVERY)]),
    helper(177, "bpf_trace_vprintk", v(5, 16), &[proto(&[IN, SIZE, IN_OR_NULL, SIZE0], INT, GPL | CAP_PERFMON, EVERY)]),
    helper(180, "bpf_find_vma", v(5, 17), &[proto(&[btf("task_struct"), ANY, FUNC, STACK_OR_NULL, ANY], INT, CALLS_BACK | CAP_PERFMON, EVERY)]),
    helper(183, "bpf_get_func_arg", v(5, 17), &[proto(&[CTX, ANY, fixed_out(8)], INT, 0, TRAMPOLINE | LSM_ANY)]),
    helper(184, "bpf_get_func_ret", v(5, 17), &[proto(&[CTX, fixed_out(8)], INT, 0, TRAMPOLINE | LSM_ANY)]),
    helper(185, "bpf_get_func_arg_cnt", v(5, 17), &[proto(&[CTX], INT, 0, TRAMPOLINE | LSM_ANY)]),
    helper(191, "bpf_copy_from_user_task", v(5, 18), &[proto(&[OUT, SIZE0, ANY, btf("task_struct"), ANY], INT, GPL | SLEEPS | CAP_PERFMON, EVERY)]),
];
