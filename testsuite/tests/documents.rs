//! What documents say of files, tests and this crate's commands is true; `cli/tests/documents.rs` does the same for the
//! command of users.

use ebpfkit_abi::kernel::Bundled;
use ebpfkit_testsuite::{files, root};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every document: its path below the workspace, and its text.
fn documents() -> Vec<(PathBuf, String)> {
    let root = root();
    let mut all = vec![root.join("README.md"), root.join("fuzz/README.md"), root.join("docs/rejections/README.md")];
    all.extend(std::fs::read_dir(root.join("docs")).expect("docs").map_while(Result::ok).map(|e| e.path()));
    all.extend(files(&root.join("examples"), "md"));
    all.retain(|path| path.extension().is_some_and(|e| e == "md"));
    assert!(all.len() > 12, "{all:?}");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a document");
        (path.strip_prefix(&root).expect("below the workspace").to_owned(), text)
    };
    all.into_iter().map(read).collect()
}

/// The parts of a line between `from` and `to`.
fn between<'t>(text: &'t str, from: &'t str, to: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(from).skip(1).filter_map(move |rest| rest.split(to).next())
}

/// How a heading is named in links.
fn anchor(heading: &str) -> String {
    let word = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(|c| word(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_somewhere() {
    for (name, text) in documents() {
        for target in between(&text, "](", ")").filter(|t| !t.starts_with("http")) {
            let (file, part) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => root().join(&name),
                _ => root().join(&name).parent().expect("a folder").join(file),
            };
            assert!(path.exists(), "{}: {target}", name.display());
            if !part.is_empty() {
                let linked = std::fs::read_to_string(&path).expect("a document");
                let mut headings = linked.lines().filter(|l| l.starts_with('#'));
                assert!(
                    headings.any(|l| anchor(l.trim_start_matches('#')) == part),
                    "{}: no heading for {target}",
                    name.display()
                );
            }
        }
    }
}

/// Whether a part of a path stands for any name: `NAME.rs`, `Name.s`.
fn is_placeholder(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default();
    stem == "Name" || stem.len() > 2 && stem.chars().all(|c| c.is_ascii_uppercase())
}

#[test]
fn named_files_exist() {
    let mut seen = 0;
    for (name, text) in documents() {
        for line in text.lines() {
            for word in between(line, "`", "`") {
                let path = Path::new(word);
                let mut parts = word.split('/');
                let is_path = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
                let below = parts.next().is_some_and(|first| !first.is_empty() && root().join(first).is_dir());
                if !is_path || !below || parts.next().is_none() || word.starts_with("target/") {
                    continue;
                }
                let kept: PathBuf = path.iter().take_while(|p| !is_placeholder(&p.to_string_lossy())).collect();
                assert!(root().join(&kept).exists(), "{}: {word}", name.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "{seen} paths");
}

#[test]
fn named_tests_exist() {
    let root = root();
    let tests: Vec<PathBuf> = std::fs::read_dir(&root)
        .expect("the workspace")
        .map_while(Result::ok)
        .map(|e| e.path().join("tests"))
        .filter(|p| p.is_dir())
        .collect();
    for (name, text) in documents() {
        for test in between(&text, "--test ", "`").filter_map(|t| t.split_whitespace().next()) {
            let found = tests.iter().any(|t| t.join(format!("{test}.rs")).exists() || t.join(test).is_dir());
            assert!(found, "{}: --test {test}", name.display());
        }
    }
}

fn help(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ebpfkit-testsuite")).args(args).arg("--help").output();
    String::from_utf8(output.expect("the command starts").stdout).expect("text")
}

/// Commands of this crate are written `cargo run ... -p ebpfkit-testsuite ... -- NAME`, `ebpfkit-testsuite NAME` or, in the
/// rows of a table, `... NAME`.
#[test]
fn named_commands_and_options_exist() {
    let commands: Vec<String> =
        help(&[]).lines().filter_map(|l| l.strip_prefix("  ")?.split(' ').next().map(str::to_owned)).collect();
    let mut seen = 0;
    for (name, text) in documents() {
        for line in text.lines() {
            let told = match line.split_once("-p ebpfkit-testsuite") {
                Some((_, rest)) => between(rest, " -- ", "`").collect::<Vec<_>>(),
                None if line.starts_with("| `... ") => between(line, "`... ", "`").collect(),
                None => between(line, "`ebpfkit-testsuite ", "`").collect(),
            };
            for told in told {
                let mut words = told.split_whitespace();
                let command = words.next().expect("a command");
                assert!(commands.iter().any(|c| c == command), "{}: {told}", name.display());
                let page = help(&[command]);
                for option in words.filter(|w| w.starts_with("--")) {
                    assert!(page.contains(option), "{}: {told} has no {option}", name.display());
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 15, "{seen} commands");
}

/// `docs/kernels.md` has the kernels that are bundled, and says how far their answers are known.
#[test]
fn kernels_are_the_bundled_ones() {
    let text = std::fs::read_to_string(root().join("docs/kernels.md")).expect("the document");
    for kernel in Bundled::ALL {
        assert!(text.contains(&format!("| {} | {} |", kernel.name, kernel.judged.name())), "{}", kernel.name);
    }
}
