//! One instruction backwards: what must be precise before it so that what is wanted after it is.

use super::masks::Wanted;
use crate::Env;
use crate::reason::ExploreReason;
use crate::scalar::linked::LinkedRegs;
use crate::state::{HistoryEntry, RegList, SlotList};
use ebpfkit_abi::helpers::id;
use ebpfkit_isa::opcode::{alu, atomic, class, jmp, mode};
use ebpfkit_isa::{Insn, R10};

/// r1 to r5.
const ARGS: u16 = 0b11_1110;

/// Why following backwards does not go on.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lost {
    /// The values cannot be followed: everything must be precise instead.
    Fallback,
    /// What is wanted cannot be; the kernel calls that a bug of its own.
    Bug(ExploreReason),
    /// The path is none that the walk takes.
    Unknown,
}

/// Whether nothing but arguments is left to want of a function that is left backwards through its start.
fn only_args(by: &'static str, wanted: &Wanted) -> Result<(), Lost> {
    let (regs, slots) = (wanted.current(), wanted.slots[wanted.frame]);
    if regs & !ARGS != 0 {
        return Err(Lost::Bug(ExploreReason::PreciseRegs { by, regs }));
    }
    if slots != 0 {
        return Err(Lost::Bug(ExploreReason::PreciseSlots { by, slots }));
    }
    if wanted.frame == 0 {
        return Err(Lost::Bug(ExploreReason::PreciseFrame { from: "exit from", frame: 0 }));
    }
    Ok(())
}

/// Whether no argument is wanted where a call or return leaves nothing in them.
fn no_args(by: &'static str, wanted: &Wanted) -> Result<(), Lost> {
    let regs = wanted.current();
    if regs & ARGS == 0 { Ok(()) } else { Err(Lost::Bug(ExploreReason::PreciseRegs { by, regs })) }
}

/// The register that an atomic operation writes what was in memory to.
fn fetched(insn: Insn) -> Option<u8> {
    if insn.class() == class::STX { insn.writes().iter().next() } else { None }
}

/// If one of the numbers that were linked here is wanted, all are.
fn want_linked(wanted: &mut Wanted, hist: Option<&HistoryEntry>) {
    let Some(word) = hist.map(|h| h.linked_regs).filter(|w| *w != 0) else { return };
    let linked = LinkedRegs::unpack(word).0;
    let hit = linked.iter().any(|e| {
        let frame = usize::from(e.frame);
        if e.is_reg { wanted.regs[frame] >> e.index & 1 != 0 } else { wanted.slots[frame] >> e.index & 1 != 0 }
    });
    if hit {
        for e in linked {
            let frame = usize::from(e.frame);
            if e.is_reg {
                wanted.regs[frame] |= 1 << e.index;
            } else {
                wanted.slots[frame] |= 1 << e.index;
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
        wanted: &mut Wanted,
    ) -> Result<(), Lost> {
        let insn = self.insns[at];
        if insn.code == 0 {
            return Ok(());
        }
        if self.log_level > 1 {
            let (regs, slots) = (RegList(wanted.current()), SlotList(wanted.slots[wanted.frame]));
            self.verbose(format_args!("mark_precise: frame{}: regs={regs} stack={slots} before {at}: ", wanted.frame));
            self.log_insn(at);
        }
        want_linked(wanted, hist);
        let slot = hist.and_then(|h| h.stack.slot());
        match insn.class() {
            class::ALU | class::ALU64 => {
                if !wanted.has(insn.dst) || matches!(insn.op(), alu::END | alu::NEG) {
                    return Ok(());
                }
                if insn.op() == alu::MOV {
                    wanted.remove(insn.dst);
                }
                if insn.is_src_reg() && insn.src != R10 {
                    wanted.add(insn.src);
                }
            }
            class::LDX => return self.filled(insn.dst, slot, wanted),
            class::STX | class::ST => {
                if let Some(reg) = fetched(insn).filter(|_| self.options.sound || insn.imm == atomic::LOAD_ACQ) {
                    if insn.imm != atomic::LOAD_ACQ {
                        self.soundness_mattered.set(true);
                    }
                    return self.filled(reg, slot, wanted);
                }
                if wanted.has(insn.dst) {
                    // A pointer that is wanted as a number: pointers were subtracted.
                    return Err(Lost::Fallback);
                }
                let Some((frame, slot)) = slot else { return Ok(()) };
                if wanted.slots[frame] >> slot & 1 == 0 {
                    return Ok(());
                }
                wanted.slots[frame] &= !(1 << slot);
                if insn.class() == class::STX {
                    wanted.add(insn.src);
                }
            }
            class::JMP | class::JMP32 => match insn.op() {
                jmp::CALL => return self.backtrack_call(insn, at, after, wanted),
                jmp::EXIT => return self.backtrack_exit(after, wanted),
                _ if insn.is_src_reg() => {
                    if !wanted.has(insn.dst) && !wanted.has(insn.src) {
                        return Ok(());
                    }
                    if !hist.is_some_and(|h| h.stack.src_is_stack()) {
                        wanted.add(insn.src);
                    }
                    if !hist.is_some_and(|h| h.stack.dst_is_stack()) {
                        wanted.add(insn.dst);
                    }
                }
                _ => {}
            },
            _ => {
                if insn.mode() == mode::IMM {
                    wanted.remove(insn.dst);
                    return Ok(());
                }
                if wanted.has(insn.dst) {
                    return Err(Lost::Fallback);
                }
                // The load ended its function.
                if after != Some(at + 1) {
                    return enter(wanted);
                }
                return Ok(());
            }
        }
        want_linked(wanted, hist);
        Ok(())
    }

    /// A register was loaded: from the stack, or from memory that has no precision.
    fn filled(&self, reg: u8, slot: Option<(usize, usize)>, wanted: &mut Wanted) -> Result<(), Lost> {
        if wanted.has(reg) {
            wanted.remove(reg);
            if let Some((frame, slot)) = slot {
                wanted.slots[frame] |= 1 << slot;
            }
        }
        Ok(())
    }

    fn backtrack_call(&self, insn: Insn, at: usize, after: Option<usize>, wanted: &mut Wanted) -> Result<(), Lost> {
        let straight = after == Some(at + 1);
        if insn.is_local_call() {
            let target = insn.function(at).and_then(|t| usize::try_from(t).ok());
            let Some(subprog) = target.and_then(|t| self.find_subprog(t)) else { return Err(Lost::Unknown) };
            if self.subprogs[subprog].global && subprog != 0 {
                no_args("global subprog", wanted)?;
                wanted.remove(0);
                return Ok(());
            }
            only_args("static subprog", wanted)?;
            let args = std::mem::take(&mut wanted.regs[wanted.frame]);
            wanted.frame -= 1;
            wanted.regs[wanted.frame] |= args;
            return Ok(());
        }
        if self.aux[at].calls_callback && !straight {
            // Backwards out of a callback. Its arguments are not those of the call.
            only_args("callback", wanted)?;
            wanted.regs[wanted.frame] = 0;
            wanted.frame -= 1;
            return Ok(());
        }
        if insn.is_kfunc_call() && insn.imm == 0 {
            return Err(Lost::Fallback);
        }
        wanted.remove(0);
        no_args("backtracking call", wanted)?;
        if insn.is_helper_call(id::TAIL_CALL) && !straight {
            // The tail call ended its function.
            return enter(wanted);
        }
        Ok(())
    }

    fn backtrack_exit(&self, after: Option<usize>, wanted: &mut Wanted) -> Result<(), Lost> {
        // A function returns behind its call, a callback to its call.
        let by_call = after.and_then(|a| a.checked_sub(1)).is_some_and(|call| self.insns[call].is_local_call());
        let r0 = by_call && wanted.has(0);
        if after.is_some_and(|a| self.aux[a].calls_callback) {
            // The call that ran the callback has its own use for its arguments, and has marked them.
            wanted.regs[wanted.frame] &= !ARGS;
        }
        if by_call {
            no_args("backtracking exit", wanted)?;
        }
        wanted.remove(0);
        enter(wanted)?;
        if r0 {
            wanted.add(0);
        }
        Ok(())
    }
}

/// Backwards into a function that has returned.
fn enter(wanted: &mut Wanted) -> Result<(), Lost> {
    if wanted.frame + 1 >= wanted.regs.len() {
        return Err(Lost::Bug(ExploreReason::PreciseFrame { from: "enter from", frame: wanted.frame }));
    }
    wanted.frame += 1;
    Ok(())
}
