//! Where the values of a path were when its last state was saved, and what was written since. Kernels that find out by
//! this what a saved state must agree in follow each read along the chain of saved states back to where the value was
//! written.

/// A register or a stack slot of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell(u8);

/// Registers and slots of one frame: bit n for rn, bit 16 + n for slot n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cells(u128);

const FIRST_SLOT: u8 = 16;

impl Cells {
    /// These registers and slots (bit n for rn, bit n for slot n).
    pub const fn new(regs: u16, slots: u64) -> Self {
        Self(regs as u128 | (slots as u128) << FIRST_SLOT)
    }

    /// The registers: bit n for rn.
    pub const fn regs(self) -> u16 {
        self.0 as u16
    }

    /// The slots: bit n for slot n.
    pub const fn slots(self) -> u64 {
        (self.0 >> FIRST_SLOT) as u64
    }

    /// Whether this cell is among them.
    pub const fn has(self, cell: Cell) -> bool {
        self.0 >> cell.0 & 1 != 0
    }

    /// Adds a cell.
    pub const fn add(&mut self, cell: Cell) {
        self.0 |= 1 << cell.0;
    }

    /// Those that are in both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Cell> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let cell = Cell(left.trailing_zeros() as u8);
            (left != 0).then(|| {
                left &= left - 1;
                cell
            })
        })
    }
}

/// r0 to r9: the frame pointer is never written, and so never followed.
const REGS: usize = 10;

/// Of one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameParentage {
    /// Written as a whole since the last state was saved.
    written: Cells,
    /// Of each register the frame of the saved state that its value was in, plus one; zero where it was nowhere.
    regs: [u8; REGS],
    /// Slots that were there when the state was saved.
    slots: u64,
}

impl FrameParentage {
    /// Frame of the state saved last that the value in a cell was in, whatever was written since.
    fn parent(&self, frame: usize, cell: Cell) -> Option<usize> {
        match cell.0.checked_sub(FIRST_SLOT) {
            Some(slot) => (self.slots >> slot & 1 != 0).then_some(frame),
            None => self.regs.get(usize::from(cell.0))?.checked_sub(1).map(usize::from),
        }
    }
}

/// Of all frames; empty in kernels that know otherwise what may still be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parentage {
    frames: Vec<FrameParentage>,
}

impl Parentage {
    /// At the start of a function that is verified on its own.
    pub fn start() -> Self {
        Self { frames: vec![FrameParentage::default()] }
    }

    /// Whether reads are followed.
    #[inline]
    pub fn is_kept(&self) -> bool {
        !self.frames.is_empty()
    }

    /// Where the value in a cell of a frame was in the state saved last: its frame; `None` where it has been written
    /// since, or was nowhere.
    pub fn origin(&self, frame: usize, cell: Cell) -> Option<usize> {
        let f = self.frames.get(frame)?;
        if f.written.has(cell) { None } else { f.parent(frame, cell) }
    }

    /// Cells of a frame are written as a whole.
    pub fn write(&mut self, frame: usize, cells: Cells) {
        if let Some(f) = self.frames.get_mut(frame) {
            f.written = Cells(f.written.0 | cells.0);
        }
    }

    /// A function is entered; with `args`, it sees its caller's r1 to r5.
    pub fn enter(&mut self, args: bool) {
        let Some(caller) = self.frames.last() else { return };
        let mut callee = FrameParentage::default();
        if args {
            callee.written = caller.written.and(Cells::new(0b11_1110, 0));
            callee.regs[1..=5].copy_from_slice(&caller.regs[1..=5]);
        }
        self.frames.push(callee);
    }

    /// A function is left; with `result`, its r0 is its caller's.
    pub fn leave(&mut self, result: bool) {
        let Some(callee) = self.frames.pop() else { return };
        let Some(caller) = self.frames.last_mut() else { return };
        if result {
            let r0 = Cells::new(1, 0).0;
            caller.written = Cells(caller.written.0 & !r0 | callee.written.0 & r0);
            caller.regs[0] = callee.regs[0];
        }
    }

    /// The state has been saved, with stacks of so many slots. Of callers only r6 to r9 can still be read.
    pub fn saved(&mut self, slots: impl Iterator<Item = usize>) {
        let top = self.frames.len().saturating_sub(1);
        for (n, (f, slots)) in self.frames.iter_mut().zip(slots).enumerate() {
            let first = if n < top { 6 } else { 0 };
            f.written = Cells::default();
            f.regs[..first].fill(0);
            f.regs[first..].fill(n as u8 + 1);
            f.slots = u64::MAX.checked_shr(64 - slots.min(64) as u32).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Cells, Parentage};

    fn cell(cells: Cells) -> Cell {
        cells.iter().next().expect("one")
    }

    #[test]
    fn values_come_from_where_they_were_when_the_state_was_saved() {
        let (r0, r2, r6) = (cell(Cells::new(1, 0)), cell(Cells::new(4, 0)), cell(Cells::new(1 << 6, 0)));
        let slot = |n: u32| cell(Cells::new(0, 1 << n));
        let mut p = Parentage::start();
        assert_eq!(p.origin(0, r2), None, "nothing was saved");
        p.saved([2].into_iter());
        assert_eq!((p.origin(0, r2), p.origin(0, slot(1)), p.origin(0, slot(2))), (Some(0), Some(0), None));
        p.enter(true);
        assert_eq!((p.origin(1, r2), p.origin(1, r6)), (Some(0), None), "arguments are the caller's");
        p.write(0, Cells::new(0, 2));
        assert_eq!((p.origin(0, slot(0)), p.origin(0, slot(1))), (Some(0), None));
        p.saved([2, 64].into_iter());
        assert_eq!((p.origin(0, r2), p.origin(0, r6), p.origin(1, r2)), (None, Some(0), Some(1)));
        assert_eq!((p.origin(0, slot(1)), p.origin(1, slot(63))), (Some(0), Some(1)));
        p.leave(true);
        assert_eq!(p.origin(0, r0), Some(1), "the result is the function's");
        p.enter(true);
        p.write(1, Cells::new(1, 0));
        p.leave(true);
        assert_eq!(p.origin(0, r0), None);
    }

    #[test]
    fn nothing_is_kept_unless_it_is_begun() {
        let mut p = Parentage::default();
        p.enter(true);
        p.saved([1].into_iter());
        assert!(!p.is_kept() && p.origin(0, cell(Cells::new(1, 0))).is_none());
    }

    #[test]
    fn cells_are_registers_and_slots() {
        let cells = Cells::new(0b10_0000_0001, 1 << 63 | 1);
        assert_eq!((cells.regs(), cells.slots(), cells.iter().count()), (0b10_0000_0001, 1 << 63 | 1, 4));
    }
}
