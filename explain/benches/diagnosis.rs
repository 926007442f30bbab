//! What a diagnosis costs beside the verdict: programs of `tests/ui`, and those of folders that `EBPFKIT_OBJECTS` names, that
//! are rejected after fewer than 10,000 instructions.
//!
//! The verdict is what `verify` comes to for a prepared program with nobody watching, its message and line included; the
//! whole is the same with a diagnosis, with all that is proved by verifying again. All parts are measured alternately in
//! one run, and the best of many rounds counts; only ratios are printed, unless `EBPFKIT_TIMES` names a file for the
//! nanoseconds of each program.

use ebpfkit_explain::explain::{Explained, terminal};
use ebpfkit_explain::files::Sources;
use ebpfkit_explain::judge::{Asked, Judged, Outcome};
use ebpfkit_explain::trace::Recorder;
use ebpfkit_object::{Object, Prepared};
use ebpfkit_profiles::Profile;
use ebpfkit_verifier::observer::{Observer, Silent};
use ebpfkit_verifier::{KernelModel, Options, verify};
use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Programs that process more are not looked at.
const MOST: u64 = 10_000;
/// Rounds of each part of a program.
const ROUNDS: usize = 15;
/// What is measured, each with all that stands before it.
const PARTS: [&str; 5] =
    ["the verdict", "the path recorded", "and explained", "and remedies proved", "and written for a terminal"];
/// The part that is the whole of a diagnosis.
const WHOLE: usize = 3;

fn objects() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let others = std::env::var_os("EBPFKIT_OBJECTS");
    let folders = std::iter::once(own).chain(others.iter().flat_map(std::env::split_paths));
    let files = folders.flat_map(|f| std::fs::read_dir(f).into_iter().flatten()).filter_map(Result::ok);
    let mut files: Vec<PathBuf> = files.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "o")).collect();
    files.sort();
    files
}

fn timed<T>(best: &mut Duration, run: impl FnOnce() -> T) {
    let start = Instant::now();
    black_box(run());
    *best = (*best).min(start.elapsed());
}

/// The ratios of one part: of its total, its mean, and single ones in the order of their size.
fn line(what: &str, times: &[[f64; PARTS.len()]], part: usize) {
    let mut ratios: Vec<f64> = times.iter().map(|t| t[part] / t[0]).collect();
    ratios.sort_by(f64::total_cmp);
    let total = |part: usize| times.iter().map(|t| t[part]).sum::<f64>();
    let mean = ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
    let at = |share: usize| ratios.get(ratios.len() * share / 100).copied().unwrap_or(0.0);
    let most = ratios.last().copied().unwrap_or(0.0);
    let whole = total(part) / total(0);
    println!(
        "{what:<28} of totals {whole:.2}  mean {mean:.2}  median {:.2}  nine of ten {:.2}  most {most:.1}",
        at(50),
        at(90)
    );
}

/// An object with the kernel that is asked.
struct Subject<'a> {
    kernel: &'a KernelModel,
    prepared: &'a Prepared,
    sources: &'a Sources<'a>,
}

impl Subject<'_> {
    fn judge(&self, program: usize, observer: &mut dyn Observer) -> Judged {
        let report = verify(self.kernel, &self.prepared.object, program, Options::default(), observer);
        Judged::of(self.prepared, program, report)
    }

    /// The path is recorded while the program is judged.
    fn record(&self, program: usize) -> (Judged, Recorder) {
        let mut recorder = Recorder::of_short_walks();
        (self.judge(program, &mut recorder), recorder)
    }

    /// All parts, one after the other.
    fn run(&self, program: usize, part: usize) {
        let Self { kernel, prepared, sources } = *self;
        let (options, object) = (Options::default(), &prepared.object);
        if part == 0 {
            black_box(self.judge(program, &mut Silent));
            return;
        }
        let (judged, recorder) = self.record(program);
        if part == 1 {
            black_box((judged, recorder));
            return;
        }
        let trace = recorder.into_trace();
        if part == 2 {
            let Outcome::Rejected { rejection, .. } = &judged.outcome else { return };
            let processed = judged.insns_processed;
            let explained =
                Explained { kernel, object, program, options, rejection, processed, message: None, sources };
            black_box(explained.by(&trace.unwrap_or_default()));
            return;
        }
        let mended = judged.mended(&Asked { kernel, prepared, program, options, sources }, trace.as_ref());
        if part > WHOLE {
            black_box(mended.as_ref().map(|(diagnosis, _)| terminal(object, program, diagnosis, false)));
        }
        black_box(mended);
    }
}

fn main() {
    let profile = Profile::all().into_iter().find(|p| p.name == "6.18").expect("a bundled kernel");
    let kernel = &profile.model();
    let (mut times, mut loaded, mut listed) = (Vec::new(), [0.0; 2], String::new());
    for path in objects() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let prepare = || {
            let object = Object::open(&name, &bytes).ok()?;
            let target = profile.target(object.needs());
            object.prepare(&target).ok()
        };
        let sources = || {
            Sources::new(|name| {
                let beside = path.parent()?.join(Path::new(name).file_name()?);
                std::fs::read_to_string(name).or_else(|_| std::fs::read_to_string(beside)).ok()
            })
        };
        let Some(prepared) = prepare() else { continue };
        let subject = Subject { kernel, prepared: &prepared, sources: &sources() };
        let is_meant = |program: &usize| {
            let judged = Judged::unloadable(&prepared, *program);
            let judged = judged.unwrap_or_else(|| subject.judge(*program, &mut Silent));
            matches!(judged.outcome, Outcome::Rejected { .. }) && judged.insns_processed < MOST
        };
        let programs: Vec<usize> = (0..prepared.object.programs.len()).filter(is_meant).collect();
        for &program in &programs {
            let mut best = [Duration::MAX; PARTS.len()];
            for _ in 0..ROUNDS {
                for (part, best) in best.iter_mut().enumerate() {
                    // What ran before shall not count, neither for nor against a part.
                    subject.run(program, part);
                    timed(best, || subject.run(program, part));
                }
            }
            let best = best.map(|b| b.as_nanos() as f64);
            let parts = best.map(|b| format!("{b:.0}")).join("\t");
            let name = format!("{name}\t{}", prepared.object.programs[program].name);
            writeln!(listed, "{name}\t{parts}").expect("a string takes text");
            times.push(best);
        }
        // The same with all that comes before a verdict, and with what is read once for all programs of an object.
        if !programs.is_empty() {
            for (total, part) in loaded.iter_mut().zip([0, WHOLE]) {
                let mut best = Duration::MAX;
                for _ in 0..ROUNDS {
                    timed(&mut best, || {
                        let Some(prepared) = prepare() else { return };
                        let subject = Subject { kernel, prepared: &prepared, sources: &sources() };
                        programs.iter().for_each(|p| subject.run(*p, part));
                    });
                }
                *total += best.as_nanos() as f64;
            }
        }
    }
    println!("{} rejections; ratios to the verdict's time, each part with those before it", times.len());
    for (part, what) in PARTS.iter().enumerate().skip(1) {
        line(what, &times, part);
    }
    println!("{}, with reading objects and sources: of totals {:.2}", PARTS[WHOLE], loaded[1] / loaded[0]);
    if let Some(to) = std::env::var_os("EBPFKIT_TIMES") {
        std::fs::write(to, listed).expect("the file can be written");
    }
}
