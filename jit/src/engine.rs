//! Entering native code, and what happens when it asks for something on its way out.

use crate::compile::compile;
use ebpfkit_vm::native::{EngineRun, NativeFn, STATUS_FAULT, STATUS_OK, STATUS_TAIL_CALL};
use ebpfkit_vm::{Engine, Fault, FaultKind, Program, Run};
use std::sync::Arc;

/// The engine. Programs are compiled before their first run unless [`compile`] has done it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jit;

impl Engine for Jit {
    fn run_with(&self, run: &mut Run, args: [u64; 5]) -> Result<u64, Fault> {
        run.may_pass(args)?;
        start(run, args)
    }

    fn run(&self, run: &mut Run) -> Result<u64, Fault> {
        let ctx = run.ctx().address();
        start(run, [ctx, 0, 0, 0, 0])
    }
}

#[inline(always)]
fn start(run: &mut Run, args: [u64; 5]) -> Result<u64, Fault> {
    // SAFETY: this is an engine; the arguments are the run's context, or the run is checked.
    let run = unsafe { EngineRun::of(run) };
    let entry = match run.entry() {
        Some(entry) if run.is_clean() => {
            if run.is_checked() {
                run.begin_again();
            }
            entry
        }
        _ => prepare(run)?,
    };
    // Frames of unchecked code are the thread's own; helpers that probe memory have to know them.
    let here = 0u8;
    run.set_stack_top(std::ptr::from_ref(std::hint::black_box(&here)) as u64);
    let mut result = enter(run, entry, args);
    if result.is_err() {
        result = run.catch_exception(result);
    }
    run.set_stack_top(0);
    result
}

/// Gets a run ready that is not, and finds where to enter.
#[inline(never)]
fn prepare(run: &mut EngineRun) -> Result<NativeFn, Fault> {
    run.begin(callback);
    let checked = run.is_checked();
    let entry = entry(run.program(), checked, 0)?;
    if checked {
        run.set_native_frame(run.frame_pointer());
        run.set_context();
    }
    run.set_entry(entry);
    // What is called from native code says when this is no longer true.
    run.set_clean();
    Ok(entry)
}

/// The native function of a program's function.
#[inline(always)]
fn entry(program: &Arc<Program>, checked: bool, function: usize) -> Result<NativeFn, Fault> {
    let code = match program.native(checked) {
        Some(code) => code,
        None => compile_late(program, checked)?,
    };
    code.entries.get(function).copied().ok_or_else(|| FaultKind::BadCallTarget(function as u64).into())
}

#[cold]
fn compile_late(program: &Arc<Program>, checked: bool) -> Result<&ebpfkit_vm::native::NativeCode, Fault> {
    compile(program, checked).map_err(|e| Fault::unsupported(e.to_string()))?;
    program.native(checked).ok_or_else(|| Fault::unsupported("native code"))
}

/// Runs a function and whatever it asks for.
#[inline]
fn enter(run: &mut EngineRun, entry: NativeFn, [a, b, c, d, e]: [u64; 5]) -> Result<u64, Fault> {
    // SAFETY: the entry was compiled for the current program, which the run keeps alive, in the run's mode.
    let r0 = unsafe { entry(run, a, b, c, d, e) };
    if run.status() == STATUS_OK {
        return Ok(r0);
    }
    finish(run)
}

/// Gives what a function asked for when it returned: runs the program of a tail call, and takes the fault.
#[cold]
pub(crate) fn finish(run: &mut EngineRun) -> Result<u64, Fault> {
    run.set_dirty();
    if run.status() != STATUS_TAIL_CALL {
        return Err(take_fault(run));
    }
    run.set_status(STATUS_OK);
    let outer = run.begin_program()?;
    let result = tail_calls(run);
    run.end_program(outer, result)
}

/// Runs the main function of the program that a tail call has entered, and of those that follow it in its place.
fn tail_calls(run: &mut EngineRun) -> Result<u64, Fault> {
    loop {
        let entry = entry(run.current(), run.is_checked(), 0)?;
        let ctx = run.ctx().address();
        // SAFETY: as in `enter`.
        let r0 = unsafe { entry(run, ctx, 0, 0, 0, 0) };
        match run.status() {
            STATUS_OK => return Ok(r0),
            STATUS_TAIL_CALL => run.set_status(STATUS_OK),
            _ => return Err(take_fault(run)),
        }
    }
}

/// Takes the fault that native code has stopped with.
fn take_fault(run: &mut EngineRun) -> Fault {
    debug_assert_eq!(run.status(), STATUS_FAULT);
    run.set_status(STATUS_OK);
    let fault = run.take_fault().unwrap_or_else(|| Fault::helper("a fault without a reason"));
    fault.at(run.at() as usize)
}

/// Runs a function for a helper.
pub(crate) fn callback(run: &mut EngineRun, function: usize, args: [u64; 5]) -> Result<u64, Fault> {
    let before = run.current().clone();
    let frame = run.native_frame();
    run.set_native_frame(run.frame_pointer());
    let result = entry(&before, run.is_checked(), function).and_then(|entry| enter(run, entry, args));
    run.set_native_frame(frame);
    if !Arc::ptr_eq(run.current(), &before) {
        run.enter(before);
    }
    result
}
