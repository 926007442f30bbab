//! Standard streams that are not there, or end early.

use std::process::{Command, Stdio};

#[test]
fn a_reader_that_goes_away_is_no_verdict() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = Command::new(env!("CARGO_BIN_EXE_ebpfkit"))
        .args(["verify", "inputs/null.s"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("the command starts");
    assert_eq!((status.status.code(), String::from_utf8_lossy(&status.stderr).as_ref()), (Some(141), ""));
}
