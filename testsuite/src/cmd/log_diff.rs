//! `log-diff`: the log of every walk held against the kernel's recorded one, line by line.

use anyhow::{Context, Result};
use ebpfkit_object::Prepared;
use ebpfkit_testsuite::logs::lines;
use ebpfkit_testsuite::running;
use ebpfkit_verifier::log::KernelLog;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
use std::path::{Path, PathBuf};

/// Complete logs with the kernel's statistics.
const LEVEL: u8 = 2 | 4;

/// Arguments of `log-diff`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder with `objs/` and `logs2/`
    oracle: PathBuf,
    /// Only objects whose name contains this
    #[arg(short, long, default_value = "")]
    only: String,
    /// Print the first line of each program that differs
    #[arg(short, long)]
    list: bool,
    /// The logs are those of a user with CAP_BPF alone
    #[arg(long)]
    cap_bpf: bool,
    /// Leave out logs of more bytes than this
    #[arg(long, default_value_t = 2_000_000)]
    most: u64,
}

#[derive(Default)]
struct Counts {
    equal: usize,
    differ: usize,
    undecided: usize,
}

/// Compares and prints counts; the last line is for machines.
pub fn run(args: &Args) -> Result<()> {
    let mut model = running::model();
    model.cpus = std::thread::available_parallelism().map_or(model.cpus, |n| n.get() as u32);
    let folder = args.oracle.join("objs");
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
    files.retain(|f| f.to_string_lossy().contains(&args.only));
    files.sort();
    let mut counts = Counts::default();
    for file in files {
        let Ok(prepared) = running::open(&file)?.and_then(running::prepare) else { continue };
        for index in 0..prepared.object.programs.len() {
            compare(args, &model, &prepared, index, &mut counts);
        }
    }
    let both = counts.equal + counts.differ;
    println!("{} logs of {both} are equal, {} programs without a verdict here", counts.equal, counts.undecided);
    println!(
        "logs={:.2} equal={} differ={}",
        100.0 * counts.equal as f64 / both.max(1) as f64,
        counts.equal,
        counts.differ
    );
    Ok(())
}

fn recorded(args: &Args, object: &str, program: &str) -> Option<String> {
    let path: &Path = &args.oracle.join("logs2").join(format!("{object}__{program}.log"));
    let size = path.metadata().ok()?.len();
    let bytes = (size > 0 && size <= args.most).then(|| std::fs::read(path).ok()).flatten()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn compare(args: &Args, model: &KernelModel, prepared: &Prepared, index: usize, counts: &mut Counts) {
    let object = &prepared.object;
    let program = &object.programs[index];
    let Some(theirs) = recorded(args, &object.name, &program.name) else { return };
    if prepared.unloadable.get(index).is_some_and(Option::is_some) {
        return;
    }
    let mut log = KernelLog { level: LEVEL, ..KernelLog::default() };
    let options = Options { privileged: !args.cap_bpf, cap_bpf: args.cap_bpf, ..Options::default() };
    let report = verify(model, object, index, options, &mut log);
    if let Verdict::Unsupported { .. } = report.verdict {
        counts.undecided += 1;
        return;
    }
    ebpfkit_kernel::log::explain_poison(&mut log.text, &program.poison);
    let (ours, theirs) = (lines(&log.text), lines(&theirs));
    if ours == theirs {
        counts.equal += 1;
        return;
    }
    counts.differ += 1;
    if args.list {
        let at = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
        let line = |l: &[String]| l.get(at).map_or("(end)", |l| l).to_owned();
        println!("{} {} line {}", object.name, program.name, at + 1);
        println!("  kernel: {}\n  here:   {}", line(&theirs), line(&ours));
    }
}
