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
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// Packets that each worker gets at once, about, and most bytes of all of them.
const PACKETS: usize = 1024;
const BYTES: usize = 1 << 19;
/// How often that is given out before the first is waited for.
const AHEAD: usize = 2;
/// Packets between two looks at the clock.
const LOOK: usize = 64;

/// Packets of one worker.
#[derive(Default)]
struct Batch {
    /// What the capture says of each, and where its bytes end.
    packets: Vec<(Record, usize)>,
    bytes: Vec<u8>,
    /// When the capture's first packet came.
    first_time: u64,
}

/// What came of one packet.
struct Answer {
    packet: u64,
    retval: u32,
    /// Where its lines end.
    lines: usize,
}

/// A frame that is written; its bytes are followed by the metadata's.
struct Frame {
    packet: u64,
    record: Record,
    len: usize,
    meta: usize,
}

/// What came of a batch.
#[derive(Default)]
struct Answers {
    packets: Vec<Answer>,
    lines: Vec<u8>,
    frames: Vec<Frame>,
    bytes: Vec<u8>,
    /// Why the worker does no more, and at which packet.
    ended: Option<(u64, Ended)>,
    /// The batch, to be filled again.
    batch: Batch,
}

struct Worker {
    to: SyncSender<Batch>,
    from: Receiver<Answers>,
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
            let (answers, from) = channel();
            scope.spawn(move || work(run, engine, taking, limits, &batches, &answers));
            Worker { to, from }
        };
        let workers: Vec<Worker> = runs.iter_mut().map(start).collect();
        let mut spare: Vec<Batch> = Vec::new();
        let (mut waiting, mut first_time) = (0, None);
        loop {
            let mut batches: Vec<Batch> = (0..workers.len()).map(|_| spare.pop().unwrap_or_default()).collect();
            let filled = fill(source, &mut batches, &mut first_time);
            for (worker, batch) in workers.iter().zip(batches) {
                worker.to.send(batch).map_err(|_| lost_worker())?;
            }
            waiting += 1;
            let is_last = !matches!(filled, Ok(true));
            // Nobody waits for packets that may be long in coming while results are there.
            while waiting >= AHEAD || waiting > 0 && (is_last || source.is_waiting()) {
                collect(&workers, sink, &mut spare)?;
                waiting -= 1;
            }
            if is_last {
                return filled.map(drop);
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
fn fill(source: &mut Source<'_>, batches: &mut [Batch], first_time: &mut Option<u64>) -> Result<bool, Ended> {
    let workers = batches.len() as u64;
    let (mut packets, mut bytes) = (0, 0);
    let mut buffer = Vec::new();
    while packets < PACKETS * batches.len() && bytes < BYTES * batches.len() {
        let Some((record, data)) = source.reader.next().map_err(|e| Ended::Error(e.into()))? else { return Ok(false) };
        let frame = framed(record, data, &mut buffer).map_err(|e| Ended::Error(e.into()))?;
        let first_time = *first_time.get_or_insert(record.time_ns);
        let batch = &mut batches[((u64::from(flow_hash(frame)) * workers) >> 32) as usize];
        batch.first_time = first_time;
        batch.bytes.extend_from_slice(frame);
        batch.packets.push((record, batch.bytes.len()));
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
    to: &Sender<Answers>,
) {
    let mut feed = Feed::new(run, engine);
    let mut has_ended = false;
    let mut buffer = Vec::new();
    while let Ok(mut batch) = batches.recv() {
        let mut answers = Answers::default();
        feed.set_first_time(batch.first_time);
        let mut start = 0;
        for (n, (record, end)) in batch.packets.iter().enumerate() {
            if has_ended {
                break;
            }
            let frame = &batch.bytes[start..*end];
            start = *end;
            let done = match n % LOOK {
                0 => limits.reached().map_or(Ok(()), |stop| Err(Ended::Stopped(stop))),
                _ => Ok(()),
            };
            if let Err(why) = done.and_then(|()| one(&mut feed, taking, *record, frame, &mut buffer, &mut answers)) {
                answers.ended = Some((record.number, why));
                has_ended = true;
            }
        }
        batch.packets.clear();
        batch.bytes.clear();
        answers.batch = batch;
        if to.send(answers).is_err() {
            return;
        }
    }
}

/// Runs the program on one packet and keeps what comes of it.
fn one(
    feed: &mut Feed<'_>,
    taking: &Taking,
    record: Record,
    frame: &[u8],
    buffer: &mut Vec<u8>,
    answers: &mut Answers,
) -> Result<(), Ended> {
    let replayed = feed.packet(record, frame);
    let mut replayed = match replayed {
        Ok(replayed) => replayed,
        Err(e) => return Err(ended(e, feed.run())),
    };
    if taking.tells() || !replayed.run.events().is_empty() {
        taking.lines(&mut replayed, &mut answers.lines).context(out::STDOUT).map_err(Ended::Error)?;
    }
    let (packet, retval) = (replayed.packet, replayed.retval);
    if taking.keeps()
        && let Some(Kept { record, frame, meta }) = taking.kept(&replayed, buffer)
    {
        answers.bytes.extend_from_slice(frame);
        answers.bytes.extend_from_slice(meta);
        answers.frames.push(Frame { packet, record, len: frame.len(), meta: meta.len() });
    }
    answers.packets.push(Answer { packet, retval, lines: answers.lines.len() });
    Ok(())
}

/// Takes a batch's answers from every worker and puts them in order.
fn collect(workers: &[Worker], sink: &mut Sink<'_>, spare: &mut Vec<Batch>) -> Result<(), Ended> {
    let mut all = Vec::with_capacity(workers.len());
    for worker in workers {
        all.push(worker.from.recv().map_err(|_| lost_worker())?);
    }
    let ended = all.iter_mut().filter_map(|a| a.ended.take()).min_by_key(|(packet, _)| *packet);
    let until = ended.as_ref().map_or(u64::MAX, |(packet, _)| *packet);
    for answer in all.iter().flat_map(|a| &a.packets).filter(|a| a.packet < until) {
        sink.count(answer.retval);
    }
    if all.iter().any(|a| !a.lines.is_empty()) {
        print(&all, until, sink).and_then(|()| sink.shown()).context(out::STDOUT).map_err(Ended::Error)?;
    }
    if all.iter().any(|a| !a.frames.is_empty()) {
        write(&all, until, sink).map_err(Ended::Error)?;
    }
    spare.extend(all.into_iter().map(|a| a.batch));
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

fn print(all: &[Answers], until: u64, sink: &mut Sink<'_>) -> std::io::Result<()> {
    let lists: Vec<&[Answer]> = all.iter().map(|a| &a.packets[..]).collect();
    in_order(
        &lists,
        |a| a.packet,
        |n, at| {
            let answer = &lists[n][at];
            let start = at.checked_sub(1).map_or(0, |before| lists[n][before].lines);
            if answer.packet < until && start < answer.lines {
                std::io::Write::write_all(&mut sink.lines, &all[n].lines[start..answer.lines])?;
            }
            Ok(())
        },
    )
}

fn write(all: &[Answers], until: u64, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    let lists: Vec<&[Frame]> = all.iter().map(|a| &a.frames[..]).collect();
    let mut starts = vec![0; all.len()];
    in_order(
        &lists,
        |f| f.packet,
        |n, at| {
            let frame = &lists[n][at];
            let bytes = &all[n].bytes[starts[n]..][..frame.len + frame.meta];
            starts[n] += bytes.len();
            let (data, meta) = bytes.split_at(frame.len);
            if frame.packet < until { sink.write(&Kept { record: frame.record, frame: data, meta }) } else { Ok(()) }
        },
    )
}
