//! `loader-check`: every object of a folder opened, prepared and, where there is a kernel, loaded; compared with the
//! recorded answers of libbpf and a kernel.

use anyhow::{Context, Result, bail};
use ebpfkit_isa::Endian;
use ebpfkit_kernel::{Kernel, KernelError, LogLevel, Session};
use ebpfkit_object::Prepared;
use ebpfkit_testsuite::running;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// libbpf's error number for an object of the other byte order.
const ENDIAN: i64 = 4003;

/// Arguments of `loader-check`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder with `objs/`, `core.tsv` and `rest.tsv`
    oracle: PathBuf,
    /// Only prepare; ask the kernel nothing
    #[arg(long)]
    offline: bool,
    /// Only objects whose name contains this
    #[arg(short, long, default_value = "")]
    only: String,
    /// Print each difference
    #[arg(short, long)]
    list: bool,
}

/// A recorded answer.
struct Row {
    program: String,
    answer: String,
    errno: i64,
    insns: i64,
    message: String,
    complaint: String,
}

fn rows(oracle: &Path) -> Result<BTreeMap<String, Vec<Row>>> {
    let mut found: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for name in ["core.tsv", "rest.tsv"] {
        let path = oracle.join(name);
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        for line in String::from_utf8_lossy(&bytes).lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let field = |i: usize| fields.get(i).copied().unwrap_or_default().to_owned();
            let number = |i: usize| field(i).parse().unwrap_or(-1);
            found.entry(field(0)).or_default().push(Row {
                program: field(1),
                answer: field(3),
                errno: number(4),
                insns: number(5),
                message: field(7).trim().to_owned(),
                complaint: field(8).trim().trim_start_matches("libbpf: ").to_owned(),
            });
        }
    }
    if found.is_empty() {
        bail!("{}: no recorded answers", oracle.display());
    }
    Ok(found)
}

/// How often each kind of comparison ended how.
#[derive(Default)]
struct Counts(BTreeMap<(&'static str, bool), usize>);

impl Counts {
    fn note(&mut self, what: &'static str, same: bool) -> bool {
        *self.0.entry((what, same)).or_default() += 1;
        same
    }

    fn of(&self, what: &'static str) -> (usize, usize) {
        let same = self.0.get(&(what, true)).copied().unwrap_or_default();
        (same, same + self.0.get(&(what, false)).copied().unwrap_or_default())
    }
}

/// Compares and prints counts.
pub fn run(args: &Args) -> Result<()> {
    let kernel = if args.offline { None } else { Some(Kernel::open()?) };
    let mut counts = Counts::default();
    for (name, rows) in rows(&args.oracle)?.iter().filter(|(name, _)| name.contains(&args.only)) {
        let opened = running::open(&args.oracle.join("objs").join(name))?;
        // Newer versions of libbpf open objects of the other byte order, and refuse to load them.
        let foreign = opened.as_ref().is_ok_and(|o| o.endian != Endian::default());
        let expected = rows.iter().all(|r| r.answer != "openfail" || (foreign && r.errno == ENDIAN));
        if !counts.note("opens", opened.is_ok() == expected) && args.list {
            println!("{name}\topens\t{:?}", opened.as_ref().err());
        }
        let Ok(object) = opened else { continue };
        let prepared = running::prepare(object)?;
        let session = kernel.map(|k| Session::new(k, &prepared));
        for row in rows {
            let Some(index) = prepared.object.programs.iter().position(|p| p.name == row.program) else {
                if !counts.note("has the program", row.answer == "openfail") && args.list {
                    println!("{name}\t{}\tno such program", row.program);
                }
                continue;
            };
            let mut say = |what: &'static str, same: bool, ours: &str, theirs: &str| {
                if !counts.note(what, same) && args.list {
                    println!("{name}\t{}\t{what}\t{ours}\t{theirs}", row.program);
                }
            };
            state(&prepared, index, row, &mut say);
            match &session {
                Some(Ok(session)) => load(session, index, row, &mut say),
                Some(Err(e)) => say("the kernel takes types and maps", false, &e.to_string(), ""),
                None => {}
            }
        }
    }
    let whats: std::collections::BTreeSet<&'static str> = counts.0.keys().map(|k| k.0).collect();
    for what in whats {
        let (same, all) = counts.of(what);
        println!("{what}: {same} of {all}");
    }
    Ok(())
}

/// Whether libbpf handed the program to the kernel, and its complaint if not.
fn state(prepared: &Prepared, index: usize, row: &Row, say: &mut dyn FnMut(&'static str, bool, &str, &str)) {
    let ours = prepared.unloadable[index].as_deref();
    // Whoever recorded the answers created no struct_ops maps, so that their programs were not loaded at all.
    let skipped = row.answer == "accept" && row.insns < 0;
    let by_kernel = ["BPF program load failed", "BTF loading error"].iter().any(|s| row.complaint.contains(s));
    match row.answer.as_str() {
        _ if skipped => {}
        "noload" if !by_kernel => {
            say("reason not to load", ours == Some(&row.complaint), ours.unwrap_or(""), &row.complaint)
        }
        _ => say("loads", ours.is_none(), ours.unwrap_or_default(), &row.answer),
    }
}

/// Whether the kernel answers the same when the program is loaded from here.
fn load(session: &Session<'_>, index: usize, row: &Row, say: &mut dyn FnMut(&'static str, bool, &str, &str)) {
    if !matches!(row.answer.as_str(), "accept" | "reject" | "poison") || row.insns < 0 && row.answer == "accept" {
        return;
    }
    match session.load(index, LogLevel::FAILING_PATH.and(LogLevel::STATS)) {
        Ok(result) => {
            let summary = result.summary();
            // A load that failed after the verifier agreed counts as accepted, as in the recorded answers.
            let accepted = result.program.is_ok() || summary.message.is_empty();
            let ours = if accepted { "accept" } else { "reject" };
            let theirs = if row.answer == "accept" { "accept" } else { "reject" };
            say(
                "verdict",
                ours == theirs,
                &format!("{ours} {}", summary.message),
                &format!("{theirs} {}", row.message),
            );
            if ours == theirs {
                let insns = summary.insns_processed.map_or(-1, |n| n as i64);
                say("instructions processed", insns == row.insns, &insns.to_string(), &row.insns.to_string());
            }
            if row.answer == "reject" && ours == "reject" {
                let short: String = summary.message.trim().chars().take(380).collect();
                say("message", short == row.message, &short, &row.message);
            }
            // EBADF: libbpf had no program for a slot of a prog array.
            if row.answer == "accept" && row.errno != 9 {
                let failed = result.program.as_ref().err().copied().unwrap_or_default();
                say("errno", i64::from(failed) == row.errno, &failed.to_string(), &row.errno.to_string());
            }
        }
        Err(KernelError::Unloadable(why)) => say("verdict", false, &why, &row.answer),
        Err(e) => say("verdict", false, &e.to_string(), &row.answer),
    }
}
