//! How much a run may do, and how it is stopped from outside.
//!
//! The budget is counted in instructions, alike in both engines. Entering a function (by a call, for a helper, by a tail
//! call) costs as many instructions as it has. A jump that closes a loop, one whose target is not behind it and leads back
//! to it, costs those from its target up to itself, each time that it is executed, whether it is taken or not; other jumps
//! cost nothing. A run so never executes more instructions than its budget but for one pass through its main function.
//! Helpers that work in proportion to what a program names spend more of it ([`Run::spend`]).
//!
//! Native code looks at the budget in every second iteration of a short loop, so that one more iteration may have run when
//! it is used up; the rest and the instruction are the same.
//!
//! Verified native code does not count where the verifier has bounded what a program does
//! ([`Program::is_unbounded`](crate::Program::is_unbounded)).
//!
//! A run with a time limit, or with a [`StopHandle`], gets its budget in slices, and looks outside between them, so that
//! looking costs nothing in between.

use crate::fault::{Fault, FaultKind};
use crate::run::Run;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Instructions that a run may execute unless told otherwise: a few seconds of the interpreter.
pub const DEFAULT_BUDGET: u64 = 500_000_000;

/// Instructions between two looks outside: a few milliseconds at most.
const SLICE: u64 = 1 << 20;

/// The budget of a run, but for what engines count down.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Instructions that a run may execute.
    whole: u64,
    /// The part that it begins with.
    first: u64,
    /// What it may have beyond the part that is counted down now.
    reserve: u64,
    deadline: Option<Instant>,
    stop: Option<StopHandle>,
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
    fn interruption(&self) -> Option<FaultKind> {
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

impl Run {
    /// Instructions that the next run may execute.
    pub fn budget(&self) -> u64 {
        self.budget.whole
    }

    /// Sets how many instructions the next run may execute.
    pub fn set_budget(&mut self, budget: u64) {
        self.budget.whole = budget;
        self.budget.begin();
    }

    /// What is left of the budget.
    #[inline]
    pub fn left(&self) -> u64 {
        self.native.left + self.budget.reserve
    }

    /// Ends runs at a time: what runs then ends with [`FaultKind::TimedOut`] soon after. Runs that are short end as they
    /// do, however late; [`Run::interrupted`] tells who repeats them.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.budget.deadline = deadline;
        self.budget.begin();
    }

    /// A handle that stops runs from another thread, with [`FaultKind::Stopped`].
    pub fn stop_handle(&mut self) -> StopHandle {
        let handle = self.budget.stop.get_or_insert_default().clone();
        self.budget.begin();
        handle
    }

    /// Whether the time is over, or the run is to be stopped.
    pub fn interrupted(&self) -> Option<FaultKind> {
        self.budget.interruption()
    }

    /// Gives what runs beside the program, such as timers, a budget of its own.
    pub(crate) fn renew_budget(&mut self) {
        self.budget.begin();
        self.native.left = self.budget.first();
    }

    /// Takes up to `count` instructions from the budget; when it is used up, the run ends at its next jump or call.
    #[inline]
    pub(crate) fn charge(&mut self, count: u64) {
        let beyond = count.saturating_sub(self.native.left);
        self.native.left = self.native.left.saturating_sub(count);
        self.budget.reserve = self.budget.reserve.saturating_sub(beyond);
    }

    /// Takes `count` instructions from the budget.
    #[inline]
    pub(crate) fn spend(&mut self, count: u64) -> Result<(), Fault> {
        match self.native.left.checked_sub(count) {
            Some(left) => {
                self.native.left = left;
                Ok(())
            }
            None => self.refill(count),
        }
    }

    /// Takes `count` instructions from the budget where the slice has fewer, and begins the next slice.
    #[cold]
    fn refill(&mut self, count: u64) -> Result<(), Fault> {
        self.set_dirty();
        if let Some(why) = self.budget.interruption() {
            return Err(why.into());
        }
        let whole = self.budget.whole;
        let left = self.left().checked_sub(count).ok_or(FaultKind::Budget(whole))?;
        self.native.left = left.min(SLICE);
        self.budget.reserve = left - self.native.left;
        Ok(())
    }
}
