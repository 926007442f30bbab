//! The examples with events do what is written beside them, in both engines.

use std::path::Path;
use std::process::Command;

fn test(engine: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebpfkit"));
    command.args(["test", "examples", "--engine", engine]).current_dir(root);
    if std::env::var_os("EBPFKIT_BLESS").is_some() {
        command.arg("--bless");
    }
    let output = command.output().expect("the command starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let skipped: Vec<&str> = text.lines().filter(|l| l.starts_with("skipped ")).collect();
    if !skipped.is_empty() {
        let why = skipped[0].split_once(": ").map_or("", |s| s.1);
        let line = format!("skipped {}: {why}\n", skipped.len());
        // Not by a macro, whose text the test harness would keep to itself.
        drop(std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()));
    }
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn in_the_interpreter() {
    test("interp");
}

#[test]
fn in_native_code() {
    test("jit");
}
