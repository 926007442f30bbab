//! Hooks of the security modules: which programs may attach where, and what they may return.

use crate::Feature;

/// Prefix of the functions that stand for hooks in the kernel's types.
pub const PREFIX: &str = "bpf_lsm_";

/// Hooks that programs cannot attach to.
#[rustfmt::skip]
pub static DISABLED: &[&str] = &[
    "vm_enough_memory", "inode_need_killpriv", "inode_getsecurity", "inode_listsecurity", "inode_copy_up_xattr",
    "getselfattr", "getprocattr", "setprocattr", "key_getsecurity", "audit_rule_match", "xfrm_decode_session",
    "ismaclabel",
];

/// Functions that are named like hooks and are none.
#[rustfmt::skip]
pub static NO_HOOKS: &[&str] = &[
    "find_cgroup_shim", "func_proto", "get_retval_range", "has_d_inode_locked", "hook_returns_errno", "init",
    "is_sleepable_hook", "is_trusted", "verify_prog",
];

/// Hooks whose programs may sleep in most kernels.
#[rustfmt::skip]
static SLEEPABLE: &[&str] = &[
    "bpf", "bpf_map", "bpf_map_alloc_security", "bpf_map_create", "bpf_map_free", "bpf_map_free_security", "bpf_prog",
    "bpf_prog_load", "bpf_token_create", "bpf_token_free", "bpf_token_cmd", "bpf_token_capable",
    "bprm_check_security", "bprm_committed_creds", "bprm_committing_creds", "bprm_creds_for_exec",
    "bprm_creds_from_file", "capget", "capset", "cred_prepare", "file_ioctl", "file_lock", "file_open",
    "file_post_open", "file_receive", "inode_create", "inode_free_security", "inode_getattr", "inode_getxattr",
    "inode_mknod", "inode_need_killpriv", "inode_post_setxattr", "inode_readlink", "inode_rename", "inode_rmdir",
    "inode_setattr", "inode_setxattr", "inode_symlink", "inode_unlink", "kernel_module_request", "kernel_read_file",
    "kernfs_init_security", "mmap_file", "netlink_send", "path_notify", "release_secctx", "sb_alloc_security",
    "sb_eat_lsm_opts", "sb_kern_mount", "sb_mount", "sb_remount", "sb_set_mnt_opts", "sb_show_options", "sb_statfs",
    "sb_umount", "settime", "socket_accept", "socket_bind", "socket_connect", "socket_create", "socket_getpeername",
    "socket_getpeersec_dgram", "socket_getsockname", "socket_getsockopt", "socket_listen", "socket_post_create",
    "socket_recvmsg", "socket_sendmsg", "socket_shutdown", "socket_socketpair", "syslog", "task_alloc",
    "current_getsecid_subj", "task_getsecid_obj", "task_prctl", "task_setscheduler", "userns_create",
];

/// The hook at which programs could sleep first.
const FIRST_SLEEPABLE: &str = "bprm_committed_creds";

/// Hooks at which programs may sleep since a feature came.
#[rustfmt::skip]
static SLEEPABLE_SINCE: &[(Feature, &[&str])] = &[
    (Feature::SleepablePathHooks, &[
        "path_unlink", "path_mkdir", "path_rmdir", "path_truncate", "path_symlink", "path_link", "path_rename",
        "path_chmod", "path_chown",
    ]),
    (Feature::SleepableAttributeHooks, &["inode_removexattr", "inode_post_removexattr"]),
    (Feature::SleepableDeviceHooks, &["bdev_alloc_security", "bdev_setintegrity"]),
];

/// Hooks that run where nothing may sleep, at which older kernels let programs sleep nevertheless.
static ATOMIC: &[&str] = &["inet_conn_established", "key_free"];

/// Whether programs at a hook may sleep, in a kernel with the features that `has` says it has.
pub fn may_sleep(hook: &str, has: impl Fn(Feature) -> bool) -> bool {
    if !has(Feature::SleepableHooks) {
        return hook == FIRST_SLEEPABLE;
    }
    SLEEPABLE.contains(&hook)
        || SLEEPABLE_SINCE.iter().any(|(feature, hooks)| hooks.contains(&hook) && has(*feature))
        || ATOMIC.contains(&hook) && !has(Feature::AtomicHooksDoNotSleep)
}

/// The hook at which the kernel's own objects for files are made.
pub const FILE_ALLOC: &str = "file_alloc_security";

/// Hooks whose arguments are objects that are being made or freed.
#[rustfmt::skip]
pub static UNTRUSTED: &[&str] = &[
    "bpf_map_free", "bpf_prog_free", "file_alloc_security", "file_free_security", "sk_alloc_security",
    "sk_free_security", "task_free",
];

/// Hooks that are called with a socket whose options may be read and set: it is locked, or nobody else knows it yet.
pub static SOCKOPT: &[&str] =
    &["sock_graft", "inet_csk_clone", "inet_conn_established", "socket_post_create", "socket_socketpair"];

/// Hooks that return 0 or 1 rather than an error number.
pub static BOOLEAN: &[&str] = &["xfrm_state_pol_flow_match", "audit_rule_known", "inode_xattr_skipcap"];

/// Greatest error number; programs at hooks return it negated at most.
const MAX_ERRNO: i32 = 4095;

/// What programs at a hook that returns a number may return.
pub fn return_range(hook: &str) -> (i32, i32) {
    if BOOLEAN.contains(&hook) { (0, 1) } else { (-MAX_ERRNO, 0) }
}
