//! `conformance`: the plugin form of the public bpf_conformance suite.

use super::run::engine::{self, EngineKind};
use crate::end::{End, Failure};
use crate::files;
use crate::out::say;
use anyhow::{Context, Result, bail};
use ebpfkit_isa::{Endian, Insn};
use ebpfkit_object::{Object, Target};
use ebpfkit_vm::{Loader, Run, World, hex};
use std::ffi::OsString;
use std::path::Path;

/// Arguments of `conformance`.
#[derive(clap::Args)]
#[command(
    after_help = "A test runner gives the memory first and its own options after it, so the command may also be \
    written as: ebpfkit MEMORY conformance OPTIONS"
)]
pub struct Args {
    /// Memory as hexadecimal bytes; r1 points to it, r2 is its length; both are zero without it
    #[arg(default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    memory: String,
    /// Program as hexadecimal bytes [default: read from standard input]
    #[arg(long, value_name = "HEX")]
    program: Option<String>,
    /// The program's bytes are an ELF object, whose first program runs
    #[arg(long)]
    elf: bool,
    /// What runs the program
    #[arg(long, value_enum, default_value_t = EngineKind::Interp)]
    engine: EngineKind,
    /// Empty words that test runners pass on
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Puts the command before the memory, which a test runner gives first.
pub fn command_first(mut args: Vec<OsString>) -> Vec<OsString> {
    const COMMAND: &str = "conformance";
    let is_memory = |arg: &OsString| {
        arg.to_str().is_some_and(|text| text.chars().all(|c| c.is_ascii_hexdigit() || c.is_whitespace()))
    };
    // Some runners pass all options as one word.
    if args.len() >= 3
        && is_memory(&args[1])
        && let Some(rest) = args[2].to_str().and_then(|word| word.trim().strip_prefix(COMMAND))
        && !rest.starts_with(|c: char| !c.is_whitespace())
    {
        let rest: Vec<OsString> = rest.split_whitespace().map(OsString::from).collect();
        args.splice(2..3, rest);
        args.insert(1, COMMAND.into());
    }
    args
}

/// Runs the program with checks and prints r0 in hexadecimal.
pub fn run(args: &Args) -> Result<End> {
    if let Some(word) = args.rest.iter().find(|w| !w.trim().is_empty()) {
        bail!("unexpected argument `{word}`");
    }
    if args.engine == EngineKind::Kernel {
        bail!("the kernel takes no bare memory; choose --engine interp or jit");
    }
    let memory = hex::decode(&args.memory).context("memory")?;
    let text = match &args.program {
        Some(text) => text.clone(),
        None => files::read_text(Path::new("-"))?,
    };
    let bytes = hex::decode(&text).context("program")?;
    let insns = if args.elf || bytes.starts_with(b"\x7fELF") {
        let prepared = Object::open("program", &bytes)?.prepare(&Target::default())?;
        prepared.object.programs.into_iter().next().context("the object has no program")?.insns
    } else {
        Insn::read_all(&bytes, Endian::Little)
            .with_context(|| format!("program: {} bytes, expected a multiple of 8", bytes.len()))?
    };
    let program = Loader::new(&insns).load().map_err(Failure::unsupported)?;
    let mut run = Run::new(&program, World::default());
    // Without memory both words are zero, which some of the suite's programs begin to count from.
    if !memory.is_empty() {
        run.set_packet(&memory);
    }
    let engine = engine::make(args.engine, &run)?;
    let words = run.packet_args();
    let r0 = engine.run_with(&mut run, words).map_err(Failure::bad)?;
    say!("{r0:x}")?;
    Ok(End::Good)
}

#[cfg(test)]
mod tests {
    use super::command_first;

    #[test]
    fn memory_may_come_first() {
        let moved = |args: &[&str]| -> Vec<String> {
            let args = command_first(args.iter().map(Into::into).collect());
            args.into_iter().map(|a| a.into_string().expect("text")).collect()
        };
        assert_eq!(moved(&["e", "0a 0b ", "conformance", "--elf"]), ["e", "conformance", "0a 0b ", "--elf"]);
        assert_eq!(moved(&["e", "", "conformance"]), ["e", "conformance", ""]);
        assert_eq!(moved(&["e", "", "conformance --engine jit"]), ["e", "conformance", "", "--engine", "jit"]);
        assert_eq!(moved(&["e", "conformance", "0a"]), ["e", "conformance", "0a"]);
        assert_eq!(moved(&["e", "verify", "conformance"]), ["e", "verify", "conformance"]);
        assert_eq!(moved(&["e"]), ["e"]);
    }
}
