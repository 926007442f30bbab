//! Helpers that some kinds of programs came to have later than the helper came, and one that they have no longer.

use super::id;
use crate::callers::set::*;
use crate::{Callers, Feature};

/// Programs of these kinds have the helper in kernels with the feature only, or in those without it.
pub struct Later {
    /// Number of the helper.
    pub id: u32,
    /// Kinds of programs.
    pub callers: Callers,
    /// What brought it to them, or took it away.
    pub feature: Feature,
    /// The feature takes it away.
    pub gone: bool,
}

const fn row(id: u32, callers: u64, feature: Feature) -> Later {
    Later { id, callers: Callers(callers), feature, gone: false }
}

/// Programs of control groups, but for those that see packets.
const GROUPS: u64 = CGROUP_SOCK | SOCK_ADDR | CGROUP_DEVICE | CGROUP_SYSCTL | SOCKOPT;
/// Programs of control groups that shared few helpers with the others at first.
const SINGLE_GROUPS: u64 = CGROUP_DEVICE | CGROUP_SYSCTL | SOCKOPT;
/// Programs that do not trace.
const UNTRACED: u64 = EVERY & !TRACING;
/// Those that run for packets, whatever task is running.
const NETWORK: u64 = UNTRACED & !(GROUPS | SK_MSG);

/// The rows.
pub static ROWS: &[Later] = &[
    row(id::GET_ATTACH_COOKIE, RAW | BTF_TP, Feature::RawTracepointCookies),
    row(id::GET_FUNC_ARG, BTF_TP, Feature::ArgumentsOfRawTracepoints),
    row(id::GET_FUNC_ARG_CNT, BTF_TP, Feature::ArgumentsOfRawTracepoints),
    row(id::GET_NS_CURRENT_PID_TGID, UNTRACED, Feature::PidNamespacesEverywhere),
    row(id::GET_CURRENT_PID_TGID, NETWORK, Feature::PidNamespacesEverywhere),
    row(id::GET_CURRENT_PID_TGID, SINGLE_GROUPS, Feature::TasksInControlGroups),
    row(id::GET_CURRENT_COMM, SINGLE_GROUPS, Feature::TasksInControlGroups),
    row(id::GET_CGROUP_CLASSID, SINGLE_GROUPS, Feature::TasksInControlGroups),
    row(id::GET_CURRENT_ANCESTOR_CGROUP_ID, SINGLE_GROUPS, Feature::TasksInControlGroups),
    row(id::GET_CURRENT_ANCESTOR_CGROUP_ID, TRACING, Feature::AncestorsInTracing),
    row(id::GET_CURRENT_ANCESTOR_CGROUP_ID, NETWORK, Feature::ControlGroupsEverywhere),
    row(id::GET_CURRENT_CGROUP_ID, NETWORK, Feature::ControlGroupsEverywhere),
    row(id::CURRENT_TASK_UNDER_CGROUP, GROUPS, Feature::TasksUnderControlGroups),
    row(id::CURRENT_TASK_UNDER_CGROUP, NETWORK | SK_MSG, Feature::TracingHelpersEverywhere),
    row(id::GET_CURRENT_UID_GID, NETWORK, Feature::TracingHelpersEverywhere),
    row(id::GET_CURRENT_COMM, NETWORK | SK_MSG, Feature::TracingHelpersEverywhere),
    row(id::GET_CGROUP_CLASSID, NETWORK & !(LWT | TC) | TRACING, Feature::TracingHelpersEverywhere),
    row(id::PERF_EVENT_READ, UNTRACED, Feature::TracingHelpersEverywhere),
    row(id::PERF_EVENT_READ_VALUE, UNTRACED, Feature::TracingHelpersEverywhere),
    row(id::SEND_SIGNAL, UNTRACED, Feature::TracingHelpersEverywhere),
    row(id::SEND_SIGNAL_THREAD, UNTRACED, Feature::TracingHelpersEverywhere),
    row(id::GET_TASK_STACK, UNTRACED, Feature::TracingHelpersEverywhere),
    row(id::COPY_FROM_USER, UNTRACED, Feature::TracingHelpersEverywhere),
    // Schedulers have had task storage from the start.
    row(id::TASK_STORAGE_GET, UNTRACED & !STRUCT_OPS, Feature::TracingHelpersEverywhere),
    row(id::TASK_STORAGE_DELETE, UNTRACED & !STRUCT_OPS, Feature::TracingHelpersEverywhere),
    row(id::GET_BRANCH_SNAPSHOT, UNTRACED, Feature::TracingHelpersEverywhere),
    row(id::FIND_VMA, UNTRACED, Feature::TracingHelpersEverywhere),
    row(id::COPY_FROM_USER_TASK, UNTRACED, Feature::TracingHelpersEverywhere),
    row(id::SETSOCKOPT, SOCK_ADDR & !(ADDR_CONNECT | ADDR_CONNECT_UNIX), Feature::SockoptsOfAddresses),
    row(id::GETSOCKOPT, SOCK_ADDR & !(ADDR_CONNECT | ADDR_CONNECT_UNIX), Feature::SockoptsOfAddresses),
    row(id::SETSOCKOPT, ITER, Feature::SockoptsOfIterators),
    row(id::GETSOCKOPT, ITER, Feature::SockoptsOfIterators),
    row(id::SETSOCKOPT, CGROUP_SOCK, Feature::SockoptsOfNewSockets),
    row(id::GETSOCKOPT, CGROUP_SOCK, Feature::SockoptsOfNewSockets),
    row(id::SETSOCKOPT, SETSOCKOPT, Feature::SockoptsOfOptions),
    row(id::GETSOCKOPT, SETSOCKOPT, Feature::SockoptsOfOptions),
    row(id::GET_SOCKET_COOKIE, TYPED, Feature::SocketCookiesInTracing),
    row(id::GET_SOCKET_COOKIE, SK_REUSEPORT, Feature::SocketCookiesOfChoices),
    row(id::GET_NETNS_COOKIE, SK_MSG | SOCK_OPS | SOCKOPT, Feature::NetnsCookiesOfSockets),
    row(id::GET_NETNS_COOKIE, SOCKET_FILTER | TC | CGROUP_SKB, Feature::NetnsCookiesOfPackets),
    row(id::SK_STORAGE_GET, TYPED & !LSM_ANY, Feature::SocketStorageInTracing),
    row(id::SK_STORAGE_DELETE, TYPED & !LSM_ANY, Feature::SocketStorageInTracing),
    row(id::SPIN_LOCK, TRACING, Feature::SpinLocksInTracing),
    row(id::SPIN_UNLOCK, TRACING, Feature::SpinLocksInTracing),
    row(id::STRTOL, EVERY & !CGROUP_SYSCTL, Feature::NumbersFromTextEverywhere),
    row(id::STRTOUL, EVERY & !CGROUP_SYSCTL, Feature::NumbersFromTextEverywhere),
    Later { gone: true, ..row(id::SKB_PULL_DATA, LWT_SEG6LOCAL, Feature::SegmentsAreNotPulled) },
];

/// Whether programs of a kind have the helper in kernels with the features that `has` says they have.
pub fn is_there(helper: u32, kind: Callers, has: impl Fn(Feature) -> bool) -> bool {
    ROWS.iter().all(|r| r.id != helper || !r.callers.intersects(kind) || has(r.feature) != r.gone)
}
