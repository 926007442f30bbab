//! `link`: several objects into one.

use crate::end::End;
use crate::files;
use anyhow::Result;
use std::path::PathBuf;

/// Arguments of `link`.
#[derive(clap::Args)]
pub struct Args {
    /// Object files, in the order in which their sections are joined; `-` reads standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The object to write; `-` writes standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Links the files.
pub fn run(args: &Args) -> Result<End> {
    files::check(&args.files.iter().map(|f| Some(f.as_path())).collect::<Vec<_>>(), &[Some(&args.output)])?;
    let read = |path: &PathBuf| Ok((files::name(path), files::read(path)?));
    let inputs = args.files.iter().map(read).collect::<Result<Vec<_>>>()?;
    let inputs: Vec<(&str, &[u8])> = inputs.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    files::write(&args.output, &ebpfkit_object::link::link(&inputs)?)?;
    Ok(End::Good)
}
