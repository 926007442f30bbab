//! Which slots of a saved state are alive.

use super::{Instance, Liveness};
use crate::program::{InsnAux, SubprogInfo};
use crate::state::VerifierState;

fn before(instance: &Instance, insn: usize, frame: usize) -> u64 {
    let masks = instance.masks[frame].as_ref();
    masks.and_then(|m| m.get(insn.wrapping_sub(instance.start))).map_or(0, |m| m.live_before)
}

/// Slots of frame number `frame` that may be read by the current function from here on, or by a caller once the
/// functions it has called return. A call that runs a callback may run it again.
pub(super) fn live_slots(
    liveness: &mut Liveness,
    state: &VerifierState,
    frame: usize,
    subprogs: &[SubprogInfo],
    aux: &[InsnAux],
) -> u64 {
    let top = state.curframe();
    let instance = liveness.instance(&state.frames, top, subprogs);
    let mut live = before(&liveness.instances[instance], state.insn_idx, frame);
    for depth in frame..top {
        let callsite = state.frames[depth + 1].callsite.max(0) as usize;
        let from = if aux[callsite].calls_callback { callsite } else { callsite + 1 };
        let instance = liveness.instance(&state.frames, depth, subprogs);
        live |= before(&liveness.instances[instance], from, frame);
    }
    live
}
