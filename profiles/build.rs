//! Collects the witnesses: each file `witnesses/FEATURE.s` becomes a row of a table.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn main() {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("witnesses");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("the folder of witnesses")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.strip_suffix(".s").map(str::to_owned))
        .collect();
    names.sort();
    let mut rows = String::from("&[\n");
    for name in names {
        let file = folder.join(format!("{name}.s"));
        let _ = writeln!(rows, "    (\"{name}\", include_str!({:?})),", file.display().to_string());
    }
    rows += "]\n";
    let to = Path::new(&env::var("OUT_DIR").expect("set by cargo")).join("witnesses.rs");
    fs::write(to, rows).expect("written");
}
