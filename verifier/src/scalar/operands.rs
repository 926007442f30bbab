//! Reading and marking registers: what every instruction does to its operands.

use crate::domain::{RegState, RegType};
use crate::reason::{ScalarReason, reject};
use crate::{Env, Step};
use ebpfkit_abi::Feature;
use ebpfkit_isa::{R10, REG_COUNT};

/// How an instruction uses a register (`enum reg_arg_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegArg {
    /// Reads it.
    SrcOp,
    /// Writes it; it becomes an unknown number.
    DstOp,
    /// Writes it; the caller says with what.
    DstOpNoMark,
}

pub use RegArg::{DstOp, DstOpNoMark, SrcOp};

impl Env<'_> {
    /// Checks that an instruction may use a register of the current frame in this way, and marks a written one
    /// (`check_reg_arg`).
    pub fn check_reg_arg(&mut self, reg: u8, how: RegArg) -> Step {
        if usize::from(reg) >= REG_COUNT {
            return reject(ScalarReason::InvalidRegister { reg });
        }
        self.tables.trace.reg(reg);
        if how == SrcOp {
            if self.reg(reg).ty == RegType::NOT_INIT {
                return reject(ScalarReason::UninitRegister { reg });
            }
            self.read_regs(1 << reg);
            return Ok(());
        }
        if reg == R10 {
            return reject(ScalarReason::FramePointerWrite {});
        }
        self.write_regs(1 << reg);
        if how == DstOp {
            self.mark_reg_unknown(reg);
        }
        Ok(())
    }

    /// Numbers are tracked precisely from the start without `CAP_BPF` (`!env->bpf_capable`).
    fn precise_by_default(&self) -> bool {
        !self.bpf_capable()
    }

    /// A number of which nothing is known, precise where the kernel makes it so.
    pub fn unknown_scalar(&self) -> RegState {
        RegState { precise: self.precise_by_default(), ..RegState::UNKNOWN }
    }

    /// A register of the current frame becomes a number of which nothing is known (`mark_reg_unknown`).
    pub fn mark_reg_unknown(&mut self, reg: u8) {
        if usize::from(reg) < REG_COUNT {
            *self.reg_mut(reg) = self.unknown_scalar();
        }
    }

    /// A register of the current frame becomes the number zero (`mark_reg_known_zero` and kind scalar).
    pub fn mark_reg_known_zero(&mut self, reg: u8) {
        if usize::from(reg) < REG_COUNT {
            *self.reg_mut(reg) = RegState::known(0);
        }
    }

    /// A register of the current frame becomes unreadable (`mark_reg_not_init`).
    pub fn mark_reg_not_init(&mut self, reg: u8) {
        self.tables.trace.reg(reg);
        if usize::from(reg) < REG_COUNT {
            self.write_regs(1 << reg);
            *self.reg_mut(reg) = RegState::NOT_INIT;
        }
    }

    /// The register's value becomes its low `bytes` bytes, zero-extended (`coerce_reg_to_size`).
    pub fn coerce_reg_to_size(&mut self, reg: u8, bytes: u32) {
        let numbers = self.numbers();
        numbers.coerce_to_size(self.reg_mut(reg), bytes);
    }

    /// The register's value becomes its low `bytes` bytes, sign-extended (`coerce_reg_to_size_sx`).
    pub fn coerce_reg_to_size_sx(&mut self, reg: u8, bytes: u32) {
        self.reg_mut(reg).coerce_to_size_sx(bytes);
    }

    /// Gives a number that is about to be copied an identity, so that the copies stay linked
    /// (`assign_scalar_id_before_mov`).
    pub fn assign_scalar_id_before_mov(&mut self, reg: u8) {
        let r = self.reg(reg);
        if !r.is_scalar() {
            return;
        }
        let linked_by_delta = r.id & RegState::ADD_CONST != 0;
        let constants_too = !self.has(Feature::UnlinkedConstants);
        let wants_id = (r.id == 0 || linked_by_delta) && (constants_too || !r.var_off.is_const());
        if linked_by_delta {
            self.reg_mut(reg).clear_scalar_id();
        }
        if wants_id {
            let id = self.new_id();
            self.reg_mut(reg).id = id;
        }
    }

    /// Whether this register holds a pointer that the program may not leak (`is_pointer_value`).
    pub fn is_pointer_value(&self, reg: u8) -> bool {
        !self.allow_ptr_leaks() && !self.reg(reg).is_scalar()
    }

    /// Logs and heals contradictory bounds of a copy of a register (`reg_bounds_sanity_check`).
    pub fn heal_bounds(&mut self, reg: &mut RegState, context: &str) -> Step {
        if !self.numbers().heals() {
            return Ok(());
        }
        if let Some(what) = reg.bounds_contradiction() {
            if self.log_level() != 0 {
                let text = reg.contradiction_text(context, what);
                self.verbose(format_args!("{text}"));
            }
            reg.set_unbounded();
        }
        Ok(())
    }
}
