//! Runs on the packets of a capture, as a stream: memory does not grow with the capture.

mod compare;
mod results;
mod workers;

pub use compare::run as run_in_kernel;

use super::limits::{Limits, Live, Pending};
use super::load::Loaded;
use super::{Args, engine, print, recording};
use crate::end::End;
use crate::files;
use crate::out::{self, note, say};
use crate::paint;
use anyhow::{Context, Result, bail};
use ebpfkit_abi::ProgType;
use ebpfkit_object::Prepared;
use ebpfkit_vm::capture::Reader;
use ebpfkit_vm::input::{set_input, takes_packet};
use ebpfkit_vm::replay::{Feed, ReplayError, framed};
use ebpfkit_vm::{Engine, Lost, Run, World};
use indicatif::{ProgressBar, ProgressStyle};
use results::{Ended, Sink, Taking};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

/// Packets between two looks at the clock, and between two moves of the progress bar.
const LOOK: u64 = 64;
const PROGRESS_STEP: u64 = 4096;

/// The capture's result; documented in `docs/json.md`.
#[derive(Serialize)]
struct Summary<'a> {
    packets: u64,
    counts: BTreeMap<String, u64>,
    written: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cut: u64,
    #[serde(skip_serializing_if = "is_zero")]
    refused: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<u64>,
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

/// A capture that is read.
pub struct Source<'r> {
    reader: Reader<'r>,
    bar: ProgressBar,
    /// What has come of a pipe and is not read yet.
    pending: Option<Pending>,
}

impl Source<'_> {
    fn open(args: &Args, path: &Path, limits: &Limits) -> Result<Self> {
        let bar = progress(args, path);
        let source = files::open(path)?;
        let (source, pending): (Box<dyn Read + Send>, _) = if files::is_standard(path) {
            let live = Live::new(source, limits.clone());
            let pending = live.pending();
            (Box::new(live), Some(pending))
        } else {
            (source, None)
        };
        let mut reader = Reader::new(bar.wrap_read(source)).with_context(|| files::name(path))?;
        if args.skip_cut {
            reader.skip_cut();
        }
        Ok(Self { reader, bar, pending })
    }

    /// Whether nothing more has come of a pipe by now.
    fn is_waiting(&self) -> bool {
        self.pending.as_ref().is_some_and(Pending::is_empty)
    }

    fn progress(&self, packets: u64) {
        self.bar.set_message(format!("{packets} packets"));
    }
}

/// What came of a stream besides what its sink has.
#[derive(Default)]
struct Streamed {
    ended: Option<Ended>,
    duration_ns: u64,
    cut: u64,
    lost: Lost,
    /// Packets that a test-run does not take.
    refused: u64,
    /// Packets and maps that the kernel's runs left otherwise, where they are compared.
    differences: Option<u64>,
}

/// Streams the capture through what is given, timed; why it ended early is in the answer.
fn stream(
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
    limits: &Limits,
    run: impl FnOnce(&mut Source<'_>, &mut Sink<'_>) -> Result<(), Ended>,
) -> Result<Streamed> {
    let start = Instant::now();
    let ended = run(source, sink).err();
    sink.lines.flush().context(out::STDOUT)?;
    let duration_ns = start.elapsed().as_nanos() as u64;
    source.bar.finish_and_clear();
    // A signal ends whoever writes into a pipe too, be it in the middle of a packet.
    let ended = match (ended, limits.reached().filter(|_| source.pending.is_some())) {
        (Some(Ended::Error(e)), _) if crate::is_broken_pipe(&e) => return Err(e),
        (None | Some(Ended::Error(_)), Some(stop)) => Some(Ended::Stopped(stop)),
        (ended, _) => ended,
    };
    Ok(Streamed { ended, duration_ns, cut: source.reader.cut(), ..Streamed::default() })
}

/// Runs the program once for each packet.
pub fn run(args: &Args, prepared: &Prepared, loaded: Loaded, world: World, path: &Path) -> Result<End> {
    let kind = loaded.program.prog_type();
    if !takes_packet(kind) {
        bail!("{kind} programs take no packet");
    }
    let ctx = args.ctx_in.as_deref().map(files::read).transpose()?;
    let counter = args.recording.counter();
    let start = |n: u32| {
        let mut world = world.clone();
        world.cpu = (world.cpu + n) % world.cpus;
        // Each CPU has random numbers of its own.
        world.random = world.random.wrapping_add(u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut run = Run::new(&loaded.program, world);
        run.set_budget(args.budget);
        if args.checked {
            run.set_checked(true);
        }
        if let Some(counter) = &counter {
            run.set_watcher(Some(counter.watcher()));
        }
        set_input(&mut run, None, ctx.as_deref().unwrap_or_default())?;
        Ok(run)
    };
    let mut runs = (0..args.jobs.into()).map(start).collect::<Result<Vec<Run>>>()?;
    let Some(first) = runs.first() else { bail!("--jobs: expected at least one") };
    let engine = engine::make(args.engine, first)?;
    let limits = Limits::set(&mut runs, args.timeout);
    let taking = Taking::of(args, kind)?;
    let mut source = Source::open(args, path, &limits)?;
    let mut sink = Sink::open(args, source.pending.is_some() || out::is_watched())?;
    let mut streamed = stream(&mut source, &mut sink, &limits, |source, sink| match &mut runs[..] {
        [run] => all(source, run, engine, &taking, &limits, sink),
        runs => workers::run(source, runs, engine, &taking, &limits, sink),
    })?;
    runs.iter().for_each(|run| streamed.lost += run.state().lost);
    let maps = print::Maps::of(args, prepared, &loaded.instance);
    finish(args, prepared, (kind, &maps), path, sink, streamed, || {
        recording::write(args, &prepared.object, &loaded, counter)
    })
}

/// Why a replay ended, in the words of this command.
fn ended(e: ReplayError, run: &Run) -> Ended {
    match e {
        ReplayError::Fault { packet, fault } => match super::limits::Stop::of(&fault.kind) {
            Some(stop) => Ended::Stopped(stop),
            None => Ended::Fault { packet, program: run.current().name().to_owned(), fault },
        },
        e => Ended::Error(e.into()),
    }
}

/// One run for all packets.
fn all(
    source: &mut Source<'_>,
    run: &mut Run,
    engine: &dyn Engine,
    taking: &Taking,
    limits: &Limits,
    sink: &mut Sink<'_>,
) -> Result<(), Ended> {
    let (tells, keeps) = (taking.tells(), taking.keeps());
    // For frames that have to be put together, before the run and after it.
    let (mut frame, mut buffer) = (Vec::new(), Vec::new());
    let mut feed = Feed::new(run, engine);
    loop {
        let Some((record, data)) = source.reader.next().map_err(|e| Ended::Error(e.into()))? else { return Ok(()) };
        let frame = framed(record, data, &mut frame).map_err(|e| Ended::Error(e.into()))?;
        let mut replayed = match feed.packet(record, frame) {
            Ok(replayed) => replayed,
            Err(e) => return Err(ended(e, feed.run())),
        };
        sink.count(replayed.retval);
        if tells || !replayed.run.events().is_empty() {
            let told = taking.lines(&mut replayed, &mut sink.lines).and_then(|()| sink.shown());
            told.context(out::STDOUT).map_err(Ended::Error)?;
        }
        if keeps && let Some(kept) = taking.kept(&replayed, &mut buffer) {
            sink.write(&kept).map_err(Ended::Error)?;
        }
        if sink.packets.is_multiple_of(PROGRESS_STEP) {
            source.progress(sink.packets);
        }
        if (sink.flushes || sink.packets.is_multiple_of(LOOK))
            && let Some(stop) = limits.reached()
        {
            return Err(Ended::Stopped(stop));
        }
    }
}

/// Prints what came of a capture; the answer is how the command ends.
fn finish(
    args: &Args,
    prepared: &Prepared,
    (kind, maps): (ProgType, &print::Maps<'_>),
    path: &Path,
    mut sink: Sink<'_>,
    streamed: Streamed,
    record: impl FnOnce() -> Result<()>,
) -> Result<End> {
    let Streamed { ended, duration_ns, cut, lost, refused, differences } = streamed;
    let mut error = match &ended {
        Some(Ended::Error(e)) => Some(format!("{}: {}", files::name(path), out::text_of(e))),
        _ => None,
    };
    if let Err(e) = sink.finish() {
        error.get_or_insert(out::text_of(&e));
    }
    let counts = sink.counts.named(kind);
    let summary = Summary {
        packets: sink.packets,
        counts: counts.iter().cloned().collect(),
        written: sink.written,
        cut,
        refused,
        differences,
        duration_ns,
        packets_per_second: (u128::from(sink.packets) * 1_000_000_000 / u128::from(duration_ns.max(1))) as u64,
        fault: match &ended {
            Some(Ended::Fault { packet, program, fault }) => {
                Some(print::JsonFault::new(prepared, program, fault, Some(*packet)))
            }
            _ => None,
        },
        stopped: match &ended {
            Some(Ended::Stopped(stop)) => Some(stop.to_string()),
            _ => None,
        },
        error: error.clone(),
        lost: print::JsonLost::of(lost),
        maps: (!args.no_maps).then_some(maps),
    };
    let without_meta = sink.without_meta;
    // The bytes of lines that are not finished must not mix with what follows.
    drop(sink);
    if args.json {
        out::json(&summary)?;
    } else {
        show(&summary, &counts)?;
        if let Some(path) = &args.write {
            say!("{} written to {}", packets(summary.written), files::output_name(path))?;
        }
        if !args.no_maps {
            maps.show()?;
        }
    }
    record()?;
    print::lost(lost);
    if without_meta > 0 {
        note!(
            "{} the metadata of {}: pcap has no place for it (a file called .pcapng has)",
            paint::warning("not written:"),
            packets(without_meta)
        );
    }
    match cut {
        0 => {}
        n if args.skip_cut => note!("{} {}, cut when captured", paint::warning("left out:"), packets(n)),
        n => note!(
            "{} {}, of which the program saw the bytes that were captured (--skip-cut leaves such out)",
            paint::warning("cut:"),
            packets(n)
        ),
    }
    if refused > 0 {
        note!("{} {}, which a test-run does not take", paint::warning("not run:"), packets(refused));
    }
    if let Some(error) = error {
        note!("{} {error}", paint::error("error:"));
        return Ok(End::Usage);
    }
    match ended {
        // What neither takes is no difference.
        None | Some(Ended::Error(_)) if differences.unwrap_or(refused) > 0 => Ok(End::Bad),
        None | Some(Ended::Error(_)) => Ok(End::Good),
        Some(Ended::Fault { packet, program, fault }) => {
            note!("{} at packet {packet}", paint::error("stopped"));
            print::fault(prepared, &program, &fault);
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

fn packets(n: u64) -> String {
    if n == 1 { "1 packet".into() } else { format!("{n} packets") }
}

fn show(summary: &Summary<'_>, counts: &[(String, u64)]) -> Result<()> {
    let width = counts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, n) in counts {
        let share = *n as f64 * 100.0 / summary.packets.max(1) as f64;
        say!("{name:width$}  {n:>9}  {share:5.1}%")?;
    }
    let ms = summary.duration_ns as f64 / 1e6;
    say!("{} in {ms:.1} ms, {} packets/s", packets(summary.packets), summary.packets_per_second)?;
    match summary.differences {
        Some(0) => say!("the kernel does the same"),
        Some(n) => say!("{n} differences from the kernel"),
        None => Ok(()),
    }
}
