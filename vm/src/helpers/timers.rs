//! Letting timers run out.

use super::{cx, heap};
use crate::{Fault, Run};

/// Calls the callbacks of all timers that are due up to a time of the monotonic clock, earliest first; the clock stands
/// at the due time of each while its callback runs, and at `until` afterwards. To be called after a run of the program,
/// by who lets time pass. The number of callbacks.
pub fn run_timers(run: &mut Run, until_ns: u64) -> Result<usize, Fault> {
    let mut calls = 0;
    run.renew_budget();
    while let Some((due, at)) = run.state.next_due(until_ns) {
        run.world.monotonic_ns = run.world.monotonic_ns.max(due);
        let Some(timer) = run.state.timers.get_mut(&at) else { break };
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
    let Some((key, value)) = map.element_around(at) else { return Ok(()) };
    let key_copy = heap::alloc(heap::Kind::Argument, key.len());
    if key_copy == 0 {
        return Err(cx::bad("no memory for the key of a timer's value"));
    }
    super::kfuncs::raw_write(key_copy, &key);
    cx::add_region(run, key_copy, key.len() as u64, "a key of a map", false);
    let value = cx::add_value_region(run, map, value);
    let result = run.call(callback, [handle, key_copy, value, 0, 0]);
    cx::remove_region(run, key_copy);
    heap::release(heap::Kind::Argument, key_copy);
    result.map(drop)
}
