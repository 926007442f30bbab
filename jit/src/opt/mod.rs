//! Optimisations: those that work while instructions are lowered, and those of what the compiler makes of them.

pub(crate) mod check_coalescing;
pub(crate) mod dead_code_elimination;
pub(crate) mod load_combining;
pub(crate) mod loop_alignment;
pub(crate) mod range;
pub(crate) mod store_merging;
pub(crate) mod unroll;
