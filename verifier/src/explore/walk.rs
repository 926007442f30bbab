//! One path after the other: dispatch of instructions, saved states, ends of paths.

use crate::domain::{RegBase, RegExtra, RegState, RegType};
use crate::observer::Event;
use crate::reason::{ExploreReason, reject};
use crate::scalar::RegArg::DstOpNoMark;
use crate::state::{StackUse, VerifierState};
use crate::{Env, Step, Stop};
use ebpfkit_abi::MapType;
use ebpfkit_abi::{Errno, Feature};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, class, jmp, mode, pseudo, size};

/// Whether a barrier can stand for what went wrong (`error_recoverable_with_nospec`).
fn stops_at_barrier(stop: &Stop) -> bool {
    matches!(stop, Stop::Reject(reason) if matches!(Errno(reason.errno()), Errno::EPERM | Errno::EACCES | Errno::EINVAL))
}

impl Env<'_> {
    /// Walks every path from the current state.
    pub(crate) fn walk(&mut self) -> Step {
        self.tables.walk.saved.reset(self.insns().len());
        self.tables.walk.loops.reset();
        self.tables.trace.restart();
        if self.wants_events() {
            let maps: Vec<usize> = self.maps.iter().map(|m| m.index).collect();
            self.observer.event(Event::Start { insn: self.path.insn_idx, maps: &maps });
        }
        loop {
            let ended = self.step()?;
            if ended {
                self.close_path()?;
                if !self.resume() {
                    return Ok(());
                }
            }
        }
    }

    /// Verifies one instruction; true at the end of a path.
    fn step(&mut self) -> Step<bool> {
        let at = self.path.insn_idx;
        let Some(&insn) = self.insns().get(at) else {
            return Err(Stop::unsupported(format!("control reaches instruction {at}, behind the program")));
        };
        self.tables.walk.insn_in_history = false;
        self.insn_processed += 1;
        if self.insn_processed > self.options().max_insns {
            return reject(ExploreReason::TooLarge { insns: self.insn_processed as u32 });
        }
        self.path.state.insn_idx = at;
        if self.aux[at].prune_point && self.is_state_visited(at)? {
            self.log_pruned();
            return Ok(true);
        }
        if self.aux[at].jmp_point {
            self.push_history(StackUse::NONE, 0)?;
        }
        self.aux[at].seen |= !self.path.state.speculative;
        if self.log_level() != 0 {
            self.log_step(at);
        }
        if self.wants_events() {
            let live_regs = self.aux[at].live_regs_before;
            self.observer.event(Event::Before { insn: at, state: &self.path.state, live_regs });
        }
        if self.path.state.speculative && self.aux[at].nospec {
            return Ok(true);
        }
        self.begin_stack_marks();
        let ended = match self.dispatch(at, insn) {
            Err(stop) if self.path.state.speculative && stops_at_barrier(&stop) => {
                self.barrier_before(at, stop);
                true
            }
            result => result?,
        };
        self.commit_stack_marks(at);
        self.path.prev_insn_idx = at;
        self.path.state.last_insn_idx = at as i32;
        Ok(ended || self.path.state.speculative && self.aux[at].nospec_result)
    }

    /// An instruction that would be refused runs under speculation only: a barrier before it keeps the path from it.
    fn barrier_before(&mut self, at: usize, stop: Stop) {
        if self.log_level() != 0
            && let Stop::Reject(reason) = stop
        {
            self.verbose(format_args!("{reason}\n"));
        }
        let aux = &mut self.aux[at];
        aux.nospec = true;
        aux.alu_sanitize = 0;
    }

    fn dispatch(&mut self, at: usize, insn: Insn) -> Step<bool> {
        match insn.class() {
            class::ALU | class::ALU64 => self.check_alu_op(insn)?,
            class::LDX => self.check_load(insn)?,
            class::STX if insn.mode() == mode::ATOMIC => self.check_atomic(insn)?,
            class::ST | class::STX => self.check_store(insn)?,
            class::LD if matches!(insn.mode(), mode::ABS | mode::IND) => self.check_ld_abs(insn)?,
            class::LD => {
                self.check_load_imm(insn)?;
                self.path.insn_idx += 1;
                let second = (at + 1).min(self.insns().len() - 1);
                self.aux[second].seen |= !self.path.state.speculative;
            }
            _ => {
                self.tables.walk.jumps_processed += 1;
                return self.jump(insn);
            }
        }
        self.path.insn_idx += 1;
        Ok(false)
    }

    /// Jumps, calls and exits; true at the end of a path.
    fn jump(&mut self, insn: Insn) -> Step<bool> {
        let at = self.path.insn_idx;
        let reserved = |insn| reject(ExploreReason::ReservedFields { insn });
        match insn.op() {
            jmp::CALL => {
                let kfunc = insn.src == pseudo::KFUNC_CALL;
                let most = if self.has(Feature::KernelFunctions) { pseudo::KFUNC_CALL } else { pseudo::CALL };
                if insn.code != opcode::CALL || insn.off != 0 && !kfunc || insn.src > most || insn.dst != 0 {
                    return reserved("BPF_CALL");
                }
                self.check_call(insn)?;
                if std::mem::take(&mut self.path.threw) {
                    return Ok(true);
                }
            }
            jmp::JA => {
                if insn.is_indirect_jump() && self.has(Feature::IndirectJumps) {
                    self.check_indirect_jump(insn.dst)?;
                    return Ok(false);
                }
                let long = insn.class() == class::JMP32;
                let unused = if long { insn.off == 0 } else { insn.imm == 0 };
                if insn.is_src_reg() || insn.src != 0 || insn.dst != 0 || !unused {
                    return reserved("BPF_JA");
                }
                let distance = if long { insn.imm as isize } else { insn.off as isize };
                self.path.insn_idx = at.wrapping_add_signed(distance + 1);
            }
            jmp::EXIT => {
                if insn.code != opcode::EXIT || insn.imm != 0 || insn.src != 0 || insn.dst != 0 {
                    return reserved("BPF_EXIT");
                }
                let main = self.path.state.frames.len() == 1;
                let prefix = if main { "BPF_EXIT instruction in main prog" } else { "BPF_EXIT instruction in subprog" };
                if !main && !self.has(Feature::CallsUnderLock) && self.path.state.res.active_locks != 0 {
                    self.check_resource_leak(false, true, prefix)?;
                }
                if main {
                    self.check_resource_leak(false, true, prefix)?;
                    self.check_return_code()?;
                    return Ok(true);
                }
                self.prepare_func_exit()?;
                self.tables.trace.announce = true;
            }
            _ => self.check_cond_jmp_op(insn)?,
        }
        Ok(false)
    }

    /// Verifies a 64-bit immediate load; what it makes was found before the walk.
    fn check_load_imm(&mut self, insn: Insn) -> Step {
        let at = self.path.insn_idx;
        if insn.size_bits() != size::DW || insn.mode() != mode::IMM {
            return reject(ExploreReason::InvalidLoadImm {});
        }
        if insn.off != 0 {
            return reject(ExploreReason::ReservedFields { insn: "BPF_LD_IMM64" });
        }
        self.check_reg_arg(insn.dst, DstOpNoMark)?;
        let reg = match self.aux[at].ld_imm {
            None => RegState::known(insn.imm64(self.insns()[at + 1])),
            // Addresses in an arena are numbers until they are cast.
            Some((RegType { base: RegBase::MapValue, .. }, RegExtra::Map { map, .. }, _))
                if self.maps[map as usize].def.map_type == MapType::Arena =>
            {
                self.unknown_scalar()
            }
            Some((ty, extra, off)) => {
                let mut reg = RegState::pointer(ty, extra);
                reg.off = off as i32;
                if let RegExtra::Func { subprog } = extra {
                    // Without records of functions nothing says which of them are static.
                    if !self.has_func_info() {
                        return reject(ExploreReason::MissingFuncInfo {});
                    }
                    if self.subprogs[subprog as usize].global {
                        return reject(ExploreReason::CallbackNotStatic {});
                    }
                }
                reg
            }
        };
        *self.reg_mut(insn.dst) = reg;
        Ok(())
    }

    /// Sets the state at the start of the main program.
    pub(crate) fn start_main(&mut self) {
        self.path.state = VerifierState::start(0, self.prog().flags.has(ebpfkit_object::ProgramFlags::SLEEPABLE));
        self.path.state.parentage = self.first_parentage();
        self.path.insn_idx = 0;
        self.path.prev_insn_idx = 0;
        *self.path.state.reg_mut(1) = RegState::pointer(RegType::of(RegBase::Ctx), RegExtra::None);
    }
}
