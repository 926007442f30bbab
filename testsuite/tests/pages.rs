//! The pages of `docs/rejections`: every code has one, it lists what the kernel says, and its programs are rejected with
//! this code, or accepted, here and by the running kernel. `EBPFKIT_BLESS=1` writes the lists anew.

use ebpfkit_abi::KernelVersion;
use ebpfkit_explain::pages::{Example, examples};
use ebpfkit_kernel::{Answer, Session, machine};
use ebpfkit_object::{Object, Prepared};
use ebpfkit_testsuite::running;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::reason::{Message, Wording, messages, recognise};
use ebpfkit_verifier::{KernelModel, Options, Owners, Verdict, verify};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rejections")
}

fn codes() -> BTreeSet<&'static str> {
    messages().map(|m| m.code).collect()
}

fn page(code: &str) -> String {
    let path = folder().join(code).with_extension("md");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{code} has no page ({}): {e}", path.display()))
}

#[test]
fn every_code_has_a_page() {
    let on_disk: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("pages")
        .filter_map(|e| e.expect("a page").file_name().to_str()?.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect();
    let codes: BTreeSet<String> = codes().into_iter().map(str::to_owned).collect();
    let without: Vec<_> = codes.difference(&on_disk).collect();
    assert!(without.is_empty(), "codes without a page: write docs/rejections/CODE.md for {without:?}");
    let without: Vec<_> = on_disk.difference(&codes).collect();
    assert!(without.is_empty(), "pages of docs/rejections whose codes no rejection has: {without:?}");
    for code in &codes {
        let text = page(code);
        assert!(text.starts_with(&format!("# {code}: ")), "{code}: the title");
        let programs = examples(&text);
        let shows = |rejected| programs.iter().any(|e| e.is_rejected == rejected);
        let says_why_not = text.contains("\n**No program**: ");
        assert!(says_why_not || (shows(true) && shows(false)), "{code}: no rejected and accepted program");
        let long = text.lines().find(|l| l.chars().count() > 120 && !l.starts_with("- `"));
        assert_eq!(long, None, "{code}: lines of at most 120 columns");
    }
}

/// Heading of the list of messages.
const SAYS: &str = "## What the kernel says\n";

/// A template as people read it.
fn plain(template: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        out += &rest[..at];
        if rest[at + 1..].starts_with(&rest[at..=at]) {
            out += &rest[at..=at];
            rest = &rest[at + 2..];
            continue;
        }
        let end = rest[at..].find('}').expect("templates are well-formed");
        let name = rest[at + 1..at + end].split(':').next().unwrap_or_default();
        out += &format!("<{name}>");
        rest = &rest[at + end + 1..];
    }
    out + rest
}

/// The list of what the kernel says, with the lines that it prints before the last one.
fn list(messages: &[Message]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for m in messages.iter().filter(|m| !m.template.is_empty()) {
        let until = match m.by {
            Wording::Usual => String::new(),
            Wording::With(feature) => format!(" (since Linux {})", feature.since().series()),
            Wording::Without(feature) => format!(" (before Linux {})", feature.since().series()),
            Wording::Others(which) => format!(" ({which})"),
        };
        // What stands before is the line with the numbers.
        let text = plain(m.template).replace("<detail>", "");
        let line = format!("- `{}`{until}", text.trim().replace('\n', "` `"));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if lines.is_empty() { "Nothing.\n".to_owned() } else { lines.join("\n") + "\n" }
}

/// A page with the list in its place: before the second heading.
fn with_list(text: &str, list: &str) -> String {
    let said = format!("{SAYS}\n{list}");
    match text.find(SAYS) {
        Some(at) => {
            let end =
                text[at + SAYS.len()..].find("\n## ").or_else(|| text[at + SAYS.len()..].find("\n**No program**"));
            let end = end.map_or(text.len(), |e| at + SAYS.len() + e);
            format!("{}{said}{}", &text[..at], &text[end..])
        }
        None => {
            let at = text.find("\n## ").or_else(|| text.find("\n**No program**")).unwrap_or(text.len());
            format!("{}\n{said}{}", &text[..at], &text[at..])
        }
    }
}

#[test]
fn pages_list_what_the_kernel_says() {
    let mut by_code: BTreeMap<&str, Vec<Message>> = BTreeMap::new();
    for message in messages() {
        by_code.entry(message.code).or_default().push(message);
    }
    let mut contents = String::from(
        "# Rejections by code\n\n`ebpfkit explain EBPF0201` shows a page in the terminal. The programs on the pages are tested: they get this\n\
         code, or are accepted. The C programs go without their first lines, the includes of `<linux/bpf.h>`,\n\
         `<linux/if_ether.h>`, `<linux/ip.h>` and `<bpf/bpf_helpers.h>`.\n\n| code | |\n|---|---|\n",
    );
    let mut wrong = Vec::new();
    let mut hold = |path: PathBuf, text: String| {
        if std::fs::read_to_string(&path).unwrap_or_default() == text {
        } else if std::env::var_os("EBPFKIT_BLESS").is_some() {
            std::fs::write(&path, text).expect("written");
        } else {
            wrong.push(path);
        }
    };
    for (code, messages) in by_code {
        let text = page(code);
        let title = text.lines().next().and_then(|l| l.split_once(": ")).map(|(_, t)| t).unwrap_or_default();
        contents += &format!("| [{code}]({code}.md) | {title} |\n");
        hold(folder().join(code).with_extension("md"), with_list(&text, &list(&messages)));
    }
    hold(folder().join("README.md"), contents);
    assert!(wrong.is_empty(), "not what the rejections say; EBPFKIT_BLESS=1 writes them anew: {wrong:#?}");
}

/// A program of a page and where it stands.
struct Case {
    name: String,
    code: &'static str,
    example: Example<'static>,
}

fn cases(language: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for code in codes() {
        let text: &'static str = page(code).leak();
        for (i, example) in examples(text).into_iter().enumerate() {
            if example.language == language {
                let what = if example.is_rejected { "rejected" } else { "accepted" };
                cases.push(Case { name: format!("{code}-{}-{what}", i + 1), code, example });
            }
        }
    }
    cases
}

/// What speaks against a case, if anything does; whether the kernel was asked.
fn judge(case: &Case, object: Object) -> (Option<String>, bool) {
    let prepared = match running::prepare(object) {
        Ok(prepared) => prepared,
        Err(e) => return (Some(format!("{}: {e}", case.name)), false),
    };
    let selected = case.example.option("program");
    let index = selected.and_then(|w| prepared.object.programs.iter().position(|p| p.name == w)).unwrap_or(0);
    let options = match case.example.option("user") {
        Some("none" | "bpf") => Options { privileged: false, ..Options::default() },
        _ => Options::default(),
    };
    let model = KernelModel::new(KernelVersion::DEFAULT, Arc::new(machine::btf));
    let mut owners = Owners::default();
    let mut verdict = None;
    for program in 0..=index {
        let mut report = verify(&model, &prepared.object, program, options, &mut Silent);
        owners.admit(&prepared.object, &mut report);
        verdict = Some(report.verdict);
    }
    let unloadable = prepared.unloadable.get(index).and_then(Clone::clone);
    let found = match verdict {
        _ if unloadable.is_some() => unloadable.unwrap_or_default(),
        Some(Verdict::Accepted(_)) => "accepted".to_owned(),
        Some(Verdict::Rejected(r)) => format!("{} {}", r.reason.code(), r.reason),
        Some(Verdict::Unsupported { what, .. }) => what.to_string(),
        None => "no program".to_owned(),
    };
    let fits = if case.example.is_rejected { found.starts_with(case.code) } else { found == "accepted" };
    if !fits {
        return (Some(format!("{}: {found}", case.name)), false);
    }
    // A kernel of another version may have other rules, and other users and owners need another process.
    let same = running::version().same_series(KernelVersion::DEFAULT);
    if case.example.option("user").is_some() || selected.is_some() || !same {
        return (None, false);
    }
    match by_kernel(&prepared, index) {
        Answer::Accepted if case.example.is_rejected => (Some(format!("{}: the kernel takes it", case.name)), true),
        Answer::Rejected(message) if recognise(&message).map(|r| r.code) != Some(case.code) => {
            (Some(format!("{}: the kernel says {message}", case.name)), true)
        }
        Answer::Accepted | Answer::Rejected(_) => (None, true),
        _ => (None, false),
    }
}

/// What the running kernel says of a program.
fn by_kernel(prepared: &Prepared, index: usize) -> Answer {
    let session = ebpfkit_kernel::Kernel::open().and_then(|kernel| Session::new(kernel, prepared));
    session.map_or_else(|e| Answer::Unloadable(e.to_string()), |s| s.judge(index).answer)
}

fn check(cases: &[Case], open: impl Fn(&Case) -> Result<Object, String>) {
    let mut wrong = Vec::new();
    let mut unasked = 0;
    for case in cases {
        match open(case) {
            Err(e) => wrong.push(format!("{}: {e}", case.name)),
            Ok(object) => {
                let (against, asked) = judge(case, object);
                wrong.extend(against);
                unasked += usize::from(!asked);
            }
        }
    }
    if unasked > 0 {
        running::skipped(unasked, "programs of pages that the running kernel does not judge");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn assembly_of_pages() {
    if machine::btf().is_none() {
        running::skipped(1, "assembly_of_pages: no types of the running kernel");
        return;
    }
    check(&cases("asm"), |case| ebpfkit_asm::assemble_object(&case.name, case.example.text).map_err(|e| e.to_string()));
}

#[test]
fn c_of_pages() {
    let clang = ["clang", "clang-22", "clang-21", "clang-20"];
    let clang = clang.into_iter().find(|c| Command::new(c).arg("--version").output().is_ok_and(|o| o.status.success()));
    let (Some(clang), Some(_)) = (clang, machine::btf()) else {
        running::skipped(1, "c_of_pages: no clang, or no types of the running kernel");
        return;
    };
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&out).expect("a folder");
    let prelude = Path::new(env!("CARGO_MANIFEST_DIR")).join("pages/prelude.h");
    check(&cases("c"), |case| {
        let (source, object) = (out.join(&case.name).with_extension("c"), out.join(&case.name).with_extension("o"));
        std::fs::write(&source, case.example.text).map_err(|e| e.to_string())?;
        let mut command = Command::new(clang);
        command.args(["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wno-everything", "-idirafter"]);
        command.arg(format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH));
        command.arg("-include").arg(&prelude).arg("-c").arg(&source).arg("-o").arg(&object);
        let run = command.output().map_err(|e| e.to_string())?;
        if !run.status.success() {
            return Err(String::from_utf8_lossy(&run.stderr).into_owned());
        }
        running::open(&object).map_err(|e| e.to_string())?.map_err(|e| e.to_string())
    });
}
