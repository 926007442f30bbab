//! What happens around eBPF programs: events that files describe, and what programs make of them.
//!
//! [`parse`] reads items with their lines, [`schema`] says what they may be. A [`Session`] runs the programs of an object
//! that an event reaches, in the order of the kernel, and tells in a [`Report`] what each has done.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod calls;
mod fields;
pub mod hooks;
mod inputs;
mod iterators;
mod maps;
pub mod memory;
mod mocks;
mod options;
mod outcome;
pub mod packet;
pub mod parse;
mod records;
mod report;
pub mod schema;
mod session;
mod step;
mod tasks;
mod template;

pub use report::{Change, Emitted, Ran, Report, Text};
pub use session::{BeginRun, EventError, Load, ReadFile, Session};
pub use step::Tell;
pub use template::example;
