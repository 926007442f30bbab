//! Regions of code: RCU, preemption, interrupts, resilient locks, exceptions. There is nothing to hold back here but other threads
//! that take the same lock.

use crate::helpers::Row;
use crate::helpers::cx::{self, Ret};
use crate::helpers::sync;
use crate::{FaultKind, Run};

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

fn lock(run: &mut Run, [address, ..]: [u64; 5]) -> Ret {
    cx::status(sync::lock(run, address)?)
}

fn unlock(run: &mut Run, [address, ..]: [u64; 5]) -> Ret {
    sync::unlock(run, address)?;
    Ok(0)
}
