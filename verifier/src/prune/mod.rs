//! Ending paths early: saved states, their comparison with the current one, and loops.

mod clean;
mod compare;
mod difference;
mod loop_entries;
mod loops;
mod visited;
mod widening;
