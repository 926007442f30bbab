//! Packs types and configurations of kernels for the bundled profiles: `pack OUT FOLDER NAME...`, newest first. The
//! folder has `NAME.btf`, `NAME.MODULE.btf` for each module whose types are to be added and, where it is known,
//! `NAME.config`. `data/make` calls this.

use ebpfkit_abi::kfuncs;
use ebpfkit_object::Btf;
use ebpfkit_profiles::config;
use ebpfkit_profiles::types::{Pack, Packer, with_modules};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(out), Some(folder)) = (args.next().map(PathBuf::from), args.next().map(PathBuf::from)) else {
        return Err("usage: pack OUT FOLDER NAME...".into());
    };
    let names: Vec<String> = args.collect();
    let (mut packer, mut configs, mut sizes) = (Packer::new(), Vec::new(), Vec::new());
    for name in &names {
        let modules = modules_of(&folder, name)?.iter().map(fs::read).collect::<Result<Vec<_>, _>>()?;
        let is_offered = |function: &str| kfuncs::find(function).is_some();
        let btf = Btf::parse(with_modules(&fs::read(folder.join(format!("{name}.btf")))?, &modules, is_offered)?)?;
        packer.add(&btf)?;
        sizes.push(btf.len());
        configs.push(fs::read_to_string(folder.join(format!("{name}.config"))).unwrap_or_default());
    }
    let packed = packer.finish()?.bytes;
    let pack = Pack::open(&packed)?;
    for (number, name) in names.iter().enumerate() {
        let back = Btf::parse(pack.types(number as u32)?)?;
        println!("{name}: {} types, {} different ones", sizes[number], back.len());
    }
    let configs = config::pack(&configs.iter().map(String::as_str).collect::<Vec<_>>());
    println!("{} bytes of types, {} of configuration", packed.len(), configs.len());
    fs::write(out.join("types.pack"), packed)?;
    fs::write(out.join("config.pack"), configs)?;
    Ok(())
}

/// The files with types of a kernel's modules, in a fixed order.
fn modules_of(folder: &Path, kernel: &str) -> std::io::Result<Vec<PathBuf>> {
    let start = format!("{kernel}.");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let module = name.strip_prefix(&start).and_then(|n| n.strip_suffix(".btf"));
        if module.is_some_and(|m| !m.is_empty() && m.parse::<u32>().is_err()) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
