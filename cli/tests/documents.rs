//! What README and documents say of the command is true.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Options of other programs that documents name.
const FOREIGN: [&str; 10] = [
    "--release",
    "--workspace",
    "--plugin_path",
    "--plugin_options",
    "--fmt",
    "--all",
    "--shrink",
    "--locked",
    "--git",
    "--target",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ebpfkit")).args(args).current_dir(root()).output().expect("the command starts")
}

/// The documents of users: name and text.
fn documents() -> Vec<(PathBuf, String)> {
    let names = [
        "README.md",
        "docs/asm.md",
        "docs/ci.md",
        "docs/json.md",
        "docs/world.md",
        "docs/events.md",
        "docs/embedding.md",
        "docs/kernels.md",
        "docs/debugging.md",
    ];
    names.iter().map(|n| (n.into(), std::fs::read_to_string(root().join(n)).expect("a document"))).collect()
}

/// The manual pages of all commands, by the commands' names. `test` is whose they are, as tests run side by side.
fn manual(test: &str) -> Vec<(String, String)> {
    let folder = std::env::temp_dir().join(format!("ebpfkit-man-{test}-{}", std::process::id()));
    let name = folder.to_str().expect("a path in UTF-8");
    assert!(run(&["man", "-o", name]).status.success());
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("pages") {
        let path = entry.expect("a page").path();
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let mut text = std::fs::read_to_string(&path).expect("a page");
        // Hyphens are escaped in roff, and fonts change inside a word.
        for (escape, plain) in [("\\-", "-"), ("\\fB", " "), ("\\fI", " "), ("\\fR", " ")] {
            text = text.replace(escape, plain);
        }
        pages.push((stem.trim_start_matches("ebpfkit").trim_start_matches('-').to_owned(), text));
    }
    std::fs::remove_dir_all(&folder).expect("removed");
    pages
}

/// Blocks that begin with a command show what it prints.
#[test]
fn shown_output_is_printed() {
    let mut seen = 0;
    for (name, text) in documents() {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(command) = line.strip_prefix("    $ ebpfkit ") else { continue };
            let mut shown = String::new();
            while let Some(line) = lines.peek().filter(|l| l.starts_with("    ")) {
                shown += line.trim_start_matches("    ").trim_end();
                shown.push('\n');
                lines.next();
            }
            let output = run(&command.split_whitespace().collect::<Vec<_>>());
            let printed: String =
                String::from_utf8_lossy(&output.stdout).lines().map(|l| l.trim().to_owned() + "\n").collect();
            let shown: String = shown.lines().map(|l| l.trim().to_owned() + "\n").collect();
            assert_eq!(printed, shown, "{}: {command}", name.display());
            seen += 1;
        }
    }
    assert!(seen > 0, "README shows what a command prints");
}

/// Commands and options that documents name exist.
#[test]
fn named_commands_and_options_exist() {
    let pages = manual("named");
    let commands: BTreeSet<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    assert!(commands.len() > 8, "{commands:?}");
    let known = |option: &str| {
        pages.iter().any(|(_, text)| text.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| word == option))
    };
    for (name, text) in documents() {
        for at in text.match_indices("ebpfkit ").map(|(at, found)| at + found.len()) {
            // Elsewhere the name begins a sentence.
            if !text[..at].ends_with("`ebpfkit ") && !text[..at].ends_with("    ebpfkit ") {
                continue;
            }
            let word: String = text[at..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            assert!(word.is_empty() || commands.contains(word.as_str()), "{}: ebpfkit {word}", name.display());
        }
        for word in text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_') {
            let is_option = word.starts_with("--") && word[2..].starts_with(|c: char| c.is_ascii_lowercase());
            assert!(!is_option || FOREIGN.contains(&word) || known(word), "{}: {word}", name.display());
        }
    }
}

/// Every command has a page that names each of its options.
#[test]
fn manual_pages_have_every_option() {
    for (name, page) in manual("options").iter().filter(|(name, _)| !name.is_empty()) {
        let help = String::from_utf8(run(&[name, "--help"]).stdout).expect("text");
        let options = help.split_whitespace().filter(|w| w.starts_with("--")).map(|w| {
            let end = w[2..].find(|c: char| !c.is_ascii_lowercase() && c != '-').map_or(w.len(), |n| n + 2);
            &w[..end]
        });
        for option in options.filter(|o| o.len() > 2) {
            assert!(page.contains(option), "ebpfkit-{name}.1 lacks {option}");
        }
    }
}

/// The world that its document shows is one.
#[test]
fn the_example_of_a_world_is_read() {
    let text = std::fs::read_to_string(root().join("docs/world.md")).expect("the document");
    let json = text.split("```json").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let path = std::env::temp_dir().join(format!("ebpfkit-world-{}.json", std::process::id()));
    std::fs::write(&path, json).expect("written");
    let world = path.to_str().expect("a path in UTF-8");
    let inputs = "cli/tests/inputs";
    let (program, packet) = (format!("{inputs}/pass.s"), format!("{inputs}/packet.bin"));
    let output = run(&["run", &program, "--data-in", &packet, "--world", world]);
    std::fs::remove_file(&path).expect("removed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
