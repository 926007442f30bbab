//! bpf(2): loads programs, reads their logs, test-runs them and accesses maps of the running kernel. Attaches nothing.
//!
//! [`Kernel::open`] says whether the machine has bpf(2) and the right to use it; everything else starts from there.
//! [`Session::new`] creates an object's maps and [`Session::load`] loads its programs as libbpf does.
//! On systems other than Linux every call answers [`KernelError::Unavailable`].
#![deny(missing_docs)]

mod answer;
mod arena;
mod attr;
mod error;
pub mod log;
pub mod machine;
mod map;
mod prog;
mod session;
mod sys;
mod test_run;

pub use answer::{Answer, Judgement};
pub use error::KernelError;
pub use map::{Entry, KernelBatch, KernelMap, MapParams};
pub use prog::{LoadParams, LoadResult, LoadedProgram, LogLevel};
pub use session::Session;
pub use test_run::{TestRun, TestRunResult};

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The running kernel's bpf(2), known to answer.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    _probed: (),
}

impl Kernel {
    /// Asks whether bpf(2) can be used here: creates and drops a small array map.
    pub fn open() -> Result<Self, KernelError> {
        let kernel = Self { _probed: () };
        let params = MapParams {
            map_type: ebpfkit_abi::MapType::Array,
            key_size: 4,
            value_size: 4,
            max_entries: 1,
            ..MapParams::default()
        };
        match kernel.create_map(&params) {
            Ok(_) => Ok(kernel),
            Err(KernelError::Call { errno, .. }) => Err(KernelError::unavailable(errno)),
            Err(other) => Err(other),
        }
    }

    /// Gives types to the kernel (`BPF_BTF_LOAD`); the error holds the kernel's log.
    pub fn load_btf(&self, bytes: &[u8]) -> Result<OwnedFd, KernelError> {
        let size = u32::try_from(bytes.len()).map_err(|_| KernelError::TooLarge { what: "BTF" })?;
        let mut attr = attr::BtfLoad { btf: bytes.as_ptr() as u64, btf_size: size, ..attr::BtfLoad::default() };
        match sys::call_fd(sys::BTF_LOAD, &mut attr) {
            Ok(fd) => Ok(fd),
            Err(errno) => {
                let mut log = vec![0u8; 1 << 16];
                attr.btf_log_buf = log.as_mut_ptr() as u64;
                attr.btf_log_size = log.len() as u32;
                attr.btf_log_level = 1;
                let _ = sys::call_fd(sys::BTF_LOAD, &mut attr);
                Err(KernelError::Btf { errno, log: log::text_of(&log) })
            }
        }
    }

    /// Number of CPUs that per-CPU map values have slots for.
    pub fn possible_cpus(&self) -> usize {
        machine::possible_cpus().max(1) as usize
    }
}

/// A descriptor as the number that instructions and attributes hold.
fn raw(fd: impl AsFd) -> i32 {
    use std::os::fd::AsRawFd;
    let fd: BorrowedFd<'_> = fd.as_fd();
    fd.as_raw_fd()
}

#[cfg(test)]
mod tests;
