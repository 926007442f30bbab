//! What this machine says of its kernel: types, configuration, symbols, release.

use anyhow::{Context, Result};
use ebpfkit_abi::KernelVersion;
use ebpfkit_object::{Btf, Object, Target};
use ebpfkit_verifier::KernelModel;
use ebpfkit_verifier::kernel_model::BtfSource;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const HOST_BTF: &str = "/sys/kernel/btf/vmlinux";
/// Longest configuration that is believed, in bytes.
const MAX_CONFIG: u64 = 4 << 20;

/// Options that choose the modelled kernel.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct KernelArgs {
    /// Kernel version to model, such as 6.12 [default: the running kernel, otherwise the newest modelled]
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
    target: Target,
}

impl Host {
    /// The kernel for the loader. Of the machine, only what the object needs is read.
    pub fn target(&self, object: &Object) -> Target {
        let needs = object.needs();
        Target {
            vmlinux: if needs.types { self.model.btf().cloned() } else { None },
            kconfig: if needs.config { kconfig() } else { None },
            kallsyms: if needs.symbols { Some(Arc::new(addresses)) } else { None },
            syscall_wrapper: cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")),
            cpus: possible_cpus(),
            ..self.target.clone()
        }
    }
}

impl KernelArgs {
    /// Looks at the machine. A file named with `--btf` must be readable; the machine's own types are optional.
    pub fn host(&self) -> Result<Host> {
        let running = running_version();
        let version = match &self.kernel {
            Some(text) => KernelVersion::parse(text)
                .with_context(|| format!("--kernel {text}: expected a version such as 6.12"))?,
            None => running.unwrap_or(KernelVersion::NEWEST),
        };
        let source: BtfSource = match &self.btf {
            Some(path) => {
                let btf = Arc::new(read_btf(path)?);
                Arc::new(move || Some(btf.clone()))
            }
            // Read when a program needs it; most do not.
            None => Arc::new(|| read_btf(Path::new(HOST_BTF)).ok().map(Arc::new)),
        };
        let model = KernelModel::new(version, source);
        let target = Target {
            version_code: u32::from(version.major) << 16
                | u32::from(version.minor) << 8
                | u32::from(version.patch.min(255)),
            ..Target::default()
        };
        Ok(Host { model, target })
    }
}

fn read_btf(path: &Path) -> Result<Btf> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Btf::parse(bytes).with_context(|| path.display().to_string())
}

fn release() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|s| s.trim().to_owned())
}

fn running_version() -> Option<KernelVersion> {
    KernelVersion::parse(&release()?)
}

/// The kernel's configuration, where the machine shows it: as the distribution installed it, or as the kernel does.
fn kconfig() -> Option<Arc<str>> {
    use std::io::Read;
    if let Ok(text) = std::fs::read_to_string(format!("/boot/config-{}", release()?)) {
        return Some(text.into());
    }
    let mut text = String::new();
    let packed = std::fs::File::open("/proc/config.gz").ok()?;
    flate2::read::GzDecoder::new(packed).take(MAX_CONFIG).read_to_string(&mut text).ok()?;
    Some(text.into())
}

/// CPUs that the machine may ever have; zero when it does not say.
fn possible_cpus() -> u32 {
    let Ok(text) = std::fs::read_to_string("/sys/devices/system/cpu/possible") else { return 0 };
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)? + 1)
    };
    text.trim().split(',').filter_map(range).sum()
}

/// Addresses of kernel symbols, all names in one pass. Suffixes that the linker adds to local data do not count.
fn addresses(names: &[&str]) -> Vec<Vec<u64>> {
    use std::io::BufRead;
    let mut found = vec![Vec::new(); names.len()];
    let Ok(file) = std::fs::File::open("/proc/kallsyms") else { return found };
    for line in std::io::BufReader::new(file).lines().map_while(Result::ok) {
        let mut words = line.split_whitespace();
        let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else { continue };
        let name = if kind == "d" { name.split(".llvm.").next().unwrap_or(name) } else { name };
        if let Some(at) = names.iter().position(|n| *n == name)
            && let Ok(address) = u64::from_str_radix(address, 16)
        {
            found[at].push(address);
        }
    }
    found
}
