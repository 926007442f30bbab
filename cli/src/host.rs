//! The modelled kernel: this machine's, or what the options say.

use crate::end::Failure;
use crate::files;
use crate::out::note;
use crate::paint;
use anyhow::{Context, Result, bail};
use ebpfkit_abi::kernel::Bundled;
use ebpfkit_abi::{Feature, KernelVersion};
use ebpfkit_kernel::machine;
use ebpfkit_object::{Btf, Object, ObjectError, Prepared, Target};
use ebpfkit_profiles::Profile;
use ebpfkit_verifier::KernelModel;
use ebpfkit_verifier::kernel_model::BtfSource;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// What `--kernel` calls every bundled kernel.
const ALL: &str = "all";

/// Options that choose the modelled kernel.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct KernelArgs {
    /// Kernel to model: a name or version such as 6.12, or a file that `kernel record` wrote [default: the running kernel]
    #[arg(long, value_name = "KERNEL")]
    pub kernel: Option<String>,
    /// Kernel types [default: those of the modelled kernel, where it has them]
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

/// The modelled kernel, in the forms that the loader and the verifier want.
pub struct Host {
    /// For the verifier.
    pub model: KernelModel,
    /// The profile, where it is not the running kernel.
    profile: Option<Arc<Profile>>,
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
    /// What is doubtful about where a program is to be attached.
    pub fn doubt(&self, program: &ebpfkit_object::Program) -> Option<String> {
        use ebpfkit_abi::ProgType;
        const KINDS: [ProgType; 3] = [ProgType::Kprobe, ProgType::Tracepoint, ProgType::RawTracepoint];
        // Types are opened for programs of which there is something to say.
        if !KINDS.contains(&program.prog_type) || program.attach_target.is_empty() {
            return None;
        }
        let symbol = |name: &str| if self.profile.is_none() { machine::knows_symbol(name) } else { None };
        ebpfkit_explain::loader::doubt(program, self.model.btf()?, &symbol)
    }

    /// Nanoseconds spent so far reading what programs turned out to need of the machine.
    pub fn reading_ns(&self) -> u64 {
        self.reading.0.load(Relaxed)
    }

    /// Resolves an object for the kernel.
    pub fn prepare(&self, object: Object) -> std::result::Result<Prepared, ObjectError> {
        let target = self.target(&object);
        match &self.profile {
            Some(profile) => profile.prepare_for(object, &target),
            None => object.prepare(&target),
        }
    }

    /// The kernel for the loader. Of the machine, only what the object needs is read.
    pub fn target(&self, object: &Object) -> Target {
        let needs = object.needs();
        match &self.profile {
            Some(profile) => Target {
                // Opened only where the object needs them.
                vmlinux: if needs.types { self.model.btf().cloned() } else { None },
                ..profile.target_without_types(needs)
            },
            None => Target {
                percpu_data: self.model.has(Feature::PercpuGlobals),
                ..machine::target(needs, self.version_code, || self.model.btf().cloned())
            },
        }
    }
}

impl KernelArgs {
    /// The kernel that the options name; `None` for the running one. With several, one has to be chosen.
    fn profile(&self) -> Result<Option<Arc<Profile>>> {
        let Some(text) = &self.kernel else { return Ok(None) };
        let mut named = profiles(text)?;
        match (named.pop(), named.is_empty()) {
            (Some(only), true) => Ok(Some(only)),
            _ => bail!("--kernel {text}: this command takes one kernel"),
        }
    }

    /// The kernels of `--kernel`, where it names several.
    pub fn several(&self) -> Result<Option<Vec<Arc<Profile>>>> {
        let Some(text) = self.kernel.as_deref().filter(|t| is_list(t)) else { return Ok(None) };
        if self.btf.is_some() {
            bail!("--btf has the types of one kernel; --kernel {text} names several");
        }
        profiles(text).map(Some)
    }

    /// The kernels of `--kernel`; all without it.
    pub fn several_or_all(&self) -> Result<Vec<Arc<Profile>>> {
        profiles(self.kernel.as_deref().unwrap_or(ALL))
    }

    /// Looks at the machine. A file named with `--btf` must be readable; the machine's own types are optional.
    pub fn host(&self) -> Result<Host> {
        let profile = self.profile()?;
        let reading = Arc::new(Clock::default());
        let clock = reading.clone();
        let source: BtfSource = match (&self.btf, &profile) {
            (Some(path), _) => {
                let btf = Arc::new(read_btf(path)?);
                Arc::new(move || Some(btf.clone()))
            }
            // Read when a program needs it; most do not.
            (None, Some(profile)) => {
                let profile = profile.clone();
                Arc::new(move || clock.measure(|| profile.btf()))
            }
            (None, None) => Arc::new(move || clock.measure(|| machine::btf().inspect(|btf| btf.index_lookups()))),
        };
        let mut model = match &profile {
            Some(profile) => profile.model_with(source),
            None => KernelModel::new(machine::version().map_or(Bundled::DEFAULT.version, modelled), source),
        };
        if self.btf.is_none() && profile.is_none() && machine::release().is_some() {
            let clock = reading.clone();
            model.symbols = Some(Arc::new(move |name| clock.measure(|| machine::knows_symbol(name)).unwrap_or(true)));
        }
        let version_code = model.version.code();
        Ok(Host { model, profile, version_code, reading })
    }
}

/// Whether a text names several kernels.
fn is_list(text: &str) -> bool {
    text == ALL || text.contains(',')
}

/// The kernels that a text names: `all`, or a list of names, versions and files.
pub fn profiles(text: &str) -> Result<Vec<Arc<Profile>>> {
    if text == ALL {
        return Ok(Profile::all());
    }
    let mut named: Vec<Arc<Profile>> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let profile = one_profile(part)?;
        // The answers are compared by position; the same kernel again would say nothing new.
        if !named.iter().any(|p| Arc::ptr_eq(p, &profile)) {
            named.push(profile);
        }
    }
    if named.is_empty() {
        bail!("--kernel {text}: names no kernel; modelled are: {}", Bundled::names());
    }
    Ok(named)
}

/// The kernel of one name, version or file.
fn one_profile(text: &str) -> Result<Arc<Profile>> {
    if let Some(kernel) = Bundled::by_name(text) {
        return Ok(Profile::bundled(kernel));
    }
    let path = Path::new(text);
    let version = KernelVersion::parse(text).filter(|_| !text.contains('/'));
    if path.is_file() {
        let bytes = files::read(path)?;
        let profile = Profile::read(&bytes).with_context(|| files::name(path))?;
        return Ok(Arc::new(profile));
    }
    let Some(version) = version else {
        bail!("--kernel {text}: neither a file nor a version; modelled are: {}", Bundled::names());
    };
    let Some(nearest) = Bundled::nearest(version) else {
        return Err(Failure::unsupported(format!(
            "--kernel {text}: this kernel is not modelled; modelled are: {}",
            Bundled::names()
        )));
    };
    if version != nearest.version {
        note!(
            "{} --kernel {text}: the nearest modelled kernel is {} ({})",
            paint::warning("note:"),
            nearest.name,
            nearest.version
        );
    }
    Ok(Profile::bundled(nearest))
}

/// The version whose rules the running kernel goes by: its own, or that of the usual kernel where it is not modelled, and
/// the user is told.
fn modelled(version: KernelVersion) -> KernelVersion {
    if Bundled::ALL.iter().any(|k| k.version.same_series(version)) {
        return version;
    }
    note!(
        "{} the running kernel ({version}) is not modelled; the rules are those of {}",
        paint::warning("note:"),
        Bundled::DEFAULT.name
    );
    Bundled::DEFAULT.version
}

fn read_btf(path: &Path) -> Result<Btf> {
    Btf::open(&files::read(path)?).with_context(|| files::name(path))
}
