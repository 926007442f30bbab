//! Linked objects beside those of `bpftool gen object`, where there is one.

use ebpfkit_object::{Btf, Object, link::link};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Types of an object.
fn types(bytes: &[u8]) -> u32 {
    Btf::open(bytes).map_or(0, |b| b.len())
}

/// What bpftool makes of the same files; `None` when there is none or it refuses.
fn by_bpftool(files: &[PathBuf]) -> Option<Vec<u8>> {
    let out = std::env::temp_dir().join(format!("ebpfkit-link-{}.o", std::process::id()));
    let done = Command::new("bpftool").args(["gen", "object"]).arg(&out).args(files).output().ok()?;
    let bytes = std::fs::read(&out).ok().filter(|_| done.status.success());
    let _ = std::fs::remove_file(&out);
    bytes
}

#[test]
fn as_many_types_as_bpftool() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testsuite/tests/loader/link");
    let files = ["first.o", "second.o"].map(|n| folder.join(n));
    let bytes = files.clone().map(|f| std::fs::read(f).expect("fixture"));
    let ours = link(&[("first.o", &bytes[0]), ("second.o", &bytes[1])]).unwrap_or_else(|e| panic!("{e}"));
    assert!(Object::open("linked.o", &ours).is_ok());
    let Some(theirs) = by_bpftool(&files) else {
        println!("skipped: no bpftool that links");
        return;
    };
    assert_eq!(types(&ours), types(&theirs));
}
