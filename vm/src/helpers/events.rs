//! Records for user space: ring buffers and perf events; and records from it.

use super::Row;
use super::cx::{self, Ret};
use super::dynptr::{self, Dynptr};
use super::state::Emitted;
use crate::maps::{Kind, Map, Ringbuf};
use crate::{Errno, Event, Fault, Run};

pub(super) const ROWS: &[Row] = &[
    ("ringbuf_output", ring_output),
    ("ringbuf_reserve", ring_reserve),
    ("ringbuf_submit", ring_submit),
    ("ringbuf_discard", ring_discard),
    ("ringbuf_query", ring_query),
    ("ringbuf_reserve_dynptr", ring_reserve_dynptr),
    ("ringbuf_submit_dynptr", ring_submit_dynptr),
    ("ringbuf_discard_dynptr", ring_discard_dynptr),
    ("user_ringbuf_drain", user_drain),
    ("perf_event_output", perf_output),
    ("skb_output", perf_output),
    ("xdp_output", perf_output),
    ("perf_event_read", perf_read),
    ("perf_event_read_value", perf_read_value),
];

/// `BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP`.
const WAKEUP_FLAGS: u64 = 3;
/// Records that one drain takes at most (`BPF_MAX_USER_RINGBUF_SAMPLES`).
const MAX_DRAIN: u64 = 128 << 10;
/// Bits of the flags that choose an index; all set means the current CPU.
const INDEX_MASK: u64 = u32::MAX as u64;
/// Bits of the flags that say how much of the packet goes along.
const CTX_LEN_MASK: u64 = 0xf_ffff << 32;

/// Bytes that an event counts for beside its data.
const EVENT_OVERHEAD: u64 = 64;

/// Bytes that an event takes.
fn size_of(event: &Event) -> u64 {
    let data = match event {
        Event::Printk(text) | Event::Stream { text, .. } => text.len(),
        Event::Perf { map, data, .. } | Event::Ring { map, data } => map.len() + data.len(),
        Event::Packet { data, .. } | Event::Output(data) => data.len(),
        Event::Signal { .. } => 0,
    };
    data as u64 + EVENT_OVERHEAD
}

/// Adds an event to those that wait in the run. One that the world's limit leaves no space for is dropped and counted as
/// lost; the answer is then false.
pub(super) fn emit(run: &mut Run, event: Event) -> bool {
    let size = size_of(&event);
    if !has_space(run, size) {
        let lost = &mut run.state.lost;
        (lost.events, lost.bytes) = (lost.events + 1, lost.bytes + size);
        return false;
    }
    run.state.emitted.bytes += size;
    run.state.emitted.events += 1;
    run.events.push(event);
    true
}

fn has_space(run: &mut Run, size: u64) -> bool {
    if run.events.len() != run.state.emitted.events {
        // Some were taken out.
        let bytes = run.events.iter().map(size_of).sum();
        run.state.emitted = Emitted { events: run.events.len(), bytes };
    }
    run.state.emitted.bytes.saturating_add(size) <= run.world.limits.emitted
}

/// Reads the ring buffers of the run's program as user space would, and adds their records to the run's events.
#[inline]
pub fn collect(run: &mut Run) {
    if run.program().has_rings() || run.current().has_rings() {
        empty_rings(run);
    }
}

fn empty_rings(run: &mut Run) {
    let programs = [run.program().clone(), run.current().clone()];
    for map in programs.iter().flat_map(|p| p.maps()) {
        if let Kind::Ringbuf(ring) = map.kind() {
            let name = &map.info().name;
            ring.consume(|data| {
                emit(run, Event::Ring { map: name.to_string(), data: data.to_vec() });
            });
        }
    }
}

fn ringbuf<'m>(run: &Run, handle: u64) -> Result<&'m Ringbuf, Fault> {
    match cx::map(run, handle)?.kind() {
        Kind::Ringbuf(ring) => Ok(ring),
        _ => Err(cx::bad("a ring buffer helper on another kind of map")),
    }
}

/// The ring buffer that a record lies in.
fn ring_of(run: &Run, record: u64) -> Option<&Ringbuf> {
    run.maps().find_map(|m| match m.kind() {
        Kind::Ringbuf(ring) if ring.reserved(record).is_some() => Some(ring),
        _ => None,
    })
}

/// With checks the record has to be one that this run has reserved: the word before any other place in a ring buffer
/// may have been written by the program.
fn commit(run: &mut Run, record: u64, discard: bool) -> Result<(), Fault> {
    let no_record = || cx::bad("no reserved record of a ring buffer");
    let reserved = run.state.records.iter().rposition(|r| *r == record);
    if run.is_checked() && reserved.is_none() {
        return Err(no_record());
    }
    let ring = ring_of(run, record).ok_or_else(no_record)?;
    ring.commit(record, discard).map_err(|_| no_record())?;
    reserved.map(|n| run.state.records.swap_remove(n));
    cx::remove_region(run, record);
    Ok(())
}

/// Discards the records that a run has reserved and, because of a fault, not submitted.
pub(super) fn discard_records(run: &mut Run) {
    for record in std::mem::take(&mut run.state.records) {
        if let Some(ring) = ring_of(run, record) {
            // It was found to be reserved.
            let _ = ring.commit(record, true);
        }
    }
}

fn ring_output(run: &mut Run, [handle, data, size, flags, _]: [u64; 5]) -> Ret {
    let ring = ringbuf(run, handle)?;
    if flags & !WAKEUP_FLAGS != 0 {
        return cx::fail(Errno::EINVAL);
    }
    let data = cx::copy(run, data, size as usize)?;
    cx::status(ring.output(&data))
}

fn reserve(run: &mut Run, handle: u64, size: u64) -> Result<u64, Fault> {
    let Some(record) = ringbuf(run, handle)?.reserve(size) else { return Ok(0) };
    let record = record.as_ptr() as u64;
    run.state.records.push(record);
    cx::add_region(run, record, size, "a record of a ring buffer", true);
    Ok(record)
}

fn ring_reserve(run: &mut Run, [handle, size, flags, ..]: [u64; 5]) -> Ret {
    if flags != 0 { Ok(0) } else { reserve(run, handle, size) }
}

fn ring_submit(run: &mut Run, [record, ..]: [u64; 5]) -> Ret {
    commit(run, record, false)?;
    Ok(0)
}

fn ring_discard(run: &mut Run, [record, ..]: [u64; 5]) -> Ret {
    commit(run, record, true)?;
    Ok(0)
}

fn ring_query(run: &mut Run, [handle, what, ..]: [u64; 5]) -> Ret {
    Ok(ringbuf(run, handle)?.query(what))
}

fn ring_reserve_dynptr(run: &mut Run, [handle, size, flags, to, _]: [u64; 5]) -> Ret {
    let size = u64::from(size as u32);
    if flags != 0 {
        return Dynptr::refuse(run, to, Errno::EINVAL);
    }
    if size > dynptr::MAX_SIZE {
        return Dynptr::refuse(run, to, Errno::E2BIG);
    }
    let record = reserve(run, handle, size)?;
    if record == 0 {
        return Dynptr::refuse(run, to, Errno::EINVAL);
    }
    Dynptr::new(record, dynptr::Kind::Ringbuf, size as u32).store(run, to)?;
    Ok(0)
}

fn end_dynptr(run: &mut Run, at: u64, discard: bool) -> Ret {
    let ptr = Dynptr::load(run, at)?;
    if ptr.data != 0 {
        commit(run, ptr.data, discard)?;
        Dynptr::NULL.store(run, at)?;
    }
    Ok(0)
}

fn ring_submit_dynptr(run: &mut Run, [at, ..]: [u64; 5]) -> Ret {
    end_dynptr(run, at, false)
}

fn ring_discard_dynptr(run: &mut Run, [at, ..]: [u64; 5]) -> Ret {
    end_dynptr(run, at, true)
}

fn user_drain(run: &mut Run, [handle, callback, context, flags, _]: [u64; 5]) -> Ret {
    let Kind::UserRingbuf(ring) = cx::map(run, handle)?.kind() else {
        return Err(cx::bad("user_ringbuf_drain on another kind of map"));
    };
    if flags & !WAKEUP_FLAGS != 0 {
        return cx::fail(Errno::EINVAL);
    }
    if let Err(errno) = ring.begin() {
        return cx::fail(errno);
    }
    let mut count = 0;
    let result = loop {
        if count == MAX_DRAIN {
            break Ok(count);
        }
        let (record, len) = match ring.front() {
            Ok(front) => front,
            Err(Errno::ENODATA) => break Ok(count),
            Err(errno) => break Ok(errno.ret()),
        };
        let record = record.as_ptr() as u64;
        cx::add_region(run, record, len.into(), "a record of a user ring buffer", true);
        let ptr = run.state.scratch();
        let called = Dynptr::new(record, dynptr::Kind::Local, len).store(run, ptr).and_then(|()| {
            cx::add_region(run, ptr, dynptr::BYTES, "a dynptr", false);
            run.call(callback, [ptr, context, 0, 0, 0])
        });
        ring.release(len);
        cx::remove_region(run, record);
        count += 1;
        match called {
            Ok(0) => {}
            Ok(_) => break Ok(count),
            Err(fault) => break Err(fault),
        }
    };
    ring.end();
    result
}

/// The slot that the flags choose: an index with an open event.
fn perf_slot(run: &Run, map: &Map, flags: u64) -> Result<u32, Errno> {
    let index = match flags & INDEX_MASK {
        INDEX_MASK => run.world.cpu,
        index => index as u32,
    };
    if index >= map.info().max_entries {
        return Err(Errno::E2BIG);
    }
    // User space has opened an event for each CPU, as libbpf's buffers do; others only when it set a slot.
    let open = index < run.world.cpus.max(1) || matches!(map.kind(), Kind::Slots(s) if s.get(index).is_some());
    if open { Ok(index) } else { Err(Errno::ENOENT) }
}

/// Emits a record with as many bytes of the packet behind it as the flags say.
fn emit_perf(run: &mut Run, map: &Map, flags: u64, data: &[u8], packet: usize) -> Result<(), Errno> {
    let index = perf_slot(run, map, flags)?;
    if index != run.world.cpu {
        return Err(Errno::EOPNOTSUPP);
    }
    cx::charge(run, packet);
    let mut record = data.to_vec();
    record.extend_from_slice(run.packet.bytes().get(..packet).ok_or(Errno::EFAULT)?);
    let event = Event::Perf { map: map.info().name.to_string(), index, data: record };
    if emit(run, event) { Ok(()) } else { Err(Errno::ENOSPC) }
}

fn perf_output(run: &mut Run, [_, handle, flags, data, size]: [u64; 5]) -> Ret {
    let map = cx::map(run, handle)?;
    let packet = ((flags & CTX_LEN_MASK) >> 32) as usize;
    let has_packet = run.has_packet();
    if flags & !(INDEX_MASK | if has_packet { CTX_LEN_MASK } else { 0 }) != 0 {
        return cx::fail(Errno::EINVAL);
    }
    if packet > run.packet.len() {
        return cx::fail(Errno::EFAULT);
    }
    let data = cx::copy(run, data, size as usize)?;
    cx::status(emit_perf(run, map, flags, &data, packet))
}

/// Counters do not count here.
fn perf_read(run: &mut Run, [handle, flags, ..]: [u64; 5]) -> Ret {
    let map = cx::map(run, handle)?;
    if flags & !INDEX_MASK != 0 {
        return cx::fail(Errno::EINVAL);
    }
    cx::number(perf_slot(run, map, flags).map(|_| 0))
}

fn perf_read_value(run: &mut Run, [handle, flags, to, size, _]: [u64; 5]) -> Ret {
    let map = cx::map(run, handle)?;
    let size = u64::from(size as u32);
    cx::clear(run, to, size)?;
    if size != 24 || flags & !INDEX_MASK != 0 {
        return cx::fail(Errno::EINVAL);
    }
    cx::number(perf_slot(run, map, flags).map(|_| 0))
}
