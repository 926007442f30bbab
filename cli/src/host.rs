//! What this machine says of its kernel: types, configuration, symbols, release.

use anyhow::{Context, Result};
use ebpfkit_abi::{KernelVersion, ProgType};
use ebpfkit_object::{Btf, Object, Program, Target};
use ebpfkit_verifier::KernelModel;
use ebpfkit_verifier::kernel_model::BtfSource;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const HOST_BTF: &str = "/sys/kernel/btf/vmlinux";

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
    /// The kernel for the loader. Its types are read only when a program of the object attaches to one of them.
    pub fn target(&self, object: &Object) -> Target {
        let typed = |p: &Program| matches!(p.prog_type, ProgType::Tracing | ProgType::Lsm);
        let vmlinux = object.programs.iter().any(typed).then(|| self.model.btf().cloned()).flatten();
        Target { vmlinux, ..self.target.clone() }
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
            vmlinux: None,
            kconfig: kconfig(),
            version_code: u32::from(version.major) << 16
                | u32::from(version.minor) << 8
                | u32::from(version.patch.min(255)),
            kallsyms: Some(Arc::new(symbol)),
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

fn kconfig() -> Option<Arc<str>> {
    let text = std::fs::read_to_string(format!("/boot/config-{}", release()?)).ok()?;
    Some(text.into())
}

/// Address of a kernel symbol.
fn symbol(name: &str) -> Option<u64> {
    use std::io::BufRead;
    let file = std::io::BufReader::new(std::fs::File::open("/proc/kallsyms").ok()?);
    file.lines().map_while(Result::ok).find_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next()?;
        (words.nth(1)? == name).then(|| u64::from_str_radix(address, 16).ok())?
    })
}
