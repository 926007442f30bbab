//! `ebpfkit run --packet` on a large capture, held against reading the file.

use crate::root;
use anyhow::{Context, Result, bail};
use ebpfkit_vm::capture::Reader;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Seconds of `read(2)` over the whole file.
fn reading(path: &Path) -> Result<f64> {
    let start = Instant::now();
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let mut buffer = vec![0; 1 << 18];
    while file.read(&mut buffer)? > 0 {
        std::hint::black_box(&buffer);
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds of finding every packet.
fn records(path: &Path) -> Result<f64> {
    let start = Instant::now();
    let mut reader = Reader::new(File::open(path)?)?;
    while let Some(packet) = reader.next()? {
        std::hint::black_box(packet);
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds of the whole command, with loading and verification.
fn command(path: &Path, extra: &[&str]) -> Result<f64> {
    let me = std::env::current_exe()?;
    let program = me.with_file_name("ebpfkit");
    let example = root().join("examples/xdp-balancer");
    let mut command = Command::new(&program);
    command.arg("run").arg(example.join("balancer.o")).arg("--maps").arg(example.join("maps.json"));
    command.arg("--packet").arg(path).arg("--no-maps").args(extra).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().with_context(|| program.display().to_string())?;
    if !status.success() {
        bail!("{} failed", program.display());
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds of each way to go through a capture, in turns, the best of `rounds`. The `ebpfkit` beside this program runs.
pub fn measure(path: &Path, rounds: u32) -> Result<Vec<(String, f64)>> {
    let out = std::env::temp_dir().join(format!("ebpfkit-bench-{}.pcap", std::process::id()));
    let out_text = out.to_string_lossy().into_owned();
    let mut all = vec![
        ("reading the file", f64::INFINITY),
        ("finding the packets", f64::INFINITY),
        ("`run --engine jit`", f64::INFINITY),
        ("`run --engine interp`", f64::INFINITY),
        ("`run --engine interp --checked`", f64::INFINITY),
        ("`run --engine jit --write`", f64::INFINITY),
        ("`run --engine jit --json`", f64::INFINITY),
    ];
    for _ in 0..rounds.max(1) {
        let seconds = [
            reading(path)?,
            records(path)?,
            command(path, &["--engine", "jit"])?,
            command(path, &["--engine", "interp"])?,
            command(path, &["--engine", "interp", "--checked"])?,
            command(path, &["--engine", "jit", "--write", &out_text])?,
            command(path, &["--engine", "jit", "--json"])?,
        ];
        for ((_, best), now) in all.iter_mut().zip(seconds) {
            *best = best.min(now);
        }
    }
    std::fs::remove_file(&out)?;
    Ok(all.into_iter().map(|(what, seconds)| (what.to_owned(), seconds)).collect())
}
