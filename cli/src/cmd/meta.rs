//! `completions` and `man`: the command describes itself.

use crate::end::End;
use crate::{Cli, files, out};
use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `completions`.
#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// Shell to complete for
    shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(clap::Args)]
pub struct ManArgs {
    /// Page of this command [default: the page of ebpfkit itself]
    #[arg(value_name = "COMMAND", conflicts_with = "output_dir")]
    command: Option<String>,
    /// Write the pages of all commands into this folder (ebpfkit.1, ebpfkit-verify.1, ...)
    #[arg(short, long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
}

/// Prints completions.
pub fn completions(args: &CompletionsArgs) -> Result<End> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ebpfkit", &mut text);
    out::results().write_all(&text).context(out::STDOUT)?;
    Ok(End::Good)
}

/// Prints one manual page, or writes all, in roff.
pub fn man(args: &ManArgs) -> Result<End> {
    let pages = pages()?;
    if let Some(folder) = &args.output_dir {
        std::fs::create_dir_all(folder).with_context(|| files::name(folder))?;
        for (name, text) in &pages {
            files::write(&folder.join(format!("{name}.1")), text)?;
        }
        return Ok(End::Good);
    }
    let page = args.command.as_ref().map_or_else(|| "ebpfkit".to_owned(), |c| format!("ebpfkit-{c}"));
    let Some((_, text)) = pages.iter().find(|(name, _)| *name == page) else {
        let names: Vec<&str> = pages.iter().filter_map(|(name, _)| name.strip_prefix("ebpfkit-")).collect();
        anyhow::bail!("no command `{}`; there are {}", args.command.as_deref().unwrap_or_default(), names.join(", "));
    };
    out::results().write_all(text).context(out::STDOUT)?;
    Ok(End::Good)
}

/// What the pages belong to.
const SOURCE: &str = concat!("ebpfkit ", env!("CARGO_PKG_VERSION"));

/// A page for the whole and one for each command, by name.
fn pages() -> Result<Vec<(String, Vec<u8>)>> {
    // A clean command line: the pages do not depend on the terminal.
    let mut whole = Cli::command().disable_help_subcommand(true);
    whole.build();
    let page = |name: String, command: Command| {
        let mut text = Vec::new();
        clap_mangen::Man::new(command).source(SOURCE).manual("ebpfkit").render(&mut text)?;
        anyhow::Ok((name, text))
    };
    let commands: Vec<Command> = whole.get_subcommands().cloned().collect();
    let mut all = vec![page("ebpfkit".into(), whole)?];
    for command in commands {
        let name = format!("ebpfkit-{}", command.get_name());
        let call = format!("ebpfkit {}", command.get_name());
        let command = command.display_name(&name).bin_name(call).version(env!("CARGO_PKG_VERSION"));
        all.push(page(name, command)?);
    }
    Ok(all)
}
