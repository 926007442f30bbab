//! What a diagnosis costs beside the verdict: programs of `tests/ui`, and those of folders that `EBPFKIT_OBJECTS` names, that
//! are rejected after fewer than 10,000 instructions. All parts are measured alternately in one run, and the best of many
//! rounds counts; only ratios are printed.

use ebpfkit_explain::explain::Explained;
use ebpfkit_explain::judge::{Asked, Judged, Outcome};
use ebpfkit_explain::source::no_sources;
use ebpfkit_explain::trace::Recorder;
use ebpfkit_object::Object;
use ebpfkit_profiles::Profile;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{Options, verify};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Programs that process more are not looked at.
const MOST: u64 = 10_000;
/// Rounds of each part of a program.
const ROUNDS: usize = 12;

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

/// The ratios of one part, in the order of their size.
fn line(what: &str, ratios: &mut [f64]) {
    ratios.sort_by(f64::total_cmp);
    let mean = (ratios.iter().map(|r| r.ln()).sum::<f64>() / ratios.len().max(1) as f64).exp();
    let at = |share: usize| ratios.get(ratios.len() * share / 100).copied().unwrap_or(0.0);
    let most = ratios.last().copied().unwrap_or(0.0);
    println!("{what:<32} mean {mean:.2}  median {:.2}  nine of ten {:.2}  most {most:.2}", at(50), at(90));
}

fn main() {
    let profile = Profile::all().into_iter().find(|p| p.name == "6.18").expect("a bundled kernel");
    let kernel = profile.model();
    let options = Options::default();
    let (mut walks, mut explained, mut proved) = (Vec::new(), Vec::new(), Vec::new());
    for path in objects() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(object) = std::fs::read(&path).ok().and_then(|b| Object::open(&name, &b).ok()) else { continue };
        let target = profile.target(object.needs());
        let Ok(prepared) = object.prepare(&target) else { continue };
        for program in 0..prepared.object.programs.len() {
            if Judged::unloadable(&prepared, program).is_some() {
                continue;
            }
            let object = &prepared.object;
            let report = verify(&kernel, object, program, options, &mut Silent);
            let judged = Judged::of(&prepared, program, report);
            let Outcome::Rejected { rejection, .. } = &judged.outcome else { continue };
            if judged.insns_processed >= MOST {
                continue;
            }
            let asked = Asked { kernel: &kernel, prepared: &prepared, program, options, sources: &no_sources };
            let explain =
                Explained { kernel: &kernel, object, program, options, rejection, message: None, sources: &no_sources };
            let walk = || {
                let mut recorder = Recorder::default();
                verify(&kernel, object, program, options, &mut recorder);
                recorder.into_trace()
            };
            let mut best = [Duration::MAX; 4];
            for _ in 0..ROUNDS {
                timed(&mut best[0], || verify(&kernel, object, program, options, &mut Silent));
                timed(&mut best[1], walk);
                timed(&mut best[2], || explain.by(&walk()));
                timed(&mut best[3], || judged.mended(&asked));
            }
            let ratio = |n: usize| best[n].as_secs_f64() / best[0].as_secs_f64();
            walks.push(ratio(1));
            explained.push(ratio(2));
            proved.push(ratio(3));
        }
    }
    println!("{} rejections; ratios to the verdict's time", walks.len());
    line("the path recorded", &mut walks);
    line("the same, and explained", &mut explained);
    line("the same, and remedies proved", &mut proved);
}
