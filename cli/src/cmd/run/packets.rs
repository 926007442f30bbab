//! Runs on the packets of a capture, as a stream: memory does not grow with the capture.

use super::load::Loaded;
use super::{Args, engine, print};
use crate::{End, paint};
use anyhow::{Context, Result, bail};
use ebpfkit_abi::{ProgType, retval_name};
use ebpfkit_object::Prepared;
use ebpfkit_vm::capture::{ETHERNET, Format, RAW_IP, Reader, Record, Writer};
use ebpfkit_vm::helpers::{collect, run_timers};
use ebpfkit_vm::input::{Fate, Origin, fate, frame_after, set_frame, set_input, takes_packet};
use ebpfkit_vm::{Engine, Run, World};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Read, Write};
use std::path::Path;
use std::time::Instant;

/// Return values below this have a counter each, as all verdicts have.
const SMALL: usize = 256;
/// Other return values counted one by one; more are counted together.
const MAX_COUNTS: usize = 256;
/// Bytes kept before they are written.
const BUFFER: usize = 1 << 18;
/// Packets between two moves of the progress bar.
const PROGRESS_STEP: u64 = 4096;

/// One packet's result; documented in `docs/json.md`.
#[derive(Serialize)]
struct PacketResult {
    packet: u64,
    len: usize,
    retval: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<print::JsonEvent>,
}

/// The capture's result; documented in `docs/json.md`.
#[derive(Serialize)]
struct Summary {
    packets: u64,
    counts: BTreeMap<String, u64>,
    written: u64,
    duration_ns: u64,
    packets_per_second: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    maps: Option<serde_json::Map<String, serde_json::Value>>,
}

/// How often each value was returned.
struct Counts {
    small: [u64; SMALL],
    large: BTreeMap<u32, u64>,
    others: u64,
}

impl Counts {
    #[inline]
    fn add(&mut self, value: u32) {
        match self.small.get_mut(value as usize) {
            Some(n) => *n += 1,
            None => self.add_large(value),
        }
    }

    fn add_large(&mut self, value: u32) {
        if let Some(n) = self.large.get_mut(&value) {
            *n += 1;
        } else if self.large.len() < MAX_COUNTS {
            self.large.insert(value, 1);
        } else {
            self.others += 1;
        }
    }

    fn named(&self, kind: ProgType) -> Vec<(String, u64)> {
        let name = |v: u32| retval_name(kind, v).map_or_else(|| v.to_string(), str::to_owned);
        let small = (0..).zip(self.small).filter(|(_, n)| *n > 0);
        let large = self.large.iter().map(|(v, n)| (*v, *n));
        let mut all: Vec<_> = small.chain(large).map(|(v, n)| (name(v), n)).collect();
        if self.others > 0 {
            all.push(("others".into(), self.others));
        }
        all
    }
}

/// Runs the program once for each packet.
pub fn run(args: &Args, prepared: &Prepared, loaded: Loaded, world: World, path: &Path) -> Result<End> {
    let kind = loaded.program.prog_type();
    if !takes_packet(kind) {
        bail!("{kind} programs take no packet");
    }
    let mut run = Run::new(&loaded.program, world);
    if args.checked {
        run.set_checked(true);
    }
    let ctx = args.ctx_in.as_deref().map(|p| std::fs::read(p).with_context(|| p.display().to_string())).transpose()?;
    set_input(&mut run, None, ctx.as_deref().unwrap_or_default())?;
    let engine = engine::make(args.engine, &run)?;
    let bar = progress(args, path);
    let live = path == Path::new("-");
    let source: Box<dyn Read + Send> = if live {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).with_context(|| path.display().to_string())?)
    };
    let mut stream = Stream {
        args,
        kind,
        engine: &*engine,
        counts: Counts { small: [0; SMALL], large: BTreeMap::new(), others: 0 },
        packets: 0,
        written: 0,
        writer: match &args.write {
            Some(out) => {
                let file = File::create(out).with_context(|| out.display().to_string())?;
                Some(Writer::new(BufWriter::with_capacity(BUFFER, file), Format::of(out), ETHERNET)?)
            }
            None => None,
        },
        buffer: Vec::new(),
        lines: BufWriter::with_capacity(BUFFER, anstream::stdout().lock()),
        // Whoever watches wants to see each packet at once.
        flushes: live || std::io::stdout().is_terminal(),
    };
    let start = Instant::now();
    let result = stream.all(&mut run, bar.wrap_read(source), &bar);
    stream.lines.flush()?;
    let duration_ns = start.elapsed().as_nanos() as u64;
    bar.finish_and_clear();
    if let Some(writer) = stream.writer.take() {
        writer.finish()?;
    }
    let fault = match result {
        Ok(fault) => fault,
        Err(e) => return Err(e.context(path.display().to_string())),
    };
    let summary = Summary {
        packets: stream.packets,
        counts: stream.counts.named(kind).into_iter().collect(),
        written: stream.written,
        duration_ns,
        packets_per_second: (u128::from(stream.packets) * 1_000_000_000 / u128::from(duration_ns.max(1))) as u64,
        maps: (args.json && !args.no_maps)
            .then(|| print::maps_json(&print::contents(args, prepared, &loaded.instance))),
    };
    if args.json {
        anstream::println!("{}", serde_json::to_string(&summary)?);
    } else {
        show(&summary, &stream.counts.named(kind));
        if !args.no_maps {
            print::maps(args, &print::contents(args, prepared, &loaded.instance));
        }
    }
    if let Some(fault) = fault {
        anstream::eprintln!("{} at packet {}", paint::error("stopped"), stream.packets + 1);
        print::fault(prepared, &run, &fault);
        return Ok(End::Bad);
    }
    Ok(End::Good)
}

/// The bar counts bytes of the file; there is none where the results are listed or nobody watches.
fn progress(args: &Args, path: &Path) -> ProgressBar {
    let len = std::fs::metadata(path).map(|m| m.len()).ok();
    if args.json || args.verbose {
        return ProgressBar::hidden();
    }
    let (bar, template) = match len {
        Some(len) => (ProgressBar::new(len), "{bar:40} {percent}% {msg} {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn show(summary: &Summary, counts: &[(String, u64)]) {
    let width = counts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, n) in counts {
        let share = *n as f64 * 100.0 / summary.packets.max(1) as f64;
        anstream::println!("{name:width$}  {n:>9}  {share:5.1}%");
    }
    let ms = summary.duration_ns as f64 / 1e6;
    anstream::println!("{} packets in {ms:.1} ms, {} packets/s", summary.packets, summary.packets_per_second);
}

type Lines = anstream::AutoStream<std::io::StdoutLock<'static>>;

/// A capture being worked through.
struct Stream<'a> {
    args: &'a Args,
    kind: ProgType,
    engine: &'a dyn Engine,
    counts: Counts,
    /// Packets that ran to the end.
    packets: u64,
    written: u64,
    writer: Option<Writer<BufWriter<File>>>,
    /// For frames that have to be put together.
    buffer: Vec<u8>,
    /// Standard output.
    lines: BufWriter<Lines>,
    flushes: bool,
}

impl Stream<'_> {
    /// Runs every packet; the answer is the fault that stopped the stream, if one did.
    fn all(&mut self, run: &mut Run, source: impl Read + Send, bar: &ProgressBar) -> Result<Option<ebpfkit_vm::Fault>> {
        let mut reader = Reader::new(source)?;
        let mut frame = Vec::new();
        let start = run.world().monotonic_ns;
        let mut first_time = None;
        let (tells, keeps) = (self.args.json || self.args.verbose, self.writer.is_some());
        while let Some((record, data)) = reader.next()? {
            let bytes = match record.link_type {
                ETHERNET => data,
                _ => as_ethernet(&record, data, &mut frame).with_context(|| format!("packet {}", self.packets + 1))?,
            };
            set_frame(run, self.kind, Origin::Wire, bytes);
            // The clock follows the capture.
            let first = *first_time.get_or_insert(record.time_ns);
            let now = start + record.time_ns.saturating_sub(first);
            if !run.state().timers.is_empty()
                && let Err(fault) = run_timers(run, now)
            {
                return Ok(Some(fault));
            }
            run.set_time(now);
            let result = self.engine.run(run);
            collect(run);
            let retval = match result {
                Ok(r0) => r0 as u32,
                Err(fault) => return Ok(Some(fault)),
            };
            self.packets += 1;
            self.counts.add(retval);
            if tells || !run.events().is_empty() {
                self.report(run, bytes.len(), retval)?;
            }
            if keeps {
                self.keep(run, &record, bytes, retval)?;
            }
            if self.packets.is_multiple_of(PROGRESS_STEP) {
                bar.set_message(format!("{} packets", self.packets));
            }
        }
        Ok(None)
    }

    /// Prints a packet's result and what the program told.
    fn report(&mut self, run: &mut Run, len: usize, retval: u32) -> Result<()> {
        if self.args.json {
            let name = retval_name(self.kind, retval);
            let events = run.events_mut().drain(..).map(|e| print::JsonEvent::from(&e)).collect();
            let result = PacketResult { packet: self.packets, len, retval, name, events };
            serde_json::to_writer(&mut self.lines, &result).map_err(std::io::Error::from)?;
            self.lines.write_all(b"\n")?;
        } else {
            if self.args.verbose {
                let value = retval_name(self.kind, retval).map_or_else(|| retval.to_string(), str::to_owned);
                writeln!(self.lines, "{:6}  {len:5} bytes  {value}", self.packets)?;
            }
            for event in run.events_mut().drain(..) {
                print::event(&mut self.lines, &event)?;
            }
        }
        if self.flushes {
            self.lines.flush()?;
        }
        Ok(())
    }

    /// Writes the packet as the program left it, if it goes on.
    fn keep(&mut self, run: &Run, record: &Record, before: &[u8], retval: u32) -> Result<()> {
        let (Some(writer), Fate::Passes { keep }) = (&mut self.writer, fate(self.kind, retval)) else {
            return Ok(());
        };
        let after = frame_after(run, self.kind, Origin::Wire, before, &mut self.buffer);
        // A change of length is a change on the wire too.
        let grown = after.len() as i64 - before.len() as i64;
        let wire_len = (i64::from(record.wire_len) + grown).clamp(0, i64::from(u32::MAX)) as u32;
        let link_header = after.len() - run.packet().len();
        let kept = after.len().min(keep.saturating_add(link_header));
        writer.write(&Record { wire_len, ..*record }, &after[..kept])?;
        self.written += 1;
        Ok(())
    }
}

/// The frame of a record of another link type than Ethernet; bare IP packets get an Ethernet header without addresses.
fn as_ethernet<'a>(record: &Record, data: &'a [u8], frame: &'a mut Vec<u8>) -> Result<&'a [u8]> {
    match record.link_type {
        RAW_IP => {
            let ethertype: [u8; 2] = if data.first().is_some_and(|b| b >> 4 == 6) { [0x86, 0xdd] } else { [8, 0] };
            frame.clear();
            frame.extend_from_slice(&[0; 12]);
            frame.extend_from_slice(&ethertype);
            frame.extend_from_slice(data);
            Ok(frame)
        }
        other => bail!("link type {other}; expected Ethernet (1) or raw IP (101)"),
    }
}
