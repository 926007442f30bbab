//! The `ebpfkit` command: arguments, exit codes and output; everything else is in the libraries.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod cmd;
mod end;
mod files;
mod host;
mod judge;
mod out;
mod paint;

use clap::{Parser, Subcommand};
use end::{End, Failure};
use std::process::ExitCode;

/// Assemble, verify, explain, run and compare eBPF programs.
#[derive(Parser)]
#[command(name = "ebpfkit", version, about, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 accepted or ran; 1 rejected, faulted or differs from the kernel; \
    2 wrong usage, or a file that cannot be read or written; 3 the environment lacks something or the program is \
    unsupported.")]
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
    /// Explain the code of a rejection, or a kernel's own log
    Explain(cmd::explain::Args),
    /// Compare verdicts with those of the running kernel
    CheckKernel(cmd::check_kernel::Args),
    /// Modelled kernels: list them, show one, compare two, or record the running one
    Kernel(cmd::kernel::Args),
    /// Run a program on packets or other input, and show what it leaves behind
    Run(Box<cmd::run::Args>),
    /// Run programs on events and compare what they do with what is expected
    Test(cmd::test::Args),
    /// Look at a verification, or a run, step by step, forwards and backwards
    Debug(Box<cmd::debug::Args>),
    /// Run hexadecimal instructions and print r0: the plugin form of bpf_conformance
    Conformance(cmd::conformance::Args),
    /// Draw control flow as DOT
    Cfg(cmd::cfg::Args),
    /// Assemble text to an object or to bare instructions
    Asm(cmd::asm::Args),
    /// Print programs as text that `asm` reads back
    Disasm(cmd::disasm::Args),
    /// Join several objects into one, as `bpftool gen object` does
    Link(cmd::link::Args),
    /// Print a shell's completions
    Completions(cmd::meta::CompletionsArgs),
    /// Print manual pages, or write one for each command
    Man(cmd::meta::ManArgs),
}

impl Command {
    fn run(&self) -> anyhow::Result<End> {
        match self {
            Self::Verify(a) => cmd::verify::run(a),
            Self::Explain(a) => cmd::explain::run(a),
            Self::CheckKernel(a) => cmd::check_kernel::run(a),
            Self::Kernel(a) => cmd::kernel::run(a),
            Self::Run(a) => cmd::run::run(a),
            Self::Test(a) => cmd::test::run(a),
            Self::Debug(a) => cmd::debug::run(a),
            Self::Conformance(a) => cmd::conformance::run(a),
            Self::Cfg(a) => cmd::cfg::run(a),
            Self::Asm(a) => cmd::asm::run(a),
            Self::Disasm(a) => cmd::disasm::run(a),
            Self::Link(a) => cmd::link::run(a),
            Self::Completions(a) => cmd::meta::completions(a),
            Self::Man(a) => cmd::meta::man(a),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse_from(cmd::conformance::command_first(std::env::args_os().collect()));
    paint::choose(cli.color);
    let end = cli.command.run().and_then(|end| out::flush().map(|()| end));
    ExitCode::from(end.unwrap_or_else(|e| failed(&e)) as u8)
}

/// Reports the error that ended a command.
fn failed(error: &anyhow::Error) -> End {
    if is_broken_pipe(error) {
        return End::Unread;
    }
    out::error(error);
    Failure::end_of(error)
}

/// Whether the reader of the results went away, as `head` does: nothing to report.
fn is_broken_pipe(e: &anyhow::Error) -> bool {
    e.chain().filter_map(|c| c.downcast_ref::<std::io::Error>()).any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
