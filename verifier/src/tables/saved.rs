//! Saved states: where they are kept, in which order they are compared, when they are dropped.

use crate::state::{Cells, StateId, VerifierState};

/// Registers and slots of one frame of a saved state whose exact value matters to what follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Precise {
    /// Bit n for rn.
    pub regs: u16,
    /// Bit n for slot n.
    pub slots: u64,
}

/// A saved state.
#[derive(Debug)]
pub struct Saved {
    /// The state. Its numbers are marked in [`Saved::precise`], not in themselves.
    pub state: VerifierState,
    /// By frame.
    pub precise: Vec<Precise>,
    /// By frame, what was read on the paths from here; empty in kernels that know otherwise what may still be read.
    pub read: Vec<Cells>,
    /// Paths from here that are still open.
    pub branches: u32,
    /// In kernels that know loops by it, a state that a path from here came back to.
    pub loop_entry: Option<StateId>,
    /// Such a state of another one.
    pub is_loop_entry: bool,
    hits: u32,
    misses: u32,
    /// Dead registers and slots were dropped.
    pub cleaned: bool,
    /// No longer compared; kept for what descends from it.
    pub retired: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    insn: u32,
    id: StateId,
}

/// All saved states.
#[derive(Debug, Default)]
pub struct SavedStates {
    states: Vec<Option<Box<Saved>>>,
    free: Vec<u32>,
    /// Lists of states to compare, newest last; the kernel hashes instruction and call site into them.
    lists: Vec<Vec<Entry>>,
    listed: u64,
    retired: u64,
}

impl SavedStates {
    /// Drops everything and prepares for a program of so many instructions. States of functions that were verified
    /// before stay counted, as the kernel counts them.
    pub fn reset(&mut self, insns: usize) {
        self.states.clear();
        self.free.clear();
        self.lists.iter_mut().for_each(Vec::clear);
        self.lists.resize_with(insns, Vec::new);
    }

    /// A saved state.
    pub fn get(&self, id: StateId) -> &Saved {
        self.states[id.0 as usize].as_deref().expect("a state is kept while something names it")
    }

    /// A saved state, for changing.
    pub fn get_mut(&mut self, id: StateId) -> &mut Saved {
        self.states[id.0 as usize].as_deref_mut().expect("a state is kept while something names it")
    }

    /// The list that states at `insn` in a frame called from `callsite` are kept in.
    pub fn list(&self, insn: usize, callsite: i32) -> usize {
        (insn as u32 ^ callsite as u32) as usize % self.lists.len()
    }

    /// Length of a list.
    pub fn list_len(&self, list: usize) -> usize {
        self.lists[list].len()
    }

    /// The `n`th state of a list, newest last, if it is one at `insn`.
    pub fn at(&self, list: usize, n: usize, insn: usize) -> Option<StateId> {
        self.lists[list].get(n).filter(|e| e.insn as usize == insn).map(|e| e.id)
    }

    /// Saves a state.
    pub fn add(&mut self, list: usize, state: VerifierState) -> StateId {
        let insn = state.insn_idx as u32;
        let saved = Box::new(Saved {
            precise: vec![Precise::default(); state.frames.len()],
            read: vec![Cells::default(); if state.parentage.is_kept() { state.frames.len() } else { 0 }],
            state,
            branches: 1,
            loop_entry: None,
            is_loop_entry: false,
            hits: 0,
            misses: 0,
            cleaned: false,
            retired: false,
        });
        let id = match self.free.pop() {
            Some(i) => {
                self.states[i as usize] = Some(saved);
                StateId(i)
            }
            None => {
                self.states.push(Some(saved));
                StateId(self.states.len() as u32 - 1)
            }
        };
        self.lists[list].push(Entry { insn, id });
        self.listed += 1;
        id
    }

    /// Counts that a state was found to allow the current one.
    pub fn hit(&mut self, id: StateId) {
        self.get_mut(id).hits += 1;
    }

    /// Counts that a state was compared in vain; whether it is not worth keeping. States where loops converge
    /// (`patient`) get more chances.
    pub fn miss(&mut self, id: StateId, counts: bool, patient: bool) -> bool {
        let saved = self.get_mut(id);
        saved.misses += u32::from(counts);
        let n = if patient && saved.branches > 0 { 64 } else { 3 };
        saved.misses > saved.hits * n + n
    }

    /// Takes the `n`th state of a list out of it.
    pub fn retire(&mut self, list: usize, n: usize) {
        let entry = self.lists[list].remove(n);
        self.get_mut(entry.id).retired = true;
        self.listed -= 1;
        self.retired += 1;
    }

    /// Drops a retired state.
    pub fn drop_retired(&mut self, id: StateId) {
        self.states[id.0 as usize] = None;
        self.free.push(id.0);
        self.retired -= 1;
    }

    /// States that are kept now.
    pub fn kept(&self) -> u64 {
        self.listed + self.retired
    }
}
