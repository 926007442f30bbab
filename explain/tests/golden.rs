//! Diagnoses and graphs as users read them: `diagnoses/*.s` beside `*.txt`, `graphs/*.s` beside `*.dot`.
//! `EBPFKIT_BLESS=1` writes the expected files anew.

use ebpfkit_explain::cfg::{Program, dot};
use ebpfkit_explain::judge::{Judged, Status};
use ebpfkit_object::{Object, Target};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, verify};
use std::path::{Path, PathBuf};

/// Goes through the inputs of a folder and holds what comes of each against the file beside it.
fn compare(folder: &str, extension: &str, describe: impl Fn(Object) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let files = std::fs::read_dir(&folder).expect("inputs").map(|e| e.expect("an input").path());
    let mut inputs: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "s")).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} has inputs", folder.display());
    let mut wrong = Vec::new();
    for path in inputs {
        let name = path.file_name().expect("a name").to_string_lossy();
        let text = std::fs::read_to_string(&path).expect("text");
        let object = ebpfkit_asm::assemble_object(&name, &text).unwrap_or_else(|e| panic!("{e}"));
        let found = describe(object);
        let beside = path.with_extension(extension);
        if std::env::var_os("EBPFKIT_BLESS").is_some() {
            std::fs::write(&beside, &found).expect("written");
        } else if std::fs::read_to_string(&beside).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", beside.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn diagnoses() {
    compare("diagnoses", "txt", |object| {
        let prepared = object.prepare(&Target::default()).expect("prepared");
        let (kernel, options) = (KernelModel::standard(), Options::default());
        let report = verify(&kernel, &prepared.object, 0, options, &mut Silent);
        let judged = Judged::of(&prepared, 0, report);
        assert_eq!(judged.status(), Status::Rejected, "{}: {:?}", prepared.object.name, judged.message());
        judged.diagnosis(&kernel, &prepared, 0, options).expect("a rejection has one") + "\n"
    });
}

#[test]
fn graphs() {
    compare("graphs", "dot", |object| {
        let program = |n: usize| Program {
            title: object.programs[n].name.clone(),
            insns: &object.programs[n].insns,
            functions: ebpfkit_asm::functions(&object, n).into_iter().map(|f| (f.name, f.lines)).collect(),
        };
        dot(&object.name, &(0..object.programs.len()).map(program).collect::<Vec<_>>())
    });
}
