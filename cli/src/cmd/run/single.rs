//! Runs on one input, repeated for timing.

use super::limits::Limits;
use super::load::Loaded;
use super::{Args, engine, print, recording};
use crate::end::End;
use crate::files;
use crate::out::{self, note, say};
use crate::paint;
use anyhow::{Result, bail};
use ebpfkit_abi::{ProgType, retval_name};
use ebpfkit_kernel::machine::thread_time;
use ebpfkit_object::Prepared;
use ebpfkit_vm::helpers::collect;
use ebpfkit_vm::{Event, Run, World, input};
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// Events kept over the runs of one input.
const MAX_EVENTS: usize = 1000;
/// Runs between two looks at the clock.
const LOOK: u32 = 64;

/// What a single run gives; documented in `docs/json.md`.
#[derive(Serialize)]
pub struct Outcome<M> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retval: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<print::JsonFault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ns: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<print::JsonEvent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<print::JsonLost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maps: Option<M>,
}

/// Writes an output of the run, where one is wanted.
pub fn write(path: Option<&Path>, bytes: &[u8]) -> Result<()> {
    path.map_or(Ok(()), |path| files::write(path, bytes))
}

/// Packet and context of the input.
pub fn read_input(args: &Args, kind: ProgType) -> Result<(Option<Vec<u8>>, Vec<u8>)> {
    let data = args.data_in.as_deref().map(files::read).transpose()?;
    if data.is_none() && input::takes_packet(kind) {
        bail!("{kind} programs work on packets: give --packet FILE or --data-in FILE");
    }
    let ctx = args.ctx_in.as_deref().map(files::read).transpose()?;
    Ok((data, ctx.unwrap_or_default()))
}

/// The clock that `--repeat` reads: the thread's own time, without that of others, where the system keeps it.
struct Clock {
    wall: Instant,
    own: Option<std::time::Duration>,
}

impl Clock {
    fn start() -> Self {
        Self { wall: Instant::now(), own: thread_time() }
    }

    fn elapsed_ns(&self) -> u64 {
        let own = thread_time().zip(self.own).map(|(now, start)| now.saturating_sub(start));
        u64::try_from(own.unwrap_or_else(|| self.wall.elapsed()).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Runs the program on one input.
pub fn run(args: &Args, prepared: &Prepared, loaded: Loaded, world: World) -> Result<End> {
    let kind = loaded.program.prog_type();
    let (data, ctx) = read_input(args, kind)?;
    let mut run = Run::new(&loaded.program, world);
    run.set_budget(args.budget);
    if args.checked {
        run.set_checked(true);
    }
    input::set_input(&mut run, data.as_deref(), &ctx)?;
    // Where none was set, what the run has made up comes back.
    let context = if ctx.is_empty() { run.ctx().to_struct() } else { ctx };
    let counter = args.recording.start(&mut run);
    let engine = engine::make(args.engine, &run)?;
    let limits = Limits::set([&mut run], args.timeout);
    let (mut result, mut runs, mut stop) = (Ok(0), 0, None);
    let clock = Clock::start();
    while runs < args.repeat {
        result = engine.run(&mut run);
        runs += 1;
        collect(&mut run);
        if result.is_err() {
            break;
        }
        if args.repeat > 1 {
            // What is told again and again is told once.
            run.events_mut().truncate(MAX_EVENTS);
        }
        if runs.is_multiple_of(LOOK) {
            stop = limits.reached();
            if stop.is_some() {
                break;
            }
        }
    }
    let duration_ns = Some(clock.elapsed_ns() / u64::from(runs.max(1)));
    let events: Vec<Event> = run.take_events();
    let (retval, fault) = match result {
        Ok(r0) => (Some(r0 as u32), None),
        Err(fault) => (None, Some(fault)),
    };
    if fault.is_none() {
        let (data, context) = input::output(&run, &context);
        write(args.data_out.as_deref(), &data)?;
        write(args.ctx_out.as_deref(), &context)?;
    }
    let name = retval.and_then(|r| retval_name(kind, r));
    let maps = print::Maps::of(args, prepared, &loaded.instance);
    if args.json {
        let fault = fault.as_ref().map(|f| print::JsonFault::new(prepared, run.current().name(), f, None));
        let events = events.iter().map(print::JsonEvent::from).collect();
        let (lost, maps) = (print::JsonLost::of(run.state().lost), (!args.no_maps).then_some(&maps));
        out::json(&Outcome { retval, name, fault, duration_ns, events, lost, maps })?;
    } else {
        print::events(&events)?;
        if let Some(retval) = retval {
            show(retval, name, duration_ns, runs)?;
        }
        if fault.is_none() && !args.no_maps {
            maps.show()?;
        }
    }
    recording::write(args, &prepared.object, &loaded, counter)?;
    print::lost(run.state().lost);
    if let Some(fault) = fault {
        print::fault(prepared, run.current().name(), &fault);
        return Ok(End::Bad);
    }
    if let Some(stop) = stop {
        note!("{} after {runs} of {} runs: {stop}", paint::error("stopped"), args.repeat);
        return Ok(stop.end());
    }
    Ok(End::Good)
}

/// Prints what the program returned, for people.
pub fn show(retval: u32, name: Option<&str>, duration_ns: Option<u64>, runs: u32) -> Result<()> {
    let named = name.map(|n| format!(" ({n})")).unwrap_or_default();
    let time = duration_ns.map_or_else(String::new, |ns| format!(", {ns} ns"));
    let times = if runs > 1 { format!(", average of {runs} runs") } else { String::new() };
    say!("retval {retval}{named}{time}{times}")
}
