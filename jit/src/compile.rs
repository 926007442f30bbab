//! Compiling a program: what can be asked for, and the machine's compiler.

use crate::build::build;
use crate::source::Source;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable, SetError};
use cranelift_module::ModuleError;
use ebpfkit_isa::DecodeError;
use ebpfkit_vm::Program;
use std::sync::{Arc, OnceLock};

/// Why a program was not compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// There is no native code for this machine.
    #[error("no native code for this machine: {0}")]
    Machine(String),
    /// The compiler refused a function.
    #[error("native code of the function at insn {at}: {source}")]
    Function {
        /// Slot of its first instruction.
        at: usize,
        /// Why.
        source: Box<ModuleError>,
    },
    /// No memory for the code, or it cannot be made executable.
    #[error("memory for native code: {0}")]
    Memory(Box<ModuleError>),
    /// A slot that is no instruction.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The program is not verified, and checks were not asked for.
    #[error("only a verified program can run without checks")]
    NotVerified,
}

/// How much work goes into the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// All optimisations.
    Best,
    /// Quick to compile: no optimisation, registers allocated in one pass.
    Quick,
}

/// Choices for [`compile_with`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How much work goes into the code; by default it depends on the program's size.
    pub tier: Option<Tier>,
    /// Checks the compiler's intermediate form before it is used. For tests.
    pub verify_ir: bool,
}

/// Programs with more slots than this get quick code unless told otherwise.
///
/// Up to here the best tier takes at most 3 microseconds for an instruction, with checks and without. Beyond, it takes
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
    options.tier.unwrap_or(if program.insns().len() > LARGE { Tier::Quick } else { Tier::Best })
}

/// The machine's compiler; made once for each kind.
pub(crate) fn isa(tier: Tier, verify_ir: bool) -> Result<OwnedTargetIsa, CompileError> {
    static ISAS: [OnceLock<Result<OwnedTargetIsa, String>>; 4] = [const { OnceLock::new() }; 4];
    let which = usize::from(tier == Tier::Quick) + 2 * usize::from(verify_ir);
    let isa = ISAS[which].get_or_init(|| {
        let flags = flags(tier, verify_ir).map_err(|e| e.to_string())?;
        let builder = cranelift_native::builder()?;
        builder.finish(flags).map_err(|e| e.to_string())
    });
    isa.clone().map_err(CompileError::Machine)
}

fn flags(tier: Tier, verify_ir: bool) -> Result<settings::Flags, SetError> {
    let mut b = settings::builder();
    let (level, allocator) = match tier {
        Tier::Best => ("speed", "backtracking"),
        Tier::Quick => ("none", "single_pass"),
    };
    b.set("opt_level", level)?;
    b.set("regalloc_algorithm", allocator)?;
    b.set("enable_verifier", if verify_ir { "true" } else { "false" })?;
    b.set("is_pic", "false")?;
    b.set("use_colocated_libcalls", "false")?;
    b.set("unwind_info", "false")?;
    // A large frame must not reach beyond the guard of the thread's stack.
    b.set("enable_probestack", "true")?;
    b.set("probestack_strategy", "inline")?;
    // Where blocks start, for `loop_alignment`.
    b.set("machine_code_cfg_info", "true")?;
    Ok(settings::Flags::new(b))
}
