//! Letting timers run out.

use super::{cx, heap};
use crate::maps::Map;
use crate::{Fault, Run};
use std::ops::ControlFlow;

/// A value that holds an address: its key and its own address.
fn value_around(map: &Map, address: u64) -> Option<(Vec<u8>, u64)> {
    let (key_size, size) = (map.key_size(), map.value_size() as u64);
    let mut found = None;
    // What happens to per-CPU values does not matter: timers are not allowed in them.
    let _ = map.for_each(0, &mut |key, value| {
        let base = value.as_ptr() as u64;
        if address.wrapping_sub(base) < size {
            let mut bytes = vec![0; key_size];
            // SAFETY: the key has as many bytes and stays while it is visited.
            unsafe { crate::maps::mem::load(key.as_ptr(), &mut bytes) };
            found = Some((bytes, base));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    found
}

/// Calls the callbacks of all timers that are due up to a time of the monotonic clock, earliest first; the clock stands
/// at the due time of each while its callback runs, and at `until` afterwards. To be called after a run of the program,
/// by who lets time pass. The number of callbacks.
pub fn run_timers(run: &mut Run, until_ns: u64) -> Result<usize, Fault> {
    let mut calls = 0;
    loop {
        let next = run.state.timers.iter().filter_map(|(at, t)| Some((t.due?, *at))).min();
        let Some((due, at)) = next.filter(|(due, _)| *due <= until_ns) else { break };
        run.world.monotonic_ns = run.world.monotonic_ns.max(due);
        let Some(timer) = run.state.timers.get_mut(&at) else { break };
        timer.due = None;
        timer.running = true;
        let (map, callback) = (timer.map, timer.callback);
        let result = call(run, map, callback, at);
        if let Some(timer) = run.state.timers.get_mut(&at) {
            timer.running = false;
        }
        result?;
        calls += 1;
    }
    run.world.monotonic_ns = run.world.monotonic_ns.max(until_ns);
    Ok(calls)
}

fn call(run: &mut Run, handle: u64, callback: u64, at: u64) -> Result<(), Fault> {
    let map = cx::map(run, handle)?;
    // The value may have been deleted since; its timer is cancelled then.
    let Some((key, value)) = value_around(map, at) else { return Ok(()) };
    let place = heap::alloc(heap::Kind::Argument, key.len());
    if place == 0 {
        return Err(cx::bad("no memory for the key of a timer's value"));
    }
    super::kfuncs::raw_write(place, &key);
    cx::lend(run, place, key.len() as u64, "a key of a map", false);
    if let Some(base) = std::ptr::NonNull::new(value as usize as *mut u8) {
        cx::lend_value(run, map, base);
    }
    let result = run.call(callback, [handle, place, value, 0, 0]);
    cx::take_back(run, place);
    heap::release(heap::Kind::Argument, place);
    result.map(drop)
}
