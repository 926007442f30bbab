//! Runs on the packets of a capture, as a stream: memory does not grow with the capture.

use super::limits::{Limits, Live, Stop};
use super::load::Loaded;
use super::{Args, engine, print, recording};
use crate::end::End;
use crate::files::{self, Output};
use crate::out::{self, note, say};
use crate::paint;
use anyhow::{Context, Error, Result, bail};
use ebpfkit_abi::{ProgType, retval_name, retval_names, retval_of};
use ebpfkit_object::Prepared;
use ebpfkit_vm::capture::{ETHERNET, Format, Reader, Record, Writer};
use ebpfkit_vm::input::{Fate, fate, set_input, takes_packet};
use ebpfkit_vm::replay::{Replay, ReplayError, Replayed};
use ebpfkit_vm::{Fault, Run, World};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

/// Return values below this have a counter each, as all verdicts have.
const SMALL: usize = 256;
/// Other return values counted one by one; more are counted together.
const MAX_COUNTS: usize = 256;
/// Bytes kept before they are written.
const BUFFER: usize = 1 << 18;
/// Packets between two looks at the clock, and between two moves of the progress bar.
const LOOK: u64 = 64;
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
struct Summary<'a> {
    packets: u64,
    counts: BTreeMap<String, u64>,
    written: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cut: u64,
    duration_ns: u64,
    packets_per_second: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<print::JsonFault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<print::JsonLost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maps: Option<&'a print::Maps<'a>>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
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

/// Which packets are written.
enum Written {
    /// Those that go on.
    Passed,
    /// Those that end here.
    Dropped,
    /// Those for which the program returned one of these.
    Values(Vec<u32>),
}

impl Written {
    fn of(args: &Args, kind: ProgType) -> Result<Self> {
        if args.write_dropped {
            return Ok(Self::Dropped);
        }
        if args.write_if.is_empty() {
            return Ok(Self::Passed);
        }
        let value = |text: &String| {
            retval_of(kind, text).with_context(|| {
                let names: Vec<&str> = retval_names(kind).iter().map(|(_, name)| *name).collect();
                match names.is_empty() {
                    true => format!("--write-if {text}: expected a number"),
                    false => format!("--write-if {text}: expected {} or a number", names.join(", ")),
                }
            })
        };
        Ok(Self::Values(args.write_if.iter().map(value).collect::<Result<_>>()?))
    }
}

/// Why the stream ended before the capture.
enum Ended {
    /// The program faulted.
    Fault(u64, Fault),
    /// From outside.
    Stopped(Stop),
    /// The capture is broken, or a result cannot be written.
    Error(Error),
}

/// Runs the program once for each packet.
pub fn run(args: &Args, prepared: &Prepared, loaded: Loaded, world: World, path: &Path) -> Result<End> {
    let kind = loaded.program.prog_type();
    if !takes_packet(kind) {
        bail!("{kind} programs take no packet");
    }
    let mut run = Run::new(&loaded.program, world);
    run.set_budget(args.budget);
    if args.checked {
        run.set_checked(true);
    }
    let ctx = args.ctx_in.as_deref().map(files::read).transpose()?;
    set_input(&mut run, None, ctx.as_deref().unwrap_or_default())?;
    let counter = args.recording.start(&mut run);
    let engine = engine::make(args.engine, &run)?;
    let limits = Limits::set(&mut run, args.timeout);
    let bar = progress(args, path);
    let live = files::is_standard(path);
    let source = files::open(path)?;
    let source: Box<dyn Read + Send> = if live { Box::new(Live::new(source, limits.clone())) } else { source };
    let writer = match &args.write {
        Some(path) => {
            let output = BufWriter::with_capacity(BUFFER, Output::create(path)?);
            Some(Writer::new(output, Format::of(path), ETHERNET)?)
        }
        None => None,
    };
    let which = Written::of(args, kind)?;
    let mut results = Results {
        args,
        kind,
        counts: Counts { small: [0; SMALL], large: BTreeMap::new(), others: 0 },
        packets: 0,
        written: 0,
        writer,
        which,
        buffer: Vec::new(),
        lines: BufWriter::with_capacity(BUFFER, out::results()),
        // Whoever watches wants to see each packet at once.
        flushes: live || out::is_watched(),
    };
    let start = Instant::now();
    let mut reader = Reader::new(bar.wrap_read(source)).with_context(|| files::name(path))?;
    if args.skip_cut {
        reader.skip_cut();
    }
    let mut replay = Replay::new(&mut run, &*engine, reader);
    let ended = results.all(&mut replay, &limits, &bar).err();
    let (packets, cut) = (replay.packets(), replay.reader().cut());
    results.lines.flush().context(out::STDOUT)?;
    let duration_ns = start.elapsed().as_nanos() as u64;
    bar.finish_and_clear();
    // A signal ends whoever writes into a pipe too, be it in the middle of a packet.
    let ended = match (ended, limits.reached().filter(|_| live)) {
        (Some(Ended::Error(e)), _) if crate::is_broken_pipe(&e) => return Err(e),
        (None | Some(Ended::Error(_)), Some(stop)) => Some(Ended::Stopped(stop)),
        (ended, _) => ended,
    };
    let mut error = match &ended {
        Some(Ended::Error(e)) => Some(format!("{}: {}", files::name(path), out::text_of(e))),
        _ => None,
    };
    if let Some(writer) = results.writer.take() {
        let finished = writer.finish().map_err(Error::from).and_then(|out| {
            let out = out.into_inner().map_err(|e| e.into_error())?;
            out.finish()
        });
        let finished = finished.with_context(|| args.write.as_deref().map(files::name).unwrap_or_default());
        if let Err(e) = finished {
            error.get_or_insert(out::text_of(&e));
        }
    }
    let maps = print::Maps::of(args, prepared, &loaded.instance);
    let counts = results.counts.named(kind);
    let summary = Summary {
        packets,
        counts: counts.iter().cloned().collect(),
        written: results.written,
        cut,
        duration_ns,
        packets_per_second: (u128::from(packets) * 1_000_000_000 / u128::from(duration_ns.max(1))) as u64,
        fault: match &ended {
            Some(Ended::Fault(packet, fault)) => Some(print::JsonFault::new(prepared, &run, fault, Some(*packet))),
            _ => None,
        },
        stopped: match &ended {
            Some(Ended::Stopped(stop)) => Some(stop.to_string()),
            _ => None,
        },
        error: error.clone(),
        lost: print::JsonLost::of(&run),
        maps: (!args.no_maps).then_some(&maps),
    };
    // The bytes of lines that are not finished must not mix with what follows.
    drop(results);
    if args.json {
        out::json(&summary)?;
    } else {
        show(&summary, &counts)?;
        if let Some(path) = &args.write {
            say!("{} packets written to {}", summary.written, files::output_name(path))?;
        }
        if !args.no_maps {
            maps.show()?;
        }
    }
    recording::write(args, &prepared.object, &loaded, counter)?;
    print::lost(&run);
    match cut {
        0 => {}
        n if args.skip_cut => {
            note!("{} {n} packets that were cut when they were captured", paint::warning("left out:"))
        }
        n => note!(
            "{} {n} packets were cut when they were captured: the program saw their first bytes alone (--skip-cut \
             leaves them out)",
            paint::warning("cut:")
        ),
    }
    if let Some(error) = error {
        note!("{} {error}", paint::error("error:"));
        return Ok(End::Usage);
    }
    match ended {
        None | Some(Ended::Error(_)) => Ok(End::Good),
        Some(Ended::Fault(packet, fault)) => {
            note!("{} at packet {packet}", paint::error("stopped"));
            print::fault(prepared, &run, &fault);
            Ok(End::Bad)
        }
        Some(Ended::Stopped(stop)) => {
            note!("{} after packet {}: {stop}", paint::error("stopped"), summary.packets);
            Ok(stop.end())
        }
    }
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

fn show(summary: &Summary<'_>, counts: &[(String, u64)]) -> Result<()> {
    let width = counts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, n) in counts {
        let share = *n as f64 * 100.0 / summary.packets.max(1) as f64;
        say!("{name:width$}  {n:>9}  {share:5.1}%")?;
    }
    let ms = summary.duration_ns as f64 / 1e6;
    say!("{} packets in {ms:.1} ms, {} packets/s", summary.packets, summary.packets_per_second)
}

/// What a stream of packets gives.
struct Results<'a> {
    args: &'a Args,
    kind: ProgType,
    counts: Counts,
    /// Packets that ran to the end.
    packets: u64,
    written: u64,
    writer: Option<Writer<BufWriter<Output>>>,
    which: Written,
    /// For frames that have to be put together.
    buffer: Vec<u8>,
    /// Standard output.
    lines: BufWriter<Box<dyn Write>>,
    flushes: bool,
}

impl Results<'_> {
    /// Takes every packet's result.
    fn all(&mut self, replay: &mut Replay<'_, '_>, limits: &Limits, bar: &ProgressBar) -> Result<(), Ended> {
        let (tells, keeps) = (self.args.json || self.args.verbose, self.writer.is_some());
        loop {
            let mut replayed = match replay.next() {
                Ok(Some(replayed)) => replayed,
                Ok(None) => return Ok(()),
                Err(ReplayError::Fault { packet, fault }) => {
                    return Err(Stop::of(&fault.kind).map_or(Ended::Fault(packet, fault), Ended::Stopped));
                }
                Err(e) => return Err(Ended::Error(e.into())),
            };
            self.packets += 1;
            self.counts.add(replayed.retval);
            if tells || !replayed.run.events().is_empty() {
                self.report(&mut replayed).context(out::STDOUT).map_err(Ended::Error)?;
            }
            if keeps {
                self.keep(&replayed).map_err(Ended::Error)?;
            }
            if self.packets.is_multiple_of(PROGRESS_STEP) {
                bar.set_message(format!("{} packets", self.packets));
            }
            if (self.flushes || self.packets.is_multiple_of(LOOK))
                && let Some(stop) = limits.reached()
            {
                return Err(Ended::Stopped(stop));
            }
        }
    }

    /// Prints a packet's result and what the program told.
    fn report(&mut self, replayed: &mut Replayed<'_>) -> std::io::Result<()> {
        let Replayed { packet, before, retval, ref mut run, .. } = *replayed;
        let (len, name) = (before.len(), retval_name(self.kind, retval));
        if self.args.json {
            let events = run.events_mut().drain(..).map(|e| print::JsonEvent::from(&e)).collect();
            let result = PacketResult { packet, len, retval, name, events };
            serde_json::to_writer(&mut self.lines, &result)?;
            self.lines.write_all(b"\n")?;
        } else {
            if self.args.verbose {
                let value = name.map_or_else(|| retval.to_string(), str::to_owned);
                writeln!(self.lines, "{packet:6}  {len:5} bytes  {value}")?;
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

    /// Writes the packet as the program left it, if it is one of those that are written.
    fn keep(&mut self, replayed: &Replayed<'_>) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let keep = match (&self.which, fate(self.kind, replayed.retval)) {
            (Written::Passed, Fate::Passes { keep }) => keep,
            (Written::Dropped, Fate::Ends) => usize::MAX,
            (Written::Values(values), fate) if values.contains(&replayed.retval) => match fate {
                Fate::Passes { keep } => keep,
                Fate::Ends => usize::MAX,
            },
            _ => return Ok(()),
        };
        let after = replayed.after(&mut self.buffer);
        let record = replayed.record;
        // A change of length is a change on the wire too.
        let grown = after.len() as i64 - replayed.before.len() as i64;
        let wire_len = (i64::from(record.wire_len) + grown).clamp(0, i64::from(u32::MAX)) as u32;
        let link_header = after.len() - replayed.run.packet().len();
        let kept = after.len().min(keep.saturating_add(link_header));
        writer
            .write(&Record { wire_len, ..record }, &after[..kept])
            .with_context(|| self.args.write.as_deref().map(files::name).unwrap_or_default())?;
        self.written += 1;
        Ok(())
    }
}
