//! What runs programs: the seam between this command and the engines.

use anyhow::{Result, bail};
use ebpfkit_jit::Jit;
use ebpfkit_vm::{Engine, Interpreter, Run};

/// The engines that a user can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineKind {
    /// The interpreter
    Interp,
    /// Native code
    Jit,
    /// The running kernel (bpf(2): BPF_PROG_TEST_RUN)
    Kernel,
}

/// The engine for a run, with the run's program compiled; the kernel is no such engine, as it has memory of its
/// own.
pub fn make(kind: EngineKind, run: &Run) -> Result<&'static (dyn Engine + Sync)> {
    match kind {
        EngineKind::Interp => Ok(&Interpreter),
        EngineKind::Jit => {
            ebpfkit_jit::compile(run.program(), run.is_checked())?;
            Ok(&Jit)
        }
        EngineKind::Kernel => bail!("the kernel is no engine of this process"),
    }
}
