//! Puts the pages of `docs/rejections` into the library, compressed: they are a fifth of their size then.

use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::fmt::Write as _;
use std::io::Write as _;
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
    // Codes, and where the text of each ends; the texts are in a file of their own.
    let (mut rows, mut texts) = (String::from("&[\n"), String::new());
    for (code, path) in &pages {
        println!("cargo::rerun-if-changed={}", path.display());
        texts += &std::fs::read_to_string(path).expect("a page is text");
        writeln!(rows, "    ({code:?}, {}),", texts.len()).expect("text");
    }
    rows += "]\n";
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    packed.write_all(texts.as_bytes()).expect("memory");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    std::fs::write(Path::new(&out).join("pages.rs"), rows).expect("written");
    std::fs::write(Path::new(&out).join("pages.deflate"), packed.finish().expect("memory")).expect("written");
}
