//! Kernel functions, by name. They have the form of helpers.

/// The row of a function that returns an `int`: unlike a helper's number, it leaves the upper half of `r0` zero.
macro_rules! int {
    ($name:literal, $function:path) => {
        ($name, |run, args| $function(run, args).map(|r0| u64::from(r0 as u32)))
    };
}

mod conntrack;
mod cpumask;
mod graph;
mod iter;
mod memory;
mod object;
mod region;
mod stream;
mod task;

use super::Row;
pub(super) use conntrack::Table as Connections;
pub(crate) use graph::{release_list, release_tree};
pub(super) use memory::raw_write;

/// The lists of the modules.
const MODULES: &[&[Row]] = &[
    conntrack::ROWS,
    cpumask::ROWS,
    graph::ROWS,
    iter::ROWS,
    memory::ROWS,
    object::ROWS,
    region::ROWS,
    stream::ROWS,
    task::ROWS,
];

/// All kernel functions that are simulated.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    MODULES.iter().copied().flatten()
}
