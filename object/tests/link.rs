//! Linked objects beside those of `bpftool gen object`, where there is one.

use ebpfkit_object::{Btf, MapInit, Object, link::link};
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

/// A switch that clang 22 compiles to a jump table, each time under the same name. The targets count from the start of the
/// section, where the second one is moved.
#[test]
fn jump_tables() {
    let folder = std::env::temp_dir().join(format!("ebpfkit-jump-tables-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the objects");
    let compile = |number: usize| {
        let cases: String =
            (0..20).map(|i| format!("case {i}: return c[{}] * {} + {};", i % 7, i + 3, i * i)).collect();
        let source = format!(
            "__attribute__((section(\"syscall\"), used)) int p{number}(unsigned *c) {{ switch (c[1]) {{ {cases} default: return 9; }} }}"
        );
        let (input, output) = (folder.join(format!("{number}.c")), folder.join(format!("{number}.o")));
        std::fs::write(&input, source).ok()?;
        let args = ["-O2", "-g", "-mcpu=v4", "--target=bpfel", "-c", "-o"];
        let done = Command::new("clang-22").args(args).arg(&output).arg(&input).status().ok()?;
        std::fs::read(output).ok().filter(|_| done.success())
    };
    let objects = compile(1).zip(compile(2));
    let _ = std::fs::remove_dir_all(&folder);
    let Some((a, b)) = objects else {
        println!("skipped: no clang 22");
        return;
    };
    let linked = link(&[("a.o", &a), ("b.o", &b)]).unwrap_or_else(|e| panic!("{e}"));
    let object = Object::open("linked.o", &linked).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(object.programs.len(), 2);
    let table = |bytes: &[u8]| {
        let elf = goblin::elf::Elf::parse(bytes).expect("an object");
        let named = |h: &&goblin::elf::SectionHeader| elf.shdr_strtab.get_at(h.sh_name) == Some(".jumptables");
        let header = elf.section_headers.iter().find(named).expect("it has jump tables");
        let bytes = &bytes[header.file_range().expect("it has bytes")];
        bytes.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().unwrap_or_default())).collect::<Vec<_>>()
    };
    let (first, second, both) = (table(&a), table(&b), table(&linked));
    let code = object.programs[0].insns.len() as u64 * 8;
    let moved: Vec<u64> = first.iter().copied().chain(second.iter().map(|t| t + code)).collect();
    assert_eq!(both, moved);
    // Each program has a table of its own, which counts from its start.
    for (program, own) in object.programs.iter().zip([first, second]) {
        assert_eq!(program.refused, None);
        let named = |i: &&ebpfkit_isa::Insn| i.is_ld_imm64() && i.src == ebpfkit_isa::opcode::pseudo::MAP_VALUE;
        let maps = program.insns.iter().filter(named).filter_map(|i| object.maps.get(i.imm as usize));
        let table = maps.filter(|m| m.name == ".jumptables").map(|m| m.init.clone()).next();
        let targets = own.iter().map(|t| (t / 8) as u32).collect();
        assert_eq!(table, Some(MapInit::Jumps(targets)));
    }
}
