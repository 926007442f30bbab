//! `completions` and `man`: the command describes itself.

use crate::{Cli, End};
use anyhow::Result;
use clap::CommandFactory;

/// Arguments of `completions`.
#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// Shell to complete for
    shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(clap::Args)]
pub struct ManArgs {}

/// Prints completions.
pub fn completions(args: &CompletionsArgs) -> Result<End> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ebpfkit", &mut out);
    std::io::Write::write_all(&mut std::io::stdout(), &out)?;
    Ok(End::Good)
}

/// Prints the manual page in roff.
pub fn man(_: &ManArgs) -> Result<End> {
    let mut out = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut out)?;
    std::io::Write::write_all(&mut std::io::stdout(), &out)?;
    Ok(End::Good)
}
