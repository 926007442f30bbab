//! How much a run may do, and how it is stopped from outside.
//!
//! The budget is counted in instructions, alike in both engines. Entering a function (by a call, for a helper, by a tail
//! call) costs as many instructions as it has. A jump that closes a loop, one whose target is not behind it and leads back
//! to it, costs those from its target up to itself, each time that it is executed, whether it is taken or not; other jumps
//! cost nothing. A run so never executes more instructions than its budget but for one pass through its main function.
//! Helpers that work in proportion to what a program names spend more of it ([`Run::spend`](crate::Run)).
//!
//! Native code looks at the budget in every second iteration of a short loop, so that one more iteration may have run when
//! it is used up; the rest and the instruction are the same.
//!
//! Verified native code does not count where the verifier has bounded what a program does
//! ([`Program::is_unbounded`](crate::Program::is_unbounded)).
//!
//! A run with a time limit, or with a [`StopHandle`], gets its budget in slices, and looks outside between them, so that
//! looking costs nothing in between.

use crate::fault::FaultKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Instructions that a run may execute unless told otherwise: a few seconds of the interpreter.
pub const DEFAULT_BUDGET: u64 = 500_000_000;

/// Instructions between two looks outside: a few milliseconds at most.
pub(crate) const SLICE: u64 = 1 << 20;

/// The budget of a run, but for what engines count down.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Instructions that a run may execute.
    pub(crate) whole: u64,
    /// The part that it begins with.
    pub(crate) first: u64,
    /// What it may have beyond the part that is counted down now.
    pub(crate) reserve: u64,
    pub(crate) deadline: Option<Instant>,
    pub(crate) stop: Option<StopHandle>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { whole: DEFAULT_BUDGET, first: DEFAULT_BUDGET, reserve: 0, deadline: None, stop: None }
    }
}

impl Budget {
    /// What a run begins with.
    #[inline(always)]
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Puts the reserve back for another run.
    pub(crate) fn begin(&mut self) {
        let is_watched = self.deadline.is_some() || self.stop.is_some();
        self.first = if is_watched { self.whole.min(SLICE) } else { self.whole };
        self.reserve = self.whole - self.first;
    }

    /// The fault of a run that is to end now for another reason than its budget.
    pub(crate) fn interruption(&self) -> Option<FaultKind> {
        let is_late = self.deadline.is_some_and(|d| Instant::now() >= d);
        if self.stop.as_ref().is_some_and(StopHandle::is_stopped) {
            Some(FaultKind::Stopped)
        } else {
            is_late.then_some(FaultKind::TimedOut)
        }
    }
}

/// Stops runs from another thread.
#[derive(Clone, Debug, Default)]
pub struct StopHandle(Arc<AtomicBool>);

impl StopHandle {
    /// Stops the run that the handle came from, and those after it, soon.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Lets it run again.
    pub fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether [`StopHandle::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
