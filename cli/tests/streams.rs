//! Standard streams that are not there, or end early.

use std::process::{Command, Stdio};

#[test]
fn a_reader_that_goes_away_is_no_verdict() {
    for args in [&["verify", "inputs/null.s"][..], &["verify", "inputs/null.s", "--kernel", "6.12,6.18"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let status = Command::new(env!("CARGO_BIN_EXE_ebpfkit"))
            .args(args)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .expect("the command starts");
        let found = (status.status.code(), String::from_utf8_lossy(&status.stderr).into_owned());
        assert_eq!(found, (Some(141), String::new()), "{args:?}");
    }
}
