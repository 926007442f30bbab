//! `kernel`: the kernels that are modelled, what they have, how they differ; and the running kernel as a profile.

use crate::end::{End, Failure};
use crate::host::profiles;
use crate::out::{self, note, say};
use crate::{files, paint};
use anyhow::{Result, bail};
use ebpfkit_abi::Feature;
use ebpfkit_abi::kernel::{Judged, Source};
use ebpfkit_kernel::KernelError;
use ebpfkit_profiles::record::{Found, RecordError, record};
use ebpfkit_profiles::{Profile, witness};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Arguments of `kernel`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The kernels that are modelled
    List(Format),
    /// What a kernel has of that in which kernels differ
    Show {
        /// Name, version, or a file that `kernel record` wrote
        kernel: String,
        #[command(flatten)]
        format: Format,
    },
    /// In what two kernels differ
    Diff {
        /// Name, version, or a file that `kernel record` wrote
        one: String,
        /// The other one
        other: String,
        #[command(flatten)]
        format: Format,
    },
    /// Record the running kernel: loads small programs, attaches nothing, and writes a file for --kernel
    Record {
        /// File to write [default: the kernel's release, with `.kernel`]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Say how each feature was found out
        #[arg(short, long)]
        verbose: bool,
    },
}

/// How results are printed.
#[derive(clap::Args)]
struct Format {
    /// One JSON object
    #[arg(short, long)]
    json: bool,
}

/// A kernel; documented in `docs/json.md`.
#[derive(Serialize)]
struct KernelResult {
    name: String,
    version: String,
    trust: &'static str,
    types: String,
    features: Vec<FeatureResult>,
}

/// A feature.
#[derive(Serialize)]
struct FeatureResult {
    name: &'static str,
    since: String,
    effects: Vec<&'static str>,
    what: &'static str,
    source: SourceResult,
    witness: bool,
}

/// How it is known which version brought a feature: a commit, or what else the version follows from.
#[derive(Serialize)]
pub struct SourceResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inferred: Option<&'static str>,
}

impl From<Source> for SourceResult {
    fn from(source: Source) -> Self {
        match source {
            Source::Commit { hash, subject } => Self { commit: Some(hash), subject: Some(subject), inferred: None },
            Source::Inferred(from) => Self { commit: None, subject: None, inferred: Some(from) },
        }
    }
}

/// How far answers for a kernel are known to be that kernel's.
pub fn trust(profile: &Profile) -> &'static str {
    profile.judged.map_or("recorded", Judged::name)
}

/// In what two kernels differ; documented in `docs/json.md`.
#[derive(Serialize)]
struct DiffResult {
    one: String,
    other: String,
    only_one: Vec<FeatureResult>,
    only_other: Vec<FeatureResult>,
}

/// Runs a subcommand.
pub fn run(args: &Args) -> Result<End> {
    match &args.command {
        Command::List(format) => list(format),
        Command::Show { kernel, format } => show(kernel, format),
        Command::Diff { one, other, format } => diff(one, other, format),
        Command::Record { output, verbose } => write_recording(output.as_ref(), *verbose),
    }
}

/// The kernel of a name; a list makes no sense here.
fn one(text: &str) -> Result<Arc<Profile>> {
    match &profiles(text)?[..] {
        [one] => Ok(one.clone()),
        _ => bail!("{text}: one kernel is asked for"),
    }
}

fn feature_result(feature: Feature) -> FeatureResult {
    FeatureResult {
        name: feature.name(),
        since: feature.since().series(),
        effects: feature.effects().iter().map(|e| e.name()).collect(),
        what: feature.what().trim(),
        source: feature.source().into(),
        witness: witness(feature).is_some(),
    }
}

fn kernel_result(profile: &Profile) -> KernelResult {
    KernelResult {
        name: profile.name.clone(),
        version: profile.version.to_string(),
        trust: trust(profile),
        types: profile.origin.clone(),
        features: profile.features.iter().map(feature_result).collect(),
    }
}

fn list(format: &Format) -> Result<End> {
    let all = Profile::all();
    if format.json {
        for profile in &all {
            out::json(&kernel_result(profile))?;
        }
        return Ok(End::Good);
    }
    say!("name  version   features    trust                   types")?;
    for profile in &all {
        let features = format!("{} of {}", profile.features.iter().count(), Feature::ALL.len());
        let version = profile.version.to_string();
        say!("{:4}  {version:8}  {features:10}  {:22}  {}", profile.name, trust(profile), profile.origin)?;
    }
    Ok(End::Good)
}

/// A feature in two lines.
fn say_feature(sign: &str, feature: Feature) -> Result<()> {
    let effects: Vec<&str> = feature.effects().iter().map(|e| e.name()).collect();
    say!("{sign}{} (since {}; {})", feature.name(), feature.since().series(), effects.join(", "))?;
    say!("    {}", feature.what().trim())?;
    say!("    {}", feature.source())
}

fn show(kernel: &str, format: &Format) -> Result<End> {
    let profile = one(kernel)?;
    if format.json {
        out::json(&kernel_result(&profile))?;
        return Ok(End::Good);
    }
    say!("{} ({}), {}", profile.name, profile.release, trust(&profile))?;
    say!("types: {}", profile.origin)?;
    let (has, of) = (profile.features.iter().count(), Feature::ALL.len());
    say!("{has} of {of} features:")?;
    for &feature in Feature::ALL {
        let sign = if profile.features.has(feature) { paint::good("  + ") } else { paint::error("  - ") };
        say_feature(&sign, feature)?;
    }
    Ok(End::Good)
}

fn diff(first: &str, second: &str, format: &Format) -> Result<End> {
    let (a, b) = (one(first)?, one(second)?);
    let only = |x: &Profile, y: &Profile| -> Vec<Feature> {
        x.features.differences(&y.features).filter(|f| x.features.has(*f)).collect()
    };
    let (only_a, only_b) = (only(&a, &b), only(&b, &a));
    if format.json {
        out::json(&DiffResult {
            one: a.name.clone(),
            other: b.name.clone(),
            only_one: only_a.into_iter().map(feature_result).collect(),
            only_other: only_b.into_iter().map(feature_result).collect(),
        })?;
        return Ok(End::Good);
    }
    for (profile, features, sign) in [(&a, &only_a, "- "), (&b, &only_b, "+ ")] {
        if features.is_empty() {
            continue;
        }
        let count = if features.len() == 1 { "1 feature".into() } else { format!("{} features", features.len()) };
        say!("{count} only in {}:", profile.name)?;
        for &feature in features {
            say_feature(sign, feature)?;
        }
    }
    if only_a.is_empty() && only_b.is_empty() {
        say!("{} and {} have the same features", a.name, b.name)?;
    }
    Ok(End::Good)
}

fn write_recording(output: Option<&PathBuf>, verbose: bool) -> Result<End> {
    let recording = record().map_err(|e| match e {
        RecordError::Kernel(KernelError::Unavailable(why)) => {
            Failure::unsupported(format!("the running kernel cannot be recorded, as programs cannot be loaded: {why}"))
        }
        e => Failure::unsupported(e),
    })?;
    let profile = &recording.profile;
    let Some(bytes) = profile.to_file() else { bail!("the profile cannot be written") };
    let path = output.cloned().unwrap_or_else(|| format!("{}.kernel", profile.release).into());
    files::write(&path, &bytes)?;
    if verbose {
        for finding in &recording.findings {
            let sign = if finding.has { "+" } else { "-" };
            let how = match finding.found {
                Found::Shown => "shown",
                Found::Unclear => "its witness shows nothing here; from the version",
                Found::Assumed => "from the version",
            };
            note!("{sign} {}: {how}", finding.feature.name());
        }
    }
    if !recording.has_types {
        note!("{} the kernel does not show its types (/sys/kernel/btf/vmlinux)", paint::warning("note:"));
    }
    let count = |found| recording.findings.iter().filter(|f| f.found == found).count();
    say!(
        "{}: {} features, {} of {} shown by programs, the others from the version; {} kB",
        files::output_name(&path),
        profile.features.iter().count(),
        count(Found::Shown),
        Feature::ALL.len(),
        bytes.len().div_ceil(1000)
    )?;
    Ok(End::Good)
}
