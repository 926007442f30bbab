//! `docs/architecture.md` is checked against the code: which crates a crate may use, and which modules stand above which.
//!
//! Only text is read: the dependencies in each `Cargo.toml` and the paths in each source file that begin with `crate` or
//! `super`. Code under `#[cfg(test)]` may use everything. Methods that a module adds to a type of a lower one are no
//! arrows: whoever has the type may call them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENT: &str = "docs/architecture.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What the table of crates in the document allows: folder and the folders it may use.
fn allowed_crates(document: &str) -> BTreeMap<String, BTreeSet<String>> {
    let rows = document.lines().filter(|l| l.starts_with("| `") && l.contains("| `ebpfkit"));
    let parsed: Vec<(String, String)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            (cells[0].trim_matches(['`', '/']).to_owned(), cells[cells.len() - 1].to_owned())
        })
        .collect();
    let folders: BTreeSet<String> = parsed.iter().map(|p| p.0.clone()).collect();
    parsed
        .into_iter()
        .map(|(folder, may)| {
            let set = match &*may {
                "nothing" => BTreeSet::new(),
                "all" => folders.iter().filter(|f| **f != folder).cloned().collect(),
                list => list.split(", ").map(str::to_owned).collect(),
            };
            (folder, set)
        })
        .collect()
}

/// Folders of the crates of this workspace that a crate depends on; those for tests do not count.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let from = manifest.split_once("[dependencies]").map_or("", |m| m.1);
    let section = from.split("\n[").next().unwrap_or("");
    let name = |line: &str| Some(line.strip_prefix("ebpfkit-")?.split(['.', ' ', '=']).next()?.to_owned());
    section.lines().filter_map(name).collect()
}

#[test]
fn crates_use_what_the_document_says() {
    let allowed = allowed_crates(&read(&root().join(DOCUMENT)));
    assert!(allowed.len() > 8, "{DOCUMENT}: the table of crates was not understood");
    for (folder, may) in &allowed {
        let used = dependencies(&read(&root().join(folder).join("Cargo.toml")));
        let more: Vec<_> = used.difference(may).collect();
        assert!(
            more.is_empty(),
            "{folder}/Cargo.toml uses {more:?}, which the table in {DOCUMENT} does not allow. Move what both need to a \
             crate below both, or change the table if the new arrow is meant."
        );
    }
}

/// The modules of a crate, top to bottom.
struct Layers {
    krate: String,
    /// By module: its line, and the circle in that line that it is part of.
    positions: BTreeMap<String, (usize, Option<usize>)>,
}

/// The blocks ` ```layers CRATE ` of the document. A module may use those of lower lines; those in `[]` also each other.
fn layers(document: &str) -> Vec<Layers> {
    let mut all = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some(krate) = line.strip_prefix("```layers ") else { continue };
        let (mut positions, mut circles) = (BTreeMap::new(), 0);
        for (n, line) in lines.by_ref().take_while(|l| *l != "```").enumerate() {
            let mut circle = None;
            for word in line.split_whitespace() {
                if word.starts_with('[') {
                    circles += 1;
                    circle = Some(circles);
                }
                let name = word.trim_matches(['[', ']']).to_owned();
                assert!(
                    positions.insert(name, (n, circle)).is_none(),
                    "{DOCUMENT}: {krate}: `{word}` stands there twice"
                );
                if word.ends_with(']') {
                    circle = None;
                }
            }
        }
        all.push(Layers { krate: krate.trim().to_owned(), positions });
    }
    all
}

/// The code without comments, texts and tests; lines stay where they are.
fn code_of(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let line = |l: &str| {
        let mut out = String::new();
        let (mut in_text, mut escaped) = (false, false);
        let mut chars = l.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '/' if !in_text && chars.peek() == Some(&'/') => break,
                '"' if !escaped => in_text = !in_text,
                _ if in_text => {}
                _ => out.push(c),
            }
            escaped = in_text && c == '\\' && !escaped;
        }
        out
    };
    text[..end].lines().map(|l| line(l) + "\n").collect()
}

/// The paths of a tree of imports: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(tree: &str, out: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((before, inside)) = tree.split_once('{') else {
        out.push(tree.split(" as ").next().unwrap_or("").trim().to_owned());
        return;
    };
    let inside = inside.strip_suffix('}').unwrap_or(inside);
    let (mut depth, mut start) = (0, 0);
    let mut parts = Vec::new();
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[start..]);
    for part in parts.iter().filter(|p| !p.trim().is_empty()) {
        expand(&format!("{}{}", before.trim(), part.trim()), out);
    }
}

/// The paths that begin with `crate` or `super`, with the line where they stand.
fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        let before = code[..start].chars().next_back().unwrap_or(' ');
        if before.is_alphanumeric() || before == '_' || before == ':' {
            continue;
        }
        let line = code[..start].lines().count().max(1);
        let statement = code[..start].rfind([';', '}', '{']).map_or(0, |i| i + 1);
        let head = code[statement..start].trim_start();
        let is_import = head.contains("use ") && head.trim_end().ends_with("use");
        let rest = &code[start..];
        let end = match is_import {
            true => rest.find(';').unwrap_or(rest.len()),
            false => rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len()),
        };
        let mut all = Vec::new();
        expand(&rest[..end], &mut all);
        found.extend(all.into_iter().map(|p| (line, p)));
    }
    found
}

/// Where the names that the crate's root hands on come from.
fn handed_on(lib: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for statement in code_of(lib).split(';') {
        let Some((_, tree)) = statement.split_once("pub use ").or_else(|| statement.split_once("pub(crate) use "))
        else {
            continue;
        };
        let mut all = Vec::new();
        expand(tree, &mut all);
        for path in all {
            let parts: Vec<&str> = path.split("::").filter(|p| *p != "crate" && *p != "self").collect();
            if let (Some(first), Some(last)) = (parts.first(), parts.last()) {
                names.insert((*last).to_owned(), (*first).to_owned());
            }
        }
    }
    names
}

/// The source files of a crate with the module of its root that each belongs to.
fn files(src: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut open = vec![src.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let inside = path.strip_prefix(src).expect("inside").with_extension("");
                let module = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
                found.push((module, path));
            }
        }
    }
    found.sort();
    found
}

/// Modules, by name, that are there for tests alone.
fn only_for_tests(text: &str) -> impl Iterator<Item = &str> {
    let after = text.split("#[cfg(test)]\n").skip(1);
    after.filter_map(|rest| rest.lines().next()?.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
}

/// Arrows between the modules of a crate: from, to, and where that is said.
fn arrows(krate: &str) -> (BTreeSet<String>, BTreeMap<(String, String), String>) {
    let src = root().join(krate).join("src");
    let lib = read(&src.join("lib.rs"));
    let (handed_on, files) = (handed_on(&lib), files(&src));
    let texts: Vec<(String, PathBuf, String)> =
        files.into_iter().map(|(module, path)| (module, path.clone(), read(&path))).collect();
    let tests: BTreeSet<PathBuf> = texts
        .iter()
        .flat_map(|(_, path, text)| {
            let folder = match path.file_stem().and_then(|s| s.to_str()) {
                Some("lib" | "mod" | "main") => path.parent().expect("a folder").to_owned(),
                _ => path.with_extension(""),
            };
            only_for_tests(text).map(move |m| folder.join(m).with_extension("rs")).collect::<Vec<_>>()
        })
        .collect();
    let used: Vec<_> = texts.iter().filter(|(m, p, _)| !matches!(&**m, "lib" | "main") && !tests.contains(p)).collect();
    let modules: BTreeSet<String> = used.iter().map(|(m, ..)| m.clone()).collect();
    let mut found = BTreeMap::new();
    for (module, path, text) in used {
        // How far below the root the file's own module is.
        let inside = path.strip_prefix(&src).expect("inside");
        let depth = inside.components().count() - usize::from(inside.ends_with("mod.rs"));
        for (line, name) in paths(&code_of(text)) {
            let parts: Vec<&str> = name.split("::").collect();
            let ups = parts.iter().take_while(|p| **p == "super").count();
            // `super` leads to the root from as far below as there are words of it.
            let first = match parts[0] {
                "crate" => parts.get(1),
                _ if ups >= depth => parts.get(ups),
                _ => continue,
            };
            let Some(first) = first else { continue };
            let to = if modules.contains(*first) { Some(*first) } else { handed_on.get(*first).map(|m| &**m) };
            let Some(to) = to.filter(|to| to != module && modules.contains(*to)) else { continue };
            let file = path.strip_prefix(root()).expect("inside").display();
            found.entry((module.clone(), to.to_owned())).or_insert_with(|| format!("{file}:{line}: {name}"));
        }
    }
    (modules, found)
}

/// Whether arrows lead from one module to another through modules of the same circle.
fn leads(arrows: &BTreeSet<(&str, &str)>, from: &str, to: &str) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(at) = open.pop() {
        for &(_, next) in arrows.iter().filter(|a| a.0 == at) {
            if next == to {
                return true;
            }
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    false
}

#[test]
fn modules_use_those_below_them() {
    let all = layers(&read(&root().join(DOCUMENT)));
    for krate in ["isa", "abi", "object", "asm", "verifier", "explain", "vm", "events", "jit", "kernel", "profiles"] {
        assert!(all.iter().any(|l| l.krate == krate), "{DOCUMENT}: no block \"```layers {krate}\"");
    }
    let mut wrong = Vec::new();
    for Layers { krate, positions } in &all {
        let (modules, arrows) = arrows(krate);
        for module in &modules {
            if !positions.contains_key(module) {
                wrong.push(format!(
                    "{krate}/src/{module}: a new module. Add it to \"```layers {krate}\" in {DOCUMENT}, above what it uses \
                     and below what uses it."
                ));
            }
        }
        for module in positions.keys().filter(|m| !modules.contains(*m)) {
            wrong.push(format!("{DOCUMENT}: {krate} has no module `{module}` any more; take it out of the layers"));
        }
        for ((from, to), said) in &arrows {
            let (Some((a, circle)), Some((b, other))) = (positions.get(from), positions.get(to)) else { continue };
            if b > a || a == b && circle.is_some() && circle == other {
                continue;
            }
            wrong.push(format!(
                "{said}\n    `{to}` does not stand below `{from}` in \"```layers {krate}\" in {DOCUMENT}. Move what both \
                 need to a module below both; or, where the arrow is meant and closes no circle, move the lines there."
            ));
        }
        // What is declared one thing has to be one: each of it leads to each other.
        let mut circles: BTreeMap<(usize, usize), Vec<&str>> = BTreeMap::new();
        for (module, (line, circle)) in positions {
            if let Some(circle) = circle {
                circles.entry((*line, *circle)).or_default().push(module);
            }
        }
        for members in circles.values() {
            let inside = |m: &str| members.contains(&m);
            let own: BTreeSet<(&str, &str)> =
                arrows.keys().map(|(a, b)| (&**a, &**b)).filter(|(a, b)| inside(a) && inside(b)).collect();
            for module in members {
                let first = members[0];
                if *module != first && !(leads(&own, first, module) && leads(&own, module, first)) {
                    wrong.push(format!(
                        "{DOCUMENT}: {krate}: `{module}` and `{first}` are no circle any more; give them lines of their own"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn imports_are_understood() {
    let code = code_of(
        "//! crate::nothing\nuse crate::a::{b, c::{self, D as E}};\npub(crate) use super::f;\nfn g() { crate::h::i(\"crate::j\") }\n\
         #[cfg(test)]\nmod tests {\n    use crate::k;\n}\n",
    );
    let found: BTreeSet<String> = paths(&code).into_iter().map(|(line, p)| format!("{line} {p}")).collect();
    let expected = ["2 crate::a::b", "2 crate::a::c::self", "2 crate::a::c::D", "3 super::f", "4 crate::h::i"];
    assert_eq!(found, expected.map(str::to_owned).into());
}
