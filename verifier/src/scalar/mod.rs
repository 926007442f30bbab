//! Numbers: known bits, bounds, arithmetic, comparisons, and arithmetic on pointers.

pub mod alu;
pub mod branch;
pub mod tnum;

pub use alu::*;
pub use branch::*;
