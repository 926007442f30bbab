//! The running kernel as a profile: what it shows of the witnesses, and what the machine says of it in files.

use crate::file::{Gathered, ProfileError};
use crate::profile::Profile;
use crate::witness::{Witness, witnesses};
use ebpfkit_abi::kernel::Bundled;
use ebpfkit_abi::{Feature, KernelVersion};
use ebpfkit_kernel::{Kernel, KernelError, machine};

/// How it was found out whether the kernel has a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It treated the witness so.
    Shown,
    /// The witness could not be loaded, or was treated in neither way; it follows from the version.
    Unclear,
    /// There is no witness; it follows from the version.
    Assumed,
}

/// What was found out about a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The feature.
    pub feature: Feature,
    /// Whether the kernel has it.
    pub has: bool,
    /// How that is known.
    pub found: Found,
}

/// Why the running kernel cannot be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Programs cannot be loaded here.
    Kernel(KernelError),
    /// The machine does not say which kernel it runs.
    NoRelease,
    /// The profile cannot be made.
    Profile(ProfileError),
}

impl std::fmt::Display for RecordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kernel(e) => e.fmt(f),
            Self::NoRelease => f.write_str("the system does not say which kernel it runs (/proc/sys/kernel/osrelease)"),
            Self::Profile(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for RecordError {}

/// A recorded kernel with how each of its features was found out.
#[derive(Debug)]
pub struct Recording {
    /// The kernel.
    pub profile: Profile,
    /// The features, in the order of the table.
    pub findings: Vec<Finding>,
    /// Whether the kernel shows its types.
    pub has_types: bool,
}

/// Loads the witnesses into the running kernel, reads what the machine says of it, and makes a profile. Nothing is
/// attached.
pub fn record() -> Result<Recording, RecordError> {
    let kernel = Kernel::open().map_err(RecordError::Kernel)?;
    let release = machine::release().ok_or(RecordError::NoRelease)?;
    let version = machine::version().ok_or(RecordError::NoRelease)?;
    // What no program can show follows from the bundled kernel of the series, otherwise from the version.
    let mut features = Bundled::features_of(version);
    let mut findings = Vec::with_capacity(Feature::ALL.len());
    for &feature in Feature::ALL {
        let witness = witnesses().iter().find(|w| w.feature == feature);
        let shown = witness.and_then(|w| ask(kernel, w, version));
        let (has, found) = match (witness, shown) {
            (_, Some(has)) => (has, Found::Shown),
            (Some(_), None) => (features.has(feature), Found::Unclear),
            (None, None) => (features.has(feature), Found::Assumed),
        };
        features = features.set(feature, has);
        findings.push(Finding { feature, has, found });
    }
    let (types, config) = (machine::btf(), machine::config());
    let config = config.as_deref().unwrap_or_default();
    let is_set = |name: &str| config.lines().any(|l| l.strip_prefix(name) == Some("=y"));
    // Without a configuration to read, what nearly all kernels have.
    let sets = |name: &str| config.is_empty() || is_set(name);
    let set: String = config.lines().filter(|l| l.starts_with("CONFIG_")).flat_map(|l| [l, "\n"]).collect();
    let profile = Profile::of_recording(&Gathered {
        release: &release,
        version,
        features,
        jit: sets("CONFIG_BPF_JIT"),
        trampolines: sets("CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS"),
        types: types.as_deref(),
        config: &set,
    })
    .map_err(RecordError::Profile)?;
    Ok(Recording { profile, findings, has_types: types.is_some() })
}

/// Whether the running kernel shows a feature.
fn ask(kernel: Kernel, witness: &Witness, version: KernelVersion) -> Option<bool> {
    let target = |object: &ebpfkit_object::Object| machine::target(object.needs(), version.code(), machine::btf);
    let prepared = witness.prepare(target).ok()?;
    witness.read_off(&witness.ask(kernel, &prepared)?)
}
