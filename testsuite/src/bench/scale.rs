//! Time and memory of compiling, by a program's size.

use super::programs::Plain;
use super::{Engine, ours};
use crate::engines::verified;
use anyhow::{Context, Result, anyhow};
use ebpfkit_object::{Prepared, Target};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;
use std::time::Instant;

/// Instructions of the programs.
pub const SIZES: [usize; 7] = [20, 100, 1_007, 4_000, 8_007, 16_000, 60_007];

/// Below so many instructions there are ten times the rounds: what is measured is so short.
const SHORT: usize = 2_000;

/// A program of so many instructions: arithmetic, accesses to the frame, and branches over the next instruction.
fn text(insns: usize) -> String {
    let mut out = String::from("r6 = 1\nr7 = 2\nr8 = 3\nr9 = 4\nr1 = 5\n*(u64 *)(r10 - 8) = r1\n");
    let mut at = 6;
    let mut n = 0usize;
    // Two are left for the end.
    while at + 2 + 7 <= insns {
        let (a, b) = (6 + n % 4, 6 + (n + 1) % 4);
        let _ = write!(
            out,
            "r{a} += r{b}\nr{a} ^= {}\n*(u64 *)(r10 - {slot}) = r{a}\nr{b} *= {}\n\
             if r{b} s> {} goto l{n}\nr{a} >>= 3\nl{n}:\nr{b} |= r{a}\n",
            n * 31 % 1000 + 1,
            n * 17 % 100 + 3,
            n % 50,
            slot = 8 + n % 32 * 8,
        );
        at += 7;
        n += 1;
    }
    while at + 2 < insns {
        out.push_str("r6 += 1\n");
        at += 1;
    }
    out.push_str("r0 = r6\nexit\n");
    out
}

/// The program as an object, and as bytes.
pub fn program(insns: usize) -> Result<(Prepared, Plain)> {
    let source = format!(".section xdp\n.globl entry\nentry:\n{}", text(insns));
    let object = ebpfkit_asm::assemble_object("scale.s", &source)
        .map_err(|e| anyhow!("the program of {insns} instructions: {e:?}"))?;
    let prepared = object.prepare(&Target::default())?;
    let code = ebpfkit_isa::Insn::write_all(&prepared.object.programs[0].insns, ebpfkit_isa::Endian::Little);
    let plain = Plain { code_v2: code.clone(), code, source: "scale.s".into() };
    Ok((prepared, plain))
}

/// Compiles once; the answer is the nanoseconds, and the code to be kept. `None` when the engine does not take it.
fn compile(engine: Engine, prepared: &Prepared, plain: &Plain) -> Result<Option<(f64, Box<dyn Any>)>> {
    if engine.is_ours() {
        let model = super::model();
        let (_, checked) = ours::mode(engine);
        let proof = if checked { None } else { Some(verified(&model, prepared).map_err(anyhow::Error::msg)?) };
        let mut instance = ebpfkit_vm::Instance::new(&prepared.object, &model, 1);
        let program = instance.load(&prepared.object, 0, proof.as_ref(), &|_, _| None)?;
        let start = Instant::now();
        ours::compile(engine, &program)?;
        return Ok(Some((start.elapsed().as_nanos() as f64, Box::new((program, instance)))));
    }
    #[cfg(feature = "peers")]
    {
        let start = Instant::now();
        Ok(super::peers::compile(engine, plain).map(|kept| (start.elapsed().as_nanos() as f64, kept)))
    }
    #[cfg(not(feature = "peers"))]
    {
        let _ = plain;
        Ok(None)
    }
}

/// Microseconds an instruction, by engine and size: the best of `iterations`.
pub fn times(iterations: u32) -> Result<BTreeMap<Engine, [Option<f64>; SIZES.len()]>> {
    let mut all = BTreeMap::<Engine, [Option<f64>; SIZES.len()]>::new();
    for (number, insns) in SIZES.into_iter().enumerate() {
        let (prepared, plain) = program(insns)?;
        let mut best = BTreeMap::<Engine, f64>::new();
        for _ in 0..if insns < SHORT { 10 * iterations } else { iterations } {
            for engine in Engine::ALL.into_iter().filter(|e| e.compiles()) {
                if !engine.is_ours() && !cfg!(feature = "peers") {
                    continue;
                }
                all.entry(engine).or_default();
                let Some((ns, _)) = compile(engine, &prepared, &plain)? else { continue };
                let best = best.entry(engine).or_insert(f64::INFINITY);
                *best = best.min(ns);
            }
        }
        for (engine, ns) in best {
            all.entry(engine).or_default()[number] = Some(ns / 1000.0 / insns as f64);
        }
    }
    Ok(all)
}

/// Most memory that this process has used, in KiB.
fn peak_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// What `--memory-of` prints: the most memory before and after one program was compiled.
pub fn memory_here(engine: Engine, insns: usize) -> Result<()> {
    let (prepared, plain) = program(insns)?;
    if engine.is_ours() {
        // Verification is the same for all.
        verified(&super::model(), &prepared).map_err(anyhow::Error::msg)?;
    }
    let before = peak_kib()?;
    let kept = compile(engine, &prepared, &plain)?;
    if kept.is_some() {
        println!("{}", peak_kib()? - before);
    }
    Ok(())
}

/// KiB that compiling takes at most, by engine, for a program of so many instructions: each in a process of its own.
pub fn memory(insns: usize) -> Result<BTreeMap<Engine, u64>> {
    let me = std::env::current_exe()?;
    let mut all = BTreeMap::new();
    for (number, engine) in Engine::ALL.into_iter().enumerate().filter(|(_, e)| e.compiles()) {
        if !engine.is_ours() && !cfg!(feature = "peers") {
            continue;
        }
        let of = format!("{number}:{insns}");
        let out = Command::new(&me).args(["bench", "--memory-of", &of]).output()?;
        let text = String::from_utf8_lossy(&out.stdout);
        if !text.trim().is_empty() {
            all.insert(engine, text.trim().parse().with_context(|| String::from_utf8_lossy(&out.stderr).into_owned())?);
        }
    }
    Ok(all)
}
