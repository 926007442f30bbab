//! Loads, stores, atomics and legacy packet loads: what each instruction checks before and after its access.

use super::Access;
use crate::domain::reg_type_str;
use crate::domain::{RegBase, RegType};
use crate::reason::{MemoryReason, reject};
use crate::scalar::RegArg::{DstOp, DstOpNoMark, SrcOp};
use crate::{Env, Step};
use ebpfkit_abi::{Feature, ProgType, TypeFlags};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{atomic, class, mode, size};

/// Kinds of pointers whose accesses are rewritten by kind, so that one instruction must not mix them with others.
fn needs_own_rewrite(ty: RegType) -> bool {
    matches!(
        ty.base,
        RegBase::Ctx
            | RegBase::Socket
            | RegBase::SockCommon
            | RegBase::TcpSock
            | RegBase::XdpSock
            | RegBase::BtfId
            | RegBase::Arena
    )
}

impl Env<'_> {
    /// Every path must go through this instruction with compatible pointers.
    /// With `probes_if_needed`, a load that may go through memory that is trusted or not is done as if it were not.
    fn note_pointer_kind(&mut self, ty: RegType, probes_if_needed: bool) -> Step {
        let seen = &mut self.aux[self.path.insn_idx].ptr_type;
        let Some(old) = *seen else {
            *seen = Some(ty);
            return Ok(());
        };
        if old == ty || !needs_own_rewrite(old) && !needs_own_rewrite(ty) {
            return Ok(());
        }
        let probed = |t: RegType| matches!(t.base, RegBase::Mem | RegBase::BtfId);
        if !probes_if_needed || !probed(old) || !probed(ty) {
            return reject(MemoryReason::DifferentPointers {});
        }
        let base = if old.base == RegBase::Mem || ty.base == RegBase::Mem { RegBase::Mem } else { RegBase::BtfId };
        *seen = Some(RegType::with(base, (old.flags | ty.flags) & (TypeFlags::UNTRUSTED | TypeFlags::RDONLY)));
        Ok(())
    }

    /// Verifies `LDX` (plain and sign-extending).
    pub fn check_load(&mut self, insn: Insn) -> Step {
        let sign_extend = insn.mode() == mode::MEMSX;
        if insn.imm != 0 || insn.mode() != mode::MEM && !sign_extend {
            return reject(MemoryReason::ReservedFields { insn: "BPF_LDX" });
        }
        self.load(insn, false, sign_extend, true)
    }

    fn load(&mut self, insn: Insn, aligned: bool, sign_extend: bool, probes_if_needed: bool) -> Step {
        self.check_reg_arg(insn.src, SrcOp)?;
        self.check_reg_arg(insn.dst, DstOpNoMark)?;
        let ty = self.reg(insn.src).ty;
        let (at, size, into) = (self.path.insn_idx, insn.access_size(), Some(insn.dst));
        self.check_mem_access(at, insn.src, insn.off.into(), size, Access::Read, into, aligned, sign_extend)?;
        self.note_pointer_kind(ty, probes_if_needed)
    }

    /// Verifies `ST` and plain `STX`.
    pub fn check_store(&mut self, insn: Insn) -> Step {
        let from_reg = insn.class() == class::STX;
        if insn.mode() != mode::MEM || from_reg && insn.imm != 0 || !from_reg && insn.src != 0 {
            return reject(MemoryReason::ReservedFields { insn: if from_reg { "BPF_STX" } else { "BPF_ST" } });
        }
        self.store(insn, from_reg, false)
    }

    fn store(&mut self, insn: Insn, from_reg: bool, aligned: bool) -> Step {
        if from_reg {
            self.check_reg_arg(insn.src, SrcOp)?;
        }
        self.check_reg_arg(insn.dst, SrcOp)?;
        let ty = self.reg(insn.dst).ty;
        if !from_reg && ty == RegType::of(RegBase::Ctx) && !self.has(Feature::ContextConstants) {
            let ty = reg_type_str(ty).into_owned();
            return reject(MemoryReason::ConstantStore { reg: insn.dst, ty });
        }
        let (at, size, value) = (self.path.insn_idx, insn.access_size(), from_reg.then_some(insn.src));
        self.check_mem_access(at, insn.dst, insn.off.into(), size, Access::Write, value, aligned, false)?;
        self.note_pointer_kind(ty, false)
    }

    /// Verifies an atomic instruction.
    pub fn check_atomic(&mut self, insn: Insn) -> Step {
        match insn.imm {
            atomic::LOAD_ACQ | atomic::STORE_REL if !self.has(Feature::LoadAcquire) => {
                reject(MemoryReason::AtomicOpcode { imm: insn.imm })
            }
            atomic::LOAD_ACQ => {
                self.load(insn, true, false, false)?;
                if self.has_no_atomics(insn.src) {
                    let ty = reg_type_str(self.reg(insn.src).ty).into_owned();
                    return reject(MemoryReason::AtomicLoad { reg: insn.src, ty });
                }
                Ok(())
            }
            atomic::STORE_REL => {
                self.store(insn, true, true)?;
                self.check_atomic_store(insn.dst)
            }
            atomic::XCHG | atomic::CMPXCHG => self.check_read_modify_write(insn),
            op if matches!(op & !atomic::FETCH, atomic::ADD | atomic::OR | atomic::AND | atomic::XOR) => {
                self.check_read_modify_write(insn)
            }
            imm => reject(MemoryReason::AtomicOpcode { imm }),
        }
    }

    fn check_read_modify_write(&mut self, insn: Insn) -> Step {
        let size = insn.access_size();
        if size < 4 {
            return reject(MemoryReason::AtomicSize {});
        }
        self.check_reg_arg(insn.src, SrcOp)?;
        self.check_reg_arg(insn.dst, SrcOp)?;
        if insn.imm == atomic::CMPXCHG {
            self.check_reg_arg(0, SrcOp)?;
            self.check_leaves_no_address(0)?;
        }
        self.check_leaves_no_address(insn.src)?;
        self.check_atomic_store(insn.dst)?;
        let result = match insn.imm {
            atomic::CMPXCHG => Some(0),
            imm => (imm & atomic::FETCH != 0).then_some(insn.src),
        };
        if let Some(r) = result {
            self.check_reg_arg(r, DstOp)?;
        }
        let (at, off) = (self.path.insn_idx, insn.off.into());
        self.check_mem_access(at, insn.dst, off, size, Access::Read, None, true, false)?;
        if result.is_some() {
            // What was there before is loaded as by a plain load.
            self.check_mem_access(at, insn.dst, off, size, Access::Read, result, true, false)?;
        }
        if self.reg(insn.dst).ty.base == RegBase::Arena || self.has(Feature::ArenaInstructions) {
            self.note_pointer_kind(self.reg(insn.dst).ty, false)?;
        }
        self.check_mem_access(at, insn.dst, off, size, Access::Write, None, true, false)
    }

    /// Whether a register points to memory whose accesses are rewritten, so that atomics cannot be.
    fn has_no_atomics(&self, reg: u8) -> bool {
        let r = self.reg(reg);
        let translated = matches!(
            r.ty.base,
            RegBase::Ctx
                | RegBase::FlowKeys
                | RegBase::Socket
                | RegBase::SockCommon
                | RegBase::TcpSock
                | RegBase::XdpSock
        );
        r.is_pkt() || translated && r.ty.flags.is_empty()
    }

    fn check_leaves_no_address(&self, reg: u8) -> Step {
        if self.is_pointer_value(reg) {
            return reject(MemoryReason::LeaksAddress { reg, target: "mem" });
        }
        Ok(())
    }

    fn check_atomic_store(&self, reg: u8) -> Step {
        if self.has_no_atomics(reg) {
            let ty = reg_type_str(self.reg(reg).ty).into_owned();
            return reject(MemoryReason::AtomicStore { reg, ty });
        }
        Ok(())
    }

    /// Verifies legacy `LD_ABS` and `LD_IND`.
    pub fn check_ld_abs(&mut self, insn: Insn) -> Step {
        let allowed = matches!(self.prog().prog_type, ProgType::SocketFilter | ProgType::SchedCls | ProgType::SchedAct);
        if !allowed {
            return reject(MemoryReason::LegacyLoadType {});
        }
        let indirect = insn.mode() == mode::IND;
        if insn.dst != 0 || insn.off != 0 || insn.size_bits() == size::DW || !indirect && insn.src != 0 {
            return reject(MemoryReason::ReservedFields { insn: "BPF_LD_[ABS|IND]" });
        }
        self.check_reg_arg(6, SrcOp)?;
        self.check_resource_leak(false, true, "BPF_LD_[ABS|IND]")?;
        if self.reg(6).ty.base != RegBase::Ctx {
            return reject(MemoryReason::LegacyLoadContext {});
        }
        if indirect {
            self.check_reg_arg(insn.src, SrcOp)?;
        }
        self.check_unmoved(6)?;
        for r in 0..=5 {
            self.mark_reg_not_init(r);
        }
        self.mark_reg_unknown(0);
        if self.path.state.frames.len() > 1 {
            // A load outside of the packet ends the function with 0.
            let at = self.path.insn_idx;
            self.push_branch(at + 1, at, false, |_, _| {})?;
            self.mark_reg_known_zero(0);
            self.prepare_func_exit()?;
            self.path.insn_idx -= 1;
        }
        Ok(())
    }
}
