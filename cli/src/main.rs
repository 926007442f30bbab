//! The `ebpfkit` command.
fn main() {}
