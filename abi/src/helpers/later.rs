//! Helpers that some types of programs came to have later than the helper came.

use super::id;
use crate::{Feature, ProgType as P};

/// Programs of these types have the helper in kernels with the feature only.
pub struct Later {
    /// Number of the helper.
    pub id: u32,
    /// Types of programs.
    pub kinds: &'static [P],
    /// What brought it to them.
    pub feature: Feature,
}

const fn row(id: u32, kinds: &'static [P], feature: Feature) -> Later {
    Later { id, kinds, feature }
}

const RAW: &[P] = &[P::RawTracepoint, P::RawTracepointWritable];
const SOCK_ADDR: &[P] = &[P::CgroupSockAddr];

/// The rows.
pub static ROWS: &[Later] = &[
    row(id::GET_ATTACH_COOKIE, RAW, Feature::RawTracepointCookies),
    row(
        id::GET_NS_CURRENT_PID_TGID,
        &[P::CgroupSkb, P::CgroupSock, P::CgroupSockAddr, P::CgroupDevice, P::CgroupSysctl, P::SockOps, P::SkMsg],
        Feature::PidNamespacesEverywhere,
    ),
    row(id::SETSOCKOPT, SOCK_ADDR, Feature::SockoptsOfAddresses),
    row(id::GETSOCKOPT, SOCK_ADDR, Feature::SockoptsOfAddresses),
    row(id::SETSOCKOPT, &[P::Tracing], Feature::SockoptsOfIterators),
    row(id::GETSOCKOPT, &[P::Tracing], Feature::SockoptsOfIterators),
    row(id::SETSOCKOPT, &[P::CgroupSock], Feature::SockoptsOfNewSockets),
    row(id::GETSOCKOPT, &[P::CgroupSock], Feature::SockoptsOfNewSockets),
    row(id::GET_NETNS_COOKIE, &[P::SkMsg, P::SockOps, P::CgroupSockopt], Feature::NetnsCookiesOfSockets),
    row(id::SK_STORAGE_GET, &[P::Tracing], Feature::SocketStorageInTracing),
    row(id::SK_STORAGE_DELETE, &[P::Tracing], Feature::SocketStorageInTracing),
    row(
        id::STRTOL,
        &[P::SchedCls, P::SchedAct, P::Xdp, P::SocketFilter, P::Kprobe, P::Tracing, P::CgroupSkb],
        Feature::NumbersFromTextEverywhere,
    ),
    row(
        id::STRTOUL,
        &[P::SchedCls, P::SchedAct, P::Xdp, P::SocketFilter, P::Kprobe, P::Tracing, P::CgroupSkb],
        Feature::NumbersFromTextEverywhere,
    ),
];

/// Whether programs of a type have the helper in kernels with the features that `has` says they have.
pub fn is_there(helper: u32, kind: P, has: impl Fn(Feature) -> bool) -> bool {
    ROWS.iter().all(|r| r.id != helper || !r.kinds.contains(&kind) || has(r.feature))
}
