//! Every object under `examples/` gives the verdict in the `.verify` file beside it, without a kernel. Those with files of
//! events are judged when these are run, as `cli/tests/examples.rs` does.

use ebpfkit_object::{Object, Target};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
use std::fmt::Write;
use std::path::Path;

#[test]
fn verdicts_are_as_expected() {
    let objects = ebpfkit_testsuite::files(&ebpfkit_testsuite::root().join("examples"), "o");
    assert!(!objects.is_empty(), "examples have objects");
    let mut failures = Vec::new();
    let has_events =
        |path: &Path| ["jsonl", "yaml"].iter().any(|e| path.with_file_name("events").with_extension(e).exists());
    for path in objects.into_iter().filter(|p| !has_events(p)) {
        let bytes = std::fs::read(&path).expect("example is readable");
        let name = path.file_name().expect("file name").to_string_lossy();
        let prepared = Object::open(&name, &bytes)
            .and_then(|o| o.prepare(&Target::default()))
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let kernel = KernelModel::standard();
        let mut text = String::new();
        for (i, program) in prepared.object.programs.iter().enumerate() {
            let report = verify(&kernel, &prepared.object, i, Options::default(), &mut Silent);
            let verdict = match report.verdict {
                Verdict::Accepted(_) => format!("accepted, {} instructions", report.insns_processed),
                Verdict::Rejected(r) => format!("rejected at {}: {} [{}]", r.insn, r.reason, r.reason.code()),
                Verdict::Unsupported { what, at } => format!("unsupported at {at}: {what}"),
            };
            writeln!(text, "{} ({}): {verdict}", program.name, program.section).expect("string");
        }
        if let Err(e) = ebpfkit_testsuite::compare(&path.with_extension("verify"), &text) {
            failures.push(e);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
