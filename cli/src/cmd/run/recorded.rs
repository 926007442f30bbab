//! A single run for debuggers: ready to begin, or recorded step by step.

use super::load::Loaded;
use super::{Args, Chosen, engine::EngineKind, single, world};
use crate::cmd::load as open;
use anyhow::{Context, Result, bail};
use ebpfkit_abi::retval_name;
use ebpfkit_explain::explore::{Exploration, RunSteps};
use ebpfkit_object::{Object, Program};
use ebpfkit_vm::watch::Watcher;
use ebpfkit_vm::{Engine, Interpreter, Run, input};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a frame.
const FRAME: usize = 512;

/// One program, ready to run on the input that the options give.
pub struct Single {
    chosen: Chosen,
    /// The run, with checks where they are asked for.
    pub run: Run,
    /// The program's maps live as long as this.
    _loaded: Loaded,
}

impl Single {
    /// Loads the program and sets its input. `purpose` says what it is for, where options do not fit.
    pub fn new(args: &Args, purpose: &str) -> Result<Self> {
        args.check()?;
        if args.packet.is_some() || args.engine != EngineKind::Interp || args.repeat > 1 {
            bail!(
                "one run of the interpreter is {purpose}: give its input with --data-in and --ctx-in, without --packet, --engine and --repeat"
            );
        }
        let host = args.kernel.host()?;
        let world = world::read(args.world.as_deref())?;
        let prepared = open(&args.file, &host, &args.types, &args.selection)?;
        let chosen = Chosen::of(args, host, world, prepared)?;
        let loaded = match chosen.load(args)? {
            Ok(loaded) => loaded,
            Err(_) => bail!("{}: it does not run", chosen.prepared.object.programs[chosen.index].name),
        };
        let (data, ctx) = single::read_input(args, loaded.program.prog_type())?;
        let mut run = Run::new(&loaded.program, chosen.world.clone());
        run.set_budget(args.budget);
        if args.checked {
            run.set_checked(true);
        }
        input::set_input(&mut run, data.as_deref(), &ctx)?;
        Ok(Self { chosen, run, _loaded: loaded })
    }

    /// The object.
    pub fn object(&self) -> &Object {
        &self.chosen.prepared.object
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.object().programs[self.chosen.index]
    }

    /// What the program returned, in words.
    pub fn returned(&self, r0: u64) -> String {
        let name = retval_name(self.run.program().prog_type(), r0 as u32);
        format!("returned {}{}", r0 as u32, name.map(|n| format!(" ({n})")).unwrap_or_default())
    }
}

/// Runs the program once and records every step of it; not those of programs that it calls as tails.
pub fn record(args: &Args) -> Result<Exploration> {
    let mut single = Single::new(args, "recorded")?;
    let steps = Arc::new(Mutex::new(RunSteps::new(single.object(), single.program())));
    let (recorder, own) = (steps.clone(), single.run.program().id());
    single.run.set_watcher(Some(Watcher::new(move |run, slot, regs| {
        if run.current().id() == own {
            let stack = run.stack();
            let end = stack.len() - run.depth() * FRAME;
            let frame = &stack[end - FRAME..end];
            recorder.lock().unwrap_or_else(PoisonError::into_inner).step(slot, run.depth(), regs, frame);
        }
        Ok(())
    })));
    let result = Interpreter.run(&mut single.run);
    single.run.set_watcher(None);
    let steps = Arc::into_inner(steps).context("the run has ended")?;
    let steps = steps.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(match result {
        Ok(r0) => steps.finish(single.returned(r0), false),
        Err(fault) => steps.finish(format!("fault: {fault}"), true),
    })
}
