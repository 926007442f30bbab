//! Numbers: known bits, bounds, arithmetic, comparisons, and arithmetic on pointers.

pub mod alu;
pub mod bounds;
pub mod branch;
mod compare;
pub mod linked;
mod ops;
mod pointer;
pub mod regs;
mod sanitize;
pub mod tnum;
#[cfg(test)]
mod verdict_tests;
pub mod widen;

pub use regs::{RegArg, reg_type_str};
