//! Texts beside what they assemble to. `EBPFKIT_BLESS=1` writes the expected files anew.

use ebpfkit_asm::{Style, Syntax, assemble_elf, assemble_insns, assemble_object, bytes, listing};
use ebpfkit_object::Object;
use std::path::{Path, PathBuf};

const BLESS: &str = "EBPFKIT_BLESS";

/// Compares each text of a folder with the file of this extension beside it.
fn each(folder: &str, extension: &str, make: impl Fn(&str, &str) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder);
    let mut texts: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder is part of the repository")
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "s"))
        .collect();
    texts.sort();
    assert!(!texts.is_empty());
    let mut failures = String::new();
    for path in texts {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let actual = make(&name, &std::fs::read_to_string(&path).expect("readable"));
        let beside = path.with_extension(extension);
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(&beside, actual).expect("writable");
            continue;
        }
        let expected = std::fs::read_to_string(&beside).unwrap_or_default();
        if expected != actual {
            failures +=
                &format!("{}: {BLESS}=1 accepts\n--- expected\n{expected}\n--- actual\n{actual}\n", beside.display());
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn instructions() {
    each("insns", "hex", |_, text| match assemble_insns(text, Syntax::Auto) {
        Ok(insns) => insns.chunks(1).map(|slot| bytes(slot) + "\n").collect(),
        Err(e) => panic!("{e}"),
    });
}

fn text_of(object: &Object, source: bool, syntax: Syntax) -> String {
    let all: Vec<usize> = (0..object.programs.len()).collect();
    listing(object, &all, Style { syntax, source, declarations: true, ..Style::default() })
}

#[test]
fn objects() {
    each("objects", "lst", |name, text| {
        let object = assemble_object(name, text).unwrap_or_else(|e| panic!("{e}"));
        for syntax in [Syntax::PseudoC, Syntax::Mnemonic] {
            let plain = text_of(&object, false, syntax);
            let again = assemble_object(name, &plain).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(text_of(&again, false, syntax), plain);
            for (a, b) in object.programs.iter().zip(&again.programs) {
                assert_eq!((&a.name, &a.section, &a.insns), (&b.name, &b.section, &b.insns));
            }
        }
        text_of(&object, true, Syntax::PseudoC)
    });
}

#[test]
fn errors() {
    each("errors", "err", |name, text| match assemble_elf(name, text, Syntax::Auto) {
        Ok(_) => panic!("{name} is assembled without an error"),
        Err(e) => format!("{e}\n"),
    });
}
