//! A profile: everything that judging for a kernel needs of it.

use crate::config;
use crate::types::{Pack, PackError};
use ebpfkit_abi::kernel::{Bundled, FeatureSet, Judged};
use ebpfkit_abi::{Feature, KernelVersion};
use ebpfkit_object::btf::Bytes;
use ebpfkit_object::{Btf, Needs, SymbolAddresses, Target};
use ebpfkit_verifier::KernelModel;
use ebpfkit_verifier::kernel_model::BtfSource;
use std::sync::{Arc, OnceLock};

/// Types of the bundled kernels. Statics: a constant would be in the command once for each use.
static TYPES: &[u8] = include_bytes!("../data/types.pack");
/// Their configurations.
static CONFIGS: &[u8] = include_bytes!("../data/config.pack");
/// Where both come from: kernel, package, distribution and suite; a kernel's line is its number in the packs.
static ORIGIN: &str = include_str!("../data/origin.tsv");

/// Where symbols are taken to be.
const SYMBOL_ADDRESS: u64 = 0xffff_ffff_8100_0000;

/// The types of the bundled kernels, decompressed when they are first needed.
pub(crate) fn bundled_types() -> Result<&'static Pack, PackError> {
    static PACK: OnceLock<Result<Pack, PackError>> = OnceLock::new();
    PACK.get_or_init(|| Pack::open(TYPES)).as_ref().map_err(Clone::clone)
}

/// Tells one collection of bundled types from another.
pub(crate) fn bundled_types_id() -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(TYPES);
    crc.sum()
}

/// Number in the packs and origin of a bundled kernel's types. Where no package of the kernel was at hand, those of the
/// next newer one stand in.
fn origin(kernel: &Bundled) -> Option<(u32, &'static str, &'static str)> {
    let from = Bundled::ALL.iter().position(|k| k.name == kernel.name)?;
    Bundled::ALL[from..].iter().find_map(|k| {
        let (number, line) = ORIGIN.lines().enumerate().find(|(_, l)| l.split('\t').next() == Some(k.name))?;
        Some((number as u32, k.name, line.split_once('\t')?.1))
    })
}

/// Where a profile's types and configuration are.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// In the bundled packs, under this number.
    Bundled(u32),
    /// With the profile: the records of the bundled types that it has, the rest as a pack, and the configuration.
    Recorded { from_base: Vec<u32>, pack: Vec<u8>, config: Arc<str> },
}

/// A kernel: its version, what it has, its types and its configuration.
#[derive(Debug)]
pub struct Profile {
    /// What it is called.
    pub name: String,
    /// The release, as the kernel writes it.
    pub release: String,
    /// The version in it.
    pub version: KernelVersion,
    /// What it has of that in which kernels differ.
    pub features: FeatureSet,
    /// How far its answers are known to be that kernel's; `None` for a kernel that was recorded.
    pub judged: Option<Judged>,
    /// Where its types come from.
    pub origin: String,
    /// The kernel whose types they are.
    pub(crate) types_of: String,
    /// Whether its JIT is on.
    pub jit: bool,
    /// Whether functions can be traced with direct calls.
    pub trampolines: bool,
    pub(crate) source: Source,
    pub(crate) btf: OnceLock<Option<Arc<Btf>>>,
    pub(crate) config: OnceLock<Arc<str>>,
}

impl Profile {
    /// A bundled kernel.
    pub fn bundled(kernel: &Bundled) -> Arc<Self> {
        static ALL: OnceLock<Vec<Arc<Profile>>> = OnceLock::new();
        let all = ALL.get_or_init(|| Bundled::ALL.iter().map(|k| Arc::new(Self::of_bundled(k))).collect());
        let at = Bundled::ALL.iter().position(|k| k.name == kernel.name).unwrap_or_default();
        all[at].clone()
    }

    /// Every bundled kernel, oldest first.
    pub fn all() -> Vec<Arc<Self>> {
        Bundled::ALL.iter().map(Self::bundled).collect()
    }

    fn of_bundled(kernel: &Bundled) -> Self {
        let (number, of, package) = origin(kernel).unwrap_or((u32::MAX, kernel.name, "none"));
        let package = package.replace('\t', ", ");
        Self {
            name: kernel.name.to_owned(),
            release: kernel.version.to_string(),
            version: kernel.version,
            features: kernel.features(),
            judged: Some(kernel.judged),
            origin: if of == kernel.name { package } else { format!("those of {of}: {package}") },
            types_of: of.to_owned(),
            jit: true,
            trampolines: true,
            source: Source::Bundled(number),
            btf: OnceLock::new(),
            config: OnceLock::new(),
        }
    }

    /// Puts the kernel's types together.
    pub fn types(&self) -> Result<Vec<u8>, PackError> {
        let bundled = bundled_types()?;
        match &self.source {
            Source::Bundled(number) => bundled.types(*number),
            Source::Recorded { from_base, pack, .. } => Pack::open(pack)?.types_over(bundled, from_base),
        }
    }

    /// The kernel's types; put together once, when they are first needed.
    pub fn btf(&self) -> Option<Arc<Btf>> {
        self.btf
            .get_or_init(|| {
                let btf = Btf::parse(Bytes::owned(self.types().ok()?)).ok()?;
                Some(Arc::new(btf))
            })
            .clone()
    }

    /// Whether its types are those of a newer kernel that stands in.
    pub(crate) fn has_types_of_another(&self) -> bool {
        self.types_of != self.name
    }

    /// The kernel's configuration: the lines of what is set.
    pub fn config(&self) -> Arc<str> {
        let read = || match &self.source {
            Source::Bundled(number) => config::unpack(CONFIGS, *number).into(),
            Source::Recorded { config, .. } => config.clone(),
        };
        self.config.get_or_init(read).clone()
    }

    /// The kernel for the verifier.
    pub fn model(self: &Arc<Self>) -> KernelModel {
        let profile = self.clone();
        self.model_with(Arc::new(move || profile.btf()))
    }

    /// The kernel for the verifier, with types from elsewhere.
    pub fn model_with(&self, types: BtfSource) -> KernelModel {
        let mut model = KernelModel::new(self.version, types).with_features(self.features);
        (model.jit, model.trampolines) = (self.jit, self.trampolines);
        // Kernels lock themselves down only where they are told to, or where they boot securely.
        model.write_user = self.judged.is_some();
        model
    }

    /// The kernel for the loader, with no more than an object needs.
    pub fn target(&self, needs: Needs) -> Target {
        Target { vmlinux: if needs.types { self.btf() } else { None }, ..self.target_without_types(needs) }
    }

    /// The kernel for the loader, but for its types.
    pub fn target_without_types(&self, needs: Needs) -> Target {
        Target {
            kconfig: needs.config_text.then(|| self.config()),
            // Where symbols are is not known of a kernel that does not run; they are taken to exist.
            kallsyms: needs.symbols.then(|| {
                let of = |names: &[&str]| vec![vec![SYMBOL_ADDRESS]; names.len()];
                Arc::new(of) as SymbolAddresses
            }),
            syscall_wrapper: true,
            unread_modules: needs.types,
            version_code: self.version.code(),
            missing_maps: self.missing_maps(),
            percpu_data: self.features.has(Feature::PercpuGlobals),
            cpus: 2,
            ..Target::default()
        }
    }
}
