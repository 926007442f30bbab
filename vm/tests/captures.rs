//! Captures of Debian's `golang-github-google-gopacket-dev`: every format, byte order and block. Skipped without it.

use ebpfkit_vm::capture::Reader;
use std::io::Write;
use std::path::{Path, PathBuf};

const FOLDER: &str = "/usr/share/gocode/src/github.com/google/gopacket";

fn captures(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            captures(&path, found);
        } else if path.extension().is_some_and(|e| e == "pcap" || e == "pcapng") {
            found.push(path);
        }
    }
}

/// Packets of a capture, or why it ends early.
fn read(bytes: &[u8]) -> Result<usize, String> {
    let mut reader = Reader::new(bytes).map_err(|e| e.to_string())?;
    let mut count = 0;
    while reader.next().map_err(|e| e.to_string())?.is_some() {
        count += 1;
    }
    Ok(count)
}

#[test]
fn real_captures_are_read_and_broken_ones_are_harmless() {
    let mut files = Vec::new();
    captures(Path::new(FOLDER), &mut files);
    if files.is_empty() {
        // Not by a macro, whose text the test harness would keep to itself.
        let _ = writeln!(std::io::stderr(), "skipped 1: no captures in {FOLDER}");
        return;
    }
    let (mut packets, mut refused) = (0, Vec::new());
    for file in &files {
        let bytes = std::fs::read(file).expect("a readable file");
        match read(&bytes) {
            Ok(n) => packets += n,
            Err(e) => refused.push(format!("{}: {e}", file.display())),
        }
        // Cut anywhere, or with one byte changed: an answer, whatever it is.
        for i in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
            let _ = read(&bytes[..i]);
            let mut changed = bytes.clone();
            changed[i] = !changed[i];
            let _ = read(&changed);
        }
    }
    println!("{} files, {packets} packets", files.len());
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(packets > 0);
}
