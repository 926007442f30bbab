//! `testsuite/verdicts/NAME.s` beside `NAME.log`: programs with their logs of all paths, as the running kernel gives
//! them. `verdicts --shrink` makes such programs from random ones that were judged otherwise than in the kernel.

use ebpfkit_kernel::{LogLevel, Session};
use ebpfkit_object::Prepared;
use ebpfkit_testsuite::{compare, logs, root, running, shrink};
use ebpfkit_verifier::log::KernelLog;
use ebpfkit_verifier::{KernelModel, Options, verify};
use std::path::PathBuf;

fn programs() -> Vec<(PathBuf, Prepared)> {
    let folder = root().join("testsuite/verdicts");
    let files = std::fs::read_dir(&folder).expect("the folder is there").filter_map(Result::ok).map(|e| e.path());
    let mut files: Vec<PathBuf> = files.filter(|f| f.extension().is_some_and(|e| e == "s")).collect();
    files.sort();
    assert!(!files.is_empty());
    let open = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).expect("the file can be read");
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let prepared = shrink::assemble(&name, &text).unwrap_or_else(|| panic!("{name} does not assemble"));
        (file, prepared)
    };
    files.into_iter().map(open).collect()
}

/// The logs of all programs of an object, one after another.
fn all(prepared: &Prepared, log: impl Fn(usize) -> String) -> String {
    let programs = prepared.object.programs.iter().enumerate();
    programs.map(|(n, p)| format!("== {}\n{}\n", p.name, logs::lines(&log(n)).join("\n"))).collect()
}

#[test]
fn logs_are_the_recorded_ones() {
    let model = KernelModel::standard();
    for (file, prepared) in programs() {
        let text = all(&prepared, |n| {
            let mut log = KernelLog { level: 2, ..KernelLog::default() };
            verify(&model, &prepared.object, n, Options::default(), &mut log);
            log.text
        });
        compare(&file.with_extension("log"), &text).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn recorded_logs_are_the_kernels() {
    let Some(kernel) = running::or_skip("recorded_logs_are_the_kernels") else { return };
    if running::version().code() >> 8 != KernelModel::standard().version.code() >> 8 {
        running::skipped(1, "recorded_logs_are_the_kernels: the running kernel is another version");
        return;
    }
    for (file, prepared) in programs() {
        let session = Session::new(kernel, &prepared).expect("maps are well formed");
        let text = all(&prepared, |n| session.load(n, LogLevel::ALL_PATHS).expect("instructions are well formed").log);
        compare(&file.with_extension("log"), &text).unwrap_or_else(|e| panic!("{e}"));
    }
}
