//! Fields that contexts came to have later than the type of program came.

use crate::{Feature, ProgType as P};

/// Fields from an offset on are there in kernels with the feature only.
struct Later {
    kinds: &'static [P],
    from: i32,
    to: i32,
    feature: Feature,
}

const fn row(kinds: &'static [P], from: i32, to: i32, feature: Feature) -> Later {
    Later { kinds, from, to, feature }
}

static ROWS: &[Later] = &[
    row(&[P::SockOps], 216, 224, Feature::HardwareTimesOfSockets),
    row(&[P::SkReuseport], 40, 48, Feature::SocketsOfReuseport),
    row(&[P::SkLookup], 64, 72, Feature::InterfaceOfLookups),
    row(&[P::SocketFilter, P::SchedCls, P::SchedAct, P::CgroupSkb, P::SkSkb], 184, 192, Feature::HardwareTimes),
];

/// Whether the field at an offset is there in kernels with the features that `has` says they have.
pub fn is_there(kind: P, off: i32, has: impl Fn(Feature) -> bool) -> bool {
    ROWS.iter().all(|r| !(r.from..r.to).contains(&off) || !r.kinds.contains(&kind) || has(r.feature))
}
