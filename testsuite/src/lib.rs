//! What crosses crates: generators, differential tests, benches.
#![deny(missing_docs)]
