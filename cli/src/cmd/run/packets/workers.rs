//! Several runs at a time, each on a CPU of its own: the packets of a flow go to one of them, as a network card with
//! several queues has it, and what comes of them is put in the order of the capture again.

use super::results::{Ended, Kept, Sink, Taking};
use super::{Source, ended};
use crate::cmd::run::limits::Limits;
use crate::out;
use anyhow::{Context, anyhow};
use ebpfkit_vm::capture::Record;
use ebpfkit_vm::replay::{Feed, framed};
use ebpfkit_vm::{Engine, Run, flow_hash};
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// Packets that each worker gets at once, about, and most bytes of all of them.
const PACKETS: usize = 1024;
const BYTES: usize = 1 << 19;
/// How often that is given out before the first is waited for.
const AHEAD: usize = 2;
/// Packets between two looks at the clock.
const LOOK: usize = 64;

/// Packets of one worker, one behind the other.
#[derive(Default)]
struct Packets {
    /// What the capture says of each packet.
    records: Vec<Record>,
    /// Where the bytes of each packet end.
    ends: Vec<usize>,
    bytes: Vec<u8>,
    /// When the capture's first packet came.
    first_time: u64,
}

impl Packets {
    fn clear(&mut self) {
        self.records.clear();
        self.ends.clear();
        self.bytes.clear();
    }

    #[inline]
    fn push(&mut self, record: Record, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.ends.push(self.bytes.len());
        self.records.push(record);
    }

    /// Makes this a copy.
    ///
    /// Packets are put together in memory that only the thread which reads knows, and copied at once: memory that another
    /// CPU had last is slow to write to in small pieces, since each has to wait for its cache line.
    fn copy_from(&mut self, other: &Self) {
        self.clear();
        self.records.extend_from_slice(&other.records);
        self.ends.extend_from_slice(&other.ends);
        self.bytes.extend_from_slice(&other.bytes);
        self.first_time = other.first_time;
    }
}

/// Packets of one worker, and what came of them. It goes to the worker and back, and is filled again: all that it has
/// allocated is used again.
#[derive(Default)]
struct Batch {
    packets: Packets,
    /// What the program returned, for the packets that ran to the end; those are the first ones.
    retvals: Vec<u32>,
    /// Packets of which there is something to print.
    told: Vec<Told>,
    lines: Vec<u8>,
    /// Packets that are written.
    frames: Vec<Frame>,
    frame_bytes: Vec<u8>,
    /// Why the worker does no more, and at which packet.
    ended: Option<(u64, Ended)>,
}

impl Batch {
    fn clear(&mut self) {
        self.retvals.clear();
        self.told.clear();
        self.lines.clear();
        self.frames.clear();
        self.frame_bytes.clear();
        self.ended = None;
    }
}

/// What is printed of a packet.
struct Told {
    packet: u64,
    /// Where its lines end.
    end: usize,
}

/// A frame that is written; its bytes are followed by the metadata's.
struct Frame {
    record: Record,
    len: usize,
    meta: usize,
}

struct Worker {
    to: SyncSender<Batch>,
    from: Receiver<Batch>,
}

/// Runs the program on all packets of the source, in as many threads as there are runs.
pub fn run(
    source: &mut Source<'_>,
    runs: &mut [Run],
    engine: &'static (dyn Engine + Sync),
    taking: &Taking,
    limits: &Limits,
    sink: &mut Sink<'_>,
) -> Result<(), Ended> {
    thread::scope(|scope| {
        let start = |run| {
            let (to, batches) = sync_channel(AHEAD);
            let (done, from) = channel();
            scope.spawn(move || work(run, engine, taking, limits, &batches, &done));
            Worker { to, from }
        };
        let workers: Vec<Worker> = runs.iter_mut().map(start).collect();
        let mut filled: Vec<Packets> = workers.iter().map(|_| Packets::default()).collect();
        let mut spare: Vec<Batch> = Vec::new();
        let (mut waiting, mut first_time) = (0, None);
        loop {
            let more = fill(source, &mut filled, &mut first_time);
            for (worker, packets) in workers.iter().zip(&filled) {
                let mut batch = spare.pop().unwrap_or_default();
                batch.packets.copy_from(packets);
                worker.to.send(batch).map_err(|_| lost_worker())?;
            }
            waiting += 1;
            let is_last = !matches!(more, Ok(true));
            // Nobody waits for packets that may be long in coming while results are there.
            while waiting >= AHEAD || waiting > 0 && (is_last || source.is_waiting()) {
                collect(&workers, sink, &mut spare)?;
                waiting -= 1;
            }
            if is_last {
                return more.map(drop);
            }
            source.progress(sink.packets);
            if let Some(stop) = limits.reached() {
                return Err(Ended::Stopped(stop));
            }
        }
    })
}

fn lost_worker() -> Ended {
    Ended::Error(anyhow!("a worker has ended"))
}

/// Fills a batch for each worker; false at the capture's end. An error comes behind the packets before it.
fn fill(source: &mut Source<'_>, batches: &mut [Packets], first_time: &mut Option<u64>) -> Result<bool, Ended> {
    batches.iter_mut().for_each(Packets::clear);
    let workers = batches.len() as u64;
    let (mut packets, mut bytes) = (0, 0);
    let mut buffer = Vec::new();
    while packets < PACKETS * batches.len() && bytes < BYTES * batches.len() {
        let Some((record, data)) = source.reader.next().map_err(|e| Ended::Error(e.into()))? else { return Ok(false) };
        let frame = framed(record, data, &mut buffer).map_err(|e| Ended::Error(e.into()))?;
        let first_time = *first_time.get_or_insert(record.time_ns);
        let batch = &mut batches[((u64::from(flow_hash(frame)) * workers) >> 32) as usize];
        batch.first_time = first_time;
        batch.push(record, frame);
        packets += 1;
        bytes += frame.len();
        if source.is_waiting() {
            break;
        }
    }
    Ok(true)
}

/// What one worker does.
fn work(
    run: &mut Run,
    engine: &dyn Engine,
    taking: &Taking,
    limits: &Limits,
    batches: &Receiver<Batch>,
    to: &Sender<Batch>,
) {
    let mut feed = Feed::new(run, engine);
    let mut has_ended = false;
    let mut buffer = Vec::new();
    while let Ok(mut batch) = batches.recv() {
        feed.set_first_time(batch.packets.first_time);
        let mut start = 0;
        for n in 0..batch.packets.records.len() {
            if has_ended {
                break;
            }
            let packet = start..batch.packets.ends[n];
            start = packet.end;
            let done = match n % LOOK {
                0 => limits.reached().map_or(Ok(()), |stop| Err(Ended::Stopped(stop))),
                _ => Ok(()),
            };
            if let Err(why) = done.and_then(|()| one(&mut feed, taking, &mut batch, n, packet, &mut buffer)) {
                batch.ended = Some((batch.packets.records[n].number, why));
                has_ended = true;
            }
        }
        if to.send(batch).is_err() {
            return;
        }
    }
}

/// Runs the program on one packet of a batch and keeps what comes of it.
fn one(
    feed: &mut Feed<'_>,
    taking: &Taking,
    batch: &mut Batch,
    n: usize,
    packet: Range<usize>,
    buffer: &mut Vec<u8>,
) -> Result<(), Ended> {
    let mut replayed = match feed.packet(batch.packets.records[n], &batch.packets.bytes[packet]) {
        Ok(replayed) => replayed,
        Err(e) => return Err(ended(e, feed.run())),
    };
    batch.retvals.push(replayed.retval);
    if taking.tells() || !replayed.run.events().is_empty() {
        taking.lines(&mut replayed, &mut batch.lines).context(out::STDOUT).map_err(Ended::Error)?;
        batch.told.push(Told { packet: replayed.packet, end: batch.lines.len() });
    }
    if taking.keeps()
        && let Some(Kept { record, frame, meta }) = taking.kept(&replayed, buffer)
    {
        batch.frame_bytes.extend_from_slice(frame);
        batch.frame_bytes.extend_from_slice(meta);
        batch.frames.push(Frame { record, len: frame.len(), meta: meta.len() });
    }
    Ok(())
}

/// Takes a batch back from every worker and puts what came of them in order.
fn collect(workers: &[Worker], sink: &mut Sink<'_>, spare: &mut Vec<Batch>) -> Result<(), Ended> {
    let mut all = Vec::with_capacity(workers.len());
    for worker in workers {
        all.push(worker.from.recv().map_err(|_| lost_worker())?);
    }
    let ended = all.iter_mut().filter_map(|b| b.ended.take()).min_by_key(|(packet, _)| *packet);
    let until = ended.as_ref().map_or(u64::MAX, |(packet, _)| *packet);
    for batch in &all {
        let before = batch.packets.records.iter().take_while(|r| r.number < until);
        batch.retvals.iter().zip(before).for_each(|(retval, _)| sink.count(*retval));
    }
    if all.iter().any(|b| !b.told.is_empty()) {
        print(&all, until, sink).and_then(|()| sink.shown()).context(out::STDOUT).map_err(Ended::Error)?;
    }
    if all.iter().any(|b| !b.frames.is_empty()) {
        write(&all, until, sink).map_err(Ended::Error)?;
    }
    all.iter_mut().for_each(Batch::clear);
    spare.append(&mut all);
    ended.map_or(Ok(()), |(_, why)| Err(why))
}

/// Calls a function for all elements of sorted lists, in order, with the number of the list and the index in it.
fn in_order<T, E>(
    lists: &[&[T]],
    number: impl Fn(&T) -> u64,
    mut each: impl FnMut(usize, usize) -> Result<(), E>,
) -> Result<(), E> {
    let mut at = vec![0; lists.len()];
    let next = |at: &[usize]| {
        let heads = lists.iter().zip(at).enumerate();
        heads.filter_map(|(n, (list, i))| Some((number(list.get(*i)?), n))).min()
    };
    while let Some((_, n)) = next(&at) {
        each(n, at[n])?;
        at[n] += 1;
    }
    Ok(())
}

fn print(all: &[Batch], until: u64, sink: &mut Sink<'_>) -> std::io::Result<()> {
    let lists: Vec<&[Told]> = all.iter().map(|b| &b.told[..]).collect();
    in_order(
        &lists,
        |told| told.packet,
        |n, at| {
            let told = &lists[n][at];
            let start = at.checked_sub(1).map_or(0, |before| lists[n][before].end);
            if told.packet < until {
                std::io::Write::write_all(&mut sink.lines, &all[n].lines[start..told.end])?;
            }
            Ok(())
        },
    )
}

fn write(all: &[Batch], until: u64, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    let lists: Vec<&[Frame]> = all.iter().map(|b| &b.frames[..]).collect();
    let mut starts = vec![0; all.len()];
    in_order(
        &lists,
        |f| f.record.number,
        |n, at| {
            let frame = &lists[n][at];
            let bytes = &all[n].frame_bytes[starts[n]..][..frame.len + frame.meta];
            starts[n] += bytes.len();
            let (data, meta) = bytes.split_at(frame.len);
            let number = frame.record.number;
            if number < until { sink.write(&Kept { record: frame.record, frame: data, meta }) } else { Ok(()) }
        },
    )
}
