//! Properties of diagnoses, whatever the program: they speak of the program, what they call proved is accepted, and how a
//! program is written or compiled does not change its cause.

mod builds;
mod facts;
mod proved;
mod specific;

use ebpfkit_explain::files::Sources;
use ebpfkit_explain::judge::{Asked, Judged, Outcome};
use ebpfkit_explain::{Diagnosis, Repair};
use ebpfkit_object::{Object, Prepared};
use ebpfkit_profiles::Profile;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Rejection, Verdict, verify};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The kernel that is asked, as a bundled one so that answers are the same everywhere.
fn profile() -> Arc<Profile> {
    Profile::all().into_iter().find(|p| p.name == "6.18").expect("a bundled kernel")
}

/// Says that so many tests did not run.
fn skipped(count: usize, why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped {count}: {why}");
}

/// A folder of this crate's tests.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Files of a folder with one of these extensions, sorted.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|e| e.path());
    let fits = |p: &PathBuf| p.extension().is_some_and(|e| extensions.iter().any(|x| e == *x));
    let mut found: Vec<PathBuf> = entries.filter(fits).collect();
    found.sort();
    found
}

/// An object or a text, not yet resolved for a kernel.
fn open(path: &Path) -> Option<Object> {
    let name = path.file_name()?.to_string_lossy();
    let bytes = std::fs::read(path).ok()?;
    match path.extension()?.to_str()? {
        "s" => ebpfkit_asm::assemble_object(&name, &String::from_utf8(bytes).ok()?).ok(),
        _ => Object::open(&name, &bytes).ok(),
    }
}

/// The repository's own programs that are rejected, for the most part.
fn own_programs() -> Vec<(PathBuf, Object)> {
    let verdicts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testsuite/verdicts");
    let folders = [folder("ui"), folder("diagnoses"), verdicts];
    let paths = folders.iter().flat_map(|f| files(f, &["o", "s"]));
    let found: Vec<(PathBuf, Object)> = paths.filter_map(|p| open(&p).map(|o| (p, o))).collect();
    assert!(!found.is_empty());
    found
}

/// A rejected program with what is said of it.
struct Rejected<'a> {
    prepared: &'a Prepared,
    program: usize,
    rejection: Box<Rejection>,
    diagnosis: Diagnosis,
    repair: Option<Repair>,
}

/// The diagnosis of one program; none where it is not rejected.
fn rejected<'a>(kernel: &KernelModel, prepared: &'a Prepared, program: usize, beside: &Path) -> Option<Rejected<'a>> {
    if Judged::unloadable(prepared, program).is_some() {
        return None;
    }
    let options = Options::default();
    let report = verify(kernel, &prepared.object, program, options, &mut Silent);
    let judged = Judged::of(prepared, program, report);
    let Outcome::Rejected { rejection, .. } = &judged.outcome else { return None };
    let sources = Sources::new(|name| std::fs::read_to_string(beside.join(Path::new(name).file_name()?)).ok());
    let (diagnosis, repair) = judged
        .mended(&Asked { kernel, prepared, program, options, sources: &sources }, None)
        .expect("a rejection has one");
    Some(Rejected { prepared, program, rejection: rejection.clone(), diagnosis, repair })
}

/// Whether a program is accepted, and what is said of it if not.
fn accepts(kernel: &KernelModel, object: &Object, program: usize) -> Result<(), String> {
    match verify(kernel, object, program, Options::default(), &mut Silent).verdict {
        Verdict::Accepted(_) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}
