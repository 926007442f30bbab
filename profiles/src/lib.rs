//! Kernels as profiles: what each has, shown by witnesses.
//!
//! The features in which kernels differ are rows of [`ebpfkit_abi::Feature`]. A [`Witness`] is a program that kernels
//! with a feature treat in one way and kernels without it in another: the model is tested by it, and a kernel that is
//! asked shows by it what it has.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod config;
mod file;
pub mod flips;
mod lacks;
pub mod matrix;
mod profile;
pub mod record;
pub mod requirements;
mod touched;
pub mod types;
mod witness;

pub use file::ProfileError;
pub use profile::Profile;
pub use witness::{Expectation, Shown, Witness, WitnessError, witness, witnesses};
