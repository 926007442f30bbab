//! Logs of several kernels: `logs/VERSION/PROGRAM.log`, and what is read in them: `logs/expected.txt`. A program has one
//! line where all kernels are understood alike. `EBPFKIT_BLESS=1` writes the expected file anew.

use ebpfkit_explain::diagnosis::Diagnosis;
use ebpfkit_explain::foreign::{Said, read};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs")
}

/// Every log: program, kernel, text.
fn logs() -> Vec<(String, String, String)> {
    let mut logs = Vec::new();
    for kernel in std::fs::read_dir(folder()).expect("logs").map(|e| e.expect("a kernel").path()).filter(|p| p.is_dir())
    {
        let version = kernel.file_name().expect("a name").to_string_lossy().into_owned();
        for file in std::fs::read_dir(&kernel).expect("logs").map(|e| e.expect("a log").path()) {
            let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
            logs.push((name, version.clone(), std::fs::read_to_string(&file).expect("a log")));
        }
    }
    logs.sort();
    logs
}

/// What the only log in a text says.
fn only(text: &str) -> Said {
    let mut found = read(text);
    assert_eq!(found.len(), 1, "{text}");
    found.pop().expect("one").1
}

fn diagnosis(text: &str) -> Diagnosis {
    match only(text) {
        Said::Rejected(d) => *d,
        other => panic!("{other:?}\n{text}"),
    }
}

#[test]
fn kernels_are_understood_alike() {
    let mut causes: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for (name, version, text) in logs() {
        let said = match only(&text) {
            Said::Rejected(d) => format!("{} {}", d.code, d.headline),
            other => format!("{other:?}"),
        };
        causes.entry(name).or_default().entry(said).or_default().push(version);
    }
    let lines = causes.iter().flat_map(|(name, said)| {
        said.iter().map(move |(cause, kernels)| format!("{name} | {} | {cause}\n", kernels.join(" ")))
    });
    let text: String = lines.collect();
    let beside = folder().join("expected.txt");
    if std::env::var_os("EBPFKIT_BLESS").is_some() {
        std::fs::write(&beside, &text).expect("written");
    }
    assert_eq!(std::fs::read_to_string(&beside).unwrap_or_default(), text);
    let alike = causes.values().filter(|c| c.len() == 1 && c.values().all(|k| k.len() >= 6)).count();
    assert!(alike >= 60, "{alike} programs are understood alike");
}

/// Texts in which tools show a log.
fn wrapped(log: &str) -> Vec<(&'static str, String)> {
    let each = |f: &dyn Fn(usize, &str) -> String| -> String {
        log.lines().enumerate().map(|(i, l)| f(i, l) + "\n").collect()
    };
    let quoted = log.trim_end().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
    vec![
        (
            "libbpf",
            format!(
                "libbpf: prog 'p': BPF program load failed: Permission denied\nlibbpf: prog 'p': -- BEGIN PROG LOAD LOG --\n{log}-- END PROG LOAD LOG --\n\
             libbpf: prog 'p': failed to load: -13\nlibbpf: failed to load object 'p.o'\nError: failed to load object file\n"
            ),
        ),
        ("libbpf with a prefix", each(&|_, l| format!("2026-11-29T10:11:12.123Z WARN libbpf: {l}"))),
        ("cilium/ebpf", format!("load program: permission denied:\n{}", each(&|_, l| format!("\t{l}")))),
        (
            "cilium/ebpf in a structured log",
            format!(
                "time=\"2026-11-29T10:11:12Z\" level=fatal msg=\"loading: load program: permission denied: {quoted}\" id=7\n"
            ),
        ),
        (
            "aya",
            format!(
                "Error: the BPF_PROG_LOAD syscall returned Permission denied (os error 13). Verifier output: {log}\n\nCaused by:\n    Permission denied (os error 13)\n"
            ),
        ),
        (
            "bcc",
            format!(
                "bpf: Failed to load program: Permission denied\n{log}\nHINT: The invalid mem access error can happen if you try to dereference memory without first using bpf_probe_read_kernel() to copy it.\nTraceback (most recent call last):\n  File \"x.py\", line 3, in <module>\nException: Failed to load BPF program b'p': Permission denied\n"
            ),
        ),
        (
            "iproute2",
            format!(
                "\nProg section 'xdp' rejected: Permission denied (13)!\n - Type:         6\n - Attach Type:  0\n - Instructions: 9 (0 over limit)\n - License:      GPL\n\nVerifier analysis:\n\n{log}\nError fetching program/map!\nUnable to load program\n"
            ),
        ),
        ("dmesg", each(&|i, l| format!("[{:5}.{:06}] {l}", 12 + i / 7, i * 1371 % 999_999))),
        ("journal", each(&|i, l| format!("Nov 29 10:11:{:02} host agent[{}]: {l}", i % 60, 4711))),
        ("colours", each(&|_, l| format!("\x1b[33m{l}\x1b[0m"))),
        ("carriage returns", log.replace('\n', "\r\n")),
    ]
}

#[test]
fn logs_are_found_in_what_tools_print() {
    let mut wrong = Vec::new();
    for (name, version, text) in logs() {
        let plain = diagnosis_of(&text);
        for (tool, wrapped) in wrapped(&text) {
            let found: Vec<_> = read(&wrapped).into_iter().map(|(_, said)| cause(&said)).collect();
            if found != [plain.clone()] {
                wrong.push(format!("{name} of {version} from {tool}: {found:?}, plain {plain:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

fn cause(said: &Said) -> Option<(String, String)> {
    match said {
        Said::Rejected(d) => Some((d.code.clone(), d.headline.clone())),
        _ => None,
    }
}

fn diagnosis_of(text: &str) -> Option<(String, String)> {
    cause(&only(text))
}

#[test]
fn what_is_cut_off_is_not_made_up() {
    for (name, version, text) in logs() {
        let whole = diagnosis_of(&text);
        // Without its start, the end still tells what is wrong.
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len() / 2..].join("\n");
        if tail.contains(": (") {
            let code = read(&tail).pop().and_then(|(_, said)| cause(&said)).map(|c| c.0);
            assert_eq!(code, whole.clone().map(|c| c.0), "{name} of {version}: {tail}");
        }
        // Without its end, nothing but another cause must not be said.
        let complaint = lines.iter().rposition(|l| l.contains(": (") || l.starts_with(';')).unwrap_or(0);
        for end in (0..complaint).step_by(3) {
            for (_, said) in read(&lines[..end].join("\n")) {
                if let (Some(found), Some(whole)) = (cause(&said), &whole) {
                    assert_eq!(found.0, whole.0, "{name} of {version} up to line {end}");
                }
            }
        }
    }
}

#[test]
fn the_message_alone_is_enough_for_the_code() {
    let d = diagnosis("load program: permission denied: R1 !read_ok (12 line(s) omitted)");
    assert_eq!(d.code, "EBPF0101");
    let d = diagnosis("12: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'map_value_or_null'");
    assert_eq!((d.code.as_str(), d.primary.insn), ("EBPF0201", Some(12)));
    assert_eq!(only("0: (b7) r0 = 0\n1: (95) exit\nprocessed 2 insns (limit 1000000)"), Said::Accepted);
    assert_eq!(only("0: (b7) r0 = 0\n1: (95) exit\n"), Said::Cut);
    assert!(read("nothing of a verifier is here\n").is_empty());
}
