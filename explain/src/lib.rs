//! From a verifier rejection to its cause, its place in the source and its remedy.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod accesses;
mod calls;
pub mod catalogue;
pub mod cfg;
pub mod coverage;
pub mod diagnosis;
pub mod effort;
mod functions;
pub mod judge;
mod kernel_objects;
pub mod path;
pub mod profile;
mod reach;
mod rights;
pub mod source;
