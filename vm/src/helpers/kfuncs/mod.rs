//! Kernel functions, by name. They have the form of helpers.

mod cpumask;
mod graph;
mod iter;
mod memory;
mod object;
mod region;
mod task;

use super::Row;
pub(super) use memory::raw_write;

/// The rooms' lists.
const ROOMS: &[&[Row]] =
    &[cpumask::ROWS, graph::ROWS, iter::ROWS, memory::ROWS, object::ROWS, region::ROWS, task::ROWS];

/// All kernel functions that are simulated.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    ROOMS.iter().copied().flatten()
}
