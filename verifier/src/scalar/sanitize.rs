//! Arithmetic of programs without privileges: what can be masked against speculation, and what is refused because it
//! cannot be.

use crate::domain::{RegBase, RegState, RegType};
use crate::reason::{ScalarReason, reject};
use crate::{Env, Step, Stop};
use ebpfkit_isa::Insn;
use ebpfkit_isa::STACK_SIZE;
use ebpfkit_isa::opcode::alu;

const SANITIZE_SRC: u8 = 1 << 0;
const SANITIZE_DST: u8 = 1 << 1;
const NEG_VALUE: u8 = 1 << 2;
const NON_POINTER: u8 = 1 << 3;
const IMMEDIATE: u8 = 1 << 4;

/// What is known of the masking before the pointer moves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Masking {
    state: u8,
    limit: u32,
    mask_to_left: bool,
}

fn op_name(insn: Insn) -> &'static str {
    if insn.op() == alu::ADD { "add" } else { "sub" }
}

impl Env<'_> {
    fn skips_sanitation(&self, insn: Insn) -> bool {
        self.bypass_spec() || !insn.is_src_reg() || self.aux[self.path.insn_idx].nospec
    }

    /// All paths must agree on how the instruction is masked.
    fn agree_on_masking(&mut self, insn: Insn, state: u8, limit: u32) -> Step {
        let aux = &mut self.aux[self.path.insn_idx];
        if aux.alu_sanitize != 0 && (aux.alu_sanitize != state || aux.alu_limit != limit) {
            return reject(ScalarReason::SanitizePaths { reg: insn.dst, op: op_name(insn) });
        }
        (aux.alu_sanitize, aux.alu_limit) = (state, limit);
        Ok(())
    }

    /// Numbers need no masking, but then no path may bring a pointer here.
    pub(super) fn sanitize_scalar(&mut self, insn: Insn) -> Step {
        if self.skips_sanitation(insn) {
            return Ok(());
        }
        self.agree_on_masking(insn, NON_POINTER, 0)
    }

    /// How far the pointer may go in the direction of the mask.
    fn pointer_limit(&self, insn: Insn, ptr: &RegState, ptr_is_dst: bool, left: bool) -> Step<u32> {
        let fixed = i64::from(ptr.off);
        let (most, limit) = if ptr.ty == RegType::of(RegBase::Stack) {
            (STACK_SIZE as u32 + u32::from(left), (ptr.var_off.value as i64).wrapping_add(fixed).wrapping_neg() as u32)
        } else if let (true, Some(map)) = (ptr.ty == RegType::of(RegBase::MapValue), ptr.map()) {
            let edge = if left { ptr.smin } else { ptr.umax as i64 };
            let size = self.maps.get(map as usize).map_or(0, |m| m.def.value_size);
            (size, edge.wrapping_add(fixed) as u32)
        } else {
            let reg = if ptr_is_dst { insn.dst } else { insn.src };
            return reject(ScalarReason::SanitizeKind { reg });
        };
        if limit >= most {
            return reject(ScalarReason::SanitizeLimit { reg: insn.dst, op: op_name(insn) });
        }
        Ok(limit)
    }

    /// Before the pointer moves: chooses the mask, and explores what happens when a mispredicted branch makes the
    /// masked offset zero.
    pub(super) fn sanitize_pointer(
        &mut self,
        insn: Insn,
        ptr: &RegState,
        off: &RegState,
        ptr_is_dst: bool,
        masking: &mut Masking,
    ) -> Step {
        if self.skips_sanitation(insn) {
            return Ok(());
        }
        let off_is_imm = off.var_off.is_const();
        if !self.path.state.speculative {
            let negative = off.smin < 0;
            if !off_is_imm && negative != (off.smax < 0) {
                let reg = if ptr_is_dst { insn.src } else { insn.dst };
                return reject(ScalarReason::SanitizeBounds { reg });
            }
            masking.mask_to_left = if insn.op() == alu::ADD { negative } else { !negative };
            self.tables.walk.strict_numbers |= !off_is_imm;
            masking.limit = self.pointer_limit(insn, ptr, ptr_is_dst, masking.mask_to_left)?;
            masking.state = if negative { NEG_VALUE } else { 0 }
                | if off_is_imm { IMMEDIATE } else { 0 }
                | if ptr_is_dst { SANITIZE_SRC } else { SANITIZE_DST };
        }
        if off_is_imm {
            return Ok(());
        }
        let saved = *self.reg(insn.dst);
        *self.reg_mut(insn.dst) = *ptr;
        if ptr_is_dst {
            // It has lost its 32-bit bounds already.
            self.reg_mut(insn.dst).set_unbounded32();
        }
        let (next, here) = (self.path.insn_idx + 1, self.path.insn_idx);
        let pushed = self.push_branch(next, here, true, |_, _| ());
        *self.reg_mut(insn.dst) = saved;
        pushed
    }

    /// After the pointer moved: the mask shrinks to the distance that is left.
    pub(super) fn sanitize_moved_pointer(
        &mut self,
        insn: Insn,
        moved: &RegState,
        _off: &RegState,
        masking: &Masking,
    ) -> Step {
        if self.skips_sanitation(insn) || self.path.state.speculative {
            return Ok(());
        }
        let limit = self.pointer_limit(insn, moved, true, masking.mask_to_left)?;
        let limit = (masking.limit.wrapping_sub(limit) as i32).unsigned_abs();
        self.agree_on_masking(insn, masking.state, limit)
    }

    /// Without privileges a pointer must stay inside its object even before it is used.
    pub(super) fn check_sanitized_bounds(&mut self, insn: Insn, dst: &RegState) -> Step {
        if self.bypass_spec() {
            return Ok(());
        }
        let reg = insn.dst;
        if dst.ty == RegType::of(RegBase::Stack) {
            if !dst.var_off.is_const() {
                let off = dst.off.wrapping_add(dst.var_off.value as i32);
                return reject(ScalarReason::SanitizeStackVariable { reg, var_off: dst.var_off, off });
            }
            let off = i64::from(dst.off).wrapping_add(dst.var_off.value as i64);
            if !(-(STACK_SIZE as i64)..0).contains(&off) {
                return reject(ScalarReason::SanitizeStackRange { reg, off: off as i32 });
            }
        } else if dst.ty == RegType::of(RegBase::MapValue) {
            let saved = std::mem::replace(self.reg_mut(reg), *dst);
            let access = self.check_helper_map_value(reg, dst.off, 1);
            *self.reg_mut(reg) = saved;
            match access {
                Err(Stop::Reject(why)) => {
                    return reject(ScalarReason::SanitizeMapValueRange { detail: why.to_string(), reg });
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// A branch that is never taken may still be run by speculation: explores it with unknown operands.
    pub(super) fn explore_speculatively(&mut self, insn: Insn, target: usize) -> Step {
        let here = self.path.insn_idx;
        self.push_branch(target, here, true, |env, state| {
            let unknown = env.unknown_scalar();
            *state.reg_mut(insn.dst) = unknown;
            if insn.is_src_reg() {
                *state.reg_mut(insn.src) = unknown;
            }
        })
    }
}
