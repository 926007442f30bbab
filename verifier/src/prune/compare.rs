//! Whether a saved state allows everything that the current state allows.

use crate::Env;
use crate::domain::{RegBase, RegExtra, RegState, RegType};
use crate::state::{Cells, FuncState, StateId, VerifierState};
use crate::state::{SlotKind, Stack, StackSlot};
use crate::tables::ids::{regs_exact, same_value};
use crate::tables::saved::Saved;
use crate::tables::{IdMap, Precise};
use ebpfkit_abi::Feature;

/// How closely states must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exactness {
    /// Imprecise numbers and what is not initialised do not matter: for finished states.
    NotExact,
    /// Ranges of all numbers must be within the old ones: for states inside of loops.
    RangeWithin,
    /// Nothing may differ but identities: to find loops that never end.
    Exact,
}

use Exactness::{Exact, NotExact};

/// How closely two numbers must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precision {
    /// Whatever they are: no check depends on them.
    Any,
    /// The new range within the old one.
    Within,
    /// The same.
    Same,
}

fn range_within(old: &RegState, cur: &RegState) -> bool {
    old.umin <= cur.umin
        && old.umax >= cur.umax
        && old.smin <= cur.smin
        && old.smax >= cur.smax
        && old.u32_min <= cur.u32_min
        && old.u32_max >= cur.u32_max
        && old.s32_min <= cur.s32_min
        && old.s32_max >= cur.s32_max
        && old.var_off.contains(cur.var_off)
}

fn scalar_allows(old: &RegState, cur: &RegState, ids: &mut IdMap) -> bool {
    let delta = |r: &RegState| r.id & RegState::ADD_CONST;
    // What is linked with a distance must be so in both, by the same distance.
    let links = old.id == 0 || delta(old) == delta(cur) && (delta(old) == 0 || old.off == cur.off);
    links && ids.same_scalar(old.id, cur.id) && range_within(old, cur)
}

/// Whether pointers of a kind are compared by the bounds of their offsets.
fn has_bounds(base: RegBase) -> bool {
    use RegBase as B;
    matches!(base, B::Insn | B::MapKey | B::MapValue | B::Mem | B::Buf | B::TpBuffer | B::Packet | B::PacketMeta)
}

/// A pointer whose fixed offset is in its bounds.
fn at_offset(r: &RegState) -> RegState {
    let mut whole = r.folded();
    if whole.var_off.is_const() {
        whole.set_known_bounds(whole.var_off.value);
    }
    whole
}

pub(super) fn reg_allows(old: &RegState, cur: &RegState, precise: Precision, how: Exactness, ids: &mut IdMap) -> bool {
    if how == Exact {
        return regs_exact(old, cur, ids);
    }
    if old.ty == RegType::NOT_INIT && (how == NotExact || cur.ty == RegType::NOT_INIT) {
        return true;
    }
    if old.ty != cur.ty {
        return false;
    }
    if old.off != cur.off && ids.whole_offsets && has_bounds(old.ty.base) {
        return reg_allows(&at_offset(old), &at_offset(cur), precise, how, ids);
    }
    match old.ty.base {
        RegBase::Scalar if precise == Precision::Same => same_value(old, cur) && ids.same_scalar(old.id, cur.id),
        RegBase::Scalar => precise == Precision::Any && how == NotExact || scalar_allows(old, cur, ids),
        RegBase::MapKey | RegBase::MapValue | RegBase::Mem | RegBase::Buf | RegBase::TpBuffer => {
            old.off == cur.off
                && old.extra == cur.extra
                && range_within(old, cur)
                && ids.same(old.id, cur.id)
                && ids.same(old.ref_obj_id, cur.ref_obj_id)
        }
        RegBase::Packet | RegBase::PacketMeta => {
            // A negative range says on which side of the end the pointer lies; only the same says the same.
            let (o, c) = (old.range(), cur.range());
            let covers = if o < 0 || c < 0 { o == c } else { o <= c };
            let near = !ids.keeps_distances || old.id == 0 || old.smin == cur.smin;
            covers && near && old.off == cur.off && ids.same(old.id, cur.id) && range_within(old, cur)
        }
        RegBase::Stack => regs_exact(old, cur, ids) && old.frameno == cur.frameno,
        RegBase::Arena => true,
        RegBase::Insn => old.off == cur.off && old.extra == cur.extra && range_within(old, cur),
        _ => regs_exact(old, cur, ids),
    }
}

/// The number that reading a whole slot gives, if it holds one.
fn slot_scalar(slot: &StackSlot, misc_is_any: bool) -> Option<&RegState> {
    if slot.is_scalar_spill() && slot.kinds[0] == SlotKind::Spill {
        return Some(&slot.spilled);
    }
    let misc = |k: &SlotKind| *k == SlotKind::Misc || *k == SlotKind::Invalid && misc_is_any;
    slot.kinds.iter().all(misc).then_some(&RegState::UNKNOWN)
}

fn slot_allows(
    o: &StackSlot,
    c: &StackSlot,
    precise: Precision,
    how: Exactness,
    misc_is_any: bool,
    ids: &mut IdMap,
) -> bool {
    let matters = |k: SlotKind| k != SlotKind::Invalid && !(misc_is_any && k == SlotKind::Misc);
    let Some(first) = o.kinds.iter().position(|&k| matters(k)) else { return true };
    if let (Some(old), Some(cur)) = (slot_scalar(o, misc_is_any), slot_scalar(c, misc_is_any)) {
        return reg_allows(old, cur, precise, how, ids);
    }
    for (&ok, &ck) in o.kinds.iter().zip(&c.kinds).skip(first).filter(|(o, _)| matters(**o)) {
        if ok != ck && !(ok == SlotKind::Misc && ck == SlotKind::Zero) {
            return false;
        }
    }
    let (old, cur) = (&o.spilled, &c.spilled);
    match o.kinds[7] {
        SlotKind::Spill => reg_allows(old, cur, precise, how, ids),
        SlotKind::Dynptr => old.extra == cur.extra && ids.same(old.ref_obj_id, cur.ref_obj_id),
        SlotKind::Iter => {
            let fixed = |r: &RegState| match r.extra {
                // The iteration is kept only to tell iterations apart; see the search for endless loops.
                RegExtra::Iter { btf, id, state, .. } => Some((btf, id, state)),
                _ => None,
            };
            old.ty == cur.ty && fixed(old) == fixed(cur) && ids.same(old.ref_obj_id, cur.ref_obj_id)
        }
        SlotKind::IrqFlag => ids.same(old.ref_obj_id, cur.ref_obj_id) && old.extra == cur.extra,
        SlotKind::Misc | SlotKind::Zero | SlotKind::Invalid => true,
    }
}

/// The number that reading a slot from byte `from` of its kinds on gives, if it holds one.
fn rest_scalar(slot: &StackSlot, from: usize, misc_is_any: bool) -> Option<&RegState> {
    if slot.kinds[from] == SlotKind::Spill && slot.spilled.is_scalar() {
        return Some(&slot.spilled);
    }
    let misc = |k: &SlotKind| *k == SlotKind::Misc || *k == SlotKind::Invalid && misc_is_any;
    slot.kinds[from..].iter().all(misc).then_some(&RegState::UNKNOWN)
}

/// As [`slot_allows`], in kernels that know halves of slots: where the whole is no number, the second half may be one.
fn half_slot_allows(
    o: &StackSlot,
    c: &StackSlot,
    precise: Precision,
    how: Exactness,
    misc_is_any: bool,
    ids: &mut IdMap,
) -> bool {
    let matters = |k: SlotKind| k != SlotKind::Invalid && !(misc_is_any && k == SlotKind::Misc);
    let mut at = 0;
    while at < o.kinds.len() {
        let (ok, ck) = (o.kinds[at], c.kinds[at]);
        if !matters(ok) {
            at += 1;
            continue;
        }
        if let 0 | 4 = at
            && let (Some(old), Some(cur)) = (rest_scalar(o, at, misc_is_any), rest_scalar(c, at, misc_is_any))
        {
            return reg_allows(old, cur, precise, how, ids);
        }
        if ok != ck && !(ok == SlotKind::Misc && ck == SlotKind::Zero) {
            return false;
        }
        at += 1;
    }
    // All bytes that matter are of the same kinds.
    !matters(o.kinds[7]) || o.kinds[7] != c.kinds[7] || slot_allows(o, c, precise, how, misc_is_any, ids)
}

/// The slot of a stack, which may be missing in the current one.
#[inline]
pub(super) fn stack_slot_allows(
    i: usize,
    o: &StackSlot,
    c: Option<&StackSlot>,
    by: &FrameComparison,
    ids: &mut IdMap,
) -> bool {
    let &FrameComparison { how, misc_is_any, .. } = by;
    let kinds_matter = if by.halves { how == Exact } else { how != NotExact };
    if kinds_matter && c.is_none_or(|c| c.kinds != o.kinds) {
        return false;
    }
    if by.live_slots >> (i & 63) & 1 == 0 {
        return true;
    }
    if c.is_none() && o.kinds.iter().all(|&k| k == SlotKind::Invalid || misc_is_any && k == SlotKind::Misc) {
        return true;
    }
    let Some(c) = c else { return false };
    let precise = by.precision(by.precise.slots >> (i & 63) & 1 != 0);
    if by.halves {
        return half_slot_allows(o, c, precise, how, misc_is_any, ids);
    }
    slot_allows(o, c, precise, how, misc_is_any, ids)
}

fn stack_allows(old: &Stack, cur: &Stack, by: &FrameComparison, ids: &mut IdMap) -> bool {
    old.slots.iter().enumerate().all(|(i, o)| stack_slot_allows(i, o, cur.slots.get(i), by, ids))
}

/// What comparing frames depends on besides the frames.
pub(super) struct FrameComparison {
    /// Registers that must agree.
    pub(super) live: u16,
    /// Slots that must agree.
    pub(super) live_slots: u64,
    pub(super) precise: Precise,
    pub(super) how: Exactness,
    pub(super) misc_is_any: bool,
    /// Halves of slots are compared where whole ones are no numbers.
    pub(super) halves: bool,
    /// Of numbers that no check has asked for.
    pub(super) least: Precision,
}

impl FrameComparison {
    pub(super) fn precision(&self, precise: bool) -> Precision {
        if precise { self.least.max(Precision::Within) } else { self.least }
    }
}

/// All registers.
pub(super) const ALL_REGS: u16 = 0x7ff;

/// Registers and slots of a frame that must agree, of those registers that are alive: where reads are followed, what
/// was read, unless the paths from there are not all known.
pub(super) fn must_agree(live: u16, read: Option<&Cells>, how: Exactness) -> (u16, u64) {
    match read.filter(|_| how == NotExact) {
        Some(read) => (live & read.regs(), read.slots()),
        None => (live, u64::MAX),
    }
}

fn frame_allows(old: &FuncState, cur: &FuncState, by: &FrameComparison, ids: &mut IdMap) -> bool {
    if old.callback_depth > cur.callback_depth {
        return false;
    }
    let mut live = by.live & ALL_REGS;
    while live != 0 {
        let i = live.trailing_zeros() as usize;
        live &= live - 1;
        let precise = by.precision(by.precise.regs >> i & 1 != 0 || old.regs[i].precise);
        if !reg_allows(&old.regs[i], &cur.regs[i], precise, by.how, ids) {
            return false;
        }
    }
    stack_allows(&old.stack, &cur.stack, by, ids)
}

/// How closely numbers agree that no check has asked for.
pub(super) fn least_precision(strict_numbers: bool, bpf_capable: bool) -> Precision {
    match (strict_numbers, bpf_capable) {
        (true, _) => Precision::Same,
        (false, false) => Precision::Within,
        (false, true) => Precision::Any,
    }
}

impl Saved {
    /// Whether, at a cheap look, the current frames could be exactly the same (`states_maybe_looping`).
    pub(super) fn maybe_looping(&self, cur: &VerifierState) -> bool {
        let old = &self.state;
        old.frames.len() == cur.frames.len()
            && old.cur().regs.iter().zip(&cur.cur().regs).all(|(o, c)| {
                same_value(o, c)
                    && (o.id, o.ref_obj_id) == (c.id, c.ref_obj_id)
                    && (o.ty.base != RegBase::Stack || o.frameno == c.frameno)
            })
    }
}

impl Env<'_> {
    /// Whether a saved state allows everything that the current state allows.
    pub(super) fn states_equal(&mut self, id: StateId, how: Exactness) -> bool {
        let misc_is_any = self.allow_uninit_stack();
        let halves = self.tables.liveness.ahead().is_some();
        let keeps_distances = self.has(Feature::PacketsUntightened);
        let whole_offsets = self.has(Feature::WholeOffsets);
        let knows_live = self.has(Feature::LiveRegisterPass);
        let least = least_precision(self.tables.walk.strict_numbers, self.bpf_capable());
        let Self { tables, path, aux, .. } = self;
        let (walk, cur) = (&mut tables.walk, &path.state);
        let Saved { state: old, precise, read, .. } = walk.saved.get(id);
        if old.frames.len() != cur.frames.len()
            || old.speculative && !cur.speculative
            || old.in_sleepable != cur.in_sleepable
        {
            return false;
        }
        let ids = &mut walk.ids;
        ids.reset(path.last_id());
        (ids.keeps_distances, ids.whole_offsets) = (keeps_distances, whole_offsets);
        if !old.res.same(&cur.res, &mut |o, c| ids.same(o, c)) {
            return false;
        }
        let frames = old.frames.iter().zip(&cur.frames).enumerate();
        for (i, (o, c)) in frames {
            let live = if knows_live { aux[old.frame_insn(i)].live_regs_before } else { ALL_REGS };
            let (live, live_slots) = must_agree(live, read.get(i), how);
            let by = FrameComparison { live, live_slots, precise: precise[i], how, misc_is_any, halves, least };
            if o.callsite != c.callsite || !frame_allows(o, c, &by, ids) {
                return false;
            }
        }
        true
    }
}
