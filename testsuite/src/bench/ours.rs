//! Our engines, and the kernel.

use super::programs::Case;
use super::{Batch, Engine, Ready};
use crate::engines::verified;
use anyhow::{Result, anyhow};
use ebpfkit_jit::{Jit, Options, Tier, compile_with};
use ebpfkit_kernel::{Kernel, LogLevel, Session, TestRun};
use ebpfkit_verifier::KernelModel;
use ebpfkit_vm::{Engine as _, Instance, Interpreter, Program, Run, World, input};
use std::sync::Arc;
use std::time::Instant;

/// The tier of native code, unless the program's size decides, and whether accesses are checked.
pub(super) fn mode(engine: Engine) -> (Option<Tier>, bool) {
    match engine {
        Engine::JitOptimizing => (Some(Tier::Optimizing), false),
        Engine::JitBaseline => (Some(Tier::Baseline), false),
        Engine::JitSandboxed | Engine::InterpreterChecked => (None, true),
        _ => (None, false),
    }
}

/// Compiles, if the engine does.
pub(super) fn compile(engine: Engine, program: &Arc<Program>) -> Result<()> {
    let (tier, checked) = mode(engine);
    if engine.compiles() {
        compile_with(program, checked, Options { tier, verify_ir: false })?;
    }
    Ok(())
}

pub(super) fn ready<'a>(engine: Engine, model: &KernelModel, case: &'a Case) -> Result<Ready<'a>> {
    let proof = verified(model, &case.prepared).map_err(|e| anyhow!("{}: {e}", case.name))?;
    let (_, checked) = mode(engine);
    let mut instance = Instance::new(&case.prepared.object, model, 1);
    // What is checked knows nothing of the verifier.
    let program = instance.load(&case.prepared.object, 0, (!checked).then_some(&proof), &|_, _| None)?;
    compile(engine, &program)?;
    let mut run = Run::new(&program, World::default());
    run.set_checked(checked);
    input::set_input(&mut run, Some(&case.packet[..]).filter(|p| !p.is_empty()), &case.context)?;
    let batch: Batch<'_> = Box::new(move |count| {
        let _ = &instance;
        let mut r0 = 0;
        let start = Instant::now();
        for _ in 0..count {
            let result = if engine.compiles() { Jit.run(&mut run) } else { Interpreter.run(&mut run) };
            r0 = std::hint::black_box(result.map_err(|f| anyhow!("{}: {f}", engine.name()))?);
        }
        Ok((r0, start.elapsed().as_nanos() as f64))
    });
    Ready::new(engine, batch)
}

pub(super) fn in_kernel(kernel: Kernel, case: &Case) -> Result<Ready<'_>> {
    let session = Session::new(kernel, &case.prepared)?;
    let loaded = session.load(0, LogLevel::NONE)?;
    let program = loaded.program.map_err(|e| anyhow!("{}: the kernel refuses it: errno {e}", case.name))?;
    let batch: Batch<'_> = Box::new(move |count| {
        let _ = &session;
        let mut input = TestRun { data: &case.packet, ctx: &case.context, repeat: count, ..TestRun::default() };
        if !case.packet.is_empty() {
            let result = kernel.test_run(&program, &input)?;
            return Ok((result.retval.into(), f64::from(result.duration_ns) * f64::from(count)));
        }
        // Such programs are not repeated: each run is a system call.
        input.repeat = 0;
        let mut retval = 0;
        let start = Instant::now();
        for _ in 0..count {
            retval = kernel.test_run(&program, &input)?.retval;
        }
        Ok((retval.into(), start.elapsed().as_nanos() as f64))
    });
    Ready::new(Engine::Kernel, batch)
}
