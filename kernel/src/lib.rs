//! bpf(2): load, test-run, maps and probes; attaches nothing.
#![deny(missing_docs)]
