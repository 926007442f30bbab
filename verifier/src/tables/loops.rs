//! Loops: strongly connected components of the control-flow graph, by chain of calls, with the paths that came back to
//! them.

use crate::program::InsnAux;
use crate::state::{StateId, VerifierState};
use ebpfkit_abi::limits::MAX_LONG_CALL_FRAMES;

/// A loop in a chain of calls: call sites that lead to it, then its component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct SccCallchain {
    pub(crate) callsites: [u32; MAX_LONG_CALL_FRAMES],
    pub(crate) depth: u8,
    pub(crate) scc: u32,
}

/// A path that came back to a state of the loop.
#[derive(Debug)]
pub(crate) struct BackEdge {
    pub(crate) state: VerifierState,
    pub(crate) equal: StateId,
}

#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) chain: SccCallchain,
    pub(crate) entry: Option<StateId>,
    pub(crate) back_edges: Vec<BackEdge>,
}

/// Visits of loops by the walk.
#[derive(Debug, Default)]
pub struct Loops {
    /// By component.
    pub(crate) visits: Vec<Vec<Visit>>,
    pub(crate) back_edges: u64,
}

/// The outermost loop that a state is in.
pub(crate) fn callchain_of(state: &VerifierState, aux: &[InsnAux]) -> Option<SccCallchain> {
    let mut chain = SccCallchain::default();
    let top = state.curframe();
    for frame in 0..=top {
        let insn = state.frame_insn(frame);
        chain.scc = aux[insn].scc;
        if chain.scc != 0 {
            return Some(chain);
        }
        if frame < top {
            chain.callsites[frame] = insn as u32;
            chain.depth += 1;
        }
    }
    None
}

impl Loops {
    /// Forgets all.
    pub fn reset(&mut self) {
        self.visits.clear();
    }

    /// Back edges that are kept now.
    pub fn back_edges(&self) -> u64 {
        self.back_edges
    }

    pub(crate) fn find(&self, chain: &SccCallchain) -> Option<(usize, usize)> {
        let scc = chain.scc as usize;
        let n = self.visits.get(scc)?.iter().position(|v| v.chain == *chain)?;
        Some((scc, n))
    }

    /// Whether the loop that a state is in has open back edges, so that its marks are not final.
    pub fn unfinished(&self, state: &VerifierState, aux: &[InsnAux]) -> bool {
        let Some(chain) = callchain_of(state, aux) else { return false };
        self.find(&chain).is_some_and(|(scc, n)| !self.visits[scc][n].back_edges.is_empty())
    }
}
