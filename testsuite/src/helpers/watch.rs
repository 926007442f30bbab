//! Runs cases in a process of their own, so that one that ends it, or never ends, is found by its seed.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Cases that one process runs: what programs allocate and leave is gone with it.
const PER_PROCESS: u64 = 100_000;
/// A case that takes longer than this never ends.
const LONGEST: Duration = Duration::from_secs(60);
/// Bytes that a process may have had in memory at most.
const MOST_MEMORY: u64 = 1 << 30;
/// Cases between looks at the memory.
const LOOK: u64 = 256;

/// How a range of seeds went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Cases that were run.
    pub done: u64,
    /// Cases by what became of them: ended, stopped, endless, refused.
    pub counts: [u64; 4],
    /// Seeds that failed, and how.
    pub failures: Vec<(u64, String)>,
}

/// What the process at the other end reports of a case: its seed, then what became of it.
#[derive(Clone, Copy, Debug)]
struct Report([u64; 2]);

/// A case begins.
const BEGINS: u64 = u64::MAX;
/// The case has failed, with a text on standard error.
const FAILED: u64 = u64::MAX - 1;

impl Report {
    fn send(self) -> std::io::Result<()> {
        let [a, b] = self.0.map(u64::to_ne_bytes);
        let mut out = std::io::stdout().lock();
        out.write_all(&[a, b].concat())?;
        out.flush()
    }

    fn receive(from: &mut impl Read) -> Option<Self> {
        let mut bytes = [0; 16];
        from.read_exact(&mut bytes).ok()?;
        let word = |i: usize| u64::from_ne_bytes(std::array::from_fn(|n| bytes[i + n]));
        Some(Self([word(0), word(8)]))
    }
}

/// What the process at the other end does: runs cases and reports them on standard output.
pub fn work(first: u64, count: u64) -> std::io::Result<()> {
    for seed in first..first.saturating_add(count) {
        Report([seed, BEGINS]).send()?;
        let number = match super::of_seed(seed) {
            Ok(tried) => tried as u64,
            Err(text) => {
                eprintln!("{text}");
                FAILED
            }
        };
        let number = match peak_memory().filter(|_| seed % LOOK == 0) {
            Some(peak) if peak > MOST_MEMORY => {
                eprintln!("{peak} bytes of memory at one of the last {LOOK} seeds");
                FAILED
            }
            _ => number,
        };
        Report([seed, number]).send()?;
        if number == FAILED {
            // The next process begins afresh.
            break;
        }
    }
    Ok(())
}

/// Bytes that the process had in memory at most; `None` where the system does not say.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|n| n * 1024)
}

/// Runs the cases of these seeds in processes that `command` starts, given their first seed and their number.
pub fn watch(first: u64, count: u64, command: impl Fn(u64, u64) -> Command) -> std::io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let end = first.saturating_add(count);
    let mut seed = first;
    while seed < end {
        seed = watch_one(seed, (end - seed).min(PER_PROCESS), &command, &mut outcome)?;
    }
    Ok(outcome)
}

/// Runs one process; the seed to go on with.
fn watch_one(
    first: u64,
    count: u64,
    command: &impl Fn(u64, u64) -> Command,
    outcome: &mut Outcome,
) -> std::io::Result<u64> {
    let mut child = command(first, count).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (begun, reports) = (Arc::new(AtomicU64::new(first)), Arc::new(AtomicU64::new(0)));
    let seen = (begun.clone(), reports.clone());
    let reader = std::thread::spawn(move || {
        let mut from = std::io::BufReader::new(stdout?);
        let (mut counts, mut done, mut failed) = ([0u64; 4], 0, None);
        while let Some(Report([seed, what])) = Report::receive(&mut from) {
            seen.1.fetch_add(1, Ordering::Relaxed);
            match what {
                BEGINS => seen.0.store(seed, Ordering::Relaxed),
                FAILED => failed = Some(seed),
                _ => {
                    done += 1;
                    if let Some(n) = counts.get_mut(what as usize) {
                        *n += 1;
                    }
                }
            }
        }
        Some((counts, done, failed))
    });
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        // What is no text does not matter here.
        let _ = stderr.map(|mut e| e.read_to_string(&mut text));
        text
    });
    let (mut last, mut since, mut hangs) = (u64::MAX, Instant::now(), false);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let now = reports.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() > LONGEST {
            hangs = true;
            child.kill()?;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let (counts, done, failed) = reader.join().ok().flatten().unwrap_or_default();
    let text = errors.join().unwrap_or_default();
    outcome.done += done;
    outcome.counts.iter_mut().zip(counts).for_each(|(all, n)| *all += n);
    let seed = begun.load(Ordering::Relaxed);
    let what = match failed {
        Some(_) => text,
        None if hangs => format!("it does not end in {} seconds", LONGEST.as_secs()),
        None if !status.success() => format!("{status}: {text}"),
        None => return Ok(first + count),
    };
    outcome.done += 1;
    outcome.failures.push((seed, what));
    Ok(seed + 1)
}
