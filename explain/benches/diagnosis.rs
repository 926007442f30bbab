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

/// The best times of one program's parts; none where it is not rejected, or late.
fn measure(kernel: &KernelModel, prepared: &Prepared, program: usize, sources: &Sources<'_>) -> Option<[f64; 5]> {
    let (options, object) = (Options::default(), &prepared.object);
    let judge =
        |observer: &mut dyn Observer| Judged::of(prepared, program, verify(kernel, object, program, options, observer));
    let recorded = || {
        let mut recorder = Recorder::of_short_walks();
        (judge(&mut recorder), recorder.into_trace())
    };
    let asked = Asked { kernel, prepared, program, options, sources };
    let explained = || {
        let (judged, trace) = recorded();
        let Outcome::Rejected { rejection, .. } = &judged.outcome else { return None };
        let processed = judged.insns_processed;
        let explained = Explained { kernel, object, program, options, rejection, processed, message: None, sources };
        Some(explained.by(&trace.unwrap_or_default()))
    };
    let proved = || {
        let (judged, trace) = recorded();
        judged.mended(&asked, trace.as_ref())
    };
    let judged = Judged::unloadable(prepared, program).unwrap_or_else(|| judge(&mut Silent));
    if !matches!(judged.outcome, Outcome::Rejected { .. }) || judged.insns_processed >= MOST {
        return None;
    }
    let mut best = [Duration::MAX; PARTS.len()];
    for _ in 0..ROUNDS {
        timed(&mut best[0], || judge(&mut Silent));
        timed(&mut best[1], recorded);
        timed(&mut best[2], explained);
        timed(&mut best[WHOLE], proved);
        timed(&mut best[4], || proved().map(|(diagnosis, _)| terminal(object, program, &diagnosis, false)));
    }
    Some(best.map(|b| b.as_nanos() as f64))
}

fn main() {
    let profile = Profile::all().into_iter().find(|p| p.name == "6.18").expect("a bundled kernel");
    let kernel = profile.model();
    let (mut times, mut loaded, mut listed) = (Vec::new(), [0.0; 2], String::new());
    for path in objects() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let prepare = || {
            let object = Object::open(&name, &bytes).ok()?;
            let target = profile.target(object.needs());
            object.prepare(&target).ok()
        };
        let Some(prepared) = prepare() else { continue };
        let sources = Sources::new(|name| {
            let beside = path.parent()?.join(Path::new(name).file_name()?);
            std::fs::read_to_string(name).or_else(|_| std::fs::read_to_string(beside)).ok()
        });
        let mut of_file = [0.0; 2];
        for program in 0..prepared.object.programs.len() {
            let Some(best) = measure(&kernel, &prepared, program, &sources) else { continue };
            (of_file[0], of_file[1]) = (of_file[0] + best[0], of_file[1] + best[WHOLE]);
            let parts = best.map(|b| format!("{b:.0}")).join("\t");
            let name = format!("{name}\t{}", prepared.object.programs[program].name);
            writeln!(listed, "{name}\t{parts}").expect("a string takes text");
            times.push(best);
        }
        if of_file[0] > 0.0 {
            let mut loading = Duration::MAX;
            (0..ROUNDS).for_each(|_| timed(&mut loading, prepare));
            let loading = loading.as_nanos() as f64;
            loaded = [loaded[0] + loading + of_file[0], loaded[1] + loading + of_file[1]];
        }
    }
    println!("{} rejections; ratios to the verdict's time, each part with those before it", times.len());
    for (part, what) in PARTS.iter().enumerate().skip(1) {
        line(what, &times, part);
    }
    println!("with opening and preparing the objects in both, remedies proved: of totals {:.2}", loaded[1] / loaded[0]);
    if let Some(to) = std::env::var_os("EBPFKIT_TIMES") {
        std::fs::write(to, listed).expect("the file can be written");
    }
}
