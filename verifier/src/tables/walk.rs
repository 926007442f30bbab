//! Tables of the walk.

use super::{IdMap, Loops, SavedStates};
use crate::state::{StateId, VerifierState};

/// A branch to be taken up later.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) state: VerifierState,
    pub(crate) insn: usize,
    pub(crate) prev: i32,
    pub(crate) log_position: usize,
}

/// Tables of the walk.
#[derive(Debug, Default)]
pub struct Walk {
    /// Branches to be taken up, the latest last.
    pub(crate) pending: Vec<Pending>,
    /// Saved states.
    pub(crate) saved: SavedStates,
    /// Loops that are being visited.
    pub(crate) loops: Loops,
    /// The loop that the current path came back to at its end, in kernels that know loops by that.
    pub(crate) met_loop: Option<StateId>,
    /// Identities that stand for each other in the states being compared.
    pub(crate) ids: IdMap,
    /// The instruction being verified has an entry in the history.
    pub(crate) insn_in_history: bool,
    /// Stands in for the current state where that is set aside.
    pub(crate) spare: Option<VerifierState>,
    /// Jumps verified so far.
    pub(crate) jumps_processed: u64,
    /// Masks of pointer arithmetic depend on numbers, so states agree only when all numbers are the same.
    pub(crate) strict_numbers: bool,
    /// Most saved states that one read was followed to.
    pub(crate) longest_read: u32,
    jumps_at_checkpoint: u64,
    insns_at_checkpoint: u64,
    /// States saved over the whole run.
    pub total_states: u64,
    /// Most states kept at one time.
    pub peak_states: u64,
    /// Most states compared at one instruction.
    pub max_states_per_insn: u64,
}

impl Walk {
    /// Jumps and instructions verified since the last state was saved.
    pub(crate) fn since_checkpoint(&self, insns: u64) -> (u64, u64) {
        (self.jumps_processed - self.jumps_at_checkpoint, insns - self.insns_at_checkpoint)
    }

    /// A state is saved now.
    pub(crate) fn mark_checkpoint(&mut self, insns: u64) {
        (self.jumps_at_checkpoint, self.insns_at_checkpoint) = (self.jumps_processed, insns);
    }

    /// The number of states kept has changed.
    pub(crate) fn update_peak(&mut self) {
        self.peak_states = self.peak_states.max(self.saved.kept() + self.loops.back_edges());
    }
}
