//! `ebpfkit run --packet` on a large capture, held against reading the file, and where the time goes.

use super::table::ratio;
use crate::engines::verified;
use crate::root;
use anyhow::{Context, Result, anyhow, bail};
use ebpfkit_jit::{Jit, compile};
use ebpfkit_kernel::{Kernel, LogLevel, Session, TestRun, machine};
use ebpfkit_object::{Object, Prepared};
use ebpfkit_vm::capture::Reader;
use ebpfkit_vm::input::{Origin, set_frame};
use ebpfkit_vm::show::{Entries, fill};
use ebpfkit_vm::{Engine as _, Instance, Run, World};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Seconds of each way to go through a capture, the best of some rounds.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Packets of the capture.
    pub packets: u64,
    /// Whole ways, the first of which is reading alone: what, and seconds.
    pub methods: Vec<(&'static str, f64)>,
    /// The parts of the first run with native code: what, and seconds.
    pub parts: Vec<(&'static str, f64)>,
}

/// What the steps before the command itself are; each does what the one before does, and one thing more.
const STEPS: [&str; 4] = ["reading the file", "finding the packets", "giving them to a run", "running the program"];

/// What the steps add.
const PARTS: [&str; 5] = ["reading", "finding packets", "setting up runs", "running", "clock, counts, events, timing"];

/// The command, with its options.
const COMMANDS: [(&str, &[&str], &[&str]); 9] = [
    ("`run --engine jit`", BALANCER, &["--engine", "jit"]),
    ("`run --engine jit --jobs 2`", BALANCER, &["--engine", "jit", "--jobs", "2"]),
    ("`run --engine interp`", BALANCER, &["--engine", "interp"]),
    ("`run --engine interp --checked`", BALANCER, &["--engine", "interp", "--checked"]),
    ("`run --engine jit --write`", BALANCER, &["--engine", "jit", "--write"]),
    ("`run --engine jit --json`", BALANCER, &["--engine", "jit", "--json"]),
    ("`run --engine jit` with `parse`", &[PARSE], &["--engine", "jit"]),
    ("`run --engine jit --jobs 2` with `parse`", &[PARSE], &["--engine", "jit", "--jobs", "2"]),
    ("`run --engine jit` with `empty`", &["testsuite/bench/empty.o"], &["--engine", "jit"]),
];

/// A program that changes no packet.
const PARSE: &str = "testsuite/bench/parse.o";

/// The example, and the file with its maps.
const BALANCER: &[&str] = &["examples/xdp-balancer/balancer.o", "--maps", "examples/xdp-balancer/maps.json"];

/// The part that the program itself takes.
const RUNNING: usize = 3;

impl Figures {
    /// As Markdown tables: ratios to reading and shares, and packets a second and nanoseconds where `with_ns`.
    pub fn markdown(&self, with_ns: bool) -> String {
        let mut out = String::new();
        let (Some((_, reading)), packets) = (self.methods.first(), self.packets.max(1) as f64) else { return out };
        let (head, line) = if with_ns { (" packets a second |", "---|") } else { ("", "") };
        let _ = writeln!(out, "\n| capture | time, as a ratio to reading the file |{head}\n|---|---|{line}");
        for (what, seconds) in &self.methods {
            let _ = write!(out, "| {what} | {} |", ratio(seconds / reading));
            let _ = if with_ns { writeln!(out, " {:.0} |", packets / seconds) } else { writeln!(out) };
        }
        let whole: f64 = self.parts.iter().map(|(_, seconds)| seconds).sum();
        let head = if with_ns { " ns a packet |" } else { "" };
        let _ = writeln!(out, "\n| part of `run --engine jit` | share |{head}\n|---|---|{line}");
        for (what, seconds) in &self.parts {
            let _ = write!(out, "| {what} | {:.0}% |", 100.0 * seconds / whole);
            let _ = if with_ns { writeln!(out, " {:.1} |", 1e9 * seconds / packets) } else { writeln!(out) };
        }
        if let (Some((_, reading)), Some((_, running))) = (self.parts.first(), self.parts.get(RUNNING)) {
            let _ = writeln!(out, "\nRunning takes {} of the time that reading takes.", ratio(running / reading));
        }
        out
    }

    /// For other programs: packets, seconds.
    pub fn json(&self) -> Value {
        let object =
            |list: &[(&str, f64)]| -> Value { list.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect() };
        json!({ "packets": self.packets, "seconds": object(&self.methods), "parts": object(&self.parts) })
    }
}

/// The example, with a place to run it in.
struct Example {
    prepared: Prepared,
    entries: Entries,
}

impl Example {
    fn open() -> Result<Self> {
        let folder = root().join("examples/xdp-balancer");
        let mut object = Object::open("balancer.o", &std::fs::read(folder.join("balancer.o"))?)?;
        let contents = std::fs::read_to_string(folder.join("maps.json"))?;
        let entries = fill(&mut object, &contents, 1)?.entries;
        Ok(Self { prepared: object.prepare(&ebpfkit_object::Target::default())?, entries })
    }

    fn run(&self) -> Result<(Instance, Run)> {
        let (object, model) = (&self.prepared.object, super::model());
        let proof = verified(&model, &self.prepared).map_err(|e| anyhow!("the example: {e}"))?;
        let mut instance = Instance::new(object, &model, 1);
        for e in self.entries.iter() {
            let map = instance.maps()[e.map].as_ref().map_err(|e| anyhow!("{e}"))?;
            map.user_update(e.key, e.value, 0).map_err(|e| anyhow!("the example's maps: {}", e.text()))?;
        }
        let program = instance.load(object, 0, Some(&proof), &|_, _| None)?;
        compile(&program, false)?;
        Ok((instance, Run::new(&program, World::default())))
    }
}

/// Seconds of `read(2)` over the whole file.
fn reading(path: &Path) -> Result<f64> {
    let start = Instant::now();
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let mut buffer = vec![0; 1 << 16];
    while file.read(&mut buffer)? > 0 {
        std::hint::black_box(&buffer);
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Packets, and seconds of finding every one and doing something with it.
fn each(path: &Path, mut with: impl FnMut(&[u8]) -> Result<()>) -> Result<(u64, f64)> {
    let start = Instant::now();
    let mut reader = Reader::new(File::open(path)?)?;
    let mut packets = 0;
    while let Some((record, data)) = reader.next()? {
        packets += 1;
        std::hint::black_box(record);
        with(data)?;
    }
    Ok((packets, start.elapsed().as_secs_f64()))
}

/// What the command says of itself in its last line: seconds of the stream.
fn said(output: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(output).ok()?;
    let last = text.trim_end().lines().next_back()?;
    let ms: f64 = last.split(" in ").nth(1)?.split(' ').next()?.parse().ok()?;
    Some(ms / 1e3)
}

/// Seconds of the whole command, with loading and verification, and of its stream alone.
fn command(path: &Path, object: &[&str], extra: &[&str], out: &Path) -> Result<(f64, f64)> {
    let me = std::env::current_exe()?;
    let program = me.with_file_name("ebpfkit");
    let mut command = Command::new(&program);
    command.arg("run").arg("--packet").arg(path.canonicalize()?).arg("--no-maps").args(object).args(extra);
    command.current_dir(root());
    if extra.contains(&"--write") {
        command.arg(out);
    }
    if extra.contains(&"--json") {
        // A line a packet: nobody keeps them.
        command.stdout(Stdio::null());
    }
    let start = Instant::now();
    let output = command.output().with_context(|| program.display().to_string())?;
    let whole = start.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!("{} failed", program.display());
    }
    Ok((whole, said(&output.stdout).unwrap_or(whole)))
}

/// Packets that the kernel runs, and how often it repeats each.
const KERNEL_PACKETS: usize = 256;
const KERNEL_REPEAT: u32 = 20_000;
/// How many CPUs it does that on, each with maps of its own.
const KERNEL_METHODS: [(&str, usize); 2] =
    [("the kernel's test-run of `parse`, repeated", 1), ("the same on two CPUs at a time", 2)];

/// Seconds that the kernel would take for so many packets like the capture's first ones: those are test-run again and again
/// on so many CPUs at a time, with a program that leaves them as they are, since a repeated run gets what the one before has
/// left. Nothing where there is no kernel to ask.
fn in_kernel(path: &Path, packets: u64, cpus: usize) -> Result<Option<f64>> {
    let Ok(kernel) = Kernel::open() else { return Ok(None) };
    let object = Object::open(PARSE, &std::fs::read(root().join(PARSE))?)?;
    let prepared = &object.prepare(&ebpfkit_object::Target::default())?;
    let mut frames = Vec::new();
    let mut reader = Reader::new(File::open(path)?)?;
    while let (true, Some((_, data))) = (frames.len() < KERNEL_PACKETS, reader.next()?) {
        frames.push(data.to_vec());
    }
    let one = &|cpu: usize| -> Result<f64> {
        machine::stay_on_cpu(cpu as u32);
        let session = Session::new(kernel, prepared)?;
        let loaded = session.load(0, LogLevel::NONE)?.program.map_err(|_| anyhow!("the kernel refuses {PARSE}"))?;
        let mut ns = 0.0;
        for frame in &frames {
            let test = TestRun::of(ebpfkit_abi::ProgType::Xdp, Some(frame), &[], KERNEL_REPEAT);
            ns += f64::from(kernel.test_run(&loaded, &test)?.duration_ns);
        }
        Ok(ns / frames.len().max(1) as f64)
    };
    let each: Result<Vec<f64>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cpus).map(|cpu| scope.spawn(move || one(cpu))).collect();
        threads.into_iter().map(|t| t.join().map_err(|_| anyhow!("a thread has panicked"))?).collect()
    });
    // Packets a nanosecond of all CPUs together.
    let rate: f64 = each?.iter().map(|ns| 1.0 / ns.max(1.0)).sum();
    Ok(Some(packets as f64 / rate / 1e9))
}

/// Goes through a capture in each way, in turns, and keeps the best of `iterations`. The `ebpfkit` beside this program runs.
pub fn measure(path: &Path, iterations: u32) -> Result<Figures> {
    let out = std::env::temp_dir().join(format!("ebpfkit-bench-{}.pcap", std::process::id()));
    let example = Example::open()?;
    let (_maps, mut run) = example.run()?;
    let kind = run.program().prog_type();
    let mut packets = 0;
    let mut steps = [f64::INFINITY; STEPS.len()];
    let mut commands = [(f64::INFINITY, f64::INFINITY); COMMANDS.len()];
    let mut kernel = [f64::INFINITY; KERNEL_METHODS.len()];
    for _ in 0..iterations.max(1) {
        let (count, found) = each(path, |data| {
            std::hint::black_box(data);
            Ok(())
        })?;
        packets = count;
        let (_, delivered) = each(path, |data| {
            set_frame(&mut run, kind, Origin::Wire, data);
            Ok(())
        })?;
        let (_, ran) = each(path, |data| {
            set_frame(&mut run, kind, Origin::Wire, data);
            std::hint::black_box(Jit.run(&mut run).map_err(|f| anyhow!("the example: {f}"))?);
            Ok(())
        })?;
        for (best, now) in steps.iter_mut().zip([reading(path)?, found, delivered, ran]) {
            *best = best.min(now);
        }
        for (best, (_, object, extra)) in commands.iter_mut().zip(COMMANDS) {
            let (whole, stream) = command(path, object, extra, &out)?;
            *best = (best.0.min(whole), best.1.min(stream));
        }
        for (best, (_, cpus)) in kernel.iter_mut().zip(KERNEL_METHODS) {
            *best = best.min(in_kernel(path, packets, cpus)?.unwrap_or(f64::INFINITY));
        }
    }
    std::fs::remove_file(&out)?;
    // Each step less the one before, and the stream of the command less the last.
    let ends = steps.into_iter().chain([commands[0].1]);
    let parts =
        PARTS.into_iter().zip(ends.scan(0.0, |before, end| Some((end - std::mem::replace(before, end)).max(0.0))));
    let methods = STEPS
        .into_iter()
        .zip(steps)
        .chain(COMMANDS.into_iter().zip(commands).map(|((what, ..), (s, _))| (what, s)))
        .chain(KERNEL_METHODS.into_iter().zip(kernel).map(|((what, _), s)| (what, s)).filter(|w| w.1.is_finite()));
    Ok(Figures { packets, methods: methods.collect(), parts: parts.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_says_how_long_it_took() {
        assert_eq!(said(b"XDP_TX  3  100.0%\n3 packets in 1.5 ms, 2000 packets/s\n"), Some(0.0015));
        assert_eq!(said(b""), None);
    }

    #[test]
    fn shares_and_packets_a_second() {
        let methods = vec![("reading the file", 0.1), ("`run`", 0.5)];
        let parts = PARTS.into_iter().zip([0.1, 0.0, 0.0, 0.3, 0.1]).collect();
        let figures = Figures { packets: 1_000_000, methods, parts };
        let text = figures.markdown(true);
        assert!(text.contains("| `run` | 5.00 | 2000000 |"), "{text}");
        assert!(text.contains("| running | 60% | 300.0 |"), "{text}");
        assert!(text.contains("Running takes 3.00 of"), "{text}");
        assert!(figures.markdown(false).contains("| `run` | 5.00 |\n"), "{text}");
    }
}
