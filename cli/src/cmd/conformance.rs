//! `conformance`: the plugin form of the public bpf_conformance suite.

use crate::{End, paint};
use anyhow::{Context, Result, bail};
use ebpfkit_isa::{Endian, Insn};
use ebpfkit_object::{Object, Target};
use ebpfkit_vm::{Loader, Run, World, interp};
use std::io::Read;

/// Arguments of `conformance`.
#[derive(clap::Args)]
pub struct Args {
    /// Memory as hexadecimal bytes; r1 points to it, r2 is its length
    #[arg(default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    memory: String,
    /// Program as hexadecimal bytes [default: read from standard input]
    #[arg(long, value_name = "HEX")]
    program: Option<String>,
    /// The program's bytes are an ELF object, whose first program runs
    #[arg(long)]
    elf: bool,
    /// Empty words that test runners pass on
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Runs the program with checks and prints r0 in hexadecimal.
pub fn run(args: &Args) -> Result<End> {
    if let Some(word) = args.rest.iter().find(|w| !w.trim().is_empty()) {
        bail!("unexpected argument `{word}`");
    }
    let memory = hex(&args.memory).context("memory")?;
    let text = match &args.program {
        Some(text) => text.clone(),
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("standard input")?;
            text
        }
    };
    let bytes = hex(&text).context("program")?;
    let insns = if args.elf || bytes.starts_with(b"\x7fELF") {
        let prepared = Object::open("program", &bytes)?.prepare(&Target::default())?;
        prepared.object.programs.into_iter().next().context("the object has no program")?.insns
    } else {
        Insn::read_all(&bytes, Endian::Little)
            .with_context(|| format!("program: {} bytes, expected a multiple of 8", bytes.len()))?
    };
    let program = match Loader::new(&insns).load() {
        Ok(program) => program,
        Err(e) => return complain(&e, End::Unsupported),
    };
    let mut run = Run::new(&program, World::default());
    run.set_packet(&memory);
    let args = run.packet_args();
    match interp::run_with(&mut run, args) {
        Ok(r0) => {
            anstream::println!("{r0:x}");
            Ok(End::Good)
        }
        Err(e) => complain(&e, End::Bad),
    }
}

fn complain(e: &dyn std::error::Error, end: End) -> Result<End> {
    anstream::eprintln!("{} {e}", paint::error("error:"));
    Ok(end)
}

/// Bytes from pairs of hexadecimal digits; blanks are skipped.
fn hex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    for pair in digits.chunks(2) {
        let [high, low] = pair else { bail!("an odd number of hexadecimal digits") };
        let digit = |c: &char| c.to_digit(16).with_context(|| format!("`{c}` is no hexadecimal digit"));
        bytes.push((digit(high)? << 4 | digit(low)?) as u8);
    }
    Ok(bytes)
}
