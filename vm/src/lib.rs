//! Maps, helpers, contexts and an interpreter for eBPF programs.
#![deny(missing_docs)]
