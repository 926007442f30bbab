//! The same source in other clothes: other names of variables, instructions that nothing needs, other levels of
//! optimisation. Code and cause stay the same. And edits of lines that are called proved, put into the source and compiled.
//!
//! Needs clang (`CLANG`) and libbpf's headers (`CFLAGS` may name their folder, as for `ui/build.sh`).

use crate::{Rejected, accepts, files, folder, profile, rejected, skipped};
use ebpfkit_explain::diagnosis::SourceEdit;
use ebpfkit_object::{Object, Prepared};
use ebpfkit_profiles::Profile;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A compiler and a folder to compile in, with the headers that the programs share.
struct Compiler {
    clang: String,
    folder: PathBuf,
}

impl Drop for Compiler {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Compiler {
    /// Ready to compile; none, with a word about it, where that is not possible.
    fn or_skip(test: &str) -> Option<Self> {
        let named = std::env::var("CLANG").ok();
        let names = named.into_iter().chain(["clang".into(), "clang-22".into()]);
        let works = |name: &String| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
        let Some(clang) = names.into_iter().find(works) else {
            skipped(1, &format!("{test}: no clang"));
            return None;
        };
        let folder = std::env::temp_dir().join(format!("ebpfkit-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        for header in files(&crate::folder("ui"), &["h"]) {
            std::fs::copy(&header, folder.join(header.file_name().expect("a name"))).expect("copied");
        }
        let this = Self { clang, folder };
        let probe = "#include \"common.h\"\nSEC(\"xdp\") int probe(void *ctx) { return 0; }\n";
        if this.compile("probe.c", probe, &[]).is_none() {
            skipped(1, &format!("{test}: clang finds no headers of libbpf (CFLAGS)"));
            return None;
        }
        Some(this)
    }

    /// The object of a source; none where it does not compile.
    fn compile(&self, name: &str, text: &str, flags: &[&str]) -> Option<Object> {
        let source = self.folder.join(name);
        let object = source.with_extension("o");
        std::fs::write(&source, text).expect("written");
        let own = text.lines().find_map(|l| l.strip_prefix("// flags: ")).unwrap_or_default();
        let others = std::env::var("CFLAGS").unwrap_or_default();
        let mut command = Command::new(&self.clang);
        command.args(["-O2", "-g", "--target=bpfel", "-mcpu=v3", "-Wno-everything", "-D__TARGET_ARCH_x86"]);
        // Where Debian and its like keep headers of the machine that the kernel's include.
        command.arg("-idirafter").arg(format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH));
        command.args(others.split_whitespace()).args(own.split_whitespace()).args(flags);
        command.arg("-c").arg(&source).arg("-o").arg(&object);
        let compiled = command.output().is_ok_and(|o| o.status.success());
        if !compiled {
            return None;
        }
        Object::open(name, &std::fs::read(&object).ok()?).ok()
    }
}

/// What is not a name that programmers choose.
const KEYWORDS: [&str; 12] =
    ["return", "goto", "case", "else", "sizeof", "struct", "union", "enum", "if", "while", "for", "void"];

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Names, signs and blanks of a text, which put together are the text.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => rest[1..].find('"').map_or(rest.len(), |e| e + 2),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |e| e + 2),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            c if c.is_ascii_alphanumeric() || c == '_' => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            '-' if rest.starts_with("->") => 2,
            c => c.len_utf8(),
        };
        out.push(&rest[..end]);
        rest = &rest[end..];
    }
    out
}

/// Gives other names to the variables and parameters of functions; what they were called, by the new names.
fn renamed(text: &str) -> (String, BTreeMap<String, String>) {
    let all = tokens(text);
    let words: Vec<&str> = all.iter().copied().filter(|t| !t.trim().is_empty()).collect();
    let (mut depth, mut parentheses) = (0, 0);
    let (mut names, mut others) = (BTreeSet::new(), BTreeSet::new());
    let mut in_struct = Vec::new();
    for (at, word) in words.iter().copied().enumerate() {
        match word {
            "{" => {
                depth += 1;
                let head = words[..at].iter().rev().take(2);
                in_struct.push(head.clone().any(|w| matches!(*w, "struct" | "union" | "enum")));
            }
            "}" => {
                depth -= 1;
                in_struct.pop();
            }
            "(" => parentheses += 1,
            ")" => parentheses -= 1,
            _ => {}
        }
        if !is_name(word) || KEYWORDS.contains(&word) {
            continue;
        }
        let before = words[..at].iter().rev().find(|w| **w != "*").copied().unwrap_or_default();
        let after = words.get(at + 1).copied().unwrap_or_default();
        let is_declared = is_name(before) && (!KEYWORDS.contains(&before) || before == "void");
        let ends = matches!(after, "=" | ";" | "," | "[" | ")");
        let of_struct = in_struct.last() == Some(&true);
        let member = at.checked_sub(1).is_some_and(|b| matches!(words[b], "->" | "."));
        if is_declared && ends && !of_struct && (depth > 0 || parentheses > 0) {
            names.insert(word);
        } else if of_struct || member || after == "(" || depth == 0 && parentheses == 0 {
            others.insert(word);
        }
    }
    let new: BTreeMap<&str, String> =
        names.difference(&others).enumerate().map(|(n, name)| (*name, format!("thing_{n}_of_mine"))).collect();
    let text = all.iter().map(|t| new.get(t).map_or(*t, String::as_str)).collect();
    (text, new.into_iter().map(|(old, new)| (new, old.to_owned())).collect())
}

/// Puts instructions that nothing needs at the start of each function; lines stay where they are.
fn padded(text: &str) -> String {
    let pad = "{ int padding__; asm volatile(\"%0 = 7; %0 += 1\" : \"=r\"(padding__));";
    let mut before = "";
    let mut out = Vec::new();
    for line in text.split('\n') {
        // Functions that are assembly alone have no statements.
        let begins = line == "{" && !before.contains("naked");
        out.push(if begins { pad } else { line });
        before = line;
    }
    out.join("\n")
}

/// What must stay: the code, and what is said to be wrong.
fn cause(case: &Rejected<'_>, old_names: &BTreeMap<String, String>) -> (String, String) {
    let words = tokens(&case.diagnosis.headline);
    let headline = words.iter().map(|w| old_names.get(*w).map_or(*w, String::as_str)).collect();
    (case.diagnosis.code.clone(), headline)
}

/// What was found of a program: nothing where it is not rejected.
fn causes(
    profile: &Arc<Profile>,
    object: Object,
    beside: &Path,
    old_names: &BTreeMap<String, String>,
) -> BTreeMap<String, Option<(String, String)>> {
    let kernel = profile.model();
    let target = profile.target(object.needs());
    let Ok(prepared) = object.prepare(&target) else { return BTreeMap::new() };
    let all = 0..prepared.object.programs.len();
    let of = |n: usize| rejected(&kernel, &prepared, n, beside).map(|case| cause(&case, old_names));
    all.map(|n| (prepared.object.programs[n].name.clone(), of(n))).collect()
}

#[test]
fn other_clothes_leave_code_and_cause() {
    let Some(compiler) = Compiler::or_skip("other_clothes") else { return };
    let profile = profile();
    let (mut same, mut other, mut wrong) = (0, 0, Vec::new());
    for path in files(&folder("ui"), &["c"]) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("text");
        let Some(object) = compiler.compile(&name, &text, &[]) else { continue };
        let none = BTreeMap::new();
        let usual = causes(&profile, object, &compiler.folder, &none);
        let (new, old_names) = renamed(&text);
        let padded = padded(&text);
        let variants: [(&str, &str, &[&str], _); 5] = [
            ("renamed", &new, &[], &old_names),
            ("padded", &padded, &[], &none),
            ("-O1", &text, &["-O1"], &none),
            ("-Os", &text, &["-Os"], &none),
            ("-O3", &text, &["-O3"], &none),
        ];
        for (what, text, flags, old_names) in variants {
            let Some(object) = compiler.compile(&name, text, flags) else {
                wrong.push(format!("{name} {what}: does not compile"));
                continue;
            };
            let found = causes(&profile, object, &compiler.folder, old_names);
            for (program, expected) in usual.iter().filter(|(_, c)| c.is_some()) {
                match found.get(program) {
                    Some(found) if found == expected => same += 1,
                    // Other code may be right, or wrong for another reason.
                    Some(found) if code(found) != code(expected) && what.starts_with('-') => other += 1,
                    found => wrong.push(format!("{name} {program} {what}:\n  {expected:?}\n  {found:?}")),
                }
            }
        }
    }
    println!("{same} variants have the same code and cause, {other} another code");
    assert!(wrong.len() * 50 <= same, "{same} same, {} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(other * 20 <= same, "{other} have another code, {same} the same");
}

fn code(cause: &Option<(String, String)>) -> Option<&str> {
    cause.as_ref().map(|c| c.0.as_str())
}

/// A source with lines replaced as edits say; none where it has other lines.
fn edited(text: &str, edits: &[SourceEdit]) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut edits: Vec<&SourceEdit> = edits.iter().collect();
    edits.sort_by_key(|e| std::cmp::Reverse(e.line));
    for edit in edits {
        let old: Vec<&str> = edit.old.lines().map(str::trim_end).collect();
        let range = (edit.line as usize).checked_sub(1)?..edit.line as usize - 1 + old.len();
        if lines.get(range.clone())?.iter().map(|l| l.trim_end()).ne(old) {
            return None;
        }
        lines.splice(range, edit.new.iter().cloned());
    }
    Some(lines.join("\n") + "\n")
}

#[test]
fn proved_edits_of_lines_are_accepted() {
    let Some(compiler) = Compiler::or_skip("proved_edits") else { return };
    let profile = profile();
    let kernel = profile.model();
    let prepare = |object: Object| -> Option<Prepared> {
        let target = profile.target(object.needs());
        object.prepare(&target).ok()
    };
    let (mut good, mut wrong) = (0, Vec::new());
    for path in files(&folder("ui"), &["c"]) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("text");
        let Some(prepared) = compiler.compile(&name, &text, &[]).and_then(&prepare) else { continue };
        for program in 0..prepared.object.programs.len() {
            // The source stands in the compiler's folder until it is compiled again.
            std::fs::write(compiler.folder.join(&name), &text).expect("written");
            let Some(case) = rejected(&kernel, &prepared, program, &compiler.folder) else { continue };
            let of = &prepared.object.programs[program].name;
            for s in case.diagnosis.suggestions.iter().filter(|s| s.proved && !s.source.is_empty()) {
                let what = format!("{name} {of}: {}\n{:#?}", s.text, s.source);
                let Some(new) = edited(&text, &s.source) else {
                    wrong.push(format!("{what}\n  the lines are others"));
                    continue;
                };
                let Some(new) = compiler.compile(&name, &new, &[]).and_then(&prepare) else {
                    wrong.push(format!("{what}\n  does not compile"));
                    continue;
                };
                let again = new.object.programs.iter().position(|p| p.name == *of);
                match again.map(|p| accepts(&kernel, &new.object, p)) {
                    Some(Ok(())) => good += 1,
                    other => wrong.push(format!("{what}\n  {other:?}")),
                }
            }
        }
    }
    println!("{good} edits of lines are accepted");
    assert!(wrong.is_empty(), "{good} good, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(good > 20, "{good} edits of lines");
}
