//! Whether a saved state allows everything that another state allows.

use crate::reg::{RegBase, RegState};
use crate::scalar::widen::SameIds;
use crate::stack::{SlotKind, Stack};
use crate::state::{FuncState, VerifierState};

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

fn reg_allows(old: &RegState, cur: &RegState, exact: bool, ids: &mut SameIds) -> bool {
    if old.ty.base == RegBase::NotInit && !exact {
        return true;
    }
    if old.ty != cur.ty || old.frameno != cur.frameno {
        return false;
    }
    let linked = |r: &RegState| if r.is_scalar() { r.id & !RegState::ADD_CONST } else { r.id };
    let same_ids = |ids: &mut SameIds| {
        (old.id == 0 && old.is_scalar() && !exact || ids.same(linked(old), linked(cur)))
            && ids.same(old.ref_obj_id, cur.ref_obj_id)
    };
    if exact {
        return old.off == cur.off
            && old.extra == cur.extra
            && range_within(old, cur)
            && range_within(cur, old)
            && same_ids(ids);
    }
    match old.ty.base {
        RegBase::Scalar => {
            let links =
                old.id == 0 || old.id & RegState::ADD_CONST == cur.id & RegState::ADD_CONST && old.off == cur.off;
            links && range_within(old, cur) && same_ids(ids)
        }
        RegBase::Packet | RegBase::PacketMeta => {
            // A negative range says on which side of the end the pointer lies; only the same says the same.
            let (o, c) = (old.range(), cur.range());
            let covers = if o < 0 || c < 0 { o == c } else { o <= c };
            covers && old.off == cur.off && range_within(old, cur) && same_ids(ids)
        }
        _ => old.off == cur.off && old.extra == cur.extra && range_within(old, cur) && same_ids(ids),
    }
}

fn stack_allows(old: &Stack, cur: &Stack, exact: bool, misc_is_any: bool, ids: &mut SameIds) -> bool {
    if exact && old.slots.len() != cur.slots.len() {
        return false;
    }
    old.slots.iter().enumerate().all(|(i, o)| {
        let c = cur.slots.get(i).copied().unwrap_or_default();
        if o.is_spill() || c.is_spill() && exact {
            return o.kinds == c.kinds && reg_allows(&o.spilled, &c.spilled, exact, ids);
        }
        o.kinds.iter().zip(c.kinds).all(|(&ok, ck)| match ok {
            _ if exact => ok == ck,
            SlotKind::Invalid => true,
            SlotKind::Misc => misc_is_any || matches!(ck, SlotKind::Misc | SlotKind::Zero),
            SlotKind::Zero => ck == SlotKind::Zero,
            // Objects on the stack must be the same ones in the same state.
            _ => ok == ck && reg_allows(&o.spilled, &c.spilled, true, ids),
        })
    })
}

fn frame_allows(
    old: &FuncState,
    cur: &FuncState,
    live: u16,
    exact: bool,
    misc_is_any: bool,
    ids: &mut SameIds,
) -> bool {
    let regs = old.regs.iter().zip(&cur.regs).enumerate();
    old.callsite == cur.callsite
        && old.subprog == cur.subprog
        && old.in_callback == cur.in_callback
        && old.in_async_callback == cur.in_async_callback
        && old.callback_depth == cur.callback_depth
        && regs.filter(|(i, _)| exact || live >> i & 1 != 0).all(|(_, (o, c))| reg_allows(o, c, exact, ids))
        && stack_allows(&old.stack, &cur.stack, exact, misc_is_any, ids)
}

/// Whether `old` allows everything that `cur` allows (or, when `exact`, nothing else either). `live` gives the
/// registers that matter in each frame; `misc_is_any` says that reading unwritten stack is allowed.
pub(super) fn allows(
    old: &VerifierState,
    cur: &VerifierState,
    exact: bool,
    misc_is_any: bool,
    live: impl Fn(usize) -> u16,
) -> bool {
    if old.frames.len() != cur.frames.len()
        || old.speculative != cur.speculative
        || old.in_sleepable != cur.in_sleepable
    {
        return false;
    }
    let mut ids = SameIds::default();
    let frames = old.frames.iter().zip(&cur.frames).enumerate();
    for (i, (o, c)) in frames {
        // r10 always matters; it is the same in all states of a frame.
        if !frame_allows(o, c, live(i) | 1 << 10, exact, misc_is_any, &mut ids) {
            return false;
        }
    }
    crate::call::refsafe(old, cur, &mut |o, c| ids.same(o, c))
}
