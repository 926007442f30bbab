//! Puts the pages of `docs/rejections` into the library.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    // A package has the folder itself; in the repository it is a symbolic link, which not every system checks out.
    let folder = [here.join("rejections"), here.join("../docs/rejections")].into_iter().find(|f| f.is_dir());
    let folder = folder.expect("docs/rejections has the pages");
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = std::fs::read_dir(&folder).expect("the folder can be read");
    let mut pages: Vec<(String, PathBuf)> = entries
        .filter_map(|e| {
            let path = e.expect("an entry").path();
            let code = path.file_name()?.to_str()?.strip_suffix(".md").filter(|n| n.starts_with("EBPF"))?.to_owned();
            Some((code, path))
        })
        .collect();
    pages.sort();
    let mut text = String::from("&[\n");
    for (code, path) in &pages {
        println!("cargo::rerun-if-changed={}", path.display());
        writeln!(text, "    ({code:?}, include_str!({path:?})),").expect("text");
    }
    text += "]\n";
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    std::fs::write(Path::new(&out).join("pages.rs"), text).expect("written");
}
