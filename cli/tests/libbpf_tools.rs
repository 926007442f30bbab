//! The tools of Debian's `libbpf-tools` package, on the events in `testsuite/libbpf-tools`: what they would collect.
//!
//! The programs are taken out of the installed tools, which carry them as ELF files inside. `EBPFKIT_LIBBPF_TOOLS` names
//! another folder than `/usr/sbin`; where there are no tools the test says so.

use std::io::Write;
use std::path::Path;
use std::process::Command;

/// `EM_BPF`
const EM_BPF: u16 = 247;

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let mut word = [0; 8];
    word[..N].copy_from_slice(bytes.get(at..at + N)?);
    Some(u64::from_le_bytes(word))
}

/// The first eBPF object inside a file.
fn object(bytes: &[u8]) -> Option<&[u8]> {
    let starts = bytes.windows(7).enumerate().filter(|(_, w)| *w == b"\x7fELF\x02\x01\x01");
    starts.map(|(at, _)| &bytes[at..]).find_map(|file| {
        let sections = number::<8>(file, 40)? as usize;
        let size = number::<2>(file, 58)? as usize * number::<2>(file, 60)? as usize;
        (number::<2>(file, 18)? == u64::from(EM_BPF)).then(|| file.get(..sections.checked_add(size)?)).flatten()
    })
}

#[test]
fn collect_what_they_would() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let tools = std::env::var("EBPFKIT_LIBBPF_TOOLS").unwrap_or_else(|_| "/usr/sbin".into());
    let folder = tempfile::tempdir().expect("a folder");
    let (mut found, mut missing) = (0, 0);
    let of = root.join("testsuite/libbpf-tools");
    for entry in std::fs::read_dir(&of).expect("events") {
        let path = entry.expect("a file").path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let tool = std::fs::read(Path::new(&tools).join(&name)).ok();
        let Some(program) = tool.as_deref().and_then(object) else {
            missing += 1;
            continue;
        };
        found += 1;
        std::fs::write(folder.path().join(format!("{name}.o")), program).expect("written");
        for extension in ["yaml", "expected"] {
            let file = format!("{name}.{extension}");
            // What is expected may be missing when it is to be written.
            let _ = std::fs::copy(of.join(&file), folder.path().join(&file));
        }
    }
    if missing > 0 {
        // Not by a macro, whose text the test harness would keep to itself.
        let line = format!("skipped {missing}: tools of the package libbpf-tools that are not in {tools}\n");
        drop(std::io::stderr().write_all(line.as_bytes()));
    }
    if found == 0 {
        return;
    }
    let bless = std::env::var_os("EBPFKIT_BLESS").is_some();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebpfkit"));
    command.arg("test").arg(".").current_dir(folder.path()).args(bless.then_some("--bless"));
    let output = command.output().expect("the command starts");
    if bless {
        for entry in std::fs::read_dir(folder.path()).expect("results") {
            let path = entry.expect("a file").path();
            if path.extension().is_some_and(|e| e == "expected") {
                std::fs::copy(&path, of.join(path.file_name().expect("a name"))).expect("copied");
            }
        }
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
