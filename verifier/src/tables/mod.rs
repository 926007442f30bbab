//! What a verification has gathered so far: saved states, loops, kernel functions, types. Data without rules; those that
//! use them say what they mean.

pub(crate) mod ids;
pub(crate) mod kfuncs;
pub(crate) mod loops;
pub(crate) mod saved;
pub(crate) mod trace;
mod types;
pub(crate) mod walk;

pub use ids::IdMap;
pub use loops::Loops;
pub use saved::{Precise, SavedStates};
pub use trace::Trace;
pub use types::Types;
pub use walk::Walk;

use crate::liveness::Liveness;
use kfuncs::Kfuncs;

/// What a verification has gathered.
#[derive(Default)]
pub struct Tables {
    /// Saved states and pending branches.
    pub(crate) walk: Walk,
    /// Which stack slots may still be read.
    pub(crate) liveness: Liveness,
    /// What the log has shown.
    pub(crate) trace: Trace,
    /// Kernel functions that have been looked up.
    pub(crate) kfuncs: Kfuncs,
    /// What has been found out about types.
    pub(crate) types: Types,
}
