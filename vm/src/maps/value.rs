//! Layout of a map's values: ordinary bytes and special fields.
//!
//! Updates copy the ordinary bytes only; locks, timers, kptrs and the like stay (`copy_map_value`). What user space
//! reads has zeros in their place.

use super::mem;
use crate::Errno;
use ebpfkit_object::record::{FieldKind, Record};
use std::sync::atomic::{AtomicU64, Ordering};

/// Size and fields of a value.
#[derive(Debug)]
pub struct ValueLayout {
    size: usize,
    fields: Record,
    /// Ordinary bytes between the fields: start and end.
    spans: Vec<(usize, usize)>,
}

impl ValueLayout {
    /// From the value's size and its special fields; fields that do not fit are ignored.
    pub fn new(size: usize, fields: &Record) -> Self {
        let mut spans = Vec::new();
        let mut at = 0;
        let mut kept = Record::default();
        for f in &fields.fields {
            let (start, end) = (f.offset as usize, (f.offset as usize).saturating_add(f.size as usize));
            if start < at || end > size {
                continue;
            }
            if start > at {
                spans.push((at, start));
            }
            at = end;
            kept.fields.push(*f);
        }
        if at < size {
            spans.push((at, size));
        }
        Self { size, fields: kept, spans }
    }

    /// Bytes of a value.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The special fields.
    pub fn fields(&self) -> &Record {
        &self.fields
    }

    /// Offset of the `bpf_spin_lock`, if there is one.
    pub fn spin_lock(&self) -> Option<usize> {
        self.fields.find(FieldKind::SpinLock).map(|f| f.offset as usize)
    }

    /// Copies a value's ordinary bytes into the map.
    ///
    /// # Safety
    /// `dst` is a value of this layout; `src` has at least its size.
    pub unsafe fn write(&self, dst: *mut u8, src: &[u8]) {
        for &(start, end) in &self.spans {
            // SAFETY: spans lie inside the value.
            unsafe { mem::store(dst.add(start), &src[start..end]) };
        }
    }

    /// [`ValueLayout::write`] under the value's own lock (`BPF_F_LOCK`).
    ///
    /// # Safety
    /// As for `write`.
    pub unsafe fn write_locked(&self, dst: *mut u8, src: &[u8]) -> Result<(), Errno> {
        let lock = self.spin_lock().ok_or(Errno::EINVAL)?;
        // SAFETY: the lock lies inside the value, aligned to 4 by its type.
        unsafe { mem::locked(dst.add(lock), || self.write(dst, src)) }
    }

    /// Zeroes a value's ordinary bytes.
    ///
    /// # Safety
    /// `dst` is a value of this layout.
    pub unsafe fn clear(&self, dst: *mut u8) {
        for &(start, end) in &self.spans {
            // SAFETY: spans lie inside the value.
            unsafe { mem::zero(dst.add(start), end - start) };
        }
    }

    /// Copies a value out; special fields read as zeros. Bytes past the value's size are left alone.
    ///
    /// # Safety
    /// `src` is a value of this layout; `dst` has at least its size.
    pub unsafe fn read(&self, src: *const u8, dst: &mut [u8]) {
        for &(start, end) in &self.spans {
            // SAFETY: spans lie inside the value.
            unsafe { mem::load(src.add(start), &mut dst[start..end]) };
        }
        for f in &self.fields.fields {
            dst[f.offset as usize..(f.offset + f.size) as usize].fill(0);
        }
    }

    /// [`ValueLayout::read`] under the value's own lock (`BPF_F_LOCK`).
    ///
    /// # Safety
    /// As for `read`.
    pub unsafe fn read_locked(&self, src: *mut u8, dst: &mut [u8]) -> Result<(), Errno> {
        let lock = self.spin_lock().ok_or(Errno::EINVAL)?;
        // SAFETY: the lock lies inside the value, aligned to 4 by its type.
        unsafe { mem::locked(src.add(lock), || self.read(src, dst)) }
    }

    /// Empties the fields that own something (timers, kptrs, lists, trees).
    ///
    /// # Safety
    /// `value` is a value of this layout.
    pub unsafe fn free_fields(&self, value: *mut u8) {
        for f in &self.fields.fields {
            match f.kind {
                FieldKind::SpinLock | FieldKind::ResSpinLock | FieldKind::Refcount => continue,
                FieldKind::ListNode | FieldKind::RbNode => continue,
                _ => {}
            }
            // SAFETY: the field lies inside the value and starts with an aligned pointer.
            unsafe {
                let place = value.add(f.offset as usize);
                if f.size >= 8 && (place as usize).is_multiple_of(8) {
                    AtomicU64::from_ptr(place.cast()).store(0, Ordering::Release);
                }
                mem::zero(place, f.size as usize);
            }
        }
    }
}
