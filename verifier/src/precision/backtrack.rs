//! One instruction backwards: what must be precise before it so that what has to be after it is.

use super::backtrack_state::BacktrackState;
use crate::Env;
use crate::reason::ExploreReason;
use crate::scalar::linked::LinkedRegs;
use crate::state::{HistoryEntry, RegList, SlotList};
use ebpfkit_abi::Feature;
use ebpfkit_abi::helpers::id;
use ebpfkit_isa::opcode::{alu, atomic, class, jmp, mode};
use ebpfkit_isa::{Insn, R10};

/// r1 to r5.
const ARGS: u16 = 0b11_1110;

/// Why following backwards does not go on.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum BacktrackError {
    /// The values cannot be followed: everything must be precise instead.
    Fallback,
    /// What has to be precise cannot be; the kernel calls that a bug of its own.
    Bug(ExploreReason),
    /// The path is none that the walk takes.
    Unknown,
}

/// Whether nothing but arguments has to be precise in a function that is left backwards through its start.
fn only_args(by: &'static str, bt: &BacktrackState) -> Result<(), BacktrackError> {
    let (regs, slots) = (bt.current(), bt.slots[bt.frame]);
    if regs & !ARGS != 0 {
        return Err(BacktrackError::Bug(ExploreReason::PreciseRegs { by, regs }));
    }
    if slots != 0 {
        return Err(BacktrackError::Bug(ExploreReason::PreciseSlots { by, slots }));
    }
    if bt.frame == 0 {
        return Err(BacktrackError::Bug(ExploreReason::PreciseFrame { from: "exit from", frame: 0 }));
    }
    Ok(())
}

/// Whether no argument has to be precise where a call or return leaves nothing in them.
fn no_args(by: &'static str, bt: &BacktrackState) -> Result<(), BacktrackError> {
    let regs = bt.current();
    if regs & ARGS == 0 { Ok(()) } else { Err(BacktrackError::Bug(ExploreReason::PreciseRegs { by, regs })) }
}

/// The register that an atomic operation writes what was in memory to.
fn fetched(insn: Insn) -> Option<u8> {
    if insn.class() == class::STX { insn.writes().iter().next() } else { None }
}

/// If one of the numbers that were linked here has to be precise, all have to be.
fn add_linked(bt: &mut BacktrackState, hist: Option<&HistoryEntry>) {
    let Some(word) = hist.map(|h| h.linked_regs).filter(|w| *w != 0) else { return };
    let linked = LinkedRegs::unpack(word).0;
    let hit = linked.iter().any(|e| {
        let frame = usize::from(e.frame);
        if e.is_reg { bt.regs[frame] >> e.index & 1 != 0 } else { bt.slots[frame] >> e.index & 1 != 0 }
    });
    if hit {
        for e in linked {
            let frame = usize::from(e.frame);
            if e.is_reg {
                bt.regs[frame] |= 1 << e.index;
            } else {
                bt.slots[frame] |= 1 << e.index;
            }
        }
    }
}

impl Env<'_> {
    /// Follows the instruction at `at` backwards. `after` is the one that was executed after it.
    pub(super) fn backtrack_insn(
        &mut self,
        at: usize,
        after: Option<usize>,
        hist: Option<&HistoryEntry>,
        bt: &mut BacktrackState,
    ) -> Result<(), BacktrackError> {
        let insn = self.insns()[at];
        if insn.code == 0 {
            return Ok(());
        }
        if self.log_level() > 1 {
            let (regs, slots) = (RegList(bt.current()), SlotList(bt.slots[bt.frame]));
            self.verbose(format_args!("mark_precise: frame{}: regs={regs} stack={slots} before {at}: ", bt.frame));
            self.log_insn(at);
        }
        add_linked(bt, hist);
        let slot = hist.and_then(|h| h.stack.slot());
        match insn.class() {
            class::ALU | class::ALU64 => {
                if !bt.has(insn.dst) || matches!(insn.op(), alu::END | alu::NEG) {
                    return Ok(());
                }
                if insn.op() == alu::MOV {
                    bt.remove(insn.dst);
                }
                if insn.is_src_reg() && insn.src != R10 {
                    bt.add(insn.src);
                }
            }
            class::LDX => return self.filled(insn.dst, slot, bt),
            class::STX | class::ST => {
                if let Some(reg) = fetched(insn).filter(|_| self.options().sound || insn.imm == atomic::LOAD_ACQ) {
                    if insn.imm != atomic::LOAD_ACQ {
                        self.soundness_mattered.set(true);
                    }
                    return self.filled(reg, slot, bt);
                }
                if bt.has(insn.dst) {
                    // A pointer that has to be a precise number: pointers were subtracted.
                    return Err(BacktrackError::Fallback);
                }
                let Some((frame, slot)) = slot else { return Ok(()) };
                if bt.slots[frame] >> slot & 1 == 0 {
                    return Ok(());
                }
                bt.slots[frame] &= !(1 << slot);
                if insn.class() == class::STX {
                    bt.add(insn.src);
                }
            }
            class::JMP | class::JMP32 => match insn.op() {
                jmp::CALL => return self.backtrack_call(insn, at, after, bt),
                jmp::EXIT => return self.backtrack_exit(after, bt),
                _ if insn.is_src_reg() => {
                    if !bt.has(insn.dst) && !bt.has(insn.src) {
                        return Ok(());
                    }
                    if !hist.is_some_and(|h| h.stack.src_is_stack()) {
                        bt.add(insn.src);
                    }
                    if !hist.is_some_and(|h| h.stack.dst_is_stack()) {
                        bt.add(insn.dst);
                    }
                }
                _ => {}
            },
            _ => {
                if insn.mode() == mode::IMM {
                    bt.remove(insn.dst);
                    return Ok(());
                }
                if bt.has(insn.dst) {
                    return Err(BacktrackError::Fallback);
                }
                // The load ended its function.
                if after != Some(at + 1) {
                    return enter(bt);
                }
                return Ok(());
            }
        }
        add_linked(bt, hist);
        Ok(())
    }

    /// A register was loaded: from the stack, or from memory that has no precision.
    fn filled(&self, reg: u8, slot: Option<(usize, usize)>, bt: &mut BacktrackState) -> Result<(), BacktrackError> {
        if bt.has(reg) {
            bt.remove(reg);
            if let Some((frame, slot)) = slot {
                bt.slots[frame] |= 1 << slot;
            }
        }
        Ok(())
    }

    fn backtrack_call(
        &self,
        insn: Insn,
        at: usize,
        after: Option<usize>,
        bt: &mut BacktrackState,
    ) -> Result<(), BacktrackError> {
        let straight = after == Some(at + 1);
        let calls = insn.is_local_call() || self.helper_callback(insn) == Some(true);
        if calls && !self.has(Feature::PrecisionAcrossCalls) {
            return Err(BacktrackError::Fallback);
        }
        if insn.is_local_call() {
            let target = insn.function(at).and_then(|t| usize::try_from(t).ok());
            let Some(subprog) = target.and_then(|t| self.find_subprog(t)) else { return Err(BacktrackError::Unknown) };
            if self.subprogs[subprog].global && subprog != 0 {
                no_args("global subprog", bt)?;
                bt.remove(0);
                return Ok(());
            }
            only_args("static subprog", bt)?;
            let args = std::mem::take(&mut bt.regs[bt.frame]);
            bt.frame -= 1;
            bt.regs[bt.frame] |= args;
            return Ok(());
        }
        if self.aux[at].calls_callback && !straight {
            // Backwards out of a callback. Its arguments are not those of the call.
            only_args("callback", bt)?;
            bt.regs[bt.frame] = 0;
            bt.frame -= 1;
            return Ok(());
        }
        if insn.is_kfunc_call() && insn.imm == 0 {
            return Err(BacktrackError::Fallback);
        }
        bt.remove(0);
        no_args("backtracking call", bt)?;
        if insn.is_helper_call(id::TAIL_CALL) && !straight {
            // The tail call ended its function.
            return enter(bt);
        }
        Ok(())
    }

    fn backtrack_exit(&self, after: Option<usize>, bt: &mut BacktrackState) -> Result<(), BacktrackError> {
        if !self.has(Feature::PrecisionAcrossCalls) {
            return Err(BacktrackError::Fallback);
        }
        // A function returns behind its call, a callback to its call.
        let by_call = after.and_then(|a| a.checked_sub(1)).is_some_and(|call| self.insns()[call].is_local_call());
        let r0 = by_call && bt.has(0);
        if after.is_some_and(|a| self.aux[a].calls_callback) {
            // The call that ran the callback has its own use for its arguments, and has marked them.
            bt.regs[bt.frame] &= !ARGS;
        }
        if by_call {
            no_args("backtracking exit", bt)?;
        }
        bt.remove(0);
        enter(bt)?;
        if r0 {
            bt.add(0);
        }
        Ok(())
    }
}

/// Backwards into a function that has returned.
fn enter(bt: &mut BacktrackState) -> Result<(), BacktrackError> {
    if bt.frame + 1 >= bt.regs.len() {
        return Err(BacktrackError::Bug(ExploreReason::PreciseFrame { from: "enter from", frame: bt.frame }));
    }
    bt.frame += 1;
    Ok(())
}
