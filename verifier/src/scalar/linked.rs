//! Numbers known to be equal up to a constant: what a comparison proves of one it proves of all.

use crate::domain::{Numbers, RegState};
use crate::program::InsnAux;
use crate::state::VerifierState;
use ebpfkit_abi::limits;
use ebpfkit_isa::R10;

const INDEX_BITS: u32 = 6;
const COUNT_BITS: u32 = 4;
/// As many as fit one packed word where chains of calls have 8 frames.
const MOST: usize = 6;
/// The same for 16 frames.
const MOST_IN_LONG_CHAINS: usize = 5;

/// Bits of a frame's number in an entry of a packed word with so many entries.
const fn frame_bits(entries: usize) -> u32 {
    if entries > MOST_IN_LONG_CHAINS { 3 } else { 4 }
}

/// How many numbers are linked at most, where a chain of calls has so many frames.
pub(super) const fn most_linked(frames: usize) -> usize {
    if frames > limits::MAX_CALL_FRAMES { MOST_IN_LONG_CHAINS } else { MOST }
}

/// Where a linked number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkedReg {
    /// Frame.
    pub frame: u8,
    /// Register number or stack slot.
    pub index: u8,
    /// A register rather than a stack slot.
    pub is_reg: bool,
}

/// The numbers linked with one another at a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkedRegs(pub Vec<LinkedReg>);

impl LinkedRegs {
    /// One word, for [`crate::state::HistoryEntry::linked_regs`].
    pub fn pack(&self) -> u64 {
        let frame_bits = frame_bits(self.0.len());
        let entries = self.0.iter().take(MOST).fold(0u64, |word, e| {
            let index = u64::from(e.index) & ((1 << INDEX_BITS) - 1);
            let entry = u64::from(e.frame) | index << frame_bits | u64::from(e.is_reg) << (frame_bits + INDEX_BITS);
            word << (frame_bits + INDEX_BITS + 1) | entry
        });
        entries << COUNT_BITS | self.0.len().min(MOST) as u64
    }

    /// From the packed word; empty for zero.
    pub fn unpack(word: u64) -> Self {
        let count = (word & ((1 << COUNT_BITS) - 1)) as usize;
        let frame_bits = frame_bits(count);
        let entry = |i: usize| {
            let e = word >> (COUNT_BITS + (frame_bits + INDEX_BITS + 1) * i as u32);
            LinkedReg {
                frame: (e & ((1 << frame_bits) - 1)) as u8,
                index: (e >> frame_bits & ((1 << INDEX_BITS) - 1)) as u8,
                is_reg: e >> (frame_bits + INDEX_BITS) & 1 != 0,
            }
        };
        Self((0..count.min(MOST)).rev().map(entry).collect())
    }

    /// Adds all numbers with this identity that may still be read, up to `most`; `aux` knows which registers may, where
    /// the kernel does. Those beyond lose it.
    pub(super) fn collect(&mut self, state: &mut VerifierState, id: u32, aux: Option<&[InsnAux]>, most: usize) {
        let id = id & !RegState::ADD_CONST;
        let matches = |r: &RegState| r.is_scalar() && r.id & !RegState::ADD_CONST == id;
        for frame in (0..state.frames.len()).rev() {
            let f = state.frame(frame);
            let live = aux.map_or(!0, |aux| aux[state.frame_insn(frame)].live_regs_before);
            let is_linked = |r: &u8| live >> r & 1 != 0 && matches(&f.regs[usize::from(*r)]);
            let regs = (0..R10).filter(is_linked).map(|r| (r, true));
            let slots = f.stack.slots.iter().enumerate().filter(|(_, s)| s.is_spill() && matches(&s.spilled));
            let found: Vec<_> = regs.chain(slots.map(|(i, _)| (i as u8, false))).collect();
            for (index, is_reg) in found {
                let e = LinkedReg { frame: frame as u8, index, is_reg };
                if self.0.len() < most {
                    self.0.push(e);
                } else if let Some(r) = e.get_mut(state) {
                    r.clear_scalar_id();
                }
            }
        }
    }

    /// Brings all linked numbers in line with the one in register `known` of the current frame.
    pub(super) fn sync(&self, state: &mut VerifierState, known: u8, numbers: Numbers) {
        let from = *state.reg(known);
        let itself = LinkedReg { frame: state.curframe() as u8, index: known, is_reg: true };
        for e in &self.0 {
            if *e == itself {
                continue;
            }
            let Some(r) = e.get(state) else { continue };
            if !r.is_scalar() || (r.id ^ from.id) & !RegState::ADD_CONST != 0 {
                continue;
            }
            let old = *r;
            if (old.id ^ from.id) & RegState::ADD_CONST == RegState::ADD_CONST {
                // Distances of different widths say nothing of each other.
                continue;
            }
            let distant = (old.id | from.id) & RegState::ADD_CONST != 0 && old.off != from.off;
            let mut new = RegState { subreg_def: old.subreg_def, ..from };
            if distant {
                new.off = old.off;
                new.id = old.id;
                let delta = i64::from(old.off) - i64::from(from.off);
                new.scalar_add(&RegState::known(delta as u64));
                if (old.id | from.id) & RegState::ADD_CONST32 != 0 {
                    new.zext_32_to_64();
                }
                numbers.sync(&mut new);
            }
            if let Some(r) = e.get_mut(state) {
                *r = new;
            }
        }
    }
}

impl LinkedReg {
    fn get(self, state: &VerifierState) -> Option<&RegState> {
        let f = state.frames.get(usize::from(self.frame))?;
        if self.is_reg {
            f.regs.get(usize::from(self.index))
        } else {
            f.stack.slots.get(usize::from(self.index)).map(|s| &s.spilled)
        }
    }

    fn get_mut(self, state: &mut VerifierState) -> Option<&mut RegState> {
        self.get(state)?;
        let f = state.frame_mut(usize::from(self.frame));
        if self.is_reg {
            f.regs.get_mut(usize::from(self.index))
        } else {
            f.stack.slots.get_mut(usize::from(self.index)).map(|s| &mut s.spilled)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_order_and_position() {
        let all = LinkedRegs((0..6).map(|i| LinkedReg { frame: i % 8, index: 63 - i, is_reg: i % 2 == 0 }).collect());
        assert_eq!(LinkedRegs::unpack(all.pack()), all);
        assert_eq!(LinkedRegs::unpack(0), LinkedRegs::default());
        let deep = LinkedRegs((0..5).map(|i| LinkedReg { frame: 15 - i, index: 63 - i, is_reg: i % 2 == 0 }).collect());
        assert_eq!(LinkedRegs::unpack(deep.pack()), deep);
    }
}
