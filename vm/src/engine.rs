//! What all engines have in common.

use crate::fault::Fault;
use crate::run::Run;

/// Something that runs programs in a [`Run`].
pub trait Engine {
    /// Runs the run's program once, with these arguments in `r1` to `r5`; `r0` is the answer. Without checks a program
    /// runs on the context of the run, which is what the verifier took for granted; other arguments are refused.
    fn run_with(&self, run: &mut Run, args: [u64; 5]) -> Result<u64, Fault>;

    /// Runs the run's program once on its context.
    fn run(&self, run: &mut Run) -> Result<u64, Fault> {
        let ctx = run.ctx().address();
        self.run_with(run, [ctx, 0, 0, 0, 0])
    }
}

/// The interpreter as an engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interpreter;

impl Engine for Interpreter {
    fn run_with(&self, run: &mut Run, args: [u64; 5]) -> Result<u64, Fault> {
        crate::interp::run_with(run, args)
    }

    fn run(&self, run: &mut Run) -> Result<u64, Fault> {
        crate::interp::run(run)
    }
}
