//! Packs types and configurations of kernels for the bundled profiles: `pack OUT FOLDER NAME...`, newest first. The
//! folder has `NAME.btf` and, where it is known, `NAME.config`. `data/make` calls this.

use ebpfkit_object::Btf;
use ebpfkit_profiles::config;
use ebpfkit_profiles::types::{Pack, Packer};
use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(out), Some(folder)) = (args.next().map(PathBuf::from), args.next().map(PathBuf::from)) else {
        return Err("usage: pack OUT FOLDER NAME...".into());
    };
    let names: Vec<String> = args.collect();
    let (mut packer, mut configs, mut sizes) = (Packer::new(), Vec::new(), Vec::new());
    for name in &names {
        let btf = Btf::parse(fs::read(folder.join(format!("{name}.btf")))?)?;
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
