//! Every command with what it prints.
//!
//! A test is a file: commands and their output in `tests/cmd/*.trycmd` (in `tests/cmd/kernel` where they need bpf(2)),
//! run in the repository's root; `[..]` stands for anything in a line. With a folder of the same name that ends in `.in`
//! they run in a copy of that, which must then be equal to the one that ends in `.out`.
//! `TRYCMD=overwrite cargo test -p ebpfkit --test commands` writes the output anew.

use ebpfkit_kernel::Kernel;
use std::io::Write;
use std::path::Path;

#[test]
fn commands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    std::env::set_current_dir(root).expect("its folder");
    let cases = trycmd::TestCases::new();
    cases.case("cli/tests/cmd/*.trycmd");
    match Kernel::open() {
        Ok(_) => {
            cases.case("cli/tests/cmd/kernel/*.trycmd");
        }
        // Not by a macro, whose text the test harness would keep to itself.
        Err(e) => drop(writeln!(std::io::stderr(), "skipped 1: commands that ask the running kernel: {e}")),
    }
}
