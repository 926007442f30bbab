//! The stack: spills, fills and plain bytes.

use super::Access;
use crate::reason::{MemoryReason, reject};
use crate::reg::{RegBase, RegState};
use crate::stack::{SLOT_SIZE, SlotKind, StackSlot};
use crate::state::StackUse;
use crate::{Env, Step, Stop};
use ebpfkit_isa::STACK_SIZE;
use ebpfkit_isa::opcode::class;

/// Where a byte lies: slot and index in [`StackSlot::kinds`].
fn place(off: i64) -> (usize, usize) {
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

    /// Bytes of the spilled register, from the slot's lowest address.
    fn spill_size(&self) -> u32 {
        self.kinds.iter().rev().take_while(|&&k| k == SlotKind::Spill).count() as u32
    }

    /// Whether an object (dynptr, iterator, interrupt flags) lies here.
    fn is_object(&self) -> bool {
        self.kinds.iter().any(|k| matches!(k, SlotKind::Dynptr | SlotKind::Iter | SlotKind::IrqFlag))
    }
}

/// Kinds of pointers and objects that may be spilled.
fn is_spillable(reg: &RegState) -> bool {
    !matches!(reg.ty.base, RegBase::NotInit | RegBase::Scalar | RegBase::ConstDynptr)
}

impl Env<'_> {
    /// The offset of an access from the frame pointer, checked against the stack; makes room there.
    pub(super) fn stack_place(&mut self, reg: u8, off: i32, size: i32, access: Access) -> Step<(usize, i64)> {
        let r = *self.reg(reg);
        if !r.var_off.is_const() {
            return Err(Stop::unsupported("variable stack offsets"));
        }
        let at = i64::from(off).wrapping_add(r.var_off.value as i64);
        let end = at.checked_add(size.into());
        if at < -(STACK_SIZE as i64) || at >= 0 && size > 0 || end.is_none_or(|e| e > 0) || size < 0 {
            let access = if access == Access::Read { "read from" } else { "write to" };
            return reject(MemoryReason::OutsideStack { access, reg, off: off.into(), size });
        }
        let frame = r.frameno as usize;
        if frame >= self.cur.frames.len() {
            return Err(Stop::unsupported("a pointer into the stack of a function that has returned"));
        }
        let depth = (-at) as usize;
        if self.cur.frame(frame).stack.allocated() < depth {
            self.cur.frame_mut(frame).stack.grow(depth);
        }
        let subprog = self.cur.frame(frame).subprog as usize;
        let info = &mut self.subprogs[subprog];
        info.stack_depth = info.stack_depth.max((depth as u32).next_multiple_of(SLOT_SIZE as u32));
        Ok((frame, at))
    }

    /// Stores a register (or, without one, an immediate or an unknown value) to the stack.
    pub(super) fn stack_write(&mut self, reg: u8, off: i32, size: u32, value_reg: Option<u8>) -> Step {
        let (frame, at) = self.stack_place(reg, off, size as i32, Access::Write)?;
        let (slot, _) = place(at);
        for s in [slot, place(at + i64::from(size) - 1).0] {
            if self.cur.frame(frame).stack.slots[s].is_object() {
                return Err(Stop::unsupported("writes over objects on the stack"));
            }
        }
        let insn = self.insn();
        let stored_imm = (value_reg.is_none() && insn.class() == class::ST).then_some(insn.imm);
        if let Some(r) = value_reg
            && self.reg(r).is_scalar()
            && at % 8 == 0
            && self.reg(r).width() <= size * 8
        {
            self.assign_scalar_id_before_mov(r);
        }
        let value = value_reg.map(|r| *self.reg(r));
        let spilled = match (value, stored_imm) {
            (Some(v), _) if v.is_scalar() && at % 8 == 0 => {
                let fits = v.width() <= size * 8;
                Some(RegState { id: if fits { v.id } else { 0 }, ..v })
            }
            (Some(v), _) if is_spillable(&v) => {
                if size as usize != SLOT_SIZE || at % 8 != 0 {
                    return reject(MemoryReason::SpillSize {});
                }
                if frame != self.cur.curframe() && v.ty.base == RegBase::Stack {
                    return reject(MemoryReason::SpillToCaller {});
                }
                Some(v)
            }
            (None, Some(imm)) if at % 8 == 0 => Some(RegState::known(i64::from(imm) as u64)),
            _ => None,
        };
        let is_zero = value.is_some_and(|v| v.is_null()) || stored_imm == Some(0);
        if size as usize == SLOT_SIZE && at % 8 == 0 {
            self.mark_stack_write(frame, 1 << slot);
        }
        if spilled.is_some() {
            self.push_history(StackUse::access(frame, slot), 0)?;
        } else if is_zero && let Some(r) = value_reg {
            // Zeros are not followed backwards.
            self.mark_chain_precision(r)?;
        }
        let uninit_ok = self.allow_ptr_leaks();
        let slots = &mut self.cur.frame_mut(frame).stack.slots;
        if let Some(v) = spilled {
            let s = &mut slots[slot];
            s.forget_spill();
            s.spilled = v;
            for (i, kind) in s.kinds.iter_mut().enumerate() {
                if i >= SLOT_SIZE - size as usize {
                    *kind = SlotKind::Spill;
                } else if *kind != SlotKind::Zero && !(uninit_ok && *kind == SlotKind::Invalid) {
                    *kind = SlotKind::Misc;
                }
            }
            return Ok(());
        }
        let kind = if is_zero { SlotKind::Zero } else { SlotKind::Misc };
        for i in 0..i64::from(size) {
            let (slot, byte) = place(at + i);
            slots[slot].forget_spill();
            slots[slot].kinds[byte] = kind;
        }
        Ok(())
    }

    /// Loads from the stack into a register, if one is given.
    pub(super) fn stack_read(&mut self, reg: u8, off: i32, size: u32, value_reg: Option<u8>) -> Step {
        let (frame, at) = self.stack_place(reg, off, size as i32, Access::Read)?;
        let (slot, _) = place(at);
        self.mark_stack_read(frame, 1 << slot);
        let s = self.cur.frame(frame).stack.slots[slot];
        let spill_size = s.spill_size();
        if s.is_spill() && (size != 8 || spill_size != 8) && !s.spilled.is_scalar() {
            return reject(MemoryReason::FillSize {});
        }
        let fills = s.is_spill() && at % 8 == 0 && size <= spill_size;
        if fills {
            if let Some(r) = value_reg {
                let cut = s.spilled.is_scalar() && s.spilled.width() > size * 8;
                *self.reg_mut(r) = RegState { id: if cut { 0 } else { s.spilled.id }, ..s.spilled };
            }
            return self.push_history(StackUse::access(frame, slot), 0);
        }
        let (mut zeros, mut spills) = (0, 0);
        for i in 0..size {
            let (slot, byte) = place(at + i64::from(i));
            match self.cur.frame(frame).stack.slots[slot].kinds[byte] {
                SlotKind::Misc => {}
                SlotKind::Zero => zeros += 1,
                SlotKind::Spill => spills += 1,
                SlotKind::Invalid if self.allow_uninit_stack() => {}
                _ => return reject(MemoryReason::StackRead { off: at, at: i, size }),
            }
        }
        if let Some(r) = value_reg {
            let spilled_zeros = spills == size && s.spilled.is_null();
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

    /// A call reads or writes a buffer on the stack. An output buffer in `raw` need not be initialised; it is marked
    /// as written by the caller of this check.
    pub(super) fn check_stack_buffer(&mut self, reg: u8, size: i32, access: Access, raw: bool) -> Step {
        let off = self.reg(reg).off;
        let (frame, at) = self.stack_place(reg, off, size, access)?;
        for i in 0..size {
            let (slot, byte) = place(at + i64::from(i));
            if !raw {
                self.mark_stack_read(frame, 1 << slot);
            }
            let s = self.cur.frame(frame).stack.slots[slot];
            if s.is_object() {
                return Err(Stop::unsupported("objects on the stack inside a buffer"));
            }
            match s.kinds[byte] {
                _ if raw => {}
                SlotKind::Misc => {}
                SlotKind::Zero | SlotKind::Spill => {}
                SlotKind::Invalid if self.allow_uninit_stack() => {}
                _ => return reject(MemoryReason::StackReadByCall { reg, off: at, at: i, size }),
            }
            if access == Access::Write && !raw {
                let s = &mut self.cur.frame_mut(frame).stack.slots[slot];
                s.forget_spill();
                if s.kinds[byte] != SlotKind::Misc {
                    s.kinds[byte] = SlotKind::Misc;
                }
            }
        }
        Ok(())
    }
}
