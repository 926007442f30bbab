//! `link`: several objects into one.

use crate::End;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Arguments of `link`.
#[derive(clap::Args)]
pub struct Args {
    /// Object files, in the order in which their sections are joined
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The object to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Links the files.
pub fn run(args: &Args) -> Result<End> {
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        Ok((path.display().to_string(), bytes))
    };
    let inputs = args.files.iter().map(read).collect::<Result<Vec<_>>>()?;
    let inputs: Vec<(&str, &[u8])> = inputs.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let linked = ebpfkit_object::link::link(&inputs)?;
    std::fs::write(&args.output, linked).with_context(|| args.output.display().to_string())?;
    Ok(End::Good)
}
