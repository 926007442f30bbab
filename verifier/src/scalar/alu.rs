//! Arithmetic instructions: what the fields must be, and which rule decides the result.

use crate::domain::{RegBase, RegState, RegType};
use crate::log::insn::alu_str;
use crate::reason::{ScalarReason, reject};
use crate::scalar::operands::{DstOp, DstOpNoMark, SrcOp};
use crate::{Env, Step};
use ebpfkit_abi::{Feature, MapType};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{alu, class};

/// `off` of the move that casts between address spaces.
const ADDR_SPACE_CAST: i16 = 1;

/// Whether this works on 32 bits.
fn is_alu32(insn: Insn) -> bool {
    insn.class() != class::ALU64
}

impl Env<'_> {
    /// Verifies one ALU or ALU64 instruction and updates the destination.
    pub fn check_alu_op(&mut self, insn: Insn) -> Step {
        match insn.op() {
            alu::END | alu::NEG => self.check_unary(insn)?,
            alu::MOV => self.check_mov(insn)?,
            op if op > alu::END => return reject(ScalarReason::InvalidAluOpcode { op }),
            _ => self.check_binary(insn)?,
        }
        let mut r = *self.reg(insn.dst);
        if self.numbers().heals() && r.bounds_contradiction().is_some() {
            self.heal_bounds(&mut r, "alu")?;
            *self.reg_mut(insn.dst) = r;
        }
        Ok(())
    }

    fn check_unary(&mut self, insn: Insn) -> Step {
        let neg = insn.op() == alu::NEG;
        if neg {
            if insn.is_src_reg() || insn.src != 0 || insn.off != 0 || insn.imm != 0 {
                return reject(ScalarReason::ReservedFields { what: "BPF_NEG" });
            }
        } else if insn.src != 0
            || insn.off != 0
            || !matches!(insn.imm, 16 | 32 | 64)
            || insn.class() == class::ALU64 && (insn.is_src_reg() || !self.has(Feature::ByteSwapInstruction))
        {
            return reject(ScalarReason::ReservedFields { what: "BPF_END" });
        }
        self.check_reg_arg(insn.dst, SrcOp)?;
        if self.is_pointer_value(insn.dst) {
            return reject(ScalarReason::PointerArithmetic { reg: insn.dst });
        }
        let numbers = self.numbers();
        if neg && numbers.negates() && self.reg(insn.dst).is_scalar() {
            self.check_reg_arg(insn.dst, DstOpNoMark)?;
            let r = self.reg_mut(insn.dst);
            // The new number has nothing to do with copies of the old one.
            r.clear_scalar_id();
            r.scalar_neg();
            if is_alu32(insn) {
                r.zext_32_to_64();
            }
            numbers.sync(r);
            Ok(())
        } else if !neg && self.has(Feature::TrackedByteSwaps) && self.reg(insn.dst).is_scalar() {
            self.check_reg_arg(insn.dst, DstOpNoMark)?;
            // The modelled machines are little-endian: `le` truncates, `be` and `bswap` swap.
            let swaps = !is_alu32(insn) || insn.is_src_reg();
            self.reg_mut(insn.dst).scalar_byte_swap(insn.imm as u32 / 8, swaps);
            Ok(())
        } else {
            self.check_reg_arg(insn.dst, DstOp)
        }
    }

    fn check_mov(&mut self, insn: Insn) -> Step {
        let reserved = || reject(ScalarReason::ReservedFields { what: "BPF_MOV" });
        if insn.off != 0 && !self.is_known_move(insn) {
            return reserved();
        }
        let alu32 = is_alu32(insn);
        if insn.is_src_reg() {
            if alu32 {
                if !matches!(insn.off, 0 | 8 | 16) || insn.imm != 0 {
                    return reserved();
                }
            } else if insn.off == ADDR_SPACE_CAST {
                if insn.imm != 1 && insn.imm != 1 << 16 {
                    return reject(ScalarReason::AddrSpace {});
                }
                if !self.maps.iter().any(|m| m.def.map_type == MapType::Arena) {
                    return reject(ScalarReason::AddrSpaceWithoutArena {});
                }
            } else if !matches!(insn.off, 0 | 8 | 16 | 32) || insn.imm != 0 {
                return reserved();
            }
            self.check_reg_arg(insn.src, SrcOp)?;
        } else if insn.src != 0 || insn.off != 0 {
            return reserved();
        }
        self.check_reg_arg(insn.dst, DstOpNoMark)?;
        if !insn.is_src_reg() {
            let value = if alu32 { u64::from(insn.imm as u32) } else { i64::from(insn.imm) as u64 };
            *self.reg_mut(insn.dst) = RegState { precise: self.unknown_scalar().precise, ..RegState::known(value) };
            return Ok(());
        }
        if alu32 { self.mov32(insn) } else { self.mov64(insn) }
    }

    /// Whether the kernel knows this move with an offset: one that extends a sign, or one between address spaces.
    fn is_known_move(&self, insn: Insn) -> bool {
        match insn.off {
            ADDR_SPACE_CAST => self.has(Feature::AddressSpaceCasts),
            _ => self.has(Feature::SignExtendingMoves),
        }
    }

    fn mov64(&mut self, insn: Insn) -> Step {
        let (dst, src) = (insn.dst, insn.src);
        if insn.imm != 0 {
            self.mark_reg_unknown(dst);
            if insn.imm == 1 {
                self.reg_mut(dst).ty = RegType::of(RegBase::Arena);
            }
        } else if insn.off == 0 {
            self.assign_scalar_id_before_mov(src);
            *self.reg_mut(dst) = *self.reg(src);
        } else {
            if self.is_pointer_value(src) {
                return reject(ScalarReason::SignExtendPointer { reg: src });
            }
            if self.reg(src).is_scalar() {
                self.copy_if_unchanged(insn, self.reg(src).umax < 1u64 << (insn.off - 1));
                self.reg_mut(dst).coerce_to_size_sx(insn.off as u32 / 8);
            } else {
                self.mark_reg_unknown(dst);
            }
        }
        Ok(())
    }

    fn mov32(&mut self, insn: Insn) -> Step {
        let (dst, src) = (insn.dst, insn.src);
        if self.is_pointer_value(src) {
            return reject(ScalarReason::PartialPointerCopy { reg: src });
        }
        if self.reg(src).is_scalar() {
            if insn.off == 0 {
                let same = self.has(Feature::LinkedNarrowMoves) && self.reg(src).width() <= 32;
                self.copy_if_unchanged(insn, same);
            } else {
                self.copy_if_unchanged(insn, self.reg(src).umax < 1u64 << (insn.off - 1));
                self.reg_mut(dst).coerce_subreg_to_size_sx(insn.off as u32 / 8);
            }
        } else {
            self.mark_reg_unknown(dst);
        }
        let numbers = self.numbers();
        let r = self.reg_mut(dst);
        r.zext_32_to_64();
        numbers.sync(r);
        Ok(())
    }

    /// Copies a number that a narrowing move may change; only an unchanged value stays linked with its source.
    fn copy_if_unchanged(&mut self, insn: Insn, unchanged: bool) {
        if unchanged {
            self.assign_scalar_id_before_mov(insn.src);
        }
        let src = *self.reg(insn.src);
        let dst = self.reg_mut(insn.dst);
        *dst = src;
        if !unchanged {
            dst.clear_scalar_id();
        }
    }

    fn check_binary(&mut self, insn: Insn) -> Step {
        let op = insn.op();
        let divides = matches!(op, alu::MOD | alu::DIV);
        let off_ok = insn.off == 0 || insn.off == 1 && divides && self.has(Feature::SignedDivision);
        let reserved = !off_ok || if insn.is_src_reg() { insn.imm != 0 } else { insn.src != 0 };
        if reserved {
            return reject(ScalarReason::ReservedFields { what: "BPF_ALU" });
        }
        if insn.is_src_reg() {
            self.check_reg_arg(insn.src, SrcOp)?;
        }
        self.check_reg_arg(insn.dst, SrcOp)?;
        if !insn.is_src_reg() {
            if divides && insn.imm == 0 {
                return reject(ScalarReason::DivByZero {});
            }
            let bits = if is_alu32(insn) { 32 } else { 64 };
            if matches!(op, alu::LSH | alu::RSH | alu::ARSH) && !(0..bits).contains(&insn.imm) {
                return reject(ScalarReason::InvalidShift { shift: insn.imm });
            }
        }
        self.check_reg_arg(insn.dst, DstOpNoMark)?;
        self.adjust_reg(insn)
    }

    /// Finds out what is combined with what (`adjust_reg_min_max_vals`).
    fn adjust_reg(&mut self, insn: Insn) -> Step {
        let dst = *self.reg(insn.dst);
        let src = if insn.is_src_reg() { *self.reg(insn.src) } else { RegState::known(i64::from(insn.imm) as u64) };
        let arena = RegType::of(RegBase::Arena);
        if !is_alu32(insn) && self.has(Feature::ArenaInstructions) {
            let now = dst.ty == arena || src.ty == arena;
            let seen = self.aux[self.path.insn_idx].arena.get_or_insert(now);
            if *seen != now {
                return reject(ScalarReason::WithAndWithoutArena {});
            }
        }
        if dst.ty == arena || src.ty == arena {
            // Arena pointers are 32-bit offsets; any arithmetic on them is allowed.
            if dst.ty != arena {
                *self.reg_mut(insn.dst) = src;
            }
            return Ok(());
        }
        match (dst.is_scalar(), src.is_scalar()) {
            (false, false) => {
                if insn.op() == alu::SUB && self.allow_ptr_leaks() {
                    self.mark_reg_unknown(insn.dst);
                    return Ok(());
                }
                return reject(ScalarReason::TwoPointers { reg: insn.dst, op: alu_str(insn.op()) });
            }
            (true, false) => {
                self.mark_chain_precision(insn.dst)?;
                let off = *self.reg(insn.dst);
                return self.adjust_pointer(insn, src, off, false);
            }
            (false, true) => {
                if insn.is_src_reg() {
                    self.mark_chain_precision(insn.src)?;
                }
                return self.adjust_pointer(insn, dst, src, true);
            }
            (true, true) => {
                if insn.is_src_reg() && dst.precise {
                    self.mark_chain_precision(insn.src)?;
                }
            }
        }
        self.adjust_scalar(insn, &src)?;
        self.relink(insn, &src, dst.umax);
        Ok(())
    }

    /// A number plus a constant stays linked with the numbers it was equal to, at a distance; anything else ends
    /// the link.
    fn relink(&mut self, insn: Insn, src: &RegState, umax_before: u64) {
        let capable = self.bpf_capable() && self.has(Feature::LinkedDistances);
        let with_itself = insn.is_src_reg() && insn.src == insn.dst;
        let alu32 = is_alu32(insn);
        let known = if alu32 {
            // The upper half must not have been lost.
            let narrow = umax_before <= u64::from(u32::MAX);
            (narrow && src.var_off.subreg_is_const()).then_some(src.var_off.value as i32)
        } else {
            src.const_value().and_then(|v| i32::try_from(v as i64).ok())
        };
        let delta = match insn.op() {
            alu::ADD if self.has(Feature::LinkedAnyDistance) => known,
            alu::ADD => known.filter(|&v| v >= 0 && !alu32),
            alu::SUB if self.has(Feature::LinkedAnyDistance) => known.and_then(i32::checked_neg),
            _ => None,
        };
        let dst = self.reg_mut(insn.dst);
        match delta {
            Some(delta) if capable && dst.id != 0 && !with_itself && dst.id & RegState::ADD_CONST == 0 => {
                dst.id |= if alu32 { RegState::ADD_CONST32 } else { RegState::ADD_CONST64 };
                dst.off = delta;
            }
            _ => dst.clear_scalar_id(),
        }
    }

    /// A mask of all bits or none, as arithmetic shifts and negation make it, is followed as either where a constant is
    /// combined with it: all bits on this path, none on another that starts at the same instruction.
    fn fork_scalar(&mut self, insn: Insn) -> Step {
        let r = self.reg(insn.dst);
        let narrow = match ((r.smin, r.smax), (r.s32_min, r.s32_max)) {
            ((-1, 0), _) => false,
            (_, (-1, 0)) => true,
            _ => return Ok(()),
        };
        let take = |r: &mut RegState, mask: u64| match narrow {
            true => r.known_low(mask as u32),
            false => {
                r.set_known_bounds(mask);
                r.clear_scalar_id();
            }
        };
        let at = self.path.insn_idx;
        self.push_branch(at, at, false, |_, state| take(state.reg_mut(insn.dst), 0))?;
        take(self.reg_mut(insn.dst), u64::MAX);
        Ok(())
    }

    /// Combines two numbers (`adjust_scalar_min_max_vals`).
    fn adjust_scalar(&mut self, insn: Insn, src: &RegState) -> Step {
        let alu32 = is_alu32(insn);
        let bits = if alu32 { 32 } else { 64 };
        let op = insn.op();
        let modelled = match op {
            alu::ADD | alu::SUB | alu::AND => true,
            alu::DIV | alu::MOD => self.has(Feature::BoundedDivision) && src.is_one_value(alu32),
            alu::OR | alu::XOR | alu::MUL => self.has(Feature::BitwiseRanges) || src.is_one_value(alu32),
            alu::LSH | alu::RSH | alu::ARSH => src.is_one_value(alu32) && src.umax < bits,
            _ => false,
        };
        if !modelled {
            *self.reg_mut(insn.dst) = self.unknown_scalar();
            return Ok(());
        }
        if matches!(op, alu::ADD | alu::SUB) {
            self.sanitize_scalar(insn)?;
        }
        if matches!(op, alu::AND | alu::OR) && src.var_off.is_const() && self.has(Feature::ForkedMasks) {
            self.fork_scalar(insn)?;
        }
        let n = if alu32 { src.u32_min } else { src.umin as u32 };
        let numbers = self.numbers();
        let dst = self.reg_mut(insn.dst);
        match op {
            alu::ADD => numbers.add(dst, src),
            alu::SUB => numbers.sub(dst, src),
            alu::MUL => numbers.mul(dst, src),
            // A quotient by zero is zero, a remainder is the number.
            alu::DIV if src.low_or_all(alu32) == 0 => dst.set_known_bounds(0),
            alu::MOD if src.low_or_all(alu32) == 0 => {}
            alu::DIV | alu::MOD => dst.scalar_divide(src, op == alu::MOD, insn.off == 1, alu32),
            alu::AND => numbers.bitwise(dst, src, RegState::scalar_and),
            alu::OR => numbers.bitwise(dst, src, RegState::scalar_or),
            alu::XOR => numbers.bitwise(dst, src, RegState::scalar_xor),
            alu::LSH if alu32 => dst.scalar_lsh32(n),
            alu::LSH => dst.scalar_lsh64(n),
            alu::RSH if alu32 => dst.scalar_rsh32(n),
            alu::RSH => dst.scalar_rsh64(n),
            alu::ARSH if alu32 => dst.scalar_arsh32(n),
            _ => dst.scalar_arsh64(n),
        }
        if alu32 {
            dst.zext_32_to_64();
        }
        numbers.sync(dst);
        Ok(())
    }
}
