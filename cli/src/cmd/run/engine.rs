//! What runs programs: the seam between this command and the engines.

use anyhow::{Result, bail};
use ebpfkit_jit::Jit;
use ebpfkit_vm::{Engine, Interpreter, Program};
use std::sync::Arc;

/// The engines that a user can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineKind {
    /// The interpreter
    Interp,
    /// Native code
    Jit,
    /// The running kernel (bpf(2), single runs only)
    Kernel,
}

/// Makes an engine for a program; the kernel is no such engine, as it has memory of its own.
pub fn make(kind: EngineKind, program: &Arc<Program>) -> Result<Box<dyn Engine>> {
    let _ = program;
    match kind {
        EngineKind::Interp => Ok(Box::new(Interpreter)),
        EngineKind::Jit => Ok(Box::new(Jit)),
        EngineKind::Kernel => bail!("the kernel runs single inputs only"),
    }
}
