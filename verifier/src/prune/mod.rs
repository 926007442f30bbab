//! Ending paths early: saved states, their comparison with the current one, and loops.

mod clean;
mod compare;
mod loops;
mod visited;
mod widening;
