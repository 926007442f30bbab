//! Where pointers into frames are: of each register and stack slot, before each instruction, which frame it may point
//! into and at which offsets. A forward data-flow analysis of one function as one chain of calls calls it.

use crate::Env;
use crate::state::SLOT_SIZE;
use ebpfkit_isa::opcode::{self, alu, atomic, class, mode};
use ebpfkit_isa::{Insn, R10, REG_COUNT, STACK_SIZE};

/// Slots of a frame.
pub(super) const SLOTS: usize = STACK_SIZE / SLOT_SIZE;
/// Offsets of one pointer that are kept apart.
const MOST_OFFSETS: usize = 4;

/// Offsets from a frame pointer, ascending; none where they are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offsets {
    off: [i16; MOST_OFFSETS],
    count: u8,
}

impl Offsets {
    const UNKNOWN: Self = Self { off: [0; MOST_OFFSETS], count: 0 };

    fn one(off: i16) -> Self {
        Self { off: [off, 0, 0, 0], count: 1 }
    }

    pub(super) fn list(&self) -> &[i16] {
        &self.off[..usize::from(self.count)]
    }

    /// All of both.
    fn with(self, other: Self) -> Self {
        let mut all = self;
        for &off in other.list() {
            let Err(at) = all.list().binary_search(&off) else { continue };
            let count = usize::from(all.count);
            if count == MOST_OFFSETS {
                return Self::UNKNOWN;
            }
            all.off.copy_within(at..count, at + 1);
            all.off[at] = off;
            all.count += 1;
        }
        all
    }

    /// All moved by a constant; not known where one would not fit.
    pub(super) fn moved(self, by: i64) -> Self {
        let mut moved = self;
        for off in &mut moved.off[..usize::from(self.count)] {
            let Some(to) = i16::try_from(by).ok().and_then(|by| off.checked_add(by)) else { return Self::UNKNOWN };
            *off = to;
        }
        moved
    }
}

/// What a register or slot may point to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Track {
    /// No path has been seen yet.
    #[default]
    Unvisited,
    /// Into no frame.
    Nothing,
    /// Into one frame, or into none.
    Frame { frame: u8, offsets: Offsets },
    /// Into these frames, as a bit mask.
    Frames(u16),
}

impl Track {
    fn at(frame: usize, offsets: Offsets) -> Self {
        Self::Frame { frame: frame as u8, offsets }
    }

    /// Whether it may point into a frame.
    pub(super) fn is_pointer(self) -> bool {
        matches!(self, Self::Frame { .. } | Self::Frames(_))
    }

    /// Frames that it may point into.
    fn frames(self) -> u16 {
        match self {
            Self::Unvisited | Self::Nothing => 0,
            Self::Frame { frame, .. } => 1 << frame,
            Self::Frames(mask) => mask,
        }
    }

    fn offsets(self) -> Offsets {
        if let Self::Frame { offsets, .. } = self { offsets } else { Offsets::UNKNOWN }
    }

    /// What it may be where two paths meet.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (a, Self::Unvisited) => a,
            (Self::Unvisited, b) => b,
            (Self::Frame { frame: a, offsets: x }, Self::Frame { frame: b, offsets: y }) if a == b => {
                let known = x.count != 0 && y.count != 0;
                Self::Frame { frame: a, offsets: if known { x.with(y) } else { Offsets::UNKNOWN } }
            }
            // What is a pointer on one path only is read through at times, and never surely written through: a second
            // offset that nothing can be at says so.
            (Self::Frame { frame, offsets }, Self::Nothing) | (Self::Nothing, Self::Frame { frame, offsets }) => {
                let offsets = if offsets.count == 1 { offsets.with(Offsets::one(0)) } else { offsets };
                Self::Frame { frame, offsets }
            }
            (a, b) => Self::Frames(a.frames() | b.frames()),
        }
    }

    /// What arithmetic with a register makes of it.
    fn computed_with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Frame { frame: a, .. }, Self::Frame { frame: b, .. }) if a == b => {
                Self::Frame { frame: a, offsets: Offsets::UNKNOWN }
            }
            (Self::Frame { frame, .. }, Self::Nothing) | (Self::Nothing, Self::Frame { frame, .. }) => {
                Self::Frame { frame, offsets: Offsets::UNKNOWN }
            }
            (Self::Nothing, Self::Nothing) => self,
            (a, b) => Self::Frames(a.frames() | b.frames()),
        }
    }
}

/// The slot at an offset, where one begins there.
fn slot_at(off: i64) -> Option<usize> {
    let in_frame = (-(STACK_SIZE as i64)..0).contains(&off) && off % SLOT_SIZE as i64 == 0;
    in_frame.then(|| (-off) as usize / SLOT_SIZE - 1)
}

/// What the slots of a frame may point to.
pub(super) type SlotTracks = [Track; SLOTS];

/// What registers and slots may point to at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tracks {
    pub(super) regs: [Track; REG_COUNT],
    pub(super) slots: SlotTracks,
}

impl Tracks {
    const UNVISITED: Self = Self { regs: [Track::Unvisited; REG_COUNT], slots: [Track::Unvisited; SLOTS] };

    /// At the start of a function at a depth, called with these arguments.
    fn entry(depth: usize, args: Option<&[Track; 5]>) -> Self {
        let mut regs = [Track::Nothing; REG_COUNT];
        if let Some(args) = args {
            regs[1..=5].copy_from_slice(args);
        }
        regs[usize::from(R10)] = Track::at(depth, Offsets::one(0));
        Self { regs, slots: [Track::Nothing; SLOTS] }
    }

    fn reg(&self, reg: u8) -> Track {
        self.regs.get(usize::from(reg)).copied().unwrap_or(Track::Nothing)
    }

    fn set(&mut self, reg: u8, to: Track) {
        if let Some(r) = self.regs.get_mut(usize::from(reg)) {
            *r = to;
        }
    }

    /// Takes another path in; whether that is news.
    fn meet(&mut self, other: &Self) -> bool {
        let mut changed = false;
        let all = self.regs.iter_mut().chain(&mut self.slots);
        for (own, &other) in all.zip(other.regs.iter().chain(&other.slots)) {
            if *own != other {
                let met = own.or(other);
                changed |= std::mem::replace(own, met) != met;
            }
        }
        changed
    }

    /// What an eight-byte load through register `reg`, which is `base`, gives out of the slots of a frame at `depth`.
    fn filled(reg: u8, base: Track, off: i16, slots: &SlotTracks, depth: usize) -> Track {
        let any = Track::Frames(((1u32 << (depth + 1)) - 1) as u16);
        if reg == R10 {
            return slot_at(off.into()).map_or(any, |slot| slots[slot]);
        }
        let offsets = base.offsets();
        if offsets.count == 0 {
            return any;
        }
        let mut all = Track::Nothing;
        for &from in offsets.list() {
            let Some(slot) = from.checked_add(off).and_then(|at| slot_at(at.into())) else { return any };
            all = all.or(slots[slot]);
        }
        all
    }

    /// A store of a whole slot's size keeps what it stores; what is overwritten in part points nowhere.
    fn spill(&mut self, base: Track, off: i16, value: Track) {
        let offsets = base.offsets();
        if offsets.count == 0 {
            self.slots.iter_mut().for_each(|s| *s = s.or(value));
            return;
        }
        for &from in offsets.list() {
            if let Some(slot) = from.checked_add(off).and_then(|at| slot_at(at.into())) {
                let own = &mut self.slots[slot];
                *own = if offsets.count == 1 { value } else { own.or(value) };
            }
        }
    }

    /// Slots that a store of `bytes` overlaps point nowhere, or may.
    fn overwrite(&mut self, base: Track, off: i16, bytes: u32) {
        let offsets = base.offsets();
        let known = offsets.list().iter().map(|from| from.checked_add(off)).collect::<Option<Vec<_>>>();
        let Some(starts) = known.filter(|k| !k.is_empty()) else {
            self.slots.iter_mut().for_each(|s| *s = s.or(Track::Nothing));
            return;
        };
        for start in starts.iter().map(|&s| i64::from(s)) {
            for (i, slot) in self.slots.iter_mut().enumerate() {
                let low = -((i + 1) as i64) * SLOT_SIZE as i64;
                if low < start + i64::from(bytes) && low + SLOT_SIZE as i64 > start {
                    *slot = if starts.len() == 1 { Track::Nothing } else { slot.or(Track::Nothing) };
                }
            }
        }
    }

    /// Does what an instruction does, in a function at a depth; `outer` are the slots of its callers' frames.
    fn step(&mut self, insn: Insn, depth: usize, outer: &[SlotTracks]) {
        let (dst, src) = (self.reg(insn.dst), self.reg(insn.src));
        let is_own = |reg: u8, track: Track| reg == R10 || track.frames() >> depth & 1 != 0;
        let whole = insn.mode() == mode::MEM && insn.access_size() == 8;
        match insn.class() {
            class::ALU64 => {
                let result = match (insn.op(), insn.is_src_reg(), dst) {
                    (alu::MOV, false, _) => Track::Nothing,
                    // A cast between address spaces makes another pointer, an extension of a sign none.
                    (alu::MOV, true, _) => {
                        if insn.off == 0 {
                            src
                        } else {
                            Track::Nothing
                        }
                    }
                    (_, true, _) => dst.computed_with(src),
                    (op, false, Track::Frame { frame, offsets }) => {
                        let offsets = match op {
                            alu::ADD => offsets.moved(insn.imm.into()),
                            alu::SUB => offsets.moved(-i64::from(insn.imm)),
                            _ => Offsets::UNKNOWN,
                        };
                        Track::Frame { frame, offsets }
                    }
                    (_, false, _) => dst,
                };
                self.set(insn.dst, result);
            }
            class::ALU => self.set(insn.dst, Track::Nothing),
            class::JMP if insn.code == opcode::CALL => self.regs[..=5].fill(Track::Nothing),
            class::LDX => {
                let result = match src {
                    _ if !whole => Track::Nothing,
                    _ if is_own(insn.src, src) => Self::filled(insn.src, src, insn.off, &self.slots, depth),
                    Track::Frame { frame, .. } if usize::from(frame) < outer.len() => {
                        let frame = usize::from(frame);
                        Self::filled(insn.src, src, insn.off, &outer[frame], frame)
                    }
                    Track::Frames(mask) if mask != 0 => src,
                    _ => Track::Nothing,
                };
                self.set(insn.dst, result);
            }
            class::LD if insn.mode() == mode::IMM => self.set(insn.dst, Track::Nothing),
            class::STX if insn.mode() == mode::ATOMIC => {
                if is_own(insn.dst, dst) && insn.imm != atomic::LOAD_ACQ {
                    self.overwrite(dst, insn.off, insn.access_size());
                }
                for reg in insn.writes().iter() {
                    self.set(reg, Track::Nothing);
                }
            }
            class::STX if is_own(insn.dst, dst) && insn.mode() == mode::MEM => {
                self.spill(dst, insn.off, if whole { src } else { Track::Nothing });
            }
            class::ST if is_own(insn.dst, dst) && insn.mode() == mode::MEM => {
                self.overwrite(dst, insn.off, insn.access_size());
            }
            _ => {}
        }
    }
}

impl Env<'_> {
    /// Follows pointers through a function at a depth until nothing changes, then shows `each` instruction that is
    /// reached with what is known before it. What is known is kept where jumps lead to; from there it is followed anew.
    pub(super) fn follow_frame_pointers(
        &self,
        subprog: usize,
        args: Option<&[Track; 5]>,
        outer: &[SlotTracks],
        mut each: impl FnMut(usize, &Tracks),
    ) {
        let (start, end) = (self.subprogs[subprog].start, self.subprog_end(subprog));
        let (first, last) = self.subprogs[subprog].postorder;
        let (insns, depth) = (self.insns(), outer.len());
        let mut is_head = vec![false; end - start];
        is_head[0] = true;
        for &at in &self.postorder[first..last] {
            for jump in self.jumps(at) {
                if let Some(head) = is_head.get_mut(jump.wrapping_sub(start)) {
                    *head = true;
                }
            }
        }
        let heads: Vec<usize> =
            self.postorder[first..last].iter().rev().copied().filter(|at| is_head[at - start]).collect();
        let mut index = vec![usize::MAX; end - start];
        for (i, at) in heads.iter().enumerate() {
            index[at - start] = i;
        }
        let mut known = vec![Tracks::UNVISITED; heads.len()];
        let mut dirty = vec![false; heads.len()];
        let Some(entry) = heads.iter().position(|&at| at == start) else { return };
        known[entry] = Tracks::entry(depth, args);
        dirty[entry] = true;
        // From a head on, to where the next ones begin.
        let block = |from: usize,
                     tracks: &mut Tracks,
                     meet: &mut dyn FnMut(usize, &Tracks),
                     each: &mut dyn FnMut(usize, &Tracks)| {
            let mut at = from;
            loop {
                each(at, tracks);
                tracks.step(insns[at], depth, outer);
                for jump in self.jumps(at).filter(|t| (start..end).contains(t)) {
                    meet(index[jump - start], tracks);
                }
                match insns[at].successors(at).fallthrough.filter(|&t| t < end) {
                    Some(t) if is_head[t - start] => return meet(index[t - start], tracks),
                    Some(t) => at = t,
                    None => return,
                }
            }
        };
        while dirty.contains(&true) {
            for i in 0..heads.len() {
                if !std::mem::take(&mut dirty[i]) {
                    continue;
                }
                let mut tracks = known[i].clone();
                let mut meet = |head: usize, tracks: &Tracks| {
                    if let Some(k) = known.get_mut(head) {
                        dirty[head] |= k.meet(tracks);
                    }
                };
                block(heads[i], &mut tracks, &mut meet, &mut |_, _| {});
            }
        }
        for (i, &head) in heads.iter().enumerate() {
            if known[i].regs[0] != Track::Unvisited {
                let mut tracks = known[i].clone();
                block(head, &mut tracks, &mut |_, _| {}, &mut each);
            }
        }
    }

    /// Where an instruction may jump to.
    fn jumps(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let next = self.insns()[at].successors(at).fallthrough;
        self.successors(at).skip(usize::from(next.is_some_and(|n| n < self.insns().len())))
    }

    /// What a load or store touches: the pointer, and the bytes, negative where it writes and does not read.
    pub(super) fn frame_access(insn: Insn, tracks: &Tracks) -> Option<(Track, i64)> {
        let bytes = i64::from(insn.access_size());
        let writes = match insn.class() {
            class::LDX => false,
            class::STX if insn.mode() == mode::ATOMIC => insn.imm == atomic::STORE_REL,
            class::ST | class::STX => true,
            _ => return None,
        };
        let mut track = tracks.reg(insn.memory_base()?);
        if let Track::Frame { offsets, .. } = &mut track {
            *offsets = offsets.moved(insn.off.into());
        }
        Some((track, if writes { -bytes } else { bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offs: &[i16]) -> Track {
        let offsets = offs.iter().fold(Offsets::UNKNOWN, |all, &o| all.with(Offsets::one(o)));
        Track::at(0, offsets)
    }

    #[test]
    fn paths_meet_in_what_either_may_be() {
        assert_eq!(at(&[-8]).or(at(&[-8])), at(&[-8]));
        assert_eq!(at(&[-8]).or(at(&[-16])), at(&[-16, -8]));
        assert_eq!(at(&[-8, -16, -24, -32]).or(at(&[-40])), at(&[]));
        assert_eq!(at(&[-8]).or(Track::Nothing), at(&[-8, 0]));
        assert_eq!(at(&[-8]).or(Track::at(1, Offsets::one(-8))), Track::Frames(3));
        assert_eq!(Track::Unvisited.or(at(&[-8])), at(&[-8]));
    }

    #[test]
    fn offsets_that_do_not_fit_are_not_known() {
        assert_eq!(Offsets::one(-8).moved(4), Offsets::one(-4));
        assert_eq!(Offsets::one(-8).moved(-32768), Offsets::UNKNOWN);
        assert_eq!(Offsets::one(-8).moved(1 << 40), Offsets::UNKNOWN);
    }

    #[test]
    fn whole_slots_keep_pointers() {
        let mut tracks = Tracks::entry(0, None);
        let fp = tracks.reg(R10);
        tracks.spill(fp, -16, fp);
        assert_eq!(Tracks::filled(R10, fp, -16, &tracks.slots, 0), fp);
        assert_eq!(Tracks::filled(R10, fp, -12, &tracks.slots, 0), Track::Frames(1));
        tracks.overwrite(fp, -12, 4);
        assert_eq!(Tracks::filled(R10, fp, -16, &tracks.slots, 0), Track::Nothing);
    }
}
