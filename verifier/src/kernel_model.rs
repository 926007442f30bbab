//! The kernel whose decisions are modelled.

use ebpfkit_abi::kernel::{Bundled, FeatureSet};
use ebpfkit_abi::{Feature, KernelVersion};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::Kind;
use std::sync::{Arc, OnceLock};

/// Opens the kernel's BTF when it is first needed; `None` when there is none.
pub type BtfSource = Arc<dyn Fn() -> Option<Arc<Btf>> + Send + Sync>;

/// Tells whether the kernel knows the address of a symbol.
pub type SymbolSource = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Version, types, configuration and privileges of the modelled kernel.
#[derive(Clone)]
pub struct KernelModel {
    /// Release.
    pub version: KernelVersion,
    /// What it has of that in which kernels differ.
    pub features: FeatureSet,
    source: BtfSource,
    btf: Arc<OnceLock<Option<Arc<Btf>>>>,
    /// Possible CPUs, which bound per-CPU helpers.
    pub cpus: u32,
    /// Whether the kernel's JIT is on and has the features of x86-64 (far kfunc calls, arena, private stacks,
    /// per-CPU instructions).
    pub jit: bool,
    /// Which kernel symbols have an address that programs may name; without it all have one.
    pub symbols: Option<SymbolSource>,
    /// Whether programs may write the memory of processes: the kernel is not locked down.
    pub write_user: bool,
    /// Whether fentry, fexit, fmod_ret and LSM programs can be attached (function tracing with direct calls).
    pub trampolines: bool,
}

impl std::fmt::Debug for KernelModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KernelModel").field("version", &self.version).finish_non_exhaustive()
    }
}

impl KernelModel {
    /// A kernel that has what those of its series have. Its BTF is opened on first use.
    pub fn new(version: KernelVersion, source: BtfSource) -> Self {
        Self {
            version,
            features: Bundled::features_of(version),
            source,
            btf: Arc::default(),
            cpus: 2,
            jit: true,
            symbols: None,
            write_user: false,
            trampolines: true,
        }
    }

    /// A kernel that has some features more or less than its version says.
    #[must_use]
    pub fn with_features(self, features: FeatureSet) -> Self {
        Self { features, ..self }
    }

    /// The kernel that is modelled where nothing says which, without BTF.
    pub fn standard() -> Self {
        Self::new(Bundled::DEFAULT.version, Arc::new(|| None))
    }

    /// The kernel's types. Opened once; programs that need none never pay for them.
    pub fn btf(&self) -> Option<&Arc<Btf>> {
        self.btf.get_or_init(|| (self.source)()).as_ref()
    }

    /// The types, if something has needed them.
    pub fn opened_btf(&self) -> Option<&Arc<Btf>> {
        self.btf.get()?.as_ref()
    }

    /// The name of a kernel function that programs call by its BTF id; those of modules, which have another index than
    /// zero, are not known.
    pub fn kfunc_name(&self, id: u32, index: i16) -> Option<String> {
        let types = self.btf().filter(|_| index == 0)?;
        (types.kind(id) == Some(Kind::Func)).then(|| types.name(id).to_owned())
    }

    /// Whether the kernel behaves in this way.
    #[inline]
    pub fn has(&self, feature: Feature) -> bool {
        self.features.has(feature)
    }
}
