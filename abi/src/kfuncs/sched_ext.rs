//! Which operations of an extensible scheduler may call which of its kernel functions, and sleep.
//!
//! Source: `kernel/sched/ext` of Linux: the sets of functions that it registers, and the table that its filter of calls
//! looks into. Kernels without that filter look at a program's type alone, and at the operation when it runs.

use crate::ProgType;

/// The operations of schedulers that name CPUs by number.
pub const OPS: &str = "sched_ext_ops";
/// The operations of schedulers that name CPUs by their place in the topology.
pub const CID_OPS: &str = "sched_ext_ops_cid";
/// The kernel's function that filters calls, where it has one.
pub const FILTER: &str = "scx_kfunc_context_filter";

/// Whether a struct holds the operations of a scheduler.
pub fn is_scheduler(operations: &str) -> bool {
    matches!(operations, OPS | CID_OPS)
}

/// Operations that may sleep.
pub const SLEEPABLE: &[&str] = &[
    "init_task",
    "cgroup_init",
    "cgroup_exit",
    "cgroup_prep_move",
    "cpu_online",
    "cpu_offline",
    "init",
    "init_cids",
    "exit",
    "sub_attach",
    "sub_detach",
];

/// Arguments that may be null where the kernel's stand-ins for operations do not say so: operation and index.
pub const NULLABLE: &[(&str, usize)] = &[("dispatch", 1), ("yield", 1)];

/// Members of `task_struct` that programs may write.
pub const TASK_WRITABLE: &[&[&str]] = &[&["scx", "slice"], &["scx", "dsq_vtime"], &["scx", "disallow"]];
/// The same where CPUs go by their place in the topology.
pub const CID_TASK_WRITABLE: &[&[&str]] = &[&["scx", "disallow"]];

bitflags::bitflags! {
    /// Sets of functions.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Sets: u8 {
        /// Where no lock of the scheduler is held.
        const UNLOCKED = 1 << 0;
        /// Before CPUs have their places in the topology.
        const INIT_CIDS = 1 << 1;
        /// When another class takes a CPU.
        const CPU_RELEASE = 1 << 2;
        /// When a CPU looks for a task.
        const DISPATCH = 1 << 3;
        /// When a task is put into a queue.
        const ENQUEUE = 1 << 4;
        /// When a CPU is chosen for a task.
        const SELECT_CPU = 1 << 5;
    }
}

/// Functions that depend on the operation; all others of a scheduler may be called from each.
const BY_OPERATION: &[(&str, Sets)] = &[
    ("scx_bpf_select_cpu_dfl", Sets::SELECT_CPU.union(Sets::UNLOCKED)),
    ("scx_bpf_select_cpu_and", Sets::SELECT_CPU.union(Sets::UNLOCKED)),
    ("__scx_bpf_select_cpu_and", Sets::SELECT_CPU.union(Sets::UNLOCKED)),
    ("scx_bpf_dsq_insert", Sets::ENQUEUE),
    ("scx_bpf_dsq_insert___v2", Sets::ENQUEUE),
    ("scx_bpf_dsq_insert_vtime", Sets::ENQUEUE),
    ("__scx_bpf_dsq_insert_vtime", Sets::ENQUEUE),
    ("scx_bpf_dispatch_nr_slots", Sets::DISPATCH),
    ("scx_bpf_dispatch_cancel", Sets::DISPATCH),
    ("scx_bpf_dsq_move_to_local", Sets::DISPATCH),
    ("scx_bpf_dsq_move_to_local___v2", Sets::DISPATCH),
    ("scx_bpf_dsq_move_set_slice", Sets::DISPATCH.union(Sets::UNLOCKED)),
    ("scx_bpf_dsq_move_set_vtime", Sets::DISPATCH.union(Sets::UNLOCKED)),
    ("scx_bpf_dsq_move", Sets::DISPATCH.union(Sets::UNLOCKED)),
    ("scx_bpf_dsq_move_vtime", Sets::DISPATCH.union(Sets::UNLOCKED)),
    ("scx_bpf_sub_dispatch", Sets::DISPATCH),
    ("scx_bpf_reenqueue_local", Sets::CPU_RELEASE),
    ("scx_bpf_create_dsq", Sets::UNLOCKED),
    ("scx_bpf_cid_override", Sets::INIT_CIDS),
];

/// The sets that an operation may call; those that are not here may call none.
const OPERATIONS: &[(&str, Sets)] = &[
    ("select_cpu", Sets::SELECT_CPU.union(Sets::ENQUEUE)),
    ("enqueue", Sets::SELECT_CPU.union(Sets::ENQUEUE)),
    ("dispatch", Sets::ENQUEUE.union(Sets::DISPATCH)),
    ("cpu_release", Sets::CPU_RELEASE),
    ("init_task", Sets::UNLOCKED),
    ("dump", Sets::UNLOCKED),
    ("cgroup_init", Sets::UNLOCKED),
    ("cgroup_exit", Sets::UNLOCKED),
    ("cgroup_prep_move", Sets::UNLOCKED),
    ("cgroup_cancel_move", Sets::UNLOCKED),
    ("cgroup_set_weight", Sets::UNLOCKED),
    ("cgroup_set_bandwidth", Sets::UNLOCKED),
    ("cgroup_set_idle", Sets::UNLOCKED),
    ("sub_attach", Sets::UNLOCKED),
    ("sub_detach", Sets::UNLOCKED),
    ("sub_ecaps_updated", Sets::ENQUEUE.union(Sets::DISPATCH)),
    ("cpu_online", Sets::UNLOCKED),
    ("cpu_offline", Sets::UNLOCKED),
    ("init_cids", Sets::UNLOCKED.union(Sets::INIT_CIDS)),
    ("init", Sets::UNLOCKED),
    ("exit", Sets::UNLOCKED),
];

/// Functions that name CPUs by number, which schedulers by topology may not call.
const BY_NUMBER: &[&str] = &[
    "scx_bpf_kick_cpu",
    "scx_bpf_task_cpu",
    "scx_bpf_cpu_curr",
    "scx_bpf_cpu_node",
    "scx_bpf_cpuperf_cap",
    "scx_bpf_cpuperf_cur",
    "scx_bpf_cpuperf_set",
    "scx_bpf_get_possible_cpumask",
    "scx_bpf_get_online_cpumask",
    "scx_bpf_put_cpumask",
    "scx_bpf_select_cpu_dfl",
    "__scx_bpf_select_cpu_and",
    "scx_bpf_select_cpu_and",
    "scx_bpf_get_idle_cpumask",
    "scx_bpf_get_idle_cpumask_node",
    "scx_bpf_get_idle_smtmask",
    "scx_bpf_get_idle_smtmask_node",
    "scx_bpf_put_idle_cpumask",
    "scx_bpf_test_and_clear_cpu_idle",
    "scx_bpf_pick_idle_cpu",
    "scx_bpf_pick_idle_cpu_node",
    "scx_bpf_pick_any_cpu",
    "scx_bpf_pick_any_cpu_node",
];

fn row(rows: &[(&str, Sets)], name: &str) -> Option<Sets> {
    rows.iter().find(|(n, _)| *n == name).map(|(_, sets)| *sets)
}

/// Whether a function is a scheduler's.
pub fn is_function(name: &str) -> bool {
    ["scx_bpf_", "__scx_bpf_", "bpf_iter_scx_dsq_"].iter().any(|start| name.starts_with(start))
}

/// The operations that may call a scheduler's function, where not all may.
pub fn callers(function: &str) -> impl Iterator<Item = &'static str> {
    let sets = row(BY_OPERATION, function).unwrap_or(Sets::empty());
    OPERATIONS.iter().filter(move |(_, own)| sets.intersects(*own)).map(|(name, _)| *name)
}

/// Whether a kernel with [`FILTER`] lets a program call a scheduler's function: one of a type, which implements `member`
/// of `operations` where it is a struct_ops program.
pub fn allows(function: &str, kind: ProgType, operations: &str, member: &str) -> bool {
    let sets = row(BY_OPERATION, function);
    match kind {
        ProgType::Syscall => sets.is_none_or(|s| s.intersects(Sets::UNLOCKED | Sets::SELECT_CPU)),
        ProgType::StructOps => {
            let by_topology = operations == CID_OPS;
            let own = row(OPERATIONS, member).unwrap_or(Sets::empty());
            is_scheduler(operations)
                && !(by_topology && BY_NUMBER.contains(&function))
                && sets.is_none_or(|s| s.intersects(own))
        }
        _ => sets.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_belong_to_operations() {
        let may = |function, member| allows(function, ProgType::StructOps, OPS, member);
        assert!(may("scx_bpf_dsq_insert", "enqueue") && may("scx_bpf_dsq_insert", "dispatch"));
        assert!(!may("scx_bpf_dsq_insert", "init") && !may("scx_bpf_create_dsq", "enqueue"));
        assert!(may("scx_bpf_create_dsq", "init") && may("scx_bpf_kick_cpu", "tick"));
        assert!(!allows("scx_bpf_kick_cpu", ProgType::StructOps, CID_OPS, "tick"));
        assert!(!allows("scx_bpf_kick_cpu", ProgType::StructOps, "tcp_congestion_ops", "init"));
        assert!(allows("scx_bpf_select_cpu_dfl", ProgType::Syscall, "", ""));
        assert!(!allows("scx_bpf_dsq_insert", ProgType::Syscall, "", ""));
        assert!(!allows("scx_bpf_create_dsq", ProgType::Tracing, "", "") && is_function("scx_bpf_create_dsq"));
    }
}
