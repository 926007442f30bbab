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

/// Whether a register's known bits and all of its bounds allow this value; what every property test asks.
#[cfg(test)]
fn holds(r: &crate::RegState, x: u64) -> bool {
    r.var_off.holds(x)
        && (r.umin..=r.umax).contains(&x)
        && (r.smin..=r.smax).contains(&(x as i64))
        && (r.u32_min..=r.u32_max).contains(&(x as u32))
        && (r.s32_min..=r.s32_max).contains(&(x as i32))
}
