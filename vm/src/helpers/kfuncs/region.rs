//! Regions of code: RCU, preemption, interrupts, resilient locks, exceptions. There is nothing to hold back here but other threads
//! that take the same lock.

use crate::helpers::Row;
use crate::helpers::cx::{self, Ret};
use crate::maps::mem;
use crate::{Errno, FaultKind, Run};
use std::sync::atomic::{AtomicU32, Ordering};

pub(super) const ROWS: &[Row] = &[
    ("bpf_throw", throw),
    ("bpf_rcu_read_lock", nothing),
    ("bpf_rcu_read_unlock", nothing),
    ("bpf_preempt_disable", nothing),
    ("bpf_preempt_enable", nothing),
    ("bpf_local_irq_save", irq_save),
    ("bpf_local_irq_restore", nothing),
    ("bpf_res_spin_lock", lock),
    ("bpf_res_spin_unlock", unlock),
];

/// Ends all functions up to the main one.
fn throw(_: &mut Run, [cookie, ..]: [u64; 5]) -> Ret {
    Err(FaultKind::Thrown(cookie).into())
}

fn nothing(_: &mut Run, _: [u64; 5]) -> Ret {
    Ok(0)
}

fn irq_save(run: &mut Run, [flags, ..]: [u64; 5]) -> Ret {
    cx::clear(run, flags, 8)?;
    Ok(0)
}

fn word<'a>(run: &mut Run, address: u64) -> Result<&'a AtomicU32, crate::Fault> {
    if !address.is_multiple_of(4) {
        return Err(cx::bad("a lock that is not aligned"));
    }
    run.allow(address, 4, true)?;
    // SAFETY: the bytes are the run's, aligned, and stay for as long as the function runs.
    Ok(unsafe { AtomicU32::from_ptr(address as usize as *mut u32) })
}

fn lock(run: &mut Run, [address, ..]: [u64; 5]) -> Ret {
    cx::status(mem::acquire(word(run, address)?).map_err(|_| Errno::ETIMEDOUT))
}

fn unlock(run: &mut Run, [address, ..]: [u64; 5]) -> Ret {
    word(run, address)?.store(0, Ordering::Release);
    Ok(0)
}
