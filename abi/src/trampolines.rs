//! Functions that tracing programs may attach to in special ways, or not at all.

/// Functions, beside those that allow errors to be injected, whose result programs may replace.
pub static MODIFIABLE: &[&str] = &[
    "bpf_fentry_test1",
    "bpf_modify_return_test",
    "bpf_modify_return_test2",
    "bpf_modify_return_test_tp",
    "update_socket_protocol",
];

/// Those among them whose programs may sleep.
pub static MODIFIABLE_ASLEEP: &[&str] = &["bpf_fentry_test1", "bpf_modify_return_test", "bpf_modify_return_test2"];

/// Functions that no tracing program may attach to.
pub static DENIED: &[&str] = &[
    "migrate_disable",
    "migrate_enable",
    "rcu_read_unlock_strict",
    "preempt_count_add",
    "preempt_count_sub",
    "__rcu_read_lock",
    "__rcu_read_unlock",
];

/// Functions that do not return, so that nothing can run behind them.
pub static NO_RETURN: &[&str] = &[
    "__ia32_sys_exit",
    "__ia32_sys_exit_group",
    "__module_put_and_kthread_exit",
    "__x64_sys_exit",
    "__x64_sys_exit_group",
    "do_exit",
    "do_group_exit",
    "kthread_complete_and_exit",
    "kthread_exit",
    "make_task_dead",
];

/// Functions beside system calls whose errors can be injected and which may sleep.
const INJECTABLE: &[&str] = &["bio_integrity_prep", "open_ctree", "mount_block_root", "vfs_cmd_create"];

/// Whether the kernel allows errors to be injected into a function, where it may sleep: system calls, and a few more.
pub fn is_error_injectable(name: &str) -> bool {
    ["__x64_sys_", "__ia32_sys_", "__arm64_sys_", "__riscv_sys_", "__s390x_sys_"].iter().any(|p| name.starts_with(p))
        || INJECTABLE.contains(&name)
}

/// What the names of system calls start with, as the kernel has them on x86-64.
pub const SYSCALL_PREFIX: &str = "__x64_";
