//! What this machine says of its kernel in files: release, types, configuration, symbols.
//!
//! Nothing here needs rights or bpf(2); what a machine does not show is `None` or empty.

use ebpfkit_abi::{KernelVersion, MapType, MapTypes};
use ebpfkit_object::btf::Bytes;
use ebpfkit_object::{Btf, Needs, Target};
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, OnceLock};

/// Where a kernel shows its types.
const BTF: &str = "/sys/kernel/btf/vmlinux";
/// Longest configuration that is believed, in bytes.
const MAX_CONFIG: u64 = 4 << 20;

/// Release of the running kernel, such as `6.18.44`.
pub fn release() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|s| s.trim().to_owned())
}

/// Version of the running kernel. Releases of Debian and Ubuntu do not name the point release that they are built from;
/// as libbpf does, it is read where these systems say it.
pub fn version() -> Option<KernelVersion> {
    let release = release()?;
    let plain = KernelVersion::parse(&release)?;
    let signature = std::fs::read_to_string("/proc/version_signature").ok();
    let banner = std::fs::read_to_string("/proc/version").ok();
    let built_from = signature
        .as_deref()
        .and_then(|text| text.split_whitespace().last())
        .or_else(|| banner.as_deref()?.split_once("Debian ").map(|(_, rest)| rest));
    Some(built_from.and_then(KernelVersion::parse).filter(|v| v.same_series(plain)).unwrap_or(plain))
}

/// Keeps the calling thread on one CPU, so that per-CPU values and lists of the kernel are always the same ones. False
/// when it cannot.
pub fn stay_on_cpu(cpu: u32) -> bool {
    crate::sys::stay_on_cpu(cpu)
}

/// A descriptor of a process; nothing where there is no such process or no such call.
#[cfg(unix)]
pub fn process(pid: u32) -> Option<std::os::fd::OwnedFd> {
    crate::sys::open_process(pid)
}

/// A perf event of the calling thread that counts nothing; nothing where there are none.
#[cfg(unix)]
pub fn perf_event() -> Option<std::os::fd::OwnedFd> {
    crate::sys::open_perf_event()
}

/// Processor time that the calling thread has used; `None` where the system does not say.
pub fn thread_time() -> Option<std::time::Duration> {
    crate::sys::thread_time()
}

/// Types of the running kernel, read once in a process.
pub fn btf() -> Option<Arc<Btf>> {
    static TYPES: OnceLock<Option<Arc<Btf>>> = OnceLock::new();
    let read = || {
        let bytes = mapped(BTF).map(Bytes::fixed).or_else(|| Some(Bytes::from(std::fs::read(BTF).ok()?)))?;
        Btf::parse(bytes).ok().map(Arc::new)
    };
    TYPES.get_or_init(read).clone()
}

/// A file of the kernel's that never changes, mapped for good; `None` where that does not work, as before Linux 6.16.
fn mapped(path: &str) -> Option<&'static [u8]> {
    let file = std::fs::File::open(path).ok()?;
    // The kernel refuses shared mappings.
    // SAFETY: the file shows memory of the kernel that stays as it is while the kernel runs, so the bytes neither
    // change nor vanish under the reference.
    let map = unsafe { memmap2::MmapOptions::new().map_copy_read_only(&file) }.ok()?;
    Some(Box::leak(Box::new(map)))
}

/// Configuration of the running kernel: as the distribution installed it, otherwise as the kernel shows it.
pub fn config() -> Option<Arc<str>> {
    if let Ok(text) = std::fs::read_to_string(format!("/boot/config-{}", release()?)) {
        return Some(text.into());
    }
    let packed = std::fs::File::open("/proc/config.gz").ok()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).take(MAX_CONFIG).read_to_string(&mut text).ok()?;
    Some(text.into())
}

/// CPUs that the machine may ever have; zero when it does not say.
pub fn possible_cpus() -> u32 {
    let Ok(text) = std::fs::read_to_string("/sys/devices/system/cpu/possible") else { return 0 };
    let count = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)?.checked_add(1)
    };
    text.trim().split(',').filter_map(count).sum()
}

/// Whether the kernel knows the address of a symbol; `None` when it shows no symbols.
pub fn knows_symbol(name: &str) -> Option<bool> {
    std::fs::metadata("/proc/kallsyms").ok()?;
    Some(symbol_addresses(&[name]).iter().any(|found| !found.is_empty()))
}

/// Addresses of kernel symbols, all names in one pass. Suffixes that the linker gives to local data do not count.
pub fn symbol_addresses(names: &[&str]) -> Vec<Vec<u64>> {
    let mut found = vec![Vec::new(); names.len()];
    let Ok(file) = std::fs::File::open("/proc/kallsyms") else { return found };
    for line in BufReader::new(file).lines().map_while(Result::ok) {
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

/// Whether libbpf finds that system calls have wrappers: it does where it can probe functions of the kernel.
fn has_syscall_wrapper() -> bool {
    const PROBES: [&str; 3] = [
        "/sys/bus/event_source/devices/kprobe/type",
        "/sys/kernel/tracing/kprobe_events",
        "/sys/kernel/debug/tracing/kprobe_events",
    ];
    cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))
        && PROBES.iter().any(|p| std::path::Path::new(p).exists())
}

/// Whether modules are loaded that have types of their own.
fn has_modules() -> bool {
    let Ok(entries) = std::fs::read_dir("/sys/kernel/btf") else { return false };
    entries.filter_map(Result::ok).any(|e| e.file_name() != "vmlinux")
}

/// Types of maps that came after a version.
fn missing_maps(version_code: u32) -> MapTypes {
    let is_newer = |t: &&MapType| t.since().is_some_and(|since| since.code() > version_code);
    MapType::ALL.iter().filter(is_newer).fold(MapTypes::default(), |set, t| set.and(*t))
}

/// The kernel for an object, with no more read than the object needs. `types` gives the kernel's types.
pub fn target(needs: Needs, version_code: u32, types: impl FnOnce() -> Option<Arc<Btf>>) -> Target {
    Target {
        vmlinux: if needs.types { types() } else { None },
        kconfig: if needs.config_text { config() } else { None },
        kallsyms: if needs.symbols { Some(Arc::new(symbol_addresses)) } else { None },
        syscall_wrapper: needs.config && has_syscall_wrapper(),
        cpus: possible_cpus(),
        unread_modules: needs.types && has_modules(),
        version_code,
        missing_maps: missing_maps(version_code),
        ..Target::default()
    }
}
