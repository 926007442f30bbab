//! The modelled kernel: this machine's, or what the options say.

use crate::end::Failure;
use crate::files;
use crate::out::note;
use crate::paint;
use anyhow::{Context, Result};
use ebpfkit_abi::KernelVersion;
use ebpfkit_abi::kernel::{Bundled, FeatureSet};
use ebpfkit_kernel::machine;
use ebpfkit_object::{Btf, Object, Target};
use ebpfkit_verifier::KernelModel;
use ebpfkit_verifier::kernel_model::BtfSource;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Options that choose the modelled kernel.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct KernelArgs {
    /// Kernel version to model, such as 6.18 [default: the running kernel, otherwise the newest modelled]
    #[arg(long, value_name = "VERSION")]
    pub kernel: Option<String>,
    /// Kernel types [default: those of the running kernel, where it has them]
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

/// The modelled kernel, in the forms that the loader and the verifier want.
pub struct Host {
    /// For the verifier.
    pub model: KernelModel,
    version_code: u32,
    reading: Arc<Clock>,
}

/// Time spent reading files of the machine. A kernel has its types and symbols at hand, so that reading them is no
/// part of a verification.
#[derive(Default)]
struct Clock(AtomicU64);

impl Clock {
    fn measure<T>(&self, read: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = read();
        self.0.fetch_add(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX), Relaxed);
        result
    }
}

impl Host {
    /// Nanoseconds spent so far reading what programs turned out to need of the machine.
    pub fn reading_ns(&self) -> u64 {
        self.reading.0.load(Relaxed)
    }

    /// The kernel for the loader. Of the machine, only what the object needs is read.
    pub fn target(&self, object: &Object) -> Target {
        machine::target(object.needs(), self.version_code, || self.model.btf().cloned())
    }
}

impl KernelArgs {
    fn kernel(&self) -> Result<(KernelVersion, FeatureSet)> {
        let Some(text) = &self.kernel else {
            let running = machine::release().as_deref().and_then(KernelVersion::parse);
            return Ok(running.map_or_else(standard, of_running));
        };
        let version = KernelVersion::parse(text).with_context(|| {
            format!(
                "--kernel {text}: expected a version such as {}; modelled are {}",
                Bundled::DEFAULT.name,
                Bundled::names()
            )
        })?;
        let Some(nearest) = Bundled::nearest(version) else {
            return Err(Failure::unsupported(format!(
                "--kernel {text}: this kernel is not modelled; modelled are: {}",
                Bundled::names()
            )));
        };
        if *text != nearest.name && version != nearest.version {
            note!("{} --kernel {text}: the nearest modelled kernel is {}", paint::warning("note:"), nearest.name);
        }
        Ok((nearest.version, nearest.features()))
    }

    /// Looks at the machine. A file named with `--btf` must be readable; the machine's own types are optional.
    pub fn host(&self) -> Result<Host> {
        let (version, features) = self.kernel()?;
        let reading = Arc::new(Clock::default());
        let clock = reading.clone();
        let source: BtfSource = match &self.btf {
            Some(path) => {
                let btf = Arc::new(read_btf(path)?);
                Arc::new(move || Some(btf.clone()))
            }
            // Read when a program needs it; most do not.
            None => Arc::new(move || clock.measure(|| machine::btf().inspect(|btf| btf.index_lookups()))),
        };
        let mut model = KernelModel::new(version, source).with_features(features);
        if self.btf.is_none() && self.kernel.is_none() && machine::release().is_some() {
            let clock = reading.clone();
            model.symbols = Some(Arc::new(move |name| clock.measure(|| machine::knows_symbol(name)).unwrap_or(true)));
        }
        Ok(Host { model, version_code: version.code(), reading })
    }
}

/// The kernel that is modelled where nothing says which.
fn standard() -> (KernelVersion, FeatureSet) {
    (Bundled::DEFAULT.version, Bundled::DEFAULT.features())
}

/// What the running kernel has. One that is not modelled gets the rules of the usual one, and the user is told.
fn of_running(version: KernelVersion) -> (KernelVersion, FeatureSet) {
    match Bundled::ALL.iter().find(|k| k.version.same_series(version)) {
        Some(kernel) => (version, kernel.features()),
        None => {
            note!(
                "{} the running kernel ({version}) is not modelled; the rules are those of {}",
                paint::warning("note:"),
                Bundled::DEFAULT.name
            );
            standard()
        }
    }
}

fn read_btf(path: &Path) -> Result<Btf> {
    Btf::open(&files::read(path)?).with_context(|| files::name(path))
}
