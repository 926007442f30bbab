//! Following reads to the saved states that the values come from, in kernels that find out by this what a saved state
//! must agree in.

use super::Env;
use crate::state::{Cell, Cells, Parentage, StateId};
use ebpfkit_abi::Feature;

impl Env<'_> {
    /// What is known of the values at the start of a function that is verified on its own.
    pub(crate) fn first_parentage(&self) -> Parentage {
        if self.has(Feature::StaticLiveness) { Parentage::default() } else { Parentage::start() }
    }

    /// The current frame's registers (bit n for rn) are read.
    #[inline]
    pub(crate) fn read_regs(&mut self, regs: u16) {
        if self.path.state.parentage.is_kept() {
            self.follow_reads(self.path.state.curframe(), Cells::new(regs, 0));
        }
    }

    /// The current frame's registers (bit n for rn) are written.
    #[inline]
    pub(crate) fn write_regs(&mut self, regs: u16) {
        if self.path.state.parentage.is_kept() {
            let frame = self.path.state.curframe();
            self.path.state.parentage.write(frame, Cells::new(regs, 0));
        }
    }

    /// These cells of a frame are read.
    pub(crate) fn follow_reads(&mut self, frame: usize, cells: Cells) {
        for cell in cells.iter() {
            self.follow_read(frame, cell);
        }
    }

    /// Notes in the saved states before the current one that a value is read, up to where it was written.
    fn follow_read(&mut self, frame: usize, cell: Cell) {
        let state = &self.path.state;
        let mut at: Option<(StateId, usize)> = state.parent.zip(state.parentage.origin(frame, cell));
        let mut steps = 0;
        while let Some((id, frame)) = at {
            let saved = self.tables.walk.saved.get_mut(id);
            let Some(read) = saved.read.get_mut(frame).filter(|read| !read.has(cell)) else { break };
            read.add(cell);
            steps += 1;
            at = saved.state.parent.zip(saved.state.parentage.origin(frame, cell));
        }
        self.tables.walk.longest_read = self.tables.walk.longest_read.max(steps);
    }

    /// The current path ends at a saved state that allows it: what is read from there on is read from here on.
    pub(crate) fn propagate_reads(&mut self, equal: StateId) {
        let top = self.path.state.curframe();
        for frame in 0..self.tables.walk.saved.get(equal).read.len() {
            let regs = if frame < top { 0b11_1100_0000 } else { 0b11_1111_1111 };
            let read = self.tables.walk.saved.get(equal).read[frame];
            self.follow_reads(frame, read.and(Cells::new(regs, u64::MAX)));
        }
    }
}
