//! Kernel functions that programs may call, by name. What their arguments are says the kernel's BTF.
//!
//! A row tells only what BTF does not: how the kernel treats a call, and which program types may make it. A function
//! exists when the kernel's BTF has it with the declaration tag `bpf_kfunc`.

mod common;
mod generic;
pub mod name;
mod net;
mod sched;
pub mod sched_ext;
mod test;

use crate::{AttachType, KernelVersion, ProgType};
use std::collections::HashMap;
use std::sync::LazyLock;

bitflags::bitflags! {
    /// How a call is treated (names as in the kernel's `KF_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct KfuncFlags: u32 {
        /// The result is a counted reference.
        const ACQUIRE = 1 << 0;
        /// Gives a counted reference back.
        const RELEASE = 1 << 1;
        /// The result may be null.
        const RET_NULL = 1 << 2;
        /// Pointers must be trusted.
        const TRUSTED_ARGS = 1 << 4;
        /// May sleep.
        const SLEEPABLE = 1 << 5;
        /// May crash or reboot the machine.
        const DESTRUCTIVE = 1 << 6;
        /// Pointers must be trusted or protected by RCU.
        const RCU = 1 << 7;
        /// Makes an iterator.
        const ITER_NEW = 1 << 8;
        /// Advances an iterator.
        const ITER_NEXT = 1 << 9;
        /// Destroys an iterator.
        const ITER_DESTROY = 1 << 10;
        /// Good in an RCU region only.
        const RCU_PROTECTED = 1 << 11;
        /// The call keeps caller-saved registers when it is inlined.
        const FASTCALL = 1 << 12;
        /// The result points into the program's arena.
        const ARENA_RET = 1 << 13;
        /// The first argument points into the program's arena.
        const ARENA_ARG1 = 1 << 14;
        /// The second argument points into the program's arena.
        const ARENA_ARG2 = 1 << 15;
    }
}

bitflags::bitflags! {
    /// Groups of program types for which the kernel registers functions.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Hooks: u32 {
        /// All program types.
        const COMMON = 1 << 0;
        /// XDP.
        const XDP = 1 << 1;
        /// Traffic control classifiers.
        const TC = 1 << 2;
        /// Operations of kernel structs.
        const STRUCT_OPS = 1 << 3;
        /// Tracing, tracepoints, perf events and LSM.
        const TRACING = 1 << 4;
        /// Syscall programs.
        const SYSCALL = 1 << 5;
        /// Control groups and socket operations.
        const CGROUP = 1 << 6;
        /// Traffic control actions.
        const SCHED_ACT = 1 << 7;
        /// Socket streams.
        const SK_SKB = 1 << 8;
        /// Socket filters.
        const SOCKET_FILTER = 1 << 9;
        /// Lightweight tunnels.
        const LWT = 1 << 10;
        /// Netfilter.
        const NETFILTER = 1 << 11;
        /// Kernel and user probes.
        const KPROBE = 1 << 12;
    }
}

impl Hooks {
    /// The groups whose functions programs of a type may call.
    pub fn of(kind: ProgType) -> Self {
        use ProgType as P;
        let own = match kind {
            P::Xdp => Self::XDP,
            P::SchedCls => Self::TC,
            P::StructOps => Self::STRUCT_OPS,
            P::Tracing | P::Tracepoint | P::PerfEvent | P::Lsm => Self::TRACING,
            P::Syscall => Self::SYSCALL,
            P::CgroupSkb
            | P::CgroupSock
            | P::CgroupDevice
            | P::CgroupSockAddr
            | P::CgroupSockopt
            | P::CgroupSysctl
            | P::SockOps => Self::CGROUP,
            P::SchedAct => Self::SCHED_ACT,
            P::SkSkb => Self::SK_SKB,
            P::SocketFilter => Self::SOCKET_FILTER,
            P::LwtOut | P::LwtIn | P::LwtXmit | P::LwtSeg6local => Self::LWT,
            P::Netfilter => Self::NETFILTER,
            P::Kprobe => Self::KPROBE,
            _ => Self::empty(),
        };
        own | Self::COMMON
    }
}

/// Programs that a function is kept for, beyond their type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// All of the type.
    Any,
    /// Iterator programs.
    Iterators,
    /// LSM programs.
    Lsm,
    /// Programs that run at the entry of functions and at their return.
    Sessions,
    /// System calls and LSM programs; the latter not where sockets send.
    NotSending,
}

/// A kernel function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kfunc {
    /// Name.
    pub name: &'static str,
    /// First version that has it; `None` where that is not known.
    pub since: Option<KernelVersion>,
    /// How calls are treated.
    pub flags: KfuncFlags,
    /// Program types that may call it.
    pub hooks: Hooks,
    /// Which programs of these types.
    pub only: Only,
}

impl Kfunc {
    /// Whether programs of this type may call the function.
    pub fn allowed(&self, kind: ProgType, attach: AttachType) -> bool {
        self.hooks.intersects(Hooks::of(kind))
            && match self.only {
                Only::Any => true,
                Only::Iterators => attach == AttachType::TraceIter,
                Only::Lsm => kind == ProgType::Lsm,
                Only::NotSending => matches!(kind, ProgType::Syscall | ProgType::Lsm),
                Only::Sessions => matches!(
                    attach,
                    AttachType::TraceKprobeSession | AttachType::TraceUprobeSession | AttachType::TraceFsession
                ),
            }
    }
}

static BY_NAME: LazyLock<HashMap<&'static str, &'static Kfunc>> =
    LazyLock::new(|| all().map(|k| (k.name, k)).collect());

/// Every function.
pub fn all() -> impl Iterator<Item = &'static Kfunc> {
    [common::ROWS, generic::ROWS, net::ROWS, sched::ROWS, test::ROWS].into_iter().flatten()
}

/// Names, or their beginnings, of functions that modules have: connection tracking, tunnels, IPsec, flow tables.
const IN_MODULES: &[&str] = &[
    "bpf_ct_",
    "bpf_skb_ct_",
    "bpf_xdp_ct_",
    "bpf_skb_get_fou_encap",
    "bpf_skb_set_fou_encap",
    "bpf_skb_get_xfrm_info",
    "bpf_skb_set_xfrm_info",
    "bpf_xdp_get_xfrm_state",
    "bpf_xdp_xfrm_state_release",
    "bpf_xdp_flow_lookup",
];

/// Whether a function is one that kernels have in a module.
pub fn is_in_module(name: &str) -> bool {
    find(name).is_some() && IN_MODULES.iter().any(|start| name.starts_with(start))
}

const fn v(major: u16, minor: u16) -> Option<KernelVersion> {
    Some(KernelVersion::new(major, minor, 0))
}

/// Functions without a row and their first versions: names that later kernels have for functions whose rows have the
/// older name, and a function that only few kernels had.
const OTHER_NAMES: [(&str, Option<KernelVersion>); 9] = [
    ("hid_bpf_attach_prog", v(6, 3)),
    ("bpf_list_push_back", v(7, 1)),
    ("bpf_list_push_front", v(7, 1)),
    ("bpf_obj_drop", v(7, 1)),
    ("bpf_obj_new", v(7, 1)),
    ("bpf_percpu_obj_drop", v(7, 1)),
    ("bpf_percpu_obj_new", v(7, 1)),
    ("bpf_rbtree_add", v(7, 1)),
    ("bpf_refcount_acquire", v(7, 1)),
];

/// First version with a kernel function; `None` where it is not known. The types of a kernel say for sure whether it has
/// one.
pub fn since(name: &str) -> Option<KernelVersion> {
    match find(name) {
        Some(row) => row.since,
        None => OTHER_NAMES.iter().find(|(other, _)| *other == name)?.1,
    }
}

/// The function of this name.
pub fn find(name: &str) -> Option<&'static Kfunc> {
    BY_NAME.get(name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        assert_eq!(all().count(), BY_NAME.len());
        let twice = OTHER_NAMES.iter().find(|(name, _)| find(name).is_some());
        assert_eq!(twice, None, "it has a row, which has its version");
    }

    #[test]
    fn functions_have_versions() {
        assert_eq!(since("bpf_preempt_disable"), Some(KernelVersion::new(6, 10, 0)));
        assert_eq!(since("bpf_obj_new"), Some(KernelVersion::new(7, 1, 0)));
        assert_eq!(since("bpf_kfunc_call_test1"), None);
    }

    #[test]
    fn by_program_type() {
        let allowed = |name, kind| find(name).expect("row").allowed(kind, AttachType::default());
        assert!(allowed("bpf_iter_num_new", ProgType::RawTracepoint));
        assert!(!allowed("bpf_task_acquire", ProgType::RawTracepoint));
        assert!(allowed("bpf_task_acquire", ProgType::Syscall));
        assert!(!allowed("bpf_dynptr_from_xdp", ProgType::SchedCls));
        let destroy = find("bpf_sock_destroy").expect("row");
        assert!(destroy.allowed(ProgType::Tracing, AttachType::TraceIter));
        assert!(!destroy.allowed(ProgType::Tracing, AttachType::TraceRawTp));
    }
}
