//! Compiling a program, and what can be asked for.

use crate::build::build;
use crate::source::Source;
use crate::target::{CompileError, Tier};
use ebpfkit_vm::Program;
use std::sync::Arc;

/// Choices for [`compile_with`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How much work goes into the code; by default it depends on the program's size.
    pub tier: Option<Tier>,
    /// Checks the compiler's intermediate form before it is used. For tests.
    pub verify_ir: bool,
}

/// Programs with more slots than this get baseline code unless told otherwise.
///
/// Up to here the optimizing tier takes at most 3 microseconds for an instruction, with checks and without. Beyond, it takes
/// more, as what it works on leaves the caches: half as much again at 60,000 slots.
const LARGE: usize = 16_000;

/// Compiles a program for runs with or without checks. A second call does nothing.
pub fn compile(program: &Arc<Program>, checked: bool) -> Result<(), CompileError> {
    compile_with(program, checked, Options::default())
}

/// [`compile`] with choices.
pub fn compile_with(program: &Arc<Program>, checked: bool, options: Options) -> Result<(), CompileError> {
    if program.native(checked).is_some() {
        return Ok(());
    }
    if !checked && !program.runs_unchecked() {
        return Err(CompileError::NotVerified);
    }
    let code = build(Source::new(program, checked), tier_of(program, options), options.verify_ir)?;
    // SAFETY: the code was just built for this program and mode, and owns its memory.
    unsafe { program.set_native(checked, code) };
    Ok(())
}

/// How much work goes into a program's code.
pub(crate) fn tier_of(program: &Program, options: Options) -> Tier {
    options.tier.unwrap_or(if program.insns().len() > LARGE { Tier::Baseline } else { Tier::Optimizing })
}
