//! Numbers: known bits, bounds, arithmetic, comparisons, and arithmetic on pointers.

pub mod alu;
pub mod branch;
pub mod linked;
mod operands;
mod pointer;
mod sanitize;

pub use operands::RegArg;
