//! Runs on one input, repeated for timing.

use super::load::Loaded;
use super::{Args, engine, maps, print};
use crate::{End, paint};
use anyhow::{Context, Result, bail};
use ebpfkit_abi::{ProgType, retval_name};
use ebpfkit_kernel::{Kernel, KernelError, LoadResult, LoadedProgram, LogLevel, Session, TestRun};
use ebpfkit_object::{MapInit, Prepared};
use ebpfkit_vm::helpers::collect;
use ebpfkit_vm::show::Entry;
use ebpfkit_vm::{Event, Run, World, input};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// What a single run gives; documented in `docs/json.md`.
#[derive(Serialize)]
struct Outcome {
    retval: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    duration_ns: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<print::JsonEvent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maps: Option<serde_json::Map<String, serde_json::Value>>,
}

fn read(path: Option<&Path>) -> Result<Vec<u8>> {
    match path {
        Some(path) => std::fs::read(path).with_context(|| path.display().to_string()),
        None => Ok(Vec::new()),
    }
}

fn write(path: Option<&Path>, bytes: &[u8]) -> Result<()> {
    match path {
        Some(path) => std::fs::write(path, bytes).with_context(|| path.display().to_string()),
        None => Ok(()),
    }
}

/// Packet and context of the input.
fn read_input(args: &Args, kind: ProgType) -> Result<(Option<Vec<u8>>, Vec<u8>)> {
    let data = args.data_in.as_deref().map(|p| read(Some(p))).transpose()?;
    if data.is_none() && input::takes_packet(kind) {
        bail!("{kind} programs work on packets: give --packet FILE or --data-in FILE");
    }
    Ok((data, read(args.ctx_in.as_deref())?))
}

/// Runs the program on one input.
pub fn run(args: &Args, prepared: &Prepared, loaded: Loaded, world: World) -> Result<End> {
    let kind = loaded.program.prog_type();
    let (data, ctx) = read_input(args, kind)?;
    let mut run = Run::new(&loaded.program, world);
    if args.checked {
        run.set_checked(true);
    }
    input::set_input(&mut run, data.as_deref(), &ctx)?;
    let engine = engine::make(args.engine, &run)?;
    let start = Instant::now();
    let mut result = Ok(0);
    for _ in 0..args.repeat {
        result = engine.run(&mut run);
        collect(&mut run);
        if result.is_err() {
            break;
        }
        if args.repeat > 1 {
            // What is told again and again is told once.
            run.events_mut().truncate(MAX_EVENTS);
        }
    }
    let duration_ns = start.elapsed().as_nanos() as u64 / u64::from(args.repeat);
    let events: Vec<Event> = run.take_events();
    let retval = match result {
        Ok(r0) => r0 as u32,
        Err(fault) => {
            if !args.json {
                print::events(&events)?;
            }
            print::fault(prepared, &run, &fault);
            return Ok(End::Bad);
        }
    };
    write(args.data_out.as_deref(), run.packet().bytes())?;
    write(args.ctx_out.as_deref(), &run.ctx().to_struct())?;
    let name = retval_name(kind, retval);
    if args.json {
        let maps = (!args.no_maps).then(|| print::maps_json(&print::contents(args, prepared, &loaded.instance)));
        let events = events.iter().map(print::JsonEvent::from).collect();
        anstream::println!("{}", serde_json::to_string(&Outcome { retval, name, duration_ns, events, maps })?);
        return Ok(End::Good);
    }
    print::events(&events)?;
    show(args, retval, name, duration_ns);
    if !args.no_maps {
        print::maps(args, &print::contents(args, prepared, &loaded.instance));
    }
    Ok(End::Good)
}

/// Events kept over the runs of one input.
const MAX_EVENTS: usize = 1000;

fn show(args: &Args, retval: u32, name: Option<&str>, duration_ns: u64) {
    let named = name.map(|n| format!(" ({n})")).unwrap_or_default();
    let times = if args.repeat > 1 { format!(", average of {} runs", args.repeat) } else { String::new() };
    anstream::println!("retval {retval}{named}, {duration_ns} ns{times}");
}

/// Runs the program in the running kernel (`BPF_PROG_TEST_RUN`).
pub fn in_kernel(args: &Args, prepared: &Prepared, index: usize, entries: &[Entry]) -> Result<End> {
    if args.packet.is_some() {
        bail!("--engine kernel runs single inputs; give --data-in FILE");
    }
    let kind = prepared.object.programs[index].prog_type;
    let (data, ctx) = read_input(args, kind)?;
    let unavailable = |e: &dyn std::fmt::Display| {
        anstream::eprintln!("{} {e}", paint::error("error:"));
        Ok(End::Unsupported)
    };
    let kernel = match Kernel::open() {
        Ok(kernel) => kernel,
        Err(e) => return unavailable(&e),
    };
    let session = match Session::new(kernel, prepared) {
        Ok(session) => session,
        Err(e) => return unavailable(&e),
    };
    let program = match session.load(index, LogLevel::NONE) {
        Ok(LoadResult { program: Ok(program), .. }) => program,
        Ok(LoadResult { program: Err(_), log, .. }) => {
            anstream::eprintln!("{} by the kernel\n{}", paint::error("rejected"), log.trim_end());
            return Ok(End::Bad);
        }
        Err(e) => return unavailable(&e),
    };
    maps::set_in_kernel(entries, prepared, &session)?;
    let targets = match tail_call_targets(prepared, index, &session) {
        Ok(targets) => targets,
        Err(e) => return unavailable(&e),
    };
    let loaded = |n: usize| if n == index { Some(&program) } else { targets.get(&n) };
    if let Err(e) = session.fill_prog_arrays(loaded) {
        return unavailable(&e);
    }
    let test = TestRun {
        data: data.as_deref().unwrap_or_default(),
        ctx: &ctx,
        repeat: args.repeat,
        wants_output: data.is_some(),
        ..TestRun::default()
    };
    let result = match kernel.test_run(&program, &test) {
        Ok(result) => result,
        Err(e) => return unavailable(&e),
    };
    write(args.data_out.as_deref(), &result.data)?;
    write(args.ctx_out.as_deref(), &result.ctx)?;
    let name = retval_name(kind, result.retval);
    let duration_ns = u64::from(result.duration_ns);
    let contents = if args.no_maps { Vec::new() } else { print::contents_in_kernel(args, prepared, &session) };
    if args.json {
        let maps = (!args.no_maps).then(|| print::maps_json(&contents));
        let outcome = Outcome { retval: result.retval, name, duration_ns, events: Vec::new(), maps };
        anstream::println!("{}", serde_json::to_string(&outcome)?);
    } else {
        show(args, result.retval, name, duration_ns);
        print::maps(args, &contents);
    }
    Ok(End::Good)
}

/// The other programs that prog arrays hold, loaded. Those that the kernel rejects are missing, so that calls of them
/// fail.
fn tail_call_targets(
    prepared: &Prepared,
    index: usize,
    session: &Session<'_>,
) -> Result<BTreeMap<usize, LoadedProgram>, KernelError> {
    let mut loaded = BTreeMap::new();
    for map in &prepared.object.maps {
        let MapInit::Programs(slots) = &map.init else { continue };
        for &(_, n) in slots.iter().filter(|(_, n)| *n != index) {
            if let Ok(program) = session.load(n, LogLevel::NONE)?.program {
                loaded.insert(n, program);
            }
        }
    }
    Ok(loaded)
}
