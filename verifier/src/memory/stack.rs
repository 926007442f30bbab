//! The stack: spills, fills and plain bytes.

use super::Access;
use crate::domain::{RegBase, RegState};
use crate::memory::access::RawBuffer;
use crate::reason::{MemoryReason, reject};
use crate::state::{Cells, StackUse};
use crate::state::{SLOT_SIZE, SlotKind, StackSlot};
use crate::{Env, Step, Stop};
use ebpfkit_abi::Feature;
use ebpfkit_abi::limits::MAX_VAR_OFF;
use ebpfkit_isa::STACK_SIZE;
use ebpfkit_isa::opcode::class;

/// Where a byte lies: slot and index in [`StackSlot::kinds`].
fn slot_and_byte(off: i64) -> (usize, usize) {
    let below = (-off - 1) as usize;
    (below / SLOT_SIZE, below % SLOT_SIZE)
}

impl StackSlot {
    /// No register is spilled here any more; its bytes stay readable as plain bytes.
    fn forget_spill(&mut self) {
        for kind in &mut self.kinds {
            if *kind == SlotKind::Spill {
                *kind = SlotKind::Misc;
            }
        }
        self.spilled = RegState::NOT_INIT;
    }

    /// Plain data is written: of a spilled register or an object, only plain bytes stay (`scrub_special_slot`).
    fn scrub(&mut self) {
        self.spilled = RegState::NOT_INIT;
        let special = matches!(
            self.kinds[SLOT_SIZE - 1],
            SlotKind::Spill | SlotKind::Dynptr | SlotKind::Iter | SlotKind::IrqFlag
        );
        if special {
            for kind in self.kinds.iter_mut().filter(|k| **k != SlotKind::Invalid) {
                *kind = SlotKind::Misc;
            }
        }
    }

    /// Bytes of the spilled register, from the slot's lowest address.
    fn spill_size(&self) -> u32 {
        self.kinds.iter().rev().take_while(|&&k| k == SlotKind::Spill).count() as u32
    }
}

/// Kinds of pointers and objects that may be spilled.
fn is_spillable(reg: &RegState) -> bool {
    !matches!(reg.ty.base, RegBase::NotInit | RegBase::Scalar | RegBase::ConstDynptr)
}

/// Where a stack access may lie, checked.
#[derive(Clone, Copy)]
struct StackRange {
    /// Frame whose stack it is.
    frame: usize,
    /// Lowest offset that the access may begin at.
    min: i64,
    /// Highest.
    max: i64,
    /// The offset is known.
    known: bool,
}

impl Env<'_> {
    /// Where an access lies, checked against the stack, which grows to hold it.
    fn stack_range(&mut self, reg: u8, off: i32, size: i32, access: Access, by_call: bool) -> Step<StackRange> {
        let r = *self.reg(reg);
        let known = r.var_off.is_const();
        let what = match access {
            _ if by_call && !self.has(Feature::StackAccessKinds) => "indirect access to",
            Access::Read => "read from",
            _ => "write to",
        };
        let (min, max) = if known {
            let at = i64::from(off).wrapping_add(r.var_off.value as i64);
            (at, at)
        } else {
            if r.smax >= MAX_VAR_OFF || r.smin <= -MAX_VAR_OFF {
                return reject(MemoryReason::StackUnbounded { access: what, reg });
            }
            (r.smin + i64::from(off), r.smax + i64::from(off))
        };
        let frame = r.frameno as usize;
        let written = self.path.state.frames.get(frame).map_or(0, |f| f.stack.allocated());
        // What was never written is no stack yet for those who may not read it.
        let below_all = self.allow_uninit_stack() && (by_call || self.has(Feature::UnwrittenStack));
        let readable = if access == Access::Read && !below_all { written } else { STACK_SIZE };
        let lowest = -(readable as i64);
        let below = min < lowest || min > -1;
        let above = max.checked_add(size.into()).is_none_or(|end| end > 0);
        if below || above || size < 0 {
            if !known {
                let (var_off, off) = self.shown_offset(&r, off);
                return reject(MemoryReason::StackVariable { access: what, reg, var_off, off, size });
            }
            if below {
                return reject(MemoryReason::OutsideStack { access: what, reg, off: off.into(), size });
            }
            return reject(MemoryReason::BeyondStack { access: what, reg, off, size });
        }
        if frame >= self.path.state.frames.len() {
            return Err(Stop::unsupported("a pointer into the stack of a function that has returned"));
        }
        let depth = (-min) as usize;
        if self.path.state.frame(frame).stack.allocated() < depth {
            self.path.state.frame_mut(frame).stack.grow(depth);
        }
        let subprog = self.path.state.frame(frame).subprog as usize;
        let info = &mut self.subprogs[subprog];
        info.stack_depth = info.stack_depth.max((depth as u32).next_multiple_of(SLOT_SIZE as u32));
        Ok(StackRange { frame, min, max, known })
    }

    /// The parts of an offset as messages show them, of a pointer that is accessed at `off`, its fixed part included.
    fn shown_offset(&self, r: &RegState, off: i32) -> (String, i32) {
        if self.has(Feature::WholeOffsets) {
            return (self.bits(r.folded().var_off), off.wrapping_sub(r.off));
        }
        (self.bits(r.var_off), off)
    }

    /// Kind of a stack byte.
    fn stack_byte(&self, frame: usize, off: i64) -> SlotKind {
        let (slot, byte) = slot_and_byte(off);
        self.path.state.frame(frame).stack.slots[slot].kinds[byte]
    }

    /// Stores a register (or, without one, an immediate or an unknown value) to the stack.
    pub(super) fn stack_write(&mut self, reg: u8, off: i32, size: u32, value_reg: Option<u8>) -> Step {
        let StackRange { frame, min: at, known, max } =
            self.stack_range(reg, off, size as i32, Access::Write, false)?;
        if !known {
            return self.stack_write_variable(frame, at, max + i64::from(size), value_reg);
        }
        let (slot, first) = slot_and_byte(at);
        let value = value_reg.map(|r| *self.reg(r));
        self.guard_stack_write(slot, frame, first, size, value.as_ref())?;
        self.destroy_dynptr_slot(frame, slot)?;
        self.check_fastcall_contract(self.path.state.frame(frame).subprog as usize, at);
        self.tables.trace.slot(slot);
        let insn = self.insn();
        let stored_imm = (value_reg.is_none() && insn.class() == class::ST).then_some(insn.imm);
        if let Some(r) = value_reg
            && self.reg(r).is_scalar()
            && self.bpf_capable()
            && at % 8 == 0
            && self.reg(r).width() <= size * 8
            && self.has(Feature::IdsOnSpill)
        {
            self.assign_scalar_id_before_mov(r);
        }
        let value = value_reg.map(|r| *self.reg(r));
        let numbers_spill = |v: &RegState| {
            let bounded = self.has(Feature::SpillsUnbounded) || !v.is_unbounded();
            bounded && (self.has(Feature::ZeroSpills) || !v.is_null())
        };
        let spilled = match (value, stored_imm) {
            (Some(v), _) if v.is_scalar() && at % 8 == 0 && self.bpf_capable() && numbers_spill(&v) => {
                let fits = if self.has(Feature::IdsOnSpill) { v.width() <= size * 8 } else { size == 8 };
                Some(RegState { id: if fits { v.id } else { 0 }, ..v })
            }
            (Some(v), _) if is_spillable(&v) => {
                if size as usize != SLOT_SIZE || at % 8 != 0 {
                    return reject(MemoryReason::SpillSize {});
                }
                if frame != self.path.state.curframe() && v.ty.base == RegBase::Stack {
                    return reject(MemoryReason::SpillToCaller {});
                }
                Some(v)
            }
            (None, Some(imm)) if at % 8 == 0 && self.bpf_capable() && (imm != 0 || self.has(Feature::ZeroSpills)) => {
                Some(RegState::known(i64::from(imm) as u64))
            }
            _ => None,
        };
        let is_zero = value.is_some_and(|v| v.is_null()) || stored_imm == Some(0);
        if size as usize == SLOT_SIZE && at % 8 == 0 {
            self.mark_stack_write(frame, 1 << slot);
        } else if size as usize == SLOT_SIZE {
            // Of what lies across two slots, kernels that follow reads take the first for written.
            self.path.state.parentage.write(frame, Cells::new(0, 1 << slot));
        }
        if spilled.is_some() {
            self.push_history(StackUse::access(frame, slot), 0)?;
        } else if is_zero && let Some(r) = value_reg {
            // Zeros are not followed backwards.
            self.mark_chain_precision(r)?;
        }
        let slots = &mut self.path.state.frame_mut(frame).stack.slots;
        if let Some(v) = spilled {
            let s = &mut slots[slot];
            s.forget_spill();
            s.spilled = v;
            for (i, kind) in s.kinds.iter_mut().enumerate() {
                if i >= SLOT_SIZE - size as usize {
                    *kind = SlotKind::Spill;
                } else if !matches!(kind, SlotKind::Zero | SlotKind::Invalid) {
                    *kind = SlotKind::Misc;
                }
            }
            return Ok(());
        }
        let kind = if is_zero { SlotKind::Zero } else { SlotKind::Misc };
        for i in 0..i64::from(size) {
            let (slot, byte) = slot_and_byte(at + i);
            if i == 0 || byte == SLOT_SIZE - 1 {
                slots[slot].scrub();
            }
            slots[slot].kinds[byte] = kind;
        }
        Ok(())
    }

    /// Without privileges, a spilled pointer is overwritten as a whole or not at all. A store that speculation could
    /// pass, so that a later load still sees what lay there before, gets a barrier.
    fn guard_stack_write(
        &mut self,
        slot: usize,
        frame: usize,
        first: usize,
        size: u32,
        value: Option<&RegState>,
    ) -> Step {
        let s = &self.path.state.frame(frame).stack.slots[slot];
        if !self.allow_ptr_leaks() && s.is_spill() && !s.spilled.is_scalar() && size as usize != SLOT_SIZE {
            return reject(MemoryReason::CorruptSpill {});
        }
        if !self.bypass_spec() {
            let plain = |i: u32| {
                matches!(s.kinds[(SLOT_SIZE + first - i as usize) % SLOT_SIZE], SlotKind::Misc | SlotKind::Zero)
            };
            if value.is_some_and(is_spillable) || !(0..size).all(plain) {
                self.aux[self.path.insn_idx].nospec_result = true;
            }
        }
        Ok(())
    }

    /// Speculation cannot be kept from the stack at a place that is not known.
    fn refuse_variable_stack(&self, reg: u8) -> Step {
        reject(MemoryReason::StackVariableUnprivileged { reg, var_off: self.bits(self.reg(reg).var_off) })
    }

    /// A store to somewhere in `from..to`: what lay there may be gone or not.
    fn stack_write_variable(&mut self, frame: usize, from: i64, to: i64, value_reg: Option<u8>) -> Step {
        let (insn, insn_idx, leaks_ok) = (self.insn(), self.path.insn_idx, self.allow_ptr_leaks());
        let writes_zero = match value_reg {
            Some(r) => self.reg(r).is_null(),
            None => insn.class() == class::ST && insn.imm == 0,
        };
        let mut zero_used = false;
        for at in from..to {
            self.destroy_dynptr_slot(frame, slot_and_byte(at).0)?;
        }
        self.check_fastcall_contract(self.path.state.frame(frame).subprog as usize, from);
        for at in from..to {
            let (slot, byte) = slot_and_byte(at);
            self.tables.trace.slot(slot);
            let s = &mut self.path.state.frame_mut(frame).stack.slots[slot];
            let kind = s.kinds[byte];
            // What may or may not be overwritten would be readable afterwards.
            if !leaks_ok && !matches!(kind, SlotKind::Misc | SlotKind::Zero) {
                return reject(MemoryReason::StackWriteOverSpill { insn: insn_idx, off: at });
            }
            if writes_zero && kind == SlotKind::Spill && s.is_scalar_spill() && s.spilled.is_null() {
                zero_used = true;
                continue;
            }
            s.scrub();
            let stays_zero = writes_zero && s.kinds[byte] == SlotKind::Zero;
            zero_used |= stays_zero;
            s.kinds[byte] = if stays_zero { SlotKind::Zero } else { SlotKind::Misc };
        }
        match value_reg {
            // Zeros are not followed backwards.
            Some(r) if zero_used => self.mark_chain_precision(r),
            _ => Ok(()),
        }
    }

    /// Loads from the stack into a register, if one is given.
    pub(super) fn stack_read(&mut self, reg: u8, off: i32, size: u32, value_reg: Option<u8>) -> Step {
        let StackRange { frame, min: at, max, known } = self.stack_range(reg, off, size as i32, Access::Read, false)?;
        if !known && value_reg.is_some() && !self.bypass_spec() {
            return self.refuse_variable_stack(reg);
        }
        if !known {
            let Some(v) = value_reg else {
                let var_off = self.bits(self.reg(reg).var_off);
                return reject(MemoryReason::StackVariableOperand { var_off, off, size: size as i32 });
            };
            self.check_stack_buffer(reg, off, size as i32, Access::Read, false, None)?;
            self.check_fastcall_contract(self.path.state.frame(frame).subprog as usize, at);
            let end = max + i64::from(size);
            let spilled_zeros = self.has(Feature::VariableZeroFills);
            let is_spilled_zero = |env: &Self, b: i64| {
                let s = &env.path.state.frame(frame).stack.slots[slot_and_byte(b).0];
                spilled_zeros
                    && s.kinds[slot_and_byte(b).1] == SlotKind::Spill
                    && s.is_scalar_spill()
                    && s.spilled.is_null()
            };
            let is_zero = |&b: &i64| self.stack_byte(frame, b) == SlotKind::Zero || is_spilled_zero(self, b);
            let zeros = (at..end).take_while(is_zero).count() as i64;
            let zero = zeros == end - at;
            for b in at..end.min(at + zeros + 1) {
                self.tables.trace.slot(slot_and_byte(b).0);
            }
            if zero {
                let mut slots: Vec<usize> =
                    (at..end).filter(|&b| is_spilled_zero(self, b)).map(|b| slot_and_byte(b).0).collect();
                slots.dedup();
                self.mark_reg_known_zero(v);
                for slot in slots {
                    self.mark_slot_precise(frame, slot)?;
                }
            } else {
                self.mark_reg_unknown(v);
            }
            return Ok(());
        }
        let (slot, _) = slot_and_byte(at);
        self.tables.trace.slot(slot);
        self.check_fastcall_contract(self.path.state.cur().subprog as usize, at);
        self.mark_stack_read(frame, 1 << slot);
        let s = self.path.state.frame(frame).stack.slots[slot];
        let spill_size = s.spill_size();
        if s.is_spill() && (size != 8 || spill_size != 8) && !s.spilled.is_scalar() {
            return reject(MemoryReason::FillSize {});
        }
        if s.is_spill() && value_reg.is_none() && (size != 8 || spill_size != 8) {
            // A part of a number, which an atomic operation reads without giving it to a register.
            return Ok(());
        }
        let narrow = self.has(Feature::NarrowFills);
        let fills = s.is_spill() && at % 8 == 0 && (size == spill_size || narrow && size < spill_size);
        if fills {
            if let Some(r) = value_reg {
                let cut = s.spilled.is_scalar() && s.spilled.width() > size * 8;
                *self.reg_mut(r) = RegState { id: if cut { 0 } else { s.spilled.id }, ..s.spilled };
            } else if !s.spilled.is_scalar() && !self.allow_ptr_leaks() {
                return reject(MemoryReason::StackLeak { off: at });
            }
            return self.push_history(StackUse::access(frame, slot), 0);
        }
        let (mut zeros, mut spills) = (0, 0);
        for i in 0..size {
            let (slot, byte) = slot_and_byte(at + i64::from(i));
            match self.path.state.frame(frame).stack.slots[slot].kinds[byte] {
                SlotKind::Misc => {}
                SlotKind::Zero => zeros += 1,
                SlotKind::Spill => spills += 1,
                SlotKind::Invalid if self.allow_uninit_stack() => {}
                _ => return reject(MemoryReason::StackRead { off: at, at: i, size }),
            }
        }
        if let Some(r) = value_reg {
            let spilled_zeros = spills == size && s.spilled.is_null() && self.has(Feature::ZeroSpills);
            if zeros == size || spilled_zeros {
                self.mark_reg_known_zero(r);
                if spilled_zeros {
                    self.push_history(StackUse::access(frame, slot), 0)?;
                }
            } else {
                self.mark_reg_unknown(r);
            }
        }
        Ok(())
    }

    /// A call reads or writes a buffer on the stack: all bytes that it may touch must be initialised
    /// (`check_stack_range_initialized`). A write may put anything there. An output buffer in `raw` need not be
    /// initialised; it is marked as written by the caller of this check.
    pub(super) fn check_stack_buffer(
        &mut self,
        reg: u8,
        off: i32,
        size: i32,
        access: Access,
        zero_size_allowed: bool,
        raw: Option<&mut RawBuffer>,
    ) -> Step {
        if size == 0 && !zero_size_allowed {
            return reject(MemoryReason::ZeroSizedRead {});
        }
        let written = self.path.state.frames.get(self.reg(reg).frameno as usize).map_or(0, |f| f.stack.allocated());
        let StackRange { frame, min, max, known } = self.stack_range(reg, off, size, access, true)?;
        if !known && !self.bypass_spec() {
            return self.refuse_variable_stack(reg);
        }
        let end = max + i64::from(size);
        // At a place that is not known, part of the buffer would stay as it is.
        if let Some(raw) = raw.filter(|_| known) {
            let overwrites = self.has(Feature::DynptrsInBuffers);
            for at in (min..end).filter(|_| !overwrites) {
                if self.stack_byte(frame, at) == SlotKind::Dynptr {
                    return reject(crate::reason::ObjectReason::DynptrInBuffer { off: at });
                }
            }
            *raw = RawBuffer { reg, access_size: size };
            return Ok(());
        }
        let clobbers = access == Access::Write;
        let whole = self.has(Feature::UnwrittenStack);
        let below = |at: i64| !whole && at < -(written as i64);
        for at in min..end {
            let (slot, byte) = slot_and_byte(at);
            let s = &self.path.state.frame(frame).stack.slots[slot];
            let readable = match s.kinds[byte] {
                SlotKind::Misc | SlotKind::Zero => true,
                SlotKind::Invalid if below(at) => false,
                SlotKind::Invalid if self.allow_uninit_stack() => true,
                _ => s.is_spill() && (s.spilled.is_scalar() || self.allow_ptr_leaks()),
            };
            if !readable {
                if known {
                    return reject(MemoryReason::StackReadByCall { reg, off: min, at: (at - min) as i32, size });
                }
                let var_off = self.bits(self.reg(reg).var_off);
                return reject(MemoryReason::StackReadVariable { reg, var_off, at: at - min, size });
            }
            if clobbers {
                let unknown = self.unknown_scalar();
                let s = &mut self.path.state.frame_mut(frame).stack.slots[slot];
                match s.kinds[byte] {
                    SlotKind::Misc => {}
                    SlotKind::Zero | SlotKind::Invalid => s.kinds[byte] = SlotKind::Misc,
                    _ => {
                        s.spilled = unknown;
                        for kind in s.kinds.iter_mut().filter(|k| **k != SlotKind::Invalid) {
                            *kind = SlotKind::Misc;
                        }
                    }
                }
            }
            self.mark_stack_read(frame, 1 << slot);
        }
        Ok(())
    }
}
