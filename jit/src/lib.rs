//! eBPF programs to native code with Cranelift.
#![deny(missing_docs)]
