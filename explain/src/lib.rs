//! From a verifier rejection to its cause, its place in the source and its remedy.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod case;
pub mod catalogue;
pub mod cfg;
pub mod coverage;
pub mod diagnosis;
pub mod effort;
pub mod explain;
pub mod explore;
mod families;
pub mod files;
pub mod foreign;
mod functions;
mod history;
mod inlined;
pub mod judge;
pub mod loader;
mod members;
mod mend;
mod names;
mod origin;
pub mod pages;
pub mod profile;
pub mod render;
pub mod report;
pub mod source;
pub mod trace;
mod words;
pub mod xml;

pub use diagnosis::Diagnosis;
pub use mend::Repair;
