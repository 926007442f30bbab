//! `flips`: how many of the differences between answers of neighbouring kernels are explained.

use crate::cmd::ObjectArgs;
use anyhow::{Result, anyhow, bail};
use ebpfkit_abi::kernel::Bundled;
use ebpfkit_object::Object;
use ebpfkit_profiles::Profile;
use ebpfkit_profiles::flips::{self, Cause, Flip};
use ebpfkit_profiles::matrix;
use ebpfkit_verifier::Options;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Arguments of `flips`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    objects: ObjectArgs,
    /// The kernels, oldest first
    #[arg(short, long, value_delimiter = ',', default_value = "6.1,6.12,6.18,7.3")]
    kernels: Vec<String>,
    /// Least share of explained differences, in percent
    #[arg(long, default_value_t = 95.0)]
    least: f64,
}

/// Where neighbours differ: object, program, the kernels, and what was found.
struct Difference {
    object: String,
    program: String,
    older: String,
    newer: String,
    flip: Flip,
}

impl Difference {
    /// What explains it: names of features, or the kinds of other causes.
    fn why(&self) -> String {
        let name = |cause: &Cause| match cause {
            Cause::Feature(feature) => feature.name(),
            Cause::Version => "version",
            Cause::Types => "types",
        };
        self.flip.causes.iter().map(name).collect::<Vec<_>>().join("+")
    }
}

/// Counts.
pub fn run(args: &Args) -> Result<()> {
    let named = |name: &String| Bundled::by_name(name).ok_or_else(|| anyhow!("{name}: not bundled"));
    let kernels: Vec<_> = args.kernels.iter().map(|n| named(n).map(Profile::bundled)).collect::<Result<_>>()?;
    let files = args.objects.files()?;
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            // What cannot be read has no verdicts.
            let differences = differences(file, &kernels).unwrap_or_default();
            if let Ok(mut found) = found.lock() {
                found.extend(differences);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut found = found.into_inner().unwrap_or_default();
    found.sort_by(|a, b| (&a.object, &a.program, a.flip.older).cmp(&(&b.object, &b.program, b.flip.older)));

    let mut by_cause: BTreeMap<String, usize> = BTreeMap::new();
    for difference in &found {
        let why = difference.why();
        if why.is_empty() || args.objects.list {
            let Difference { object, program, older, newer, flip } = difference;
            let (before, after) = (flip.before.status.name(), flip.after.status.name());
            let said = flip.refusal().message.as_deref().unwrap_or_default();
            let why = if why.is_empty() { "?" } else { &why };
            println!("{object}\t{program}\t{older} {before}\t{newer} {after}\t{why}\t{said}");
        }
        *by_cause.entry(why).or_default() += 1;
    }
    let unexplained = by_cause.remove("").unwrap_or_default();
    let mut causes: Vec<_> = by_cause.into_iter().collect();
    causes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (cause, count) in causes {
        println!("{count:6}  {cause}");
    }
    let (differences, explained) = (found.len(), found.len() - unexplained);
    let share = if differences == 0 { 100.0 } else { explained as f64 * 100.0 / differences as f64 };
    println!(
        "{} objects, {differences} differences between neighbours, {explained} explained ({share:.1}%)",
        files.len()
    );
    if share < args.least {
        bail!("less than {}% are explained", args.least);
    }
    Ok(())
}

/// The differences of one object.
fn differences(file: &Path, kernels: &[Arc<Profile>]) -> Result<Vec<Difference>> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let object = Object::open(&name, &std::fs::read(file)?)?;
    let all = |object: &Object| (0..object.programs.len()).collect();
    let columns = matrix::judge(&object, all, kernels, Options::default());
    let of = |index: usize| {
        let name = name.clone();
        let program = object.programs[index].name.clone();
        let kernel = |at: usize| columns[at].kernel.name.clone();
        flips::find(&columns, index, Options::default())
            .into_iter()
            .map(move |flip| Difference {
                object: name.clone(),
                program: program.clone(),
                older: kernel(flip.older),
                newer: kernel(flip.older + 1),
                flip,
            })
            .collect::<Vec<_>>()
    };
    Ok((0..object.programs.len()).flat_map(of).collect())
}
