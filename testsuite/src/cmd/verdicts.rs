//! `verdicts`: random programs, judged by the verifier here and by the running kernel.

use super::{ConstructArgs, SeedArgs};
use anyhow::{Context, Result};
use ebpfkit_abi::ProgType;
use ebpfkit_kernel::{Kernel, LogLevel, Session};
use ebpfkit_object::{Prepared, Program};
use ebpfkit_testsuite::generate::{self, Config, Seeded};
use ebpfkit_testsuite::{running, shrink};
use ebpfkit_verifier::log::KernelLog;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments of `verdicts`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    seeds: SeedArgs,
    /// Chance in 1000 that a statement ignores what is known
    #[arg(long, default_value_t = 10)]
    mistakes: u32,
    /// Statements of a program, at most
    #[arg(long, default_value_t = 40)]
    statements: u32,
    #[command(flatten)]
    constructs: ConstructArgs,
    /// Judge as for a user with CAP_BPF alone, socket filters; to be run by such a user
    #[arg(long)]
    cap_bpf: bool,
    /// Print every difference with its seed
    #[arg(short, long)]
    list: bool,
    /// Print why the kernel rejects
    #[arg(short, long)]
    rejections: bool,
    /// Print the program of the first seed and both logs of all paths, and stop
    #[arg(long)]
    print: bool,
    /// Take this assembly text instead of the program of the first seed
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Shrink the program of the first seed while the difference stays, write it to this file, and stop
    #[arg(long, value_name = "FILE")]
    shrink: Option<PathBuf>,
}

/// A verdict in comparable form.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Accepted(u64),
    Rejected(String, u64),
    Unsupported(String),
}

/// How often something happened, and the first seed with it.
type Classes = BTreeMap<String, (u64, u64)>;

fn print(classes: &Classes) {
    let mut sorted: Vec<_> = classes.iter().collect();
    sorted.sort_by_key(|(_, (n, _))| std::cmp::Reverse(*n));
    for (class, (n, seed)) in sorted {
        println!("{n:8}  seed {seed:<8} {class}");
    }
}

/// Compares and prints counts; the last line is for machines. Exits with 1 when a verdict differs.
pub fn run(args: &Args) -> Result<()> {
    let model = running::model();
    let config = Config { statements: args.statements, mistakes: args.mistakes, ..args.constructs.config(&model) };
    if args.print {
        return show(&args.first(&config)?, args.options());
    }
    let kernel = Kernel::open().context("random programs are compared with the running kernel")?;
    if let Some(file) = &args.shrink {
        return shrink(args, kernel, &config, file);
    }
    let (mut classes, mut reasons) = (Classes::new(), Classes::new());
    let (mut accepted, mut same_work) = (0u64, 0u64);
    for seed in args.seeds.all() {
        let prepared = args.program(seed, &config);
        let (ours, theirs) = (judge(&model, &prepared, args.options()), ask(kernel, &prepared)?);
        match &theirs {
            Answer::Rejected(message, _) if args.rejections => {
                reasons.entry(shape(message)).or_insert((0, seed)).0 += 1;
            }
            Answer::Accepted(_) => accepted += 1,
            _ => {}
        }
        let Some(class) = difference(&ours, &theirs) else {
            same_work += 1;
            continue;
        };
        if args.list {
            println!("{seed}\t{class}\t{ours:?}\t{theirs:?}");
        }
        let entry = classes.entry(class).or_insert((0, seed));
        entry.0 += 1;
    }
    print(&reasons);
    print(&classes);
    let of = |prefix: &str| classes.iter().filter(|(c, _)| c.starts_with(prefix)).map(|(_, (n, _))| n).sum::<u64>();
    println!(
        "programs={} accepted={accepted} same={same_work} false_accept={} false_reject={} message={} unsupported={} insns={}",
        args.seeds.count,
        of("false accept"),
        of("false reject"),
        of("message"),
        of("unsupported"),
        of("other number") + of("rejected after"),
    );
    if of("false accept") + of("false reject") > 0 {
        std::process::exit(1);
    }
    Ok(())
}

impl Args {
    fn options(&self) -> Options {
        Options { privileged: !self.cap_bpf, cap_bpf: self.cap_bpf, ..Options::default() }
    }

    fn first(&self, config: &Config) -> Result<Prepared> {
        let Some(file) = &self.file else { return Ok(self.program(self.seeds.seed, config)) };
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        shrink::assemble(&name, &text).with_context(|| format!("{}: no program", file.display()))
    }

    fn program(&self, seed: u64, config: &Config) -> Prepared {
        let mut prepared = generate::program(&mut Seeded(seed), config);
        if self.cap_bpf {
            // What was packet data in the context are numbers there.
            for program in &mut prepared.object.programs {
                program.prog_type = ProgType::SocketFilter;
                program.attach_type = Program::default().attach_type;
            }
        }
        prepared
    }
}

/// The class of the difference between an answer here and the kernel's, if they differ.
fn difference(ours: &Answer, theirs: &Answer) -> Option<String> {
    Some(match (ours, theirs) {
        (a, b) if a == b => return None,
        (Answer::Accepted(_), Answer::Accepted(_)) => "other number of instructions processed".to_owned(),
        (Answer::Rejected(a, _), Answer::Rejected(b, _)) if a == b => {
            "rejected after another number of instructions".to_owned()
        }
        (Answer::Rejected(a, _), Answer::Rejected(b, _)) => format!("message: {} | {}", shape(a), shape(b)),
        (Answer::Accepted(_), Answer::Rejected(m, _)) => format!("false accept: {}", shape(m)),
        (Answer::Rejected(m, _), _) => format!("false reject: {}", shape(m)),
        (Answer::Unsupported(m), _) => format!("unsupported: {}", shape(m)),
        (_, Answer::Unsupported(m)) => format!("kernel: {m}"),
    })
}

fn shrink(args: &Args, kernel: Kernel, config: &Config, file: &Path) -> Result<()> {
    let model = running::model();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let class = |text: &str| {
        let prepared = shrink::assemble(&name, text)?;
        prepared.object.programs.first()?;
        difference(&judge(&model, &prepared, args.options()), &ask(kernel, &prepared).ok()?)
    };
    let text = shrink::text(&args.first(config)?);
    let whole = class(&text).context("as text, the program is judged as by the kernel")?;
    let small = shrink::lines(&text, |t| class(t).as_ref() == Some(&whole));
    std::fs::write(file, &small).with_context(|| file.display().to_string())?;
    println!("{whole}: {} of {} lines are left", small.lines().count(), text.lines().count());
    Ok(())
}

fn show(prepared: &Prepared, options: Options) -> Result<()> {
    println!("{}", ebpfkit_testsuite::text_of(prepared));
    let mut log = KernelLog { level: 2, ..KernelLog::default() };
    verify(&running::model(), &prepared.object, 0, options, &mut log);
    println!("=== here\n{}", log.text);
    let loaded = Session::new(Kernel::open()?, prepared)?.load(0, LogLevel::ALL_PATHS)?;
    println!("=== kernel\n{}", loaded.log);
    Ok(())
}

fn judge(model: &KernelModel, prepared: &Prepared, options: Options) -> Answer {
    let report = verify(model, &prepared.object, 0, options, &mut Silent);
    match report.verdict {
        Verdict::Accepted(_) => Answer::Accepted(report.insns_processed),
        Verdict::Rejected(r) => {
            let text = r.text.clone();
            Answer::Rejected(text.trim_end().lines().last().unwrap_or_default().to_owned(), report.insns_processed)
        }
        Verdict::Unsupported { what, .. } => Answer::Unsupported(what),
    }
}

fn ask(kernel: Kernel, prepared: &Prepared) -> Result<Answer> {
    let session = Session::new(kernel, prepared)?;
    let summary = session.load(0, LogLevel::STATS)?;
    let insns = summary.summary().insns_processed.unwrap_or(0);
    if summary.program.is_ok() {
        return Ok(Answer::Accepted(insns));
    }
    let with_log = session.load(0, LogLevel::FAILING_PATH)?;
    Ok(Answer::Rejected(with_log.summary().message, insns))
}

/// A message without its numbers, so that differences fall into classes.
fn shape(message: &str) -> String {
    let mut out = String::new();
    let mut in_number = false;
    for c in message.chars() {
        if c.is_ascii_digit() {
            if !in_number {
                out.push('N');
            }
            in_number = true;
        } else {
            in_number = false;
            out.push(c);
        }
    }
    out
}
