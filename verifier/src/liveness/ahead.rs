//! Liveness of stack slots that is known before the walk.
//!
//! What each instruction reads and writes of frames is found by following the pointers into them; it is kept for each
//! call that passes such pointers on, by the depth of the chain of calls. Marks are bit masks of halves of slots: bit n
//! stands for the four bytes that end 4n bytes below the frame pointer.

use crate::program::{InsnAux, SubprogInfo};
use crate::state::VerifierState;
use ebpfkit_abi::limits::MAX_LONG_CALL_FRAMES;
use ebpfkit_isa::STACK_SIZE;
use rustc_hash::FxHashMap;

/// Halves of the slots of one frame.
pub(crate) type Halves = u128;

/// Bytes in half a slot.
const HALF: i64 = 4;
const _: () = assert!(STACK_SIZE as u32 / HALF as u32 == Halves::BITS);

/// The halves from one number to another, both included.
fn halves(from: i64, to: i64) -> Halves {
    let (from, to) = (from.max(0), to.min(i64::from(Halves::BITS) - 1));
    if from > to {
        return 0;
    }
    Halves::MAX >> (i64::from(Halves::BITS) - 1 - to) & Halves::MAX << from
}

/// What an instruction does with bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Reads so many bytes.
    Reads(i64),
    /// Writes so many bytes and reads none.
    Writes(i64),
    /// Reads what nobody knows.
    Unknown,
}

#[derive(Clone, Copy, Debug, Default)]
struct Masks {
    may_read: Halves,
    must_write: Halves,
    live_before: Halves,
}

/// A function as one call calls it at one depth, or on its own.
#[derive(Debug)]
pub(crate) struct Instance {
    /// Slot of the call; the function's first slot where nothing calls it.
    pub(crate) callsite: usize,
    /// How many calls lead there.
    pub(crate) depth: usize,
    pub(crate) subprog: usize,
    start: usize,
    len: usize,
    /// By frame, then by instruction of the function.
    frames: [Option<Box<[Masks]>>; MAX_LONG_CALL_FRAMES],
    /// Whether it has been followed to its end before.
    analysed: bool,
}

impl Instance {
    /// The same call without its marks.
    pub(crate) fn fresh(&self) -> Self {
        let &Self { callsite, depth, subprog, start, len, .. } = self;
        Self { callsite, depth, subprog, start, len, frames: Default::default(), analysed: false }
    }

    fn masks_mut(&mut self, frame: usize, insn: usize) -> &mut Masks {
        let len = self.len;
        let masks = self.frames[frame].get_or_insert_with(|| vec![Masks::default(); len].into_boxed_slice());
        &mut masks[insn - self.start]
    }

    fn live_before(&self, frame: usize, insn: usize) -> Halves {
        let masks = self.frames[frame].as_ref();
        masks.and_then(|m| m.get(insn.wrapping_sub(self.start))).map_or(0, |m| m.live_before)
    }

    /// The instruction may read all of a frame.
    pub(crate) fn read_all(&mut self, frame: usize, insn: usize) {
        self.masks_mut(frame, insn).may_read = Halves::MAX;
    }

    /// The instruction touches bytes of a frame from an offset on; below the frame pointer, since other accesses are
    /// refused by the walk.
    pub(crate) fn touch(&mut self, frame: usize, insn: usize, off: i64, touch: Touch) {
        if off >= 0 {
            return;
        }
        match touch {
            Touch::Unknown => self.masks_mut(frame, insn).may_read |= halves(0, (-off - 1) / HALF),
            Touch::Reads(bytes) if bytes > 0 => {
                self.masks_mut(frame, insn).may_read |= halves((-off - bytes) / HALF, (-off - 1) / HALF);
            }
            Touch::Writes(bytes) if bytes > 0 => {
                // Whole halves only.
                let whole = halves((-off - bytes + HALF - 1) / HALF, -off / HALF - 1);
                if whole != 0 {
                    self.masks_mut(frame, insn).must_write |= whole;
                }
            }
            Touch::Reads(_) | Touch::Writes(_) => {}
        }
    }

    /// What a function that is called here reads of its callers' frames is read by the call.
    pub(crate) fn read_by_callee(&mut self, callee: &Self, insn: usize) {
        for frame in 0..callee.depth {
            if callee.frames[frame].is_some() {
                self.masks_mut(frame, insn).may_read |= callee.live_before(frame, callee.start);
            }
        }
    }

    /// Takes another pass over the same call in: what either may read, and what both write.
    fn merge(&mut self, other: Self) {
        for (own, other) in self.frames.iter_mut().zip(other.frames) {
            match (own, other) {
                (own @ None, other) => {
                    *own = other;
                    for m in own.iter_mut().flat_map(|m| m.iter_mut()) {
                        m.must_write = 0;
                    }
                }
                (Some(own), None) => own.iter_mut().for_each(|m| m.must_write = 0),
                (Some(own), Some(other)) => {
                    for (a, b) in own.iter_mut().zip(&other) {
                        a.may_read |= b.may_read;
                        a.must_write &= b.must_write;
                    }
                }
            }
        }
    }

    /// Propagates marks against the flow until nothing changes.
    fn propagate<I: Iterator<Item = usize>>(&mut self, successors: impl Fn(usize) -> I, postorder: &[usize]) {
        self.analysed = true;
        let start = self.start;
        for masks in self.frames[..=self.depth].iter_mut().flatten() {
            let mut changed = true;
            while changed {
                changed = false;
                for &at in postorder {
                    let mut successors = successors(at).peekable();
                    if successors.peek().is_none() {
                        // An exit reads nothing that matters.
                        continue;
                    }
                    let live = successors.fold(0, |live, s| live | masks.get(s - start).map_or(0, |m| m.live_before));
                    let m = &mut masks[at - start];
                    let before = live & !m.must_write | m.may_read;
                    changed |= std::mem::replace(&mut m.live_before, before) != before;
                }
            }
        }
    }
}

/// The analysis of a program.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// By depth and call.
    instances: FxHashMap<(usize, usize), Instance>,
}

impl Ahead {
    /// Takes a call out to be followed once more: what is known of it so far, and whether it was followed before.
    pub(crate) fn take(&mut self, depth: usize, callsite: usize, subprog: usize, subprogs: &[SubprogInfo]) -> Instance {
        self.instances.remove(&(depth, callsite)).unwrap_or_else(|| {
            let start = subprogs[subprog].start;
            let len = subprogs[subprog + 1].start - start;
            Instance { callsite, depth, subprog, start, len, frames: Default::default(), analysed: false }
        })
    }

    /// What is known of a call.
    pub(crate) fn get(&self, depth: usize, callsite: usize) -> Option<&Instance> {
        self.instances.get(&(depth, callsite))
    }

    /// Puts a call back with what a pass over it has found.
    pub(crate) fn put<I: Iterator<Item = usize>>(
        &mut self,
        known: Instance,
        pass: Instance,
        successors: impl Fn(usize) -> I,
        postorder: &[usize],
    ) {
        let mut merged = known;
        if merged.analysed {
            merged.merge(pass);
        } else {
            merged = pass;
        }
        merged.propagate(successors, postorder);
        self.instances.insert((merged.depth, merged.callsite), merged);
    }

    /// The instance that knows most of frame number `depth` of a state.
    fn of_frame(&self, state: &VerifierState, frame: usize, subprogs: &[SubprogInfo]) -> Option<&Instance> {
        let start = subprogs[state.frames[frame].subprog as usize].start;
        let callsite = state.frames[frame].callsite.max(0) as usize;
        let called = (1..=frame).rev().find_map(|depth| self.instances.get(&(depth, callsite)));
        called.or_else(|| self.instances.get(&(0, start)))
    }

    /// Halves of a frame's slots that may still be read, in a state at an instruction: by the function that runs, or by
    /// one of its callers when it returns.
    pub(crate) fn live(
        &self,
        state: &VerifierState,
        insn: usize,
        frame: usize,
        subprogs: &[SubprogInfo],
        aux: &[InsnAux],
    ) -> Halves {
        let top = state.curframe();
        let Some(current) = self.of_frame(state, top, subprogs) else { return Halves::MAX };
        // An instance at a lower depth has lost as many of the outermost frames.
        let mut live = match (frame + current.depth).checked_sub(top) {
            Some(frame) if frame <= current.depth => current.live_before(frame, insn),
            _ => 0,
        };
        for depth in frame..top {
            let Some(outer) = self.of_frame(state, depth, subprogs) else { return Halves::MAX };
            let Some(frame) = (frame + outer.depth).checked_sub(depth) else { return Halves::MAX };
            if frame > outer.depth {
                return Halves::MAX;
            }
            let callsite = state.frames[depth + 1].callsite.max(0) as usize;
            live |= outer.live_before(frame, callsite + usize::from(!aux[callsite].calls_callback));
        }
        live
    }
}

#[cfg(test)]
mod tests {
    use super::halves;

    #[test]
    fn halves_are_counted_from_the_frame_pointer() {
        assert_eq!(halves(0, 1), 0b11);
        assert_eq!(halves(2, 2), 0b100);
        assert_eq!(halves(-3, 0), 1);
        assert_eq!(halves(3, 2), 0);
        assert_eq!(halves(-3, -1), 0);
        assert_eq!(halves(0, 500), u128::MAX);
    }
}
