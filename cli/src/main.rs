//! The `ebpfkit` command: arguments, exit codes and output; everything else is in the libraries.
#![deny(missing_docs)]

mod cmd;
mod host;
mod judge;
mod paint;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// How a command ended, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Accepted, or ran.
    Good = 0,
    /// Rejected, faulted, or differs from the kernel.
    Bad = 1,
    /// Wrong usage, or input that cannot be read.
    Usage = 2,
    /// The environment lacks something, or the program needs what is not supported.
    Unsupported = 3,
}

/// Assemble, verify, explain, run and compare eBPF programs.
#[derive(Parser)]
#[command(name = "ebpfkit", version, about, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 accepted or ran; 1 rejected, faulted or differs from the kernel; \
    2 wrong usage or unreadable input; 3 the environment lacks something or the program is unsupported.")]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = paint::When::Auto)]
    color: paint::When,
}

#[derive(Subcommand)]
enum Command {
    /// Say for each program whether the kernel would accept it, and why not
    Verify(cmd::verify::Args),
    /// Compare verdicts with those of the running kernel
    CheckKernel(cmd::check_kernel::Args),
    /// Run a program on packets or other input, and show what it leaves behind
    Run(Box<cmd::run::Args>),
    /// Run hexadecimal instructions and print r0: the plugin form of bpf_conformance
    Conformance(cmd::conformance::Args),
    /// Draw a program's control flow as DOT
    Cfg(cmd::cfg::Args),
    /// Assemble text to an object or to bare instructions
    Asm(cmd::asm::Args),
    /// Print programs as text that `asm` reads back
    Disasm(cmd::disasm::Args),
    /// Join several objects into one, as `bpftool gen object` does
    Link(cmd::link::Args),
    /// Print a shell's completions
    Completions(cmd::meta::CompletionsArgs),
    /// Print the manual page
    Man(cmd::meta::ManArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    paint::choose(cli.color);
    let result = match cli.command {
        Command::Verify(a) => cmd::verify::run(&a),
        Command::CheckKernel(a) => cmd::check_kernel::run(&a),
        Command::Run(a) => cmd::run::run(&a),
        Command::Conformance(a) => cmd::conformance::run(&a),
        Command::Cfg(a) => cmd::cfg::run(&a),
        Command::Asm(a) => cmd::asm::run(&a),
        Command::Disasm(a) => cmd::disasm::run(&a),
        Command::Link(a) => cmd::link::run(&a),
        Command::Completions(a) => cmd::meta::completions(&a),
        Command::Man(a) => cmd::meta::man(&a),
    };
    match result {
        Ok(end) => ExitCode::from(end as u8),
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            anstream::eprintln!("{} {e:#}", paint::error("error:"));
            ExitCode::from(End::Usage as u8)
        }
    }
}

/// A reader that went away, such as `head`, is no error.
fn is_broken_pipe(e: &anyhow::Error) -> bool {
    e.chain().filter_map(|c| c.downcast_ref::<std::io::Error>()).any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
