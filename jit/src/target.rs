//! The machine that code is made for: its compiler, and how much work that does.

use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable, SetError};
use cranelift_module::ModuleError;
use ebpfkit_isa::DecodeError;
use std::sync::OnceLock;

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
    Optimizing,
    /// Fast to compile: no optimisation, registers allocated in one pass.
    Baseline,
}

/// The machine's compiler; made once for each kind.
pub(crate) fn isa(tier: Tier, verify_ir: bool) -> Result<OwnedTargetIsa, CompileError> {
    static ISAS: [OnceLock<Result<OwnedTargetIsa, String>>; 4] = [const { OnceLock::new() }; 4];
    let which = usize::from(tier == Tier::Baseline) + 2 * usize::from(verify_ir);
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
        Tier::Optimizing => ("speed", "backtracking"),
        Tier::Baseline => ("none", "single_pass"),
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
