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
