//! Arenas in this process: a program that uses one can only be loaded once user space has mapped it.

use crate::error::KernelError;
use crate::{KernelMap, raw};
use std::ffi::c_void;
use std::ptr::NonNull;

/// A mapped arena; unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<c_void>,
    len: usize,
}

// SAFETY: the mapping is owned by this value alone and only written during construction.
unsafe impl Send for Mapping {}
// SAFETY: as above; nothing reads or writes through a shared reference.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps an arena of `len` bytes, at `address` unless that is zero, and puts `data` at its start.
    #[cfg(target_os = "linux")]
    pub(crate) fn new(map: &KernelMap, address: u64, len: usize, data: &[u8]) -> Result<Self, KernelError> {
        let failed = |errno| KernelError::call(format!("mmap of arena {}", map.name), errno);
        if data.len() > len {
            return Err(failed(libc::E2BIG));
        }
        // An address that is in use here is an error rather than overwritten.
        let fixed = if address == 0 { 0 } else { libc::MAP_FIXED_NOREPLACE };
        // SAFETY: the kernel chooses a free range, or takes the one asked for only if it is free.
        let start = unsafe {
            libc::mmap(
                address as *mut c_void,
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | fixed,
                raw(map),
                0,
            )
        };
        let start = NonNull::new(start).filter(|p| p.as_ptr() != libc::MAP_FAILED);
        let Some(start) = start else {
            return Err(failed(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)));
        };
        let mapping = Self { start, len };
        // SAFETY: the mapping is writable and `data` was checked to fit; both are distinct memory.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), mapping.start.as_ptr().cast(), data.len()) };
        Ok(mapping)
    }

    /// There are no arenas elsewhere.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new(map: &KernelMap, _: u64, _: usize, _: &[u8]) -> Result<Self, KernelError> {
        Err(KernelError::call(format!("mmap of arena {}", map.name), libc::ENOSYS))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the range was mapped by `new` and is unmapped once.
        unsafe {
            libc::munmap(self.start.as_ptr(), self.len);
        }
    }
}
