//! Arithmetic on pointers: which kinds take which offsets, and how far a pointer may stray.

use crate::domain::reg_type_str;
use crate::domain::{RegBase, RegExtra, RegState, RegType};
use crate::log::insn::alu_str;
use crate::reason::{ScalarReason, reject};
use crate::scalar::sanitize::Masking;
use crate::{Env, Step};
use ebpfkit_abi::Feature;
use ebpfkit_abi::TypeFlags;
use ebpfkit_abi::limits::MAX_VAR_OFF;
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{alu, class};

/// Whether a value or pointer stays within the distance that pointers may have from their base.
fn check_sane_offset(reg: &RegState, ty: RegType) -> Step {
    let far = |v: i64| v >= MAX_VAR_OFF || v <= -MAX_VAR_OFF;
    let value = reg.var_off.value as i64;
    if reg.var_off.is_const() && far(value) {
        return reject(ScalarReason::PointerMathTooFar { kind: reg_type_str(ty), value });
    }
    if far(reg.off.into()) {
        return reject(ScalarReason::PointerOffsetTooFar { kind: reg_type_str(ty), off: reg.off.into() });
    }
    if reg.smin == i64::MIN {
        return reject(ScalarReason::PointerMathUnbounded { kind: reg_type_str(ty) });
    }
    if far(reg.smin) {
        return reject(ScalarReason::PointerOutOfBounds { kind: reg_type_str(ty), value: reg.smin });
    }
    Ok(())
}

/// The same for a pointer whose offset is one.
fn check_sane_whole(ptr: &RegState, ty: RegType) -> Step {
    let far = |v: i64| v >= MAX_VAR_OFF || v <= -MAX_VAR_OFF;
    let whole = ptr.folded();
    let value = whole.var_off.value as i64;
    let wrong = if whole.var_off.is_const() && far(value) { Some(value) } else { Some(whole.smin).filter(|v| far(*v)) };
    match wrong {
        Some(off) => reject(ScalarReason::PointerOffsetTooFar { kind: reg_type_str(ty), off }),
        None => Ok(()),
    }
}

/// The sum or difference with a constant, when it fits the fixed offset.
fn fixed_offset(ptr: &RegState, delta: i64, op: u8) -> Option<i32> {
    let off = i64::from(ptr.off);
    let sum = if op == alu::ADD { off.wrapping_add(delta) } else { off.wrapping_sub(delta) };
    i32::try_from(sum).ok()
}

/// Adds a variable offset; a packet pointer gets a new base.
fn add_variable(dst: &mut RegState, ptr: &RegState, off: &RegState) {
    (dst.smin, dst.smax) = match (ptr.smin.checked_add(off.smin), ptr.smax.checked_add(off.smax)) {
        (Some(lo), Some(hi)) => (lo, hi),
        _ => (i64::MIN, i64::MAX),
    };
    (dst.umin, dst.umax) = match (ptr.umin.checked_add(off.umin), ptr.umax.checked_add(off.umax)) {
        (Some(lo), Some(hi)) => (lo, hi),
        _ => (0, u64::MAX),
    };
    dst.var_off = ptr.var_off.add(off.var_off);
}

/// Subtracts a variable offset.
fn sub_variable(dst: &mut RegState, ptr: &RegState, off: &RegState) {
    (dst.smin, dst.smax) = match (ptr.smin.checked_sub(off.smax), ptr.smax.checked_sub(off.smin)) {
        (Some(lo), Some(hi)) => (lo, hi),
        _ => (i64::MIN, i64::MAX),
    };
    (dst.umin, dst.umax) = if ptr.umin < off.umax {
        (0, u64::MAX)
    } else {
        (ptr.umin.wrapping_sub(off.umax), ptr.umax.wrapping_sub(off.umin))
    };
    dst.var_off = ptr.var_off.sub(off.var_off);
}

impl Env<'_> {
    /// Adds a number to a pointer or subtracts it; `ptr_is_dst` tells on which side the pointer stands
    /// (`adjust_ptr_min_max_vals`).
    pub(super) fn adjust_pointer(&mut self, insn: Insn, ptr: RegState, off: RegState, ptr_is_dst: bool) -> Step {
        let (op, reg) = (insn.op(), insn.dst);
        let known = off.var_off.is_const();
        if known && (off.smin != off.smax || off.umin != off.umax) || off.smin > off.smax || off.umin > off.umax {
            // Bounds that contradict each other come from branches that are never taken.
            *self.reg_mut(reg) = self.unknown_scalar();
            return Ok(());
        }
        if insn.class() != class::ALU64 {
            if op == alu::SUB && self.allow_ptr_leaks() {
                *self.reg_mut(reg) = self.unknown_scalar();
                return Ok(());
            }
            return reject(ScalarReason::PointerArithmetic32 { reg });
        }
        if ptr.ty.may_be_null() {
            return reject(ScalarReason::PointerArithmeticNull { reg, kind: self.kind_name(ptr.ty) });
        }
        if ptr.ty.base == RegBase::Mem && ptr.ty.has(TypeFlags::UNTRUSTED) {
            // Reads through it are probed wherever they go.
            return Ok(());
        }
        let allowed = match ptr.ty.base {
            RegBase::Ctx
            | RegBase::MapValue
            | RegBase::MapKey
            | RegBase::Stack
            | RegBase::PacketMeta
            | RegBase::Packet
            | RegBase::TpBuffer
            | RegBase::BtfId
            | RegBase::Mem
            | RegBase::Buf
            | RegBase::Func
            | RegBase::ConstDynptr => true,
            RegBase::FlowKeys => known || !self.has(Feature::FlowKeysAtKnownOffsets),
            RegBase::ConstMap => false,
            _ => return reject(ScalarReason::PointerArithmeticKind { reg, kind: self.kind_name(ptr.ty) }),
        };
        let adds_nothing = known && off.smin == 0 && op == alu::ADD;
        if !allowed && !adds_nothing {
            return reject(ScalarReason::PointerArithmeticKind { reg, kind: self.kind_name(ptr.ty) });
        }
        check_sane_offset(&off, ptr.ty)?;
        let whole = self.has(Feature::WholeOffsets);
        let check_sane = if whole { check_sane_whole } else { check_sane_offset };
        check_sane(&ptr, ptr.ty)?;

        let mut masking = Masking::default();
        if matches!(op, alu::ADD | alu::SUB) {
            self.sanitize_pointer(insn, &ptr, &off, ptr_is_dst, &mut masking)?;
        }
        let mut dst = ptr;
        if !ptr_is_dst && (ptr.ref_obj_id, ptr.frameno) != (off.ref_obj_id, off.frameno) {
            // Linux 6.18 forgets on which reference and on whose frame the pointer rests.
            if !self.sees(Feature::FramesOfMovedPointers) {
                (dst.ref_obj_id, dst.frameno) = (off.ref_obj_id, off.frameno);
            }
        }
        dst.set_unbounded32();
        // An offset that is one is kept as the fixed part while it is known, and in the variable part from then on.
        let fixed = known && (!whole || ptr.var_off.is_const());
        let from = if whole { ptr.folded() } else { ptr };
        match op {
            alu::ADD => match fixed_offset(&ptr, off.smin, op).filter(|_| fixed) {
                Some(o) => dst.off = o,
                None => {
                    add_variable(&mut dst, &from, &off);
                    dst.off = from.off;
                    if ptr.is_pkt() && (!whole || !known) {
                        dst.id = self.new_id();
                        dst.extra = RegExtra::Range(0);
                    }
                }
            },
            alu::SUB => {
                if !ptr_is_dst {
                    return reject(ScalarReason::ScalarMinusPointer { reg });
                }
                if ptr.ty == RegType::of(RegBase::Stack) {
                    return reject(ScalarReason::StackPointerSub { reg });
                }
                match fixed_offset(&ptr, off.smin, op).filter(|_| fixed) {
                    Some(o) => dst.off = o,
                    None => {
                        sub_variable(&mut dst, &from, &off);
                        dst.off = from.off;
                        if ptr.is_pkt() && (!whole || !known) {
                            dst.id = self.new_id();
                            if off.smin < 0 {
                                dst.extra = RegExtra::Range(0);
                            }
                        }
                    }
                }
            }
            alu::AND | alu::OR | alu::XOR => {
                return reject(ScalarReason::PointerBitwise { reg, op: alu_str(op) });
            }
            _ => return reject(ScalarReason::PointerOperator { reg, op: alu_str(op) }),
        }
        if dst.range() < 0 && self.has(Feature::MovedFromPacketEnd) {
            dst.extra = RegExtra::Range(0);
        }
        check_sane(&dst, ptr.ty)?;
        // Where a packet pointer keeps what checks have proved, its greatest offset is the one that was checked.
        let untightened = ptr.is_pkt() && self.has(Feature::PacketsUntightened);
        if untightened && (known || dst.range() > 0) {
            dst.bounds32_from_tnum();
        } else {
            self.numbers().sync(&mut dst);
        }
        self.check_sanitized_bounds(insn, &dst)?;
        if matches!(op, alu::ADD | alu::SUB) {
            self.sanitize_moved_pointer(insn, &dst, &off, &masking)?;
        }
        *self.reg_mut(reg) = dst;
        Ok(())
    }
}
