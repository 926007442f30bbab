//! One file for each command.

pub mod captures;
pub mod verdicts;
