//! `unpriv`: verdicts for users without capabilities, held against what the kernel's own tests expect of their
//! programs, or against answers that a running kernel gave to a user with `CAP_BPF` alone.

use anyhow::{Context, Result};
use ebpfkit_abi::KernelVersion;
use ebpfkit_kernel::machine;
use ebpfkit_object::btf::Kind;
use ebpfkit_object::{Btf, Object, ProgramFlags};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// Arguments of `unpriv`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder with `objs/`
    oracle: PathBuf,
    /// Only objects whose name contains this
    #[arg(short, long, default_value = "verifier_")]
    only: String,
    /// Answers of a kernel to a user with CAP_BPF alone, in the columns of `core.tsv`, instead of the tests' own tags
    #[arg(long)]
    recorded: Option<PathBuf>,
    /// Print every difference
    #[arg(short, long)]
    list: bool,
}

/// What ought to come out.
#[derive(Clone)]
struct Expected {
    accepted: bool,
    /// Parts of the log, or its last line.
    messages: Vec<String>,
    /// Instructions processed.
    insns: Option<u64>,
}

/// The tags of a test's function in their order.
struct Tags(Vec<String>);

impl Tags {
    fn of(btf: &Btf, program: &str) -> Self {
        let Some(func) = btf.find(program, Kind::Func) else { return Self(Vec::new()) };
        // Clang lists a function's tags in no order, so most of them carry a number.
        let mut tags: Vec<String> =
            btf.decl_tags(func, -1).filter_map(|t| t.strip_prefix("comment:")).map(Into::into).collect();
        let order = |t: &String| t.split('=').nth(1).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
        tags.sort_by_key(order);
        Self(tags)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|t| t == name)
    }

    /// Values of numbered tags.
    fn numbered(&self, name: &str) -> Vec<String> {
        let value = |t: &String| t.strip_prefix(name)?.strip_prefix('=')?.split_once('=').map(|(_, v)| v.to_owned());
        self.0.iter().filter_map(value).collect()
    }

    /// What the tests expect without capabilities, when they say anything of it.
    fn unprivileged(&self) -> Option<Expected> {
        let (good, bad) = (self.has("test_expect_success_unpriv"), self.has("test_expect_failure_unpriv"));
        let mut messages = self.numbered("test_expect_msg_unpriv");
        if !good && !bad && messages.is_empty() {
            return None;
        }
        let accepted = if good || bad { good } else { !self.has("test_expect_failure") };
        if messages.is_empty() && !accepted {
            messages = self.numbered("test_expect_msg");
        }
        Some(Expected { accepted, messages, insns: None })
    }

    /// Flags that the test loads its program with.
    fn flags(&self) -> u32 {
        let bit = |name: &str| match name {
            "BPF_F_STRICT_ALIGNMENT" => ProgramFlags::STRICT_ALIGNMENT,
            "BPF_F_TEST_STATE_FREQ" => ProgramFlags::TEST_STATE_FREQ,
            "BPF_F_SLEEPABLE" => ProgramFlags::SLEEPABLE,
            _ => 0,
        };
        self.0.iter().filter_map(|t| t.strip_prefix("test_prog_flags=")).map(bit).fold(0, |a, b| a | b)
    }
}

/// Whether a log has an expected part, in which `{{...}}` are regular expressions: those match anything here.
fn has_part(log: &str, part: &str) -> bool {
    let mut fixed = Vec::new();
    let mut rest = part;
    while let Some((before, after)) = rest.split_once("{{") {
        fixed.push(before);
        rest = after.split_once("}}").map_or("", |(_, r)| r);
    }
    fixed.push(rest);
    let mut at = 0;
    fixed.iter().all(|f| log[at..].find(f).inspect(|n| at += n + f.len()).is_some())
}

type Recorded = HashMap<(String, String), Expected>;

fn recorded(path: &PathBuf) -> Result<Recorded> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    let mut all = Recorded::new();
    for line in String::from_utf8_lossy(&text).lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [object, program, _, answer, _, insns, _, message, ..] = columns[..] else { continue };
        if matches!(answer, "accept" | "reject") {
            let messages = if answer == "reject" { vec![message.to_owned()] } else { Vec::new() };
            all.insert(
                (object.to_owned(), program.to_owned()),
                Expected { accepted: answer == "accept", messages, insns: insns.parse().ok() },
            );
        }
    }
    Ok(all)
}

/// Compares and prints counts; the last line is for machines.
pub fn run(args: &Args) -> Result<()> {
    let version = machine::release().as_deref().and_then(KernelVersion::parse).unwrap_or(KernelVersion::DEFAULT);
    let types: Arc<OnceLock<Option<Arc<Btf>>>> = Arc::default();
    let of_machine = move || types.get_or_init(machine::btf).clone();
    let mut model = KernelModel::new(version, Arc::new(of_machine.clone()));
    model.cpus = std::thread::available_parallelism().map_or(model.cpus, |n| n.get() as u32);
    let known = args.recorded.as_ref().map(recorded).transpose()?;
    let options = Options { privileged: false, cap_bpf: known.is_some(), ..Options::default() };
    let folder = args.oracle.join("objs");
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
    files.retain(|f| f.to_string_lossy().contains(&args.only));
    files.sort();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut work_counts: BTreeMap<&str, usize> = BTreeMap::new();
    for file in files {
        let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(object) = Object::open(&name, &bytes) else { continue };
        let target = machine::target(object.needs(), version.code(), of_machine.clone());
        let Ok(mut prepared) = object.prepare(&target) else { continue };
        for index in 0..prepared.object.programs.len() {
            let program = prepared.object.programs[index].name.to_string();
            let tags = prepared.object.btf.as_deref().map_or(Tags(Vec::new()), |b| Tags::of(b, &program));
            let expected = match &known {
                Some(all) => all.get(&(name.clone(), program.clone())).cloned(),
                None => {
                    prepared.object.programs[index].flags.0 |= tags.flags();
                    tags.unprivileged()
                }
            };
            let Some(expected) = expected else { continue };
            if prepared.unloadable.get(index).is_some_and(Option::is_some) {
                continue;
            }
            let report = verify(&model, &prepared.object, index, options, &mut Silent);
            let (class, said) = match report.verdict {
                Verdict::Accepted(_) if expected.accepted => ("accepted", String::new()),
                Verdict::Accepted(_) => ("false accept", String::new()),
                Verdict::Unsupported { what, .. } => ("unsupported", what),
                Verdict::Rejected(r) if expected.accepted => ("false reject", r.text.clone()),
                Verdict::Rejected(r) => {
                    let said = r.text.clone();
                    let same = expected.messages.last().is_none_or(|m| has_part(&said, m));
                    (if same { "rejected" } else { "other message" }, said)
                }
            };
            *counts.entry(class).or_default() += 1;
            let work = if expected.insns == Some(report.insns_processed) { "same work" } else { "other work" };
            *work_counts.entry(work).or_default() += 1;
            if args.list && known.is_some() && work == "other work" {
                println!("{work}\t{name}\t{program}\t{:?}\t{}", expected.insns, report.insns_processed);
            }
            if args.list && !matches!(class, "accepted" | "rejected") {
                println!(
                    "{class}\t{name}\t{program}\t{}\t{}",
                    expected.messages.join(" | "),
                    said.trim_end().replace('\n', " / ")
                );
            }
        }
    }
    let n = |class| counts.get(class).copied().unwrap_or(0);
    let all: usize = counts.values().sum();
    let verdicts = n("accepted") + n("rejected") + n("other message");
    println!(
        "programs={all} agreement={:.2} false_accept={} false_reject={} unsupported={} rejected={} message={} insns={}",
        100.0 * verdicts as f64 / all.max(1) as f64,
        n("false accept"),
        n("false reject"),
        n("unsupported"),
        n("rejected") + n("other message"),
        n("rejected"),
        work_counts.get("same work").copied().unwrap_or(0),
    );
    Ok(())
}
