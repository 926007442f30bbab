//! Maps, helpers, contexts and an interpreter for eBPF programs.
#![deny(missing_docs)]

mod errno;
pub mod maps;

pub use errno::Errno;
