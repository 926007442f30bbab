//! What a run spends of its budget, and asks of it.

use crate::budget::{SLICE, StopHandle};
use crate::fault::{Fault, FaultKind};
use crate::run::Run;
use std::time::Instant;

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

    /// Lets a handle that other runs have stop this one too.
    pub fn set_stop_handle(&mut self, handle: StopHandle) {
        self.budget.stop = Some(handle);
        self.budget.begin();
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
