//! `mutate`: mutated objects, types, texts and captures, given to everything that reads files. Nothing may panic, hang
//! or use memory without bound.

use super::SeedArgs;
use anyhow::{Context, Result};
use ebpfkit_testsuite::fuzzing;
use ebpfkit_testsuite::generate::{Seeded, Source};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Arguments of `mutate`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    seeds: SeedArgs,
    /// Write the examples' files as seeds for the fuzz targets to this folder, and stop
    #[arg(long = "seeds", value_name = "DIR")]
    corpus: Option<PathBuf>,
}

/// An input slower than this is reported as a hang.
const SLOW: Duration = Duration::from_secs(10);

/// A kind of file: the target's name, what reads it, files to start from.
type Kind = (&'static str, fn(&[u8]), Vec<Vec<u8>>);

fn kinds() -> Result<Vec<Kind>> {
    let root = ebpfkit_testsuite::root();
    let read = |dir: &str, extension: &str| -> Result<Vec<Vec<u8>>> {
        let files = ebpfkit_testsuite::files(&root.join(dir), extension);
        let files = files.iter().map(|p| std::fs::read(p).with_context(|| p.display().to_string()));
        files.collect()
    };
    let objects = read("examples", "o")?;
    let types = objects.iter().filter_map(|o| {
        let object = ebpfkit_object::Object::open("x.o", o).ok()?;
        Some(object.btf?.bytes().to_vec())
    });
    let types = types.collect();
    let texts = read("asm/tests/data", "s")?;
    Ok(vec![
        ("elf", fuzzing::elf, objects),
        ("btf", fuzzing::btf, types),
        ("text", fuzzing::text, texts),
        ("capture", fuzzing::capture, read("examples", "pcap")?),
    ])
}

/// Mutates and reads; exits with 1 when something went wrong.
pub fn run(args: &Args) -> Result<()> {
    let kinds = kinds()?;
    if let Some(dir) = &args.corpus {
        return write_seeds(dir, &kinds);
    }
    std::panic::set_hook(Box::new(|_| {}));
    let (mut bad, mut slowest) = (0u64, Duration::ZERO);
    for seed in args.seeds.all() {
        let (name, read, seeds) = &kinds[(seed % kinds.len() as u64) as usize];
        let mut source = Seeded(seed);
        let data = mutated(&mut source, seeds);
        let start = Instant::now();
        let result = std::panic::catch_unwind(|| read(&data));
        let took = start.elapsed();
        slowest = slowest.max(took);
        if result.is_err() || took > SLOW {
            bad += 1;
            println!("{name} seed {seed}: {}", if result.is_err() { "panic" } else { "slow" });
        }
    }
    println!(
        "inputs={} bad={bad} slowest_ms={} peak_mib={}",
        args.seeds.count,
        slowest.as_millis(),
        peak_kib().map_or(0, |k| k / 1024)
    );
    if bad > 0 {
        std::process::exit(1);
    }
    Ok(())
}

/// One of the seeds with some bytes, words or stretches changed, or cut.
fn mutated(source: &mut Seeded, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut data = seeds[source.below(seeds.len() as u32) as usize].clone();
    for _ in 0..1 + source.below(8) {
        if data.is_empty() {
            break;
        }
        let at = source.below(data.len() as u32) as usize;
        match source.below(6) {
            0 => data[at] = source.bits() as u8,
            1 => data[at] ^= 1 << source.below(8),
            2 => {
                let word = source.number() as u32;
                let end = data.len().min(at + 4);
                data[at..end].copy_from_slice(&word.to_le_bytes()[..end - at]);
            }
            3 => {
                let len = source.below(32).min((data.len() - at) as u32) as usize;
                let piece = data[at..at + len].to_vec();
                let to = source.below(data.len() as u32) as usize;
                data.splice(to..to, piece);
            }
            4 => {
                let len = source.below(32).min((data.len() - at) as u32) as usize;
                data.drain(at..at + len);
            }
            _ if source.chance(200) => data.truncate(at),
            _ => data[at] = data[at].wrapping_add(1),
        }
    }
    data
}

/// Most memory that this process has had.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}

fn write_seeds(dir: &Path, kinds: &[Kind]) -> Result<()> {
    let put = |target: &str, number: usize, data: &[u8]| -> Result<()> {
        let dir = dir.join(target);
        std::fs::create_dir_all(&dir)?;
        Ok(std::fs::write(dir.join(number.to_string()), data)?)
    };
    for (name, _, seeds) in kinds {
        for (number, data) in seeds.iter().enumerate() {
            put(name, number, data)?;
        }
    }
    let objects = &kinds[0].2;
    for (number, data) in objects.iter().enumerate() {
        let object = ebpfkit_object::Object::open("x.o", data)?;
        let Some(program) = object.programs.first() else { continue };
        let code = ebpfkit_isa::Insn::write_all(&program.insns, ebpfkit_isa::Endian::Little);
        put("decode_encode", number, &code)?;
        put("assemble_disassemble", number, &code)?;
        put("instructions", number, &[&[number as u8], &code[..]].concat())?;
        // Choices of a generator: any bytes will do.
        put("contained", number, &code)?;
        put("engines", number, &code)?;
    }
    Ok(())
}
