//! Loops as kernels before 6.17 know them: by the states that paths came back to.
//!
//! A path that ends at an open state, or at one of a loop that is still open, tells this to the states before it as
//! they are finished, up to the loop's first state, its entry. What is read and precise in a state whose loop's entry
//! is open is not all known yet.

use crate::Env;
use crate::state::StateId;

impl Env<'_> {
    /// The entry of the outermost loop that a saved state is in, as far as is known by now.
    fn loop_entry(&mut self, id: StateId) -> Option<StateId> {
        let saved = &mut self.tables.walk.saved;
        let mut outermost = saved.get(id).loop_entry?;
        // Each step leads to another state, or there is no end.
        for _ in 0..saved.kept() {
            match saved.get(outermost).loop_entry {
                Some(next) if next != outermost => outermost = next,
                _ => break,
            }
        }
        let mut at = Some(id);
        while let Some(id) = at {
            let entry = &mut saved.get_mut(id).loop_entry;
            if *entry == Some(outermost) {
                break;
            }
            at = entry.replace(outermost);
        }
        Some(outermost)
    }

    /// The same, while the entry is open.
    pub(super) fn open_loop_entry(&mut self, id: StateId) -> Option<StateId> {
        self.loop_entry(id).filter(|&entry| self.tables.walk.saved.get(entry).branches > 0)
    }

    /// Whether a loop that begins at `header`, or that `header` is in, is open and begins no later than at `depth`.
    fn is_loop_around(&mut self, header: StateId, depth: u32) -> bool {
        let outermost = self.loop_entry(header).unwrap_or(header);
        let outermost = self.tables.walk.saved.get(outermost);
        outermost.branches > 0 && outermost.state.dfs_depth <= depth
    }

    /// The current path came back to a saved state of a loop.
    pub(super) fn meet_loop(&mut self, equal: StateId) {
        let open = self.tables.walk.saved.get(equal).branches > 0;
        let header = if open { Some(equal) } else { self.loop_entry(equal) };
        let depth = self.path.state.dfs_depth;
        if let Some(header) = header.filter(|&header| self.is_loop_around(header, depth)) {
            self.tables.walk.saved.get_mut(header).is_loop_entry = true;
            self.tables.walk.met_loop = Some(header);
        }
    }

    /// What came back to `header` goes on from a saved state, so that is in the loop, too.
    fn join_loop(&mut self, id: StateId, header: StateId) {
        let around = self.loop_entry(id).unwrap_or(id);
        let depth = self.tables.walk.saved.get(around).state.dfs_depth;
        if self.is_loop_around(header, depth) {
            self.tables.walk.saved.get_mut(header).is_loop_entry = true;
            self.tables.walk.saved.get_mut(id).loop_entry = Some(header);
        }
    }

    /// The current path ends.
    pub(crate) fn leave_met_loop(&mut self) {
        if let Some(header) = self.tables.walk.met_loop.take()
            && let Some(parent) = self.path.state.parent
        {
            self.join_loop(parent, header);
        }
    }

    /// All paths from a saved state are finished.
    pub(super) fn leave_loop(&mut self, id: StateId) {
        let saved = self.tables.walk.saved.get(id);
        if let (Some(parent), Some(header)) = (saved.state.parent, saved.loop_entry) {
            self.join_loop(parent, header);
        }
    }
}
