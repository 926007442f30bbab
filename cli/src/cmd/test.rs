//! `test`: folders of programs with what happens to them and what is expected.

use crate::cmd::cfg::Executed;
use crate::cmd::out_text::put;
use crate::cmd::run::{coverage_text, difference};
use crate::end::End;
use crate::files;
use crate::out::{self, say};
use crate::paint;
use anyhow::{Context, Result, bail};
use ebpfkit_abi::ProgType;
use ebpfkit_explain::coverage::Coverage;
use ebpfkit_explain::xml;
use ebpfkit_kernel::machine;
use ebpfkit_object::{Object, Program};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Arguments of `test`.
#[derive(clap::Args)]
pub struct Args {
    /// Folders: each file of events (`NAME.jsonl`, `NAME.yaml`) in them or below is a test (docs/events.md)
    #[arg(value_name = "FOLDER", required_unless_present = "schema")]
    folders: Vec<PathBuf>,
    /// Print the JSON Schema of the objects in files of events
    #[arg(long, exclusive = true)]
    schema: bool,
    /// Write what is expected anew
    #[arg(long)]
    bless: bool,
    /// Write the results as JUnit XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Tests that run at a time [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// What runs the programs
    #[arg(long, value_enum, default_value = "interp")]
    engine: TestEngine,
    /// Show how often the tests have executed each line and branch, or write it to a file: lcov (.info), Cobertura
    /// (.xml), otherwise text
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    coverage: Option<PathBuf>,
    /// End a test after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// JSON: one object for each test and one at the end
    #[arg(short, long)]
    json: bool,
}

/// The engines that tests run in.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum TestEngine {
    /// The interpreter
    Interp,
    /// Native code
    Jit,
}

/// A file of events with its object.
struct Case {
    name: String,
    object: PathBuf,
    events: PathBuf,
    expected: PathBuf,
}

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    /// With what is to be said of it.
    Failed(String),
    /// Why it cannot run here.
    Skipped(String),
    /// What is expected was written.
    Blessed,
}

impl Outcome {
    fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
            Self::Blessed => "blessed",
        }
    }

    fn why(&self) -> Option<&str> {
        match self {
            Self::Failed(why) | Self::Skipped(why) => Some(why),
            _ => None,
        }
    }
}

/// A test's result; documented in `docs/json.md`.
#[derive(Serialize)]
struct JsonCase<'a> {
    test: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    duration_ms: u128,
}

/// The last line of JSON; documented in `docs/json.md`.
#[derive(Serialize, Default)]
struct Summary {
    passed: usize,
    failed: usize,
    skipped: usize,
    blessed: usize,
}

/// Finds the tests in folders and runs them.
pub fn run(args: &Args) -> Result<End> {
    if args.schema {
        say!("{}", serde_json::to_string_pretty(&ebpfkit_events::schema::json_schema())?)?;
        return Ok(End::Good);
    }
    if args.coverage.is_some() && matches!(args.engine, TestEngine::Jit) {
        bail!("--coverage counts what the interpreter executes; leave out --engine");
    }
    if args.json && args.coverage.as_deref().is_some_and(files::is_standard) {
        bail!("--coverage prints text, which does not go with JSON; give it a file: --coverage=FILE");
    }
    let mut cases = Vec::new();
    for folder in &args.folders {
        find(folder, &mut cases, 0)?;
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    if cases.is_empty() {
        let folders: Vec<String> = args.folders.iter().map(|f| files::name(f)).collect();
        bail!("{}: no tests; expected files of events (NAME.jsonl, NAME.yaml) beside objects", folders.join(", "));
    }
    let (results, coverage) = run_all(args, &cases)?;
    let mut summary = Summary::default();
    for (_, outcome, _) in &results {
        match outcome {
            Outcome::Passed => summary.passed += 1,
            Outcome::Failed(_) => summary.failed += 1,
            Outcome::Skipped(_) => summary.skipped += 1,
            Outcome::Blessed => summary.blessed += 1,
        }
    }
    if args.json {
        out::json(&summary)?;
    } else {
        let mut parts = vec![format!("{} passed", summary.passed)];
        for (n, what) in [(summary.blessed, "blessed"), (summary.skipped, "skipped"), (summary.failed, "failed")] {
            if n > 0 {
                parts.push(format!("{n} {what}"));
            }
        }
        say!("{}", parts.join(", "))?;
    }
    if let Some(path) = &args.coverage {
        put(path, coverage_text(path, &coverage, Path::new("")).as_bytes())?;
    }
    if let Some(path) = &args.junit {
        files::write(path, junit(&results, std::time::SystemTime::now()).as_bytes())?;
    }
    Ok(if summary.failed > 0 { End::Bad } else { End::Good })
}

/// Deepest folder that is looked into.
const MAX_DEPTH: usize = 16;

/// The tests of a folder and of those in it.
fn find(folder: &Path, cases: &mut Vec<Case>, depth: usize) -> Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| files::name(folder))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<std::io::Result<_>>()
        .with_context(|| files::name(folder))?;
    entries.sort();
    let has = |path: &Path, extension: &str| path.extension().is_some_and(|e| e == extension);
    let objects: Vec<&PathBuf> = entries.iter().filter(|p| has(p, "o")).collect();
    for path in &entries {
        let is_folder = path.symlink_metadata().is_ok_and(|m| m.is_dir());
        if is_folder && depth < MAX_DEPTH {
            find(path, cases, depth + 1)?;
        }
        if is_folder || !(has(path, "jsonl") || has(path, "yaml") || has(path, "yml")) {
            continue;
        }
        let own = path.with_extension("o");
        let object = match objects[..] {
            _ if objects.contains(&&own) => own,
            [one] => one.clone(),
            [] => bail!("{}: no object beside it", files::name(path)),
            _ => bail!("{}: several objects beside it, none called {}", files::name(path), files::name(&own)),
        };
        let name = path.with_extension("");
        // A folder with one file of events gives the test its name.
        let name = if name.ends_with("events") { folder.to_owned() } else { name };
        let expected = path.with_extension("expected");
        cases.push(Case { name: files::name(&name), object, events: path.clone(), expected });
    }
    Ok(())
}

type Done<'c> = (&'c Case, Outcome, Duration);

/// Runs the tests, several at a time, and tells of each when it and those before it have ended.
fn run_all<'c>(args: &Args, cases: &'c [Case]) -> Result<(Vec<Done<'c>>, Coverage)> {
    let jobs = args.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()), usize::from);
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<(Outcome, Coverage, Duration)>>> = Mutex::new(vec![None; cases.len()]);
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(cases.len()) {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Relaxed);
                    let Some(case) = cases.get(n) else { break };
                    let start = Instant::now();
                    let failed = |e| (Outcome::Failed(out::text_of(&e)), Coverage::default());
                    let (outcome, coverage) = run_one(args, case).unwrap_or_else(failed);
                    if let Ok(mut results) = results.lock() {
                        results[n] = Some((outcome, coverage, start.elapsed()));
                    }
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (mut done, mut coverage) = (Vec::new(), Coverage::default());
    for (case, result) in cases.iter().zip(results) {
        let (outcome, covered, took) = result.context("a test did not end")?;
        coverage.add(covered);
        if args.json {
            let (test, why) = (case.name.as_str(), outcome.why());
            out::json(&JsonCase { test, outcome: outcome.name(), why, duration_ms: took.as_millis() })?;
        } else {
            let word = match &outcome {
                Outcome::Failed(_) => paint::error(outcome.name()).to_string(),
                Outcome::Skipped(_) => paint::warning(outcome.name()).to_string(),
                _ => outcome.name().to_owned(),
            };
            let why = match &outcome {
                Outcome::Skipped(why) => format!(": {why}"),
                Outcome::Failed(why) => format!("\n{}", indented(why)),
                _ => String::new(),
            };
            say!("{word} {}{why}", case.name)?;
        }
        done.push((case, outcome, took));
    }
    Ok((done, coverage))
}

fn indented(text: &str) -> String {
    text.lines().map(|l| format!("  {l}")).collect::<Vec<_>>().join("\n")
}

/// Runs one test in a process of its own; the answer is how it ended, and what it has executed if that is wanted.
fn run_one(args: &Args, case: &Case) -> Result<(Outcome, Coverage)> {
    let nothing = Coverage::default;
    let bytes = files::read(&case.object)?;
    let object = Object::open(&files::name(&case.object), &bytes).with_context(|| files::name(&case.object))?;
    if object.needs().types && machine::btf().is_none() {
        let why = "it needs the kernel's types, which this machine does not have";
        return Ok((Outcome::Skipped(why.into()), nothing()));
    }
    let folder = case.events.parent().unwrap_or(Path::new("."));
    let mut command = Command::new(std::env::current_exe().context("this command")?);
    command.arg("--color").arg("never").arg("run").arg(&case.object).arg("--events").arg(&case.events);
    for (option, name) in [("--world", "world.json"), ("--maps", "maps.json")] {
        let path = folder.join(name);
        if path.exists() {
            command.arg(option).arg(path);
        }
    }
    if matches!(args.engine, TestEngine::Jit) {
        command.arg("--engine").arg("jit");
    }
    let counts = match &args.coverage {
        Some(_) => Some(tempfile::Builder::new().suffix(".json").tempfile().context("a file for what was executed")?),
        None => None,
    };
    if let Some(file) = &counts {
        command.arg(format!("--coverage={}", file.path().display()));
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (status, stdout, stderr) = wait(child, Duration::from_secs(args.timeout))?;
    let Some(status) = status else {
        return Ok((Outcome::Failed(format!("not ended after {} seconds", args.timeout)), nothing()));
    };
    // A run that ended before it began has written none.
    let executed =
        counts.filter(|f| std::fs::metadata(f.path()).is_ok_and(|m| m.len() > 0)).map(|f| Executed::read(f.path()));
    let coverage = executed.transpose()?.map_or_else(nothing, |executed| {
        let programs: Vec<&Program> = object.programs.iter().filter(|p| p.prog_type != ProgType::Ext).collect();
        let mut coverage = Coverage::of(&object, &programs, &executed.counts(&object));
        coverage.rename(&|name| files::found_beside(&case.object, name));
        coverage
    });
    let mut said = String::from_utf8_lossy(&stdout).into_owned();
    if !stderr.is_empty() {
        write!(said, "--- standard error\n{}", String::from_utf8_lossy(&stderr))?;
    }
    if !status.success() {
        writeln!(said, "--- {status}")?;
    }
    if args.bless {
        files::write(&case.expected, said.as_bytes())?;
        return Ok((Outcome::Blessed, coverage));
    }
    let Ok(expected) = std::fs::read_to_string(&case.expected) else {
        let why = format!("{}: missing; --bless writes it", files::name(&case.expected));
        return Ok((Outcome::Failed(why), coverage));
    };
    let outcome = if expected == said { Outcome::Passed } else { Outcome::Failed(difference(&expected, &said)) };
    Ok((outcome, coverage))
}

type Waited = (Option<std::process::ExitStatus>, Vec<u8>, Vec<u8>);

/// Waits for a process and takes what it prints; it is ended when its time is up.
fn wait(mut child: std::process::Child, timeout: Duration) -> Result<Waited> {
    use std::io::Read;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let read = |from: Option<&mut dyn Read>| {
        let mut bytes = Vec::new();
        if let Some(from) = from {
            let _ = from.read_to_end(&mut bytes);
        }
        bytes
    };
    std::thread::scope(|scope| {
        let out = scope.spawn(|| read(stdout.as_mut().map(|f| f as &mut dyn Read)));
        let err = scope.spawn(|| read(stderr.as_mut().map(|f| f as &mut dyn Read)));
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if start.elapsed() > timeout {
                child.kill()?;
                child.wait()?;
                break None;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        Ok((status, out.join().unwrap_or_default(), err.join().unwrap_or_default()))
    })
}

/// The results as JUnit XML, in the form that all its schemas allow: some want what others only permit.
fn junit(results: &[Done<'_>], now: std::time::SystemTime) -> String {
    let seconds = |d: &Duration| format!("{:.3}", d.as_secs_f64());
    let count = |name: &str| results.iter().filter(|(_, o, _)| o.name() == name).count();
    let total: Duration = results.iter().map(|(.., took)| *took).sum();
    // Without the zone, which the schema leaves out.
    let timestamp = humantime::format_rfc3339_seconds(now).to_string();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    let _ = writeln!(
        text,
        "  <testsuite name=\"ebpfkit\" package=\"\" id=\"0\" timestamp=\"{}\" hostname=\"localhost\" tests=\"{}\" \
         failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{}\">\n    <properties/>",
        timestamp.trim_end_matches('Z'),
        results.len(),
        count("failed"),
        count("skipped"),
        seconds(&total)
    );
    for (case, outcome, took) in results {
        let object = xml::text(&files::name(&case.object));
        let name = xml::text(&case.name);
        let _ = write!(text, "    <testcase classname=\"{object}\" name=\"{name}\" time=\"{}\"", seconds(took));
        let _ = match outcome {
            Outcome::Failed(why) => {
                let why = xml::text(why);
                writeln!(
                    text,
                    ">\n      <failure type=\"difference\" message=\"something else was printed\">{why}</failure>\n    \
                     </testcase>"
                )
            }
            Outcome::Skipped(why) => {
                writeln!(text, ">\n      <skipped message=\"{}\"/>\n    </testcase>", xml::text(why))
            }
            _ => writeln!(text, "/>"),
        };
    }
    text + "    <system-out/>\n    <system-err/>\n  </testsuite>\n</testsuites>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_xml() {
        let case = Case {
            name: "a & b".into(),
            object: "a.o".into(),
            events: "events.jsonl".into(),
            expected: "events.expected".into(),
        };
        let took = Duration::from_millis(5);
        let results = [
            (&case, Outcome::Failed("<\u{1}>".into()), took),
            (&case, Outcome::Passed, took),
            (&case, Outcome::Skipped("no \"types\"".into()), took),
        ];
        let text = junit(&results, std::time::UNIX_EPOCH + Duration::from_secs(86_400));
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="ebpfkit" package="" id="0" timestamp="1970-01-02T00:00:00" hostname="localhost" tests="3" failures="1" errors="0" skipped="1" time="0.015">
    <properties/>
    <testcase classname="a.o" name="a &amp; b" time="0.005">
      <failure type="difference" message="something else was printed">&lt;CONTROL&gt;</failure>
    </testcase>
    <testcase classname="a.o" name="a &amp; b" time="0.005"/>
    <testcase classname="a.o" name="a &amp; b" time="0.005">
      <skipped message="no &quot;types&quot;"/>
    </testcase>
    <system-out/>
    <system-err/>
  </testsuite>
</testsuites>
"#;
        assert_eq!(text, expected.replace("CONTROL", "\u{fffd}"));
    }
}
