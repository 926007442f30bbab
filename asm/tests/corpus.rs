//! Real objects: our text against that of `llvm-objdump`, and back to the same bytes.
//!
//! The objects are those of the folders that `EBPFKIT_OBJECTS` names, the kernel's selftests for one, and of installed
//! packages.

use ebpfkit_asm::{Style, Syntax, assemble_insns, assemble_object, disassemble, instruction, listing};
use ebpfkit_isa::{Endian, Insn};
use object::{Object, ObjectSection, SectionFlags};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// Says that a test did not run; not by a macro, whose text the test harness would keep to itself.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped 1: {why}");
}

const OBJDUMP: &str = "llvm-objdump-22";
/// `SHF_EXECINSTR`
const EXECUTABLE: u64 = 4;

/// Every object at hand.
fn objects() -> Vec<PathBuf> {
    let named = std::env::var_os("EBPFKIT_OBJECTS").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&named).collect();
    for lib in std::fs::read_dir("/usr/lib").into_iter().flatten().flatten() {
        folders.push(lib.path().join("bpf"));
    }
    let files = folders.iter().flat_map(std::fs::read_dir).flatten().flatten().map(|e| e.path());
    let mut files: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "o")).collect();
    files.sort();
    files
}

/// Code sections by name, in the order of the file.
fn sections(bytes: &[u8]) -> Vec<(String, Vec<Insn>)> {
    let file = object::File::parse(bytes).expect("an object");
    let endian = if file.is_little_endian() { Endian::Little } else { Endian::Big };
    let code = file.sections().filter(|s| match s.flags() {
        SectionFlags::Elf { sh_flags, .. } => sh_flags.0 & EXECUTABLE != 0,
        _ => false,
    });
    let read = |s: object::Section<'_, '_>| {
        let insns = Insn::read_all(s.data().expect("contents"), endian).expect("whole slots");
        (s.name().expect("a name").to_owned(), insns)
    };
    code.map(read).filter(|s| !s.1.is_empty()).collect()
}

#[test]
fn bytes_survive_both_syntaxes() {
    let files = objects();
    let (mut count, mut slots) = (0, 0);
    for path in &files {
        for (name, insns) in sections(&std::fs::read(path).expect("readable")) {
            for syntax in [Syntax::PseudoC, Syntax::Mnemonic] {
                let (mut text, mut at) = (String::new(), 0);
                while at < insns.len() {
                    let (line, len) = instruction(&insns, at, syntax);
                    text += &line;
                    text.push('\n');
                    at += len;
                }
                let back = assemble_insns(&text, syntax);
                let back = back.unwrap_or_else(|e| panic!("{} {name}: {}", path.display(), e.list[0]));
                assert!(back == insns, "{} {name} differs", path.display());
            }
            count += 1;
            slots += insns.len();
        }
    }
    eprintln!("{} objects, {count} sections, {slots} slots in both syntaxes", files.len());
    if files.is_empty() {
        skipped("no objects at hand");
    }
}

/// Whole objects as text and back: every program has the same instructions again.
#[test]
fn objects_survive() {
    let (mut whole, mut programs, mut refused, mut differs) = (0, 0, Vec::new(), Vec::new());
    for path in objects() {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).expect("readable");
        let Ok(object) = ebpfkit_object::Object::open(&name, &bytes) else { continue };
        let all: Vec<usize> = (0..object.programs.len()).collect();
        let text = listing(&object, &all, Style { declarations: true, ..Style::default() });
        let back = match assemble_object(&name, &text) {
            Ok(back) => back,
            Err(e) => {
                refused.push(format!("{name}: {}", e.list[0]));
                continue;
            }
        };
        whole += 1;
        for p in &object.programs {
            programs += 1;
            match back.programs.iter().find(|b| (&b.name, &b.section) == (&p.name, &p.section)) {
                Some(b) if b.insns == p.insns => {}
                _ => differs.push(format!("{name}: {}", p.name)),
            }
        }
    }
    eprintln!("{whole} objects came back, {} did not; {} of {programs} programs differ", refused.len(), differs.len());
    refused.append(&mut differs);
    assert!(refused.is_empty(), "{}", refused.iter().take(20).cloned().collect::<Vec<_>>().join("\n"));
}

/// The instructions of an objdump listing, spaces made one, without the symbols behind jumps.
fn parse(listing: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in listing.lines() {
        let Some((index, rest)) = line.split_once(":\t") else { continue };
        if index.trim().parse::<u64>().is_err() {
            continue;
        }
        let Some((_, text)) = rest.split_once('\t') else { continue };
        let text = text.rsplit_once(" <").filter(|r| r.1.ends_with('>')).map_or(text, |r| r.0);
        lines.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    lines
}

#[test]
fn text_is_objdumps() {
    if Command::new(OBJDUMP).arg("--version").output().is_err() {
        skipped(&format!("{OBJDUMP} is not installed"));
        return;
    }
    let (mut same, mut different, mut undecoded) = (0, Vec::new(), 0);
    let files = objects();
    let listing = Command::new(OBJDUMP).arg("-d").args(&files).output().expect("runs");
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    let listings: Vec<&str> = listing.split("\tfile format ").skip(1).collect();
    assert_eq!(listings.len(), files.len());
    for (path, listing) in files.into_iter().zip(listings) {
        let theirs = parse(listing);
        let mut ours = Vec::new();
        for (_, insns) in sections(&std::fs::read(&path).expect("readable")) {
            ours.extend(disassemble(&insns).into_iter().map(|(_, line)| line));
        }
        assert_eq!(ours.len(), theirs.len(), "{}: number of instructions", path.display());
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            match ours {
                Ok(ours) if ours == theirs => same += 1,
                Ok(ours) => different.push(format!("{}: `{ours}` is `{theirs}`", path.display())),
                Err(_) if theirs == "<unknown>" => same += 1,
                // What the kernel refuses to decode, objdump may still name.
                Err(_) => undecoded += 1,
            }
        }
    }
    eprintln!("{same} instructions as {OBJDUMP} writes them, {} not, {undecoded} that are none", different.len());
    assert!(different.is_empty(), "{}", different.iter().take(20).cloned().collect::<Vec<_>>().join("\n"));
}
