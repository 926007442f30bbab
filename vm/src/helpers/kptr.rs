//! Pointers to kernel objects inside map values.

use super::Row;
use super::cx::{self, Ret};
use crate::Run;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) const ROWS: &[Row] = &[("kptr_xchg", xchg)];

fn xchg(run: &mut Run, [slot, new, ..]: [u64; 5]) -> Ret {
    if !slot.is_multiple_of(8) {
        return Err(cx::bad("a kptr that is not aligned"));
    }
    run.allow(slot, 8, true)?;
    // SAFETY: the bytes are the run's and aligned.
    let slot = unsafe { AtomicU64::from_ptr(slot as usize as *mut u64) };
    let old = slot.swap(new, Ordering::AcqRel);
    if let Some(object) = super::heap::object_at(old) {
        cx::add_object_region(run, object);
    }
    Ok(old)
}
