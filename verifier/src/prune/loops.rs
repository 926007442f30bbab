//! Loops: strongly connected components of the control-flow graph, by chain of calls.
//!
//! While paths through a loop are open, states inside it do not know yet what later iterations need of them. A state
//! that is found equal to one of the loop ends its path there; it is kept as a back edge. When the loop's first state
//! is finished, precision is propagated along all back edges until nothing changes.

use crate::state::StateId;
use crate::tables::loops::{BackEdge, SccCallchain, Visit, callchain_of};
use crate::{Env, Step};
use ebpfkit_abi::Feature;

/// Passes over the back edges before everything is made precise instead.
const MAX_ITERATIONS: u32 = 64;

impl Env<'_> {
    fn log_loop(&mut self, what: &str, chain: &SccCallchain) {
        if self.log_level() > 1 {
            // The kernel's list ends at a call that is the program's first instruction.
            let sites = chain.callsites[..chain.depth.into()].iter().take_while(|c| **c != 0);
            let sites: String = sites.map(|c| format!("{c},")).collect();
            self.verbose(format_args!("SCC {what} ({sites}{})\n", chain.scc));
        }
    }

    /// A state was saved: it is the entry of its loop if that has none.
    pub(super) fn enter_loop(&mut self, id: StateId) {
        if !self.has(Feature::LoopsByComponent) {
            return;
        }
        let Some(chain) = callchain_of(&self.tables.walk.saved.get(id).state, &self.aux) else { return };
        let loops = &mut self.tables.walk.loops;
        let (scc, n) = loops.find(&chain).unwrap_or_else(|| {
            let scc = chain.scc as usize;
            if scc >= loops.visits.len() {
                loops.visits.resize_with(scc + 1, Vec::new);
            }
            loops.visits[scc].push(Visit { chain, entry: None, back_edges: Vec::new() });
            (scc, loops.visits[scc].len() - 1)
        });
        let visit = &mut loops.visits[scc][n];
        if visit.entry.is_none() {
            visit.entry = Some(id);
            self.log_loop("enter", &chain);
        }
    }

    /// All paths from a saved state are finished: if it was the entry of its loop, the loop is.
    pub(crate) fn exit_loop(&mut self, id: StateId) -> Step {
        if !self.has(Feature::LoopsByComponent) {
            self.leave_loop(id);
            return Ok(());
        }
        let Some(chain) = callchain_of(&self.tables.walk.saved.get(id).state, &self.aux) else { return Ok(()) };
        let loops = &mut self.tables.walk.loops;
        let Some((scc, n)) = loops.find(&chain) else { return Ok(()) };
        let visit = &mut loops.visits[scc][n];
        if visit.entry != Some(id) {
            return Ok(());
        }
        visit.entry = None;
        loops.back_edges -= visit.back_edges.len() as u64;
        self.log_loop("exit", &chain);
        self.tables.walk.update_peak();
        let edges = std::mem::take(&mut self.tables.walk.loops.visits[scc][n].back_edges);
        for pass in 0.. {
            if pass > MAX_ITERATIONS {
                if self.log_level() > 1 {
                    self.verbose(format_args!("propagate_backedges: too many iterations\n"));
                }
                for edge in &edges {
                    self.mark_all_scalars_precise(edge.state.curframe(), edge.state.parent);
                }
                break;
            }
            let mut changed = false;
            for edge in edges.iter().rev() {
                self.propagate_precision(edge.equal, &edge.state, &mut changed)?;
            }
            if !changed {
                break;
            }
        }
        Ok(())
    }

    /// The current path came back to a state of its loop.
    pub(super) fn add_back_edge(&mut self, equal: StateId) {
        if !self.has(Feature::LoopsByComponent) {
            return self.meet_loop(equal);
        }
        let Some(chain) = callchain_of(&self.tables.walk.saved.get(equal).state, &self.aux) else { return };
        self.log_loop("backedge", &chain);
        let state = self.path.state.clone();
        let loops = &mut self.tables.walk.loops;
        if let Some((scc, n)) = loops.find(&chain) {
            loops.visits[scc][n].back_edges.push(BackEdge { state, equal });
            loops.back_edges += 1;
        }
        self.tables.walk.update_peak();
    }

    /// Whether what is known of a saved state may still change through its loop.
    pub(crate) fn in_unfinished_loop(&mut self, id: StateId) -> bool {
        if self.has(Feature::LoopsByComponent) {
            return self.tables.walk.loops.unfinished(&self.tables.walk.saved.get(id).state, &self.aux);
        }
        self.has(Feature::ExactLoopChecks) && self.open_loop_entry(id).is_some()
    }

    /// Whether a finished state is still asked about its loop.
    pub(super) fn is_loop_state(&mut self, id: StateId) -> bool {
        if self.has(Feature::LoopsByComponent) {
            self.in_unfinished_loop(id)
        } else {
            self.tables.walk.saved.get(id).is_loop_entry
        }
    }
}
