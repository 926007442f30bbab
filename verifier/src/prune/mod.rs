//! Ending paths early: saved states, their comparison with the current one, and loops.

mod clean;
pub(crate) mod compare;
pub mod ids;
pub mod loops;
mod rounds;
pub mod saved;
mod visited;

pub use ids::IdMap;
pub use loops::Loops;
pub use saved::{Precise, SavedStates};
