//! Memory that programs and map operations share.
//!
//! Programs read and write map values while other threads update them, as in the kernel. All accesses from this crate
//! to such memory are relaxed atomic ones, so that they may race without undefined behaviour.

use crate::Errno;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Alignment of the start of a region: a cache line.
const ALIGN: usize = 64;

/// Zeroed memory at a fixed address, given back when dropped. Pages that nobody touches cost nothing.
#[derive(Debug)]
pub struct Region {
    raw: NonNull<u8>,
    layout: Layout,
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a region is plain memory; everything that reaches it through `&self` does so with atomics or through raw
// pointers whose users answer for it.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// `count * stride` zeroed bytes, the start aligned to a cache line.
    pub fn new(count: usize, stride: usize) -> Result<Self, Errno> {
        let len = count.checked_mul(stride).ok_or(Errno::ENOMEM)?;
        let padded = len.max(1).checked_add(ALIGN).ok_or(Errno::ENOMEM)?;
        // The allocator hands out untouched zero pages only for its natural alignment, so the rest is done by hand.
        let layout = Layout::from_size_align(padded, 16).map_err(|_| Errno::ENOMEM)?;
        // SAFETY: the size is not zero.
        let raw = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(Errno::ENOMEM)?;
        let skip = raw.as_ptr().align_offset(ALIGN);
        // SAFETY: `skip` is below `ALIGN`, which was added to the size.
        let base = unsafe { raw.add(skip) };
        Ok(Self { raw, layout, base, len })
    }

    /// Address of the first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Address at an offset.
    ///
    /// # Panics
    /// When the offset lies outside.
    pub fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.len);
        // SAFETY: inside the allocation, as just asserted.
        unsafe { self.base.add(offset) }
    }

    /// Whether bytes lie inside.
    pub fn contains(&self, address: u64, len: u64) -> bool {
        let offset = address.wrapping_sub(self.base.as_ptr() as u64);
        offset < self.len as u64 && len <= self.len as u64 - offset
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.raw.as_ptr(), self.layout) }
    }
}

/// Copies private bytes into shared memory.
///
/// # Safety
/// `dst` is valid for writes of `src.len()` bytes and nobody holds a reference to them.
pub unsafe fn store(dst: *mut u8, src: &[u8]) {
    let mut i = 0;
    let len = src.len();
    // SAFETY: every access stays below `len`, and words are aligned before they are used.
    unsafe {
        while i < len && !(dst.add(i) as usize).is_multiple_of(8) {
            AtomicU8::from_ptr(dst.add(i)).store(src[i], Ordering::Relaxed);
            i += 1;
        }
        while i + 8 <= len {
            let word = src.as_ptr().add(i).cast::<u64>().read_unaligned();
            AtomicU64::from_ptr(dst.add(i).cast()).store(word, Ordering::Relaxed);
            i += 8;
        }
        if i + 4 <= len {
            let word = src.as_ptr().add(i).cast::<u32>().read_unaligned();
            AtomicU32::from_ptr(dst.add(i).cast()).store(word, Ordering::Relaxed);
            i += 4;
        }
        while i < len {
            AtomicU8::from_ptr(dst.add(i)).store(src[i], Ordering::Relaxed);
            i += 1;
        }
    }
}

/// Copies shared memory into private bytes.
///
/// # Safety
/// `src` is valid for reads of `dst.len()` bytes.
#[inline]
pub unsafe fn load(src: *const u8, dst: &mut [u8]) {
    if let (Ok(word), true) = (<&mut [u8; 4]>::try_from(&mut *dst), (src as usize).is_multiple_of(4)) {
        // The size of most keys.
        // SAFETY: the caller answers for the bytes, which are aligned.
        *word = unsafe { AtomicU32::from_ptr(src.cast_mut().cast()) }.load(Ordering::Relaxed).to_ne_bytes();
        return;
    }
    // SAFETY: as for this function.
    unsafe { copy_out(src, dst.as_mut_ptr(), dst.len()) };
}

/// Copies shared memory into memory of the caller's own, which need not be initialised.
///
/// # Safety
/// `src` is valid for reads and `dst` for writes of `len` bytes.
pub unsafe fn copy_out(src: *const u8, dst: *mut u8, len: usize) {
    let mut i = 0;
    let src = src.cast_mut();
    // SAFETY: every access stays below `len`, and words are aligned before they are used.
    unsafe {
        while i < len && !(src.add(i) as usize).is_multiple_of(8) {
            dst.add(i).write(AtomicU8::from_ptr(src.add(i)).load(Ordering::Relaxed));
            i += 1;
        }
        while i + 8 <= len {
            let word = AtomicU64::from_ptr(src.add(i).cast()).load(Ordering::Relaxed);
            dst.add(i).cast::<u64>().write_unaligned(word);
            i += 8;
        }
        if i + 4 <= len {
            let word = AtomicU32::from_ptr(src.add(i).cast()).load(Ordering::Relaxed);
            dst.add(i).cast::<u32>().write_unaligned(word);
            i += 4;
        }
        while i < len {
            dst.add(i).write(AtomicU8::from_ptr(src.add(i)).load(Ordering::Relaxed));
            i += 1;
        }
    }
}

/// Zeroes shared memory.
///
/// # Safety
/// `dst` is valid for writes of `len` bytes and nobody holds a reference to them.
pub unsafe fn zero(dst: *mut u8, len: usize) {
    // SAFETY: as for this function.
    unsafe { fill(dst, len, 0) };
}

/// Sets all bytes of shared memory.
///
/// # Safety
/// As for [`zero`].
pub unsafe fn fill(dst: *mut u8, len: usize, value: u8) {
    let bytes = [value; 256];
    let mut done = 0;
    while done < len {
        let n = (len - done).min(bytes.len());
        // SAFETY: `done + n` does not pass `len`.
        unsafe { store(dst.add(done), &bytes[..n]) };
        done += n;
    }
}

/// Takes the 32-bit lock at an address (`struct bpf_spin_lock`: zero is free), runs `f` and gives it back.
/// [`Errno::EDEADLK`] when nobody gives the lock back for a long time: its holder died inside.
///
/// # Safety
/// `lock` is aligned to 4 and valid while `f` runs.
pub unsafe fn locked<T>(lock: *mut u8, f: impl FnOnce() -> T) -> Result<T, Errno> {
    // SAFETY: passed on to the caller.
    let lock = unsafe { AtomicU32::from_ptr(lock.cast()) };
    acquire(lock)?;
    let value = f();
    lock.store(0, Ordering::Release);
    Ok(value)
}

/// How often a lock is tried before its holder is given up for dead; some tenths of a second.
pub const MAX_WAIT: u32 = 1 << 18;

/// Takes a spin lock; see [`locked`].
pub fn acquire(lock: &AtomicU32) -> Result<(), Errno> {
    acquire_within(lock, MAX_WAIT)
}

/// Takes a spin lock that is tried at most so often.
pub fn acquire_within(lock: &AtomicU32, tries: u32) -> Result<(), Errno> {
    for attempt in 0..tries {
        if lock.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return Ok(());
        }
        pause(attempt);
    }
    Err(Errno::EDEADLK)
}

/// Waits a moment: spins first, then lets other threads run.
pub fn pause(attempt: u32) {
    if attempt < 64 {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_at_every_alignment_and_length() {
        let region = Region::new(1, 64).unwrap();
        for start in 0..9 {
            for len in 0..40 {
                let src: Vec<u8> = (1..=len as u8).collect();
                let mut dst = vec![0; len];
                // SAFETY: start + len stays inside the 64 bytes.
                unsafe {
                    zero(region.base().as_ptr(), 64);
                    store(region.at(start).as_ptr(), &src);
                    load(region.at(start).as_ptr(), &mut dst);
                    assert_eq!(dst, src);
                    let mut all = [0; 64];
                    load(region.base().as_ptr(), &mut all);
                    assert_eq!(all.iter().filter(|b| **b != 0).count(), len);
                }
            }
        }
    }

    #[test]
    fn a_region_is_zeroed_and_aligned() {
        let region = Region::new(3, 100).unwrap();
        assert_eq!(region.base().as_ptr() as usize % ALIGN, 0);
        assert_eq!(region.len(), 300);
        let mut bytes = vec![1; 300];
        // SAFETY: the region has 300 bytes.
        unsafe { load(region.base().as_ptr(), &mut bytes) };
        assert!(bytes.iter().all(|b| *b == 0));
        assert_eq!(Region::new(usize::MAX, 2).unwrap_err(), Errno::ENOMEM);
    }
}
