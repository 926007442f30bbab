//! One file for each command.

pub mod bench;
pub mod captures;
pub mod engines;
pub mod loader_check;
pub mod log_diff;
pub mod mutate;
pub mod run_check;
pub mod sandbox;
pub mod soundness;
pub mod unpriv;
pub mod verdicts;
