//! A run that is recorded step by step, for the debugger.

use super::{Args, Chosen, engine::EngineKind, single, world};
use crate::cmd::load as open;
use anyhow::{Context, Result, bail};
use ebpfkit_abi::retval_name;
use ebpfkit_explain::explore::{Exploration, RunSteps};
use ebpfkit_vm::watch::Watcher;
use ebpfkit_vm::{Engine, Interpreter, Run, input};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a frame.
const FRAME: usize = 512;

/// Runs the program once and records every step of it; not those of programs that it calls as tails.
pub fn record(args: &Args) -> Result<Exploration> {
    args.check()?;
    if args.packet.is_some() || args.engine != EngineKind::Interp || args.repeat > 1 {
        bail!(
            "one run of the interpreter is recorded: give its input with --data-in and --ctx-in, without --packet, --engine and --repeat"
        );
    }
    let host = args.kernel.host()?;
    let world = world::read(args.world.as_deref())?;
    let prepared = open(&args.file, &host, &args.types, &args.selection)?;
    let chosen = Chosen::of(args, host, world, prepared)?;
    let program = &chosen.prepared.object.programs[chosen.index];
    let loaded = match chosen.load(args)? {
        Ok(loaded) => loaded,
        Err(_) => bail!("{}: it does not run", program.name),
    };
    let kind = loaded.program.prog_type();
    let (data, ctx) = single::read_input(args, kind)?;
    let mut run = Run::new(&loaded.program, chosen.world.clone());
    run.set_budget(args.budget);
    if args.checked {
        run.set_checked(true);
    }
    input::set_input(&mut run, data.as_deref(), &ctx)?;
    let steps = Arc::new(Mutex::new(RunSteps::new(&chosen.prepared.object, program)));
    let (recorder, own) = (steps.clone(), loaded.program.id());
    run.set_watcher(Some(Watcher::new(move |run, slot, regs| {
        if run.current().id() == own {
            let stack = run.stack();
            let end = stack.len() - run.depth() * FRAME;
            let frame = &stack[end - FRAME..end];
            recorder.lock().unwrap_or_else(PoisonError::into_inner).step(slot, run.depth(), regs, frame);
        }
        Ok(())
    })));
    let result = Interpreter.run(&mut run);
    run.set_watcher(None);
    let steps = Arc::into_inner(steps).context("the run has ended")?;
    let steps = steps.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(match result {
        Ok(r0) => {
            let name = retval_name(kind, r0 as u32).map(|n| format!(" ({n})")).unwrap_or_default();
            steps.finish(format!("returned {}{name}", r0 as u32), false)
        }
        Err(fault) => steps.finish(format!("fault: {fault}"), true),
    })
}
