//! Programs with known results that cover the instruction set, for any engine.
//!
//! The files in `conformance/` hold cases, separated by empty lines:
//!
//! ```text
//! name: add64 register
//! mem: 01 02
//!     r0 = *(u8 *)(r1 + 0)
//!     exit
//! result: 0x1
//! ```
//!
//! `r1` is the memory and `r2` its length. Instead of `result`, `fault` holds words of the expected fault.

use ebpfkit_asm::{Syntax, assemble_insns};
use ebpfkit_isa::Insn;
use ebpfkit_vm::{Engine, Loader, Program, Run, World, hex};
use std::sync::Arc;

/// What a case must give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `r0`.
    Result(u64),
    /// A fault whose text has these words.
    Fault(String),
}

/// One program.
#[derive(Clone, Debug)]
pub struct Case {
    /// File and name.
    pub name: String,
    /// Memory that `r1` points to.
    pub mem: Vec<u8>,
    /// The program.
    pub insns: Vec<Insn>,
    /// What it must give.
    pub expected: Expected,
}

/// Reads one file's cases.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let blocks = text.split("\n\n").map(str::trim_end).filter(|b| b.contains("name:"));
    blocks.map(|b| case(file, b).map_err(|e| format!("{file}: {e} in\n{b}"))).collect()
}

fn case(file: &str, block: &str) -> Result<Case, String> {
    let (mut name, mut mem, mut asm, mut expected) = (None, Vec::new(), String::new(), None);
    for line in block.lines().filter(|l| !l.starts_with('#')) {
        if line.starts_with(' ') {
            asm.push_str(line);
            asm.push('\n');
            continue;
        }
        let (key, value) = line.split_once(':').ok_or("a line without a colon")?;
        let value = value.trim();
        match key {
            "name" => name = Some(value.to_owned()),
            "mem" => mem = hex::decode(value).map_err(|e| format!("memory: {e}"))?,
            "result" => {
                let n = u64::from_str_radix(value.trim_start_matches("0x"), 16).map_err(|e| e.to_string())?;
                expected = Some(Expected::Result(n));
            }
            "fault" => expected = Some(Expected::Fault(value.to_owned())),
            _ => return Err(format!("unknown key {key}")),
        }
    }
    let insns = assemble_insns(&asm, Syntax::PseudoC).map_err(|e| e.to_string())?;
    let name = format!("{file}: {}", name.ok_or("no name")?);
    Ok(Case { name, mem, insns, expected: expected.ok_or("no result")? })
}

/// Every case of `conformance/`.
pub fn cases() -> Result<Vec<Case>, String> {
    let dir = crate::root().join("testsuite/conformance");
    let mut paths: Vec<_> =
        std::fs::read_dir(&dir).map_err(|e| e.to_string())?.filter_map(Result::ok).map(|e| e.path()).collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths.iter().filter(|p| p.extension().is_some_and(|e| e == "data")) {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        all.extend(parse(&path.file_stem().unwrap_or_default().to_string_lossy(), &text)?);
    }
    Ok(all)
}

/// Makes an engine for one program; the error is why it cannot.
pub type Make<'a> = &'a dyn Fn(&Arc<Program>) -> Result<Box<dyn Engine>, String>;

/// Runs one case; the error says what differs.
pub fn run(case: &Case, make: Make<'_>) -> Result<(), String> {
    let program = Loader::new(&case.insns).load().map_err(|e| format!("{}: {e}", case.name))?;
    let mut run = Run::new(&program, World::default());
    run.set_packet(&case.mem);
    let args = run.packet_args();
    let result = make(&program).map_err(|e| format!("{}: {e}", case.name))?.run_with(&mut run, args);
    match (&result, &case.expected) {
        (Ok(got), Expected::Result(want)) if got == want => Ok(()),
        (Err(fault), Expected::Fault(words)) if fault.to_string().contains(words) => Ok(()),
        _ => Err(format!("{}: {result:x?}, expected {:x?}", case.name, case.expected)),
    }
}

/// Runs every case; the error lists all that differ.
pub fn run_all(make: Make<'_>) -> Result<usize, String> {
    let cases = cases()?;
    let wrong: Vec<String> = cases.iter().filter_map(|c| run(c, make).err()).collect();
    if wrong.is_empty() { Ok(cases.len()) } else { Err(wrong.join("\n")) }
}
