//! Locks, loops and timers.

use super::Row;
use super::cx::{self, Ret};
use super::state::Timer;
use crate::maps::mem;
use crate::{Errno, Fault, Run};
use ebpfkit_abi::limits::MAX_LOOPS;
use std::sync::atomic::{AtomicU32, Ordering};

pub(super) const ROWS: &[Row] = &[
    ("loop", bpf_loop),
    ("spin_lock", spin_lock),
    ("spin_unlock", spin_unlock),
    ("timer_init", timer_init),
    ("timer_set_callback", timer_set_callback),
    ("timer_start", timer_start),
    ("timer_cancel", timer_cancel),
];

fn bpf_loop(run: &mut Run, [nr_loops, callback, context, flags, _]: [u64; 5]) -> Ret {
    let nr_loops = nr_loops as u32;
    if flags != 0 {
        return cx::fail(Errno::EINVAL);
    }
    if nr_loops > MAX_LOOPS {
        return cx::fail(Errno::E2BIG);
    }
    for i in 0..u64::from(nr_loops) {
        if run.call(callback, [i, context, 0, 0, 0])? != 0 {
            return Ok(i + 1);
        }
    }
    Ok(nr_loops.into())
}

/// The lock word at an address.
fn word<'a>(run: &mut Run, address: u64) -> Result<&'a AtomicU32, Fault> {
    if !address.is_multiple_of(4) {
        return Err(cx::bad("a lock that is not aligned"));
    }
    run.allow(address, 4, true)?;
    // SAFETY: the bytes are the run's, aligned, and stay for as long as the helper runs.
    Ok(unsafe { AtomicU32::from_ptr(address as usize as *mut u32) })
}

/// What each try of a lock that is not free takes from the budget: as much as instructions of the same time.
const TRY: u64 = 400;

/// What a map operation that has waited in vain for a value's lock takes from the budget.
pub(super) fn charge_wait(run: &mut Run) {
    run.charge(TRY * u64::from(mem::MAX_WAIT));
}

/// Takes a lock. [`Errno::EDEADLK`] when the run itself holds it, [`Errno::ETIMEDOUT`] when nobody gives it back.
pub(super) fn lock(run: &mut Run, address: u64) -> Result<Result<(), Errno>, Fault> {
    let word = word(run, address)?;
    if run.state.locks.contains(&address) {
        return Ok(Err(Errno::EDEADLK));
    }
    let tries = (run.left() / TRY + 1).min(mem::MAX_WAIT.into()) as u32;
    if mem::acquire_within(word, tries).is_err() {
        run.charge(TRY * u64::from(tries));
        return Ok(Err(Errno::ETIMEDOUT));
    }
    run.state.locks.push(address);
    Ok(Ok(()))
}

/// Gives a lock back. With checks it has to be one that the run has taken.
pub(super) fn unlock(run: &mut Run, address: u64) -> Result<(), Fault> {
    let word = word(run, address)?;
    let held = run.state.locks.iter().rposition(|l| *l == address);
    if run.is_checked() && held.is_none() {
        return Err(cx::bad("a lock is given back that was not taken"));
    }
    held.map(|n| run.state.locks.swap_remove(n));
    word.store(0, Ordering::Release);
    Ok(())
}

/// Gives the locks back that a run has taken and, because of a fault, not given back.
pub(super) fn unlock_all(run: &mut Run) {
    for address in std::mem::take(&mut run.state.locks) {
        // Those in memory that is gone, such as a packet's, nobody else waits for.
        if run.maps().any(|m| m.contains(address, 4)) || super::heap::contains(address, 4) {
            // SAFETY: the word lies in a map that the run keeps or in an object, whose memory is never given back; it was
            // found to be aligned when the lock was taken.
            unsafe { AtomicU32::from_ptr(address as usize as *mut u32) }.store(0, Ordering::Release);
        }
    }
}

fn spin_lock(run: &mut Run, [address, ..]: [u64; 5]) -> Ret {
    match lock(run, address)? {
        Ok(()) => Ok(0),
        Err(Errno::EDEADLK) => Err(cx::bad("a lock that the program holds already")),
        Err(_) => Err(cx::bad("a lock that nobody gives back")),
    }
}

fn spin_unlock(run: &mut Run, [address, ..]: [u64; 5]) -> Ret {
    unlock(run, address)?;
    Ok(0)
}

/// `CLOCK_REALTIME` is not among them.
const CLOCKS: [u64; 2] = [1, 7];
/// `BPF_F_TIMER_ABS | BPF_F_TIMER_CPU_PIN`.
const TIMER_FLAGS: u64 = 3;

/// Whether the timer's field in the value is in use: its first word is not zero.
fn is_set(run: &mut Run, timer: u64) -> Result<bool, Fault> {
    Ok(cx::read_u64(run, timer)? != 0)
}

/// Whether the run may keep a timer at an address; otherwise it counts as lost.
fn has_space(run: &mut Run, timer: u64) -> bool {
    let timers = &run.state.timers;
    let fits = timers.len() < run.world.limits.timers || timers.contains_key(&timer);
    run.state.lost.timers += u64::from(!fits);
    fits
}

fn timer_init(run: &mut Run, [timer, map, flags, ..]: [u64; 5]) -> Ret {
    let clock = flags & 15;
    if flags >= 16 || clock != 0 && !CLOCKS.contains(&clock) {
        return cx::fail(Errno::EINVAL);
    }
    if is_set(run, timer)? {
        return cx::fail(Errno::EBUSY);
    }
    if !has_space(run, timer) {
        return cx::fail(Errno::ENOMEM);
    }
    // Timers run out when the program does not run any more; what is no map is said now.
    let handle = cx::map(run, map).map(|_| map)?;
    cx::write(run, timer, &timer.to_ne_bytes())?;
    run.state.set_due(timer, None);
    run.state.timers.insert(timer, Timer { map: handle, ..Timer::default() });
    Ok(0)
}

fn timer_set_callback(run: &mut Run, [timer, callback, ..]: [u64; 5]) -> Ret {
    if !is_set(run, timer)? {
        return cx::fail(Errno::EINVAL);
    }
    if !has_space(run, timer) {
        return cx::fail(Errno::ENOMEM);
    }
    let entry = run.state.timers.entry(timer).or_default();
    entry.callback = callback;
    Ok(0)
}

fn timer_start(run: &mut Run, [timer, nsecs, flags, ..]: [u64; 5]) -> Ret {
    if flags & !TIMER_FLAGS != 0 || !is_set(run, timer)? {
        return cx::fail(Errno::EINVAL);
    }
    let absolute = flags & 1 != 0;
    let due = if absolute { nsecs } else { run.world.monotonic_ns.wrapping_add(nsecs) };
    if run.state.timers.get(&timer).is_none_or(|t| t.callback == 0) {
        return cx::fail(Errno::EINVAL);
    }
    run.state.set_due(timer, Some(due));
    Ok(0)
}

fn timer_cancel(run: &mut Run, [timer, ..]: [u64; 5]) -> Ret {
    if !is_set(run, timer)? {
        return cx::fail(Errno::EINVAL);
    }
    // A timer of another program's making: it is not waiting here.
    let Some(entry) = run.state.timers.get_mut(&timer) else { return Ok(0) };
    if entry.running {
        return cx::fail(Errno::EDEADLK);
    }
    entry.callback = 0;
    Ok(run.state.set_due(timer, None).into())
}
