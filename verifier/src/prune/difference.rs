//! What keeps a saved state from allowing the current one, for whoever wants to know where states multiply.

use super::compare::{
    ALL_REGS, Exactness, FrameComparison, least_precision, must_agree, reg_allows, stack_slot_allows,
};
use crate::Env;
use crate::domain::RegState;
use crate::observer::{Difference, Event, Part};
use crate::state::{SLOT_SIZE, StateId};
use crate::tables::saved::Saved;
use ebpfkit_abi::Feature;

impl Env<'_> {
    /// Tells the observer that a saved state at `insn` was compared with the current one, and of the first part that
    /// differed.
    pub(super) fn tell_compared(&mut self, id: StateId, insn: usize, how: Exactness) {
        let (mut difference, values) = self.difference(id, how);
        if let Some([old, new]) = values
            && self.observer.wants_values(insn, &difference)
        {
            let text =
                |reg: Option<RegState>| reg.map(|r| self.fmt_reg(difference.frame as u32, &r)).unwrap_or_default();
            (difference.old, difference.new) = (text(old), text(new));
        }
        self.observer.event(Event::Compared { insn, difference });
    }

    /// The first part that differs, with the values there.
    fn difference(&mut self, id: StateId, how: Exactness) -> (Difference, Option<[Option<RegState>; 2]>) {
        let misc_is_any = self.allow_uninit_stack();
        let halves = self.tables.liveness.ahead().is_some();
        let knows_live = self.has(Feature::LiveRegisterPass);
        let least = least_precision(self.tables.walk.strict_numbers, self.bpf_capable());
        let Self { tables, path, aux, .. } = self;
        let (walk, cur) = (&mut tables.walk, &path.state);
        let Saved { state: old, precise, read, .. } = walk.saved.get(id);
        let ids = &mut walk.ids;
        ids.reset(path.last_id());
        let part = |frame, part, precise| Difference { frame, part, precise, old: String::new(), new: String::new() };
        if old.frames.len() != cur.frames.len() {
            return (part(0, Part::Calls, false), None);
        }
        if !old.res.same(&cur.res, &mut |o, c| ids.same(o, c)) {
            return (part(0, Part::Resources, false), None);
        }
        for (frame, (o, c)) in old.frames.iter().zip(&cur.frames).enumerate() {
            if o.callsite != c.callsite || o.callback_depth > c.callback_depth {
                return (part(frame, Part::Calls, false), None);
            }
            let live = if knows_live { aux[old.frame_insn(frame)].live_regs_before } else { ALL_REGS };
            let (live, live_slots) = must_agree(live, read.get(frame), how);
            let by = FrameComparison { live, live_slots, precise: precise[frame], how, misc_is_any, halves, least };
            for reg in (0..11).filter(|r| live >> r & 1 != 0) {
                let (old, new) = (&o.regs[reg], &c.regs[reg]);
                let marked = by.precise.regs >> reg & 1 != 0 || old.precise;
                if !reg_allows(old, new, by.precision(marked), how, ids) {
                    return (part(frame, Part::Reg(reg as u8), marked), Some([Some(*old), Some(*new)]));
                }
            }
            for (slot, old) in o.stack.slots.iter().enumerate() {
                let new = c.stack.slots.get(slot);
                if !stack_slot_allows(slot, old, new, &by, ids) {
                    let marked = by.precise.slots >> (slot & 63) & 1 != 0;
                    let below = (slot as i32 + 1) * -(SLOT_SIZE as i32);
                    let values = [Some(old.spilled), new.map(|s| s.spilled)];
                    return (part(frame, Part::Stack(below), marked), Some(values));
                }
            }
        }
        (part(0, Part::Other, false), None)
    }
}
