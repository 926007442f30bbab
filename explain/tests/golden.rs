//! Diagnoses and graphs as users read them: `diagnoses/*.s` beside `*.txt`, `graphs/*.s` beside `*.dot`.
//! `EBPFKIT_BLESS=1` writes the expected files anew.

use ebpfkit_explain::Diagnosis;
use ebpfkit_explain::cfg::{Program, dot};
use ebpfkit_explain::explain::terminal;
use ebpfkit_explain::files::Sources;
use ebpfkit_explain::judge::{Asked, Judged, Status};
use ebpfkit_object::{Object, Target};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What differs from an expected file; with `EBPFKIT_BLESS` the file is written instead.
fn difference(expected: &Path, found: &str) -> Option<String> {
    if std::env::var_os("EBPFKIT_BLESS").is_some() {
        std::fs::write(expected, found).expect("written");
        return None;
    }
    let differs = std::fs::read_to_string(expected).unwrap_or_default() != found;
    differs.then(|| format!("{}:\n{found}", expected.display()))
}

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
        wrong.extend(difference(&path.with_extension(extension), &found));
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
        let asked = Asked { kernel: &kernel, prepared: &prepared, program: 0, options, sources: &Sources::none() };
        judged.diagnosis(&asked).expect("a rejection has one") + "\n"
    });
}

#[test]
fn graphs() {
    compare("graphs", "dot", |object| {
        let program = |n: usize| Program {
            title: object.programs[n].name.clone(),
            insns: &object.programs[n].insns,
            functions: ebpfkit_asm::functions(&object, n).into_iter().map(|f| (f.name, f.lines)).collect(),
            lines: BTreeMap::new(),
            executed: None,
        };
        dot(&object.name, &(0..object.programs.len()).map(program).collect::<Vec<_>>())
    });
}

/// Programs of `ui/*.c`, compiled by `ui/build.sh`, and of `ui/*.s`: all that is said of each rejected one stands beside
/// them. Kernel 6.18 is asked; sources are at hand.
#[test]
fn ui() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let profile = ebpfkit_profiles::Profile::all().into_iter().find(|p| p.name == "6.18").expect("a bundled kernel");
    let kernel = profile.model();
    let sources = Sources::new(|name| {
        let name = Path::new(name).file_name()?;
        std::fs::read_to_string(folder.join(name)).ok()
    });
    let (mut wrong, mut programs, mut general, mut rejected) = (Vec::new(), 0, Vec::new(), Vec::new());
    let mut inputs: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("inputs").map(|e| e.expect("an input").path()).collect();
    inputs.retain(|p| p.extension().is_some_and(|e| e == "o" || e == "s"));
    inputs.sort();
    for path in inputs {
        let name = path.file_name().expect("a name").to_string_lossy();
        let bytes = std::fs::read(&path).expect("an object");
        let object = if path.extension().is_some_and(|e| e == "s") {
            ebpfkit_asm::assemble_object(&name, &String::from_utf8_lossy(&bytes))
                .unwrap_or_else(|e| panic!("{name}: {e}"))
        } else {
            Object::open(&name, &bytes).unwrap_or_else(|e| panic!("{name}: {e}"))
        };
        let target = profile.target(object.needs());
        let prepared = object.prepare(&target).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut found = String::new();
        for index in 0..prepared.object.programs.len() {
            let options = Options::default();
            let report = verify(&kernel, &prepared.object, index, options, &mut Silent);
            let judged = Judged::of(&prepared, index, report);
            found += &format!("{} {}\n", judged.status(), prepared.object.programs[index].name);
            let asked = Asked { kernel: &kernel, prepared: &prepared, program: index, options, sources: &sources };
            let Some((diagnosis, repair)) = judged.mended(&asked, None) else { continue };
            programs += 1;
            let file = path.file_stem().expect("a name").to_string_lossy();
            rejected.push(format!("{file}.{}", prepared.object.programs[index].name));
            if !is_specific(&diagnosis) {
                general.push(diagnosis.headline.clone());
            }
            // What is said to be proved is taken.
            assert_eq!(diagnosis.suggestions.iter().any(|s| s.proved), repair.is_some(), "{name}");
            if let Some(repair) = repair {
                let mended = repair.apply(&prepared.object, index).expect("mended");
                let verdict = verify(&kernel, &mended, index, options, &mut Silent).verdict;
                assert!(matches!(verdict, Verdict::Accepted(_)), "{name}: {verdict:?}");
            }
            found += &terminal(&prepared.object, index, &diagnosis, false);
            found.push('\n');
        }
        wrong.extend(difference(&path.with_extension("txt"), &found));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(programs > 60, "{programs} rejected programs");
    // Almost all say what it is about in terms of the program.
    assert!(general.len() * 20 <= programs, "{general:#?}");
    classes(&std::fs::read_to_string(folder.join("classes.txt")).expect("a list of classes"), &rejected);
}

/// Every rejected program belongs to a class of the list, and every class has programs of at least three shapes.
fn classes(list: &str, rejected: &[String]) {
    let lines = list.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    let classes: Vec<(&str, Vec<&str>)> = lines
        .map(|l| l.split_once(": ").unwrap_or_else(|| panic!("{l} has no colon")))
        .map(|(name, programs)| (name, programs.split_whitespace().collect()))
        .collect();
    let mut counts = vec![0; classes.len()];
    for program in rejected {
        let file = program.split_once('.').map_or(program.as_str(), |(file, _)| file);
        // A program by its own name, or else with its file.
        let named = |name: &str| -> Vec<usize> {
            classes.iter().enumerate().filter(|(_, c)| c.1.contains(&name)).map(|(n, _)| n).collect()
        };
        let by_name = named(program);
        let found = if by_name.is_empty() { named(file) } else { by_name };
        let [class] = found.as_slice() else { panic!("{program} belongs to {} classes", found.len()) };
        counts[*class] += 1;
    }
    let few: Vec<&str> = classes.iter().zip(&counts).filter(|(_, n)| **n < 3).map(|(c, _)| c.0).collect();
    assert!(few.is_empty(), "classes with fewer than three programs: {few:?}");
    let known = |name: &&str| !rejected.iter().any(|p| p == *name || p.split('.').next() == Some(*name));
    let stale: Vec<&str> = classes.iter().flat_map(|c| c.1.iter().copied()).filter(known).collect();
    assert!(stale.is_empty(), "the list names what is not rejected: {stale:?}");
}

/// Whether a diagnosis names something of the program: a register, a size, a call, a map, a variable.
fn is_specific(diagnosis: &Diagnosis) -> bool {
    let labels: Vec<&str> = diagnosis.secondary.iter().map(|s| s.label.as_str()).collect();
    let says = format!("{} {} {}", diagnosis.headline, diagnosis.primary.label, labels.join(" "));
    let named = says.chars().any(|c| c.is_ascii_digit()) || says.contains("bpf_") || says.contains('\'');
    let words = |t: &str| t.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect::<Vec<_>>();
    let of_line = words(&diagnosis.primary.text);
    named || !labels.is_empty() || words(&says).iter().any(|w| !w.is_empty() && of_line.contains(w))
}
