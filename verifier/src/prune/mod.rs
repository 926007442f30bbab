//! Ending paths early: saved states, their comparison with the current one, and loops.

mod clean;
mod compare;
mod difference;
mod loops;
mod visited;
mod widening;
