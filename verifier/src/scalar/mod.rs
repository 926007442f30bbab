//! Numbers: known bits, bounds, arithmetic, comparisons, and arithmetic on pointers.

pub mod alu;
pub mod bounds;
pub mod branch;
pub mod regs;
pub mod tnum;

pub use regs::{RegArg, reg_type_str};
