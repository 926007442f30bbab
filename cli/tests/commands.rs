//! Every command with what it prints.
//!
//! A test is a file: commands and their output in `tests/cmd/*.trycmd` (in `tests/cmd/kernel` where they need bpf(2)),
//! run in the repository's root; `[..]` stands for anything in a line. With a folder of the same name that ends in `.in`
//! they run in a copy of that, which must then be equal to the one that ends in `.out`.
//! `TRYCMD=overwrite cargo test -p ebpfkit --test commands` writes the output anew.

use ebpfkit_kernel::Kernel;
use std::io::Write;
use std::path::Path;

/// Commands of the debugger, and what a session of them prints; `EBPFKIT_BLESS=1` writes that anew.
#[test]
fn sessions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    for (commands, arguments) in [
        ("broken.debug", &["debug", "examples/xdp-firewall/broken.o"][..]),
        (
            "firewall.debug",
            &["debug", "--run", "examples/xdp-firewall/firewall.o", "--data-in", "cli/tests/inputs/packet.bin"],
        ),
    ] {
        let commands = root.join("cli/tests/debug").join(commands);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_ebpfkit"))
            .args(arguments)
            .current_dir(root)
            .stdin(std::fs::File::open(&commands).expect("commands"))
            .output()
            .expect("the command runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Addresses differ from run to run.
        let text = String::from_utf8_lossy(&output.stdout);
        let lines =
            text.lines().map(|l| l.split_once("0x").map_or(l.to_owned(), |(head, _)| format!("{head}[..]")) + "\n");
        let found: String = lines.collect();
        let beside = commands.with_extension("out");
        if std::env::var_os("EBPFKIT_BLESS").is_some() {
            std::fs::write(&beside, &found).expect("written");
        }
        assert_eq!(std::fs::read_to_string(&beside).unwrap_or_default(), found, "{}", beside.display());
    }
}

#[test]
fn commands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    std::env::set_current_dir(root).expect("its folder");
    for folder in ["cli/tests/cmd", "cli/tests/cmd/kernel"] {
        let files = std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path());
        for path in files.filter(|p| p.extension().is_some_and(|e| e == "trycmd")) {
            let text = std::fs::read_to_string(&path).expect("text");
            let has_block = ["```\n$ ", "```console\n$ "].iter().any(|start| text.contains(start));
            assert!(has_block, "{}: commands outside of a block are not run", path.display());
        }
    }
    let cases = trycmd::TestCases::new();
    cases.case("cli/tests/cmd/*.trycmd");
    match Kernel::open() {
        Ok(_) => {
            cases.case("cli/tests/cmd/kernel/*.trycmd");
        }
        // Not by a macro, whose text the test harness would keep to itself.
        Err(e) => drop(writeln!(std::io::stderr(), "skipped 1: commands that ask the running kernel: {e}")),
    }
}
