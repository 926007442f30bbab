//! Where a value came from: the recorded path walked backwards from where the value is used.

pub(crate) use crate::history::{Event, How, Location};
use crate::trace::Trace;
use ebpfkit_isa::opcode::{alu, class, mode};
use ebpfkit_isa::{Insn, RegSet};
use ebpfkit_verifier::state::{SLOT_SIZE, SlotKind};
use ebpfkit_verifier::{RegBase, RegState, RegType};

/// Events of a value, the last first. The last one of the list made the value.
pub(crate) fn history(trace: &Trace, insns: &[Insn], step: usize, location: Location) -> Vec<Event> {
    let Some(depth) = trace.steps.get(step).map(|s| s.depth) else { return Vec::new() };
    Walk { trace, insns, depth, location, events: Vec::new() }.run(step)
}

/// Most events of one value.
const MOST: usize = 256;

struct Walk<'a> {
    trace: &'a Trace,
    insns: &'a [Insn],
    depth: usize,
    location: Location,
    events: Vec<Event>,
}

/// Whether two states of a value say the same of it.
fn same(a: &RegState, b: &RegState) -> bool {
    a.ty == b.ty
        && a.extra == b.extra
        && a.var_off == b.var_off
        && (a.smin, a.smax, a.umin, a.umax) == (b.smin, b.smax, b.umin, b.umax)
        && (a.u32_min, a.u32_max, a.s32_min, a.s32_max) == (b.u32_min, b.u32_max, b.s32_min, b.s32_max)
}

impl Walk<'_> {
    fn add(&mut self, step: usize, how: How) {
        self.events.push(Event { step, how, location: self.location });
    }

    fn state(&self, step: usize) -> Option<RegState> {
        if self.trace.steps.get(step)?.depth != self.depth {
            return None;
        }
        let frame = self.trace.frame(step)?;
        match self.location {
            Location::Reg(r) => frame.regs.get(usize::from(r)).copied(),
            Location::Slot(off) => {
                let slot = frame.stack.slots.get(slot_index(off)?)?;
                slot.is_spill().then_some(slot.spilled)
            }
        }
    }

    fn run(mut self, from: usize) -> Vec<Event> {
        let mut step = from;
        while step > 0 && self.events.len() < MOST {
            step -= 1;
            if self.trace.steps[step].frame.is_none() {
                self.add(step, How::Unknown);
                return self.events;
            }
            if self.before(step) {
                return self.events;
            }
        }
        let how = match (self.location, self.trace.reg(0, self.reg_number())) {
            (Location::Reg(_), Some(r)) if r.ty != RegType::NOT_INIT => How::Entry,
            _ => How::NeverSet,
        };
        self.add(0, how);
        self.events
    }

    fn reg_number(&self) -> u8 {
        match self.location {
            Location::Reg(r) => r,
            Location::Slot(_) => 10,
        }
    }

    /// Looks at what a step did to the value; true where it made the value.
    fn before(&mut self, step: usize) -> bool {
        let at = &self.trace.steps[step];
        let insn = self.insns.get(at.insn).copied().unwrap_or_default();
        let next_depth = self.trace.steps.get(step + 1).map_or(at.depth, |s| s.depth);
        if at.depth < self.depth {
            return self.entered(step, insn);
        }
        if at.depth > self.depth {
            return self.in_callee(step, insn, next_depth);
        }
        match self.location {
            Location::Reg(r) if insn.writes().contains(r) => self.wrote_reg(step, insn, r),
            Location::Slot(off) => match self.wrote_slot(step, insn, off) {
                Some(made) => made,
                None => self.changed(step, insn),
            },
            Location::Reg(_) => self.changed(step, insn),
        }
    }

    /// The step called the function that the value belongs to.
    fn entered(&mut self, step: usize, insn: Insn) -> bool {
        match self.location {
            Location::Reg(r @ 1..=5) if insn.is_local_call() => {
                self.add(step, How::Passed);
                self.depth = self.trace.steps[step].depth;
                self.location = Location::Reg(r);
                return false;
            }
            Location::Reg(1..=5) => self.add(step, How::CallbackArgument),
            Location::Reg(10) => self.add(step, How::Entry),
            _ => self.add(step, How::NeverSet),
        }
        true
    }

    /// The step is inside of a function that the value's frame has called.
    fn in_callee(&mut self, step: usize, insn: Insn, next_depth: usize) -> bool {
        let kept = !matches!(self.location, Location::Reg(0..=5));
        if kept && next_depth == self.depth && self.lost_below(step) {
            return false;
        }
        match self.location {
            Location::Reg(r @ 0..=5) if next_depth == self.depth => {
                let frame = self.trace.frame(step);
                let in_callback = frame.is_some_and(|f| f.in_callback);
                let call = self.trace.previous_in(self.depth, step).unwrap_or(step);
                if r != 0 {
                    self.add(call, How::Clobbered);
                    return true;
                }
                if in_callback {
                    self.add(call, How::Result);
                    return true;
                }
                self.add(call, How::Returned);
                self.depth = self.trace.steps[step].depth;
                false
            }
            Location::Reg(_) => false,
            Location::Slot(off) => self.wrote_slot(step, insn, off).unwrap_or(false),
        }
    }

    /// Whether the value lost its kind while the function ran that ends at the step.
    fn lost_below(&mut self, step: usize) -> bool {
        let Some(call) = self.trace.previous_in(self.depth, step) else { return false };
        let (Some(old), Some(new)) = (self.state(call), self.state(step + 1)) else { return false };
        let lost = !old.is_scalar() && new.is_scalar();
        if lost {
            self.add(call, How::TakenAway);
        }
        lost
    }

    fn wrote_reg(&mut self, step: usize, insn: Insn, reg: u8) -> bool {
        let is_32 = insn.class() == class::ALU;
        match insn.class() {
            class::ALU | class::ALU64 if insn.op() == alu::MOV => {
                if !insn.is_src_reg() {
                    self.add(step, How::Constant);
                    return true;
                }
                let bits = match insn.off {
                    8 | 16 | 32 => insn.off as u32,
                    _ if is_32 => 32,
                    _ => 64,
                };
                self.add(step, if bits == 64 { How::Copied } else { How::Narrow { bits } });
                self.location = Location::Reg(insn.src);
                false
            }
            class::ALU | class::ALU64 => {
                let with = insn.is_src_reg().then_some(insn.src).filter(|_| insn.op() != alu::END);
                self.add(step, How::Computed { op: insn.op(), with, is_32 });
                // What is a pointer afterwards came from the operand that is one.
                if let (Some(with), Some(dst)) = (with, self.trace.reg(step, reg))
                    && dst.is_scalar()
                    && self.trace.reg(step, with).is_some_and(|w| !w.is_scalar() && w.ty != RegType::NOT_INIT)
                {
                    self.location = Location::Reg(with);
                }
                false
            }
            class::LDX | class::STX => {
                let base = insn.memory_base().unwrap_or(insn.src);
                let through = self.trace.reg(step, base);
                if insn.class() == class::LDX
                    && let Some(p) = through.filter(|p| p.ty == RegType::of(RegBase::Stack) && p.var_off.is_const())
                {
                    let off = i64::from(p.off) + p.var_off.value as i64 + i64::from(insn.off);
                    let whole = off % SLOT_SIZE as i64 == 0 && access_size(insn) == 8;
                    self.add(step, if whole { How::Filled } else { How::StackLoad });
                    self.location = Location::Slot(off.div_euclid(8) * 8);
                    self.depth = p.frameno as usize;
                    return false;
                }
                self.add(step, How::Loaded { base });
                true
            }
            class::LD if insn.mode() == mode::IMM => {
                self.add(step, How::Constant);
                true
            }
            _ => {
                let clobbered = reg != 0 && insn.writes() == RegSet::CALLER_SAVED;
                self.add(step, if clobbered { How::Clobbered } else { How::Result });
                true
            }
        }
    }

    /// What a store over the slot means for the value: nothing, or whether the store made it.
    fn wrote_slot(&mut self, step: usize, insn: Insn, off: i64) -> Option<bool> {
        if !matches!(insn.class(), class::ST | class::STX) {
            return None;
        }
        let p = self.trace.reg(step, insn.dst)?;
        if p.ty != RegType::of(RegBase::Stack) || p.frameno as usize != self.depth || !p.var_off.is_const() {
            return None;
        }
        let to = i64::from(p.off) + p.var_off.value as i64 + i64::from(insn.off);
        let size = access_size(insn);
        if to + size <= off || to >= off + SLOT_SIZE as i64 {
            return None;
        }
        if to != off || insn.mode() == mode::ATOMIC {
            self.add(step, How::PartlyOverwritten);
            return Some(false);
        }
        if insn.class() == class::ST {
            let whole = size == SLOT_SIZE as i64;
            self.add(step, if whole { How::Constant } else { How::PartlyOverwritten });
            return Some(whole);
        }
        self.add(step, if size == SLOT_SIZE as i64 { How::Spilled } else { How::Narrow { bits: size as u32 * 8 } });
        self.location = Location::Reg(insn.src);
        self.depth = self.trace.steps[step].depth;
        Some(false)
    }

    /// Whether what is known of the value changed although nothing wrote it.
    fn changed(&mut self, step: usize, insn: Insn) -> bool {
        if self.trace.steps.get(step + 1).is_none_or(|s| s.depth != self.depth) {
            return false;
        }
        if let (Location::Slot(off), true) = (self.location, insn.is_call()) {
            let kinds = |s: usize| Some(self.trace.frame(s)?.stack.slots.get(slot_index(off)?)?.kinds);
            let (old, new) = (kinds(step), kinds(step + 1));
            if old != new && new.is_some_and(|k| k != [SlotKind::Invalid; SLOT_SIZE]) {
                self.add(step, How::WrittenByCall);
                return true;
            }
        }
        let (Some(old), Some(new)) = (self.state(step), self.state(step + 1)) else { return false };
        if same(&old, &new) {
            return false;
        }
        if insn.is_call() {
            self.add(step, How::TakenAway);
        } else if old.ty.may_be_null() && !new.ty.may_be_null() {
            self.add(step, How::NullChecked);
        } else if insn.is_jump_class() {
            self.add(step, How::Bounded);
        }
        false
    }
}

/// Number of the slot that starts at an offset.
pub(crate) fn slot_index(off: i64) -> Option<usize> {
    usize::try_from((-off - 1).div_euclid(SLOT_SIZE as i64)).ok()
}

/// Bytes that a load or store moves.
pub(crate) fn access_size(insn: Insn) -> i64 {
    insn.access_size().into()
}
