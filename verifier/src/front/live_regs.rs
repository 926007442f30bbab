//! Which registers may be read before they are written, for each instruction: a backward data-flow analysis inside
//! each function (the kernel prints its result as `Live regs before insn:`).

use super::graph::successors;
use crate::Env;
use ebpfkit_isa::opcode::{alu, atomic, class, jmp, mode, pseudo, size};
use ebpfkit_isa::{Insn, REG_COUNT};

const CALLER_SAVED: u16 = 0b11_1111;

const fn bit(reg: u8) -> u16 {
    1 << reg
}

/// Registers that an instruction reads and writes.
#[derive(Clone, Copy)]
struct Effect {
    reads: u16,
    writes: u16,
}

impl Env<'_> {
    /// Fills `live_regs_before` of every instruction.
    pub(super) fn compute_live_regs(&mut self) {
        let effects: Vec<Effect> = self.insns.iter().map(|&i| self.effect(i)).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for &at in &self.postorder {
                let after = successors(&self.insns, at).fold(0, |live, s| live | self.aux[s].live_regs_before);
                let before = effects[at].reads | after & !effects[at].writes;
                if before != self.aux[at].live_regs_before {
                    self.aux[at].live_regs_before = before;
                    changed = true;
                }
            }
        }
        if self.log_level > 1 {
            self.log_live_regs();
        }
    }

    fn effect(&self, insn: Insn) -> Effect {
        let (dst, src) = (bit(insn.dst & 15), bit(insn.src & 15));
        let operand = if insn.is_src_reg() { src } else { 0 };
        // What is not understood reads everything and writes nothing, which is always safe.
        let unknown = Effect { reads: u16::MAX, writes: 0 };
        match insn.class() {
            class::LD if insn.mode() == mode::IMM && insn.size_bits() == size::DW => Effect { reads: 0, writes: dst },
            class::LDX if matches!(insn.mode(), mode::MEM | mode::MEMSX) => Effect { reads: src, writes: dst },
            class::ST if insn.mode() == mode::MEM => Effect { reads: dst, writes: 0 },
            class::STX if insn.mode() == mode::MEM => Effect { reads: dst | src, writes: 0 },
            class::STX if insn.mode() == mode::ATOMIC => match insn.imm {
                atomic::CMPXCHG => Effect { reads: bit(0) | dst | src, writes: bit(0) },
                atomic::LOAD_ACQ => Effect { reads: src, writes: dst },
                atomic::STORE_REL => Effect { reads: dst | src, writes: 0 },
                op if op & atomic::FETCH != 0 => Effect { reads: dst | src, writes: src },
                _ => Effect { reads: dst | src, writes: 0 },
            },
            class::ALU | class::ALU64 => match insn.op() {
                alu::END => Effect { reads: dst, writes: dst },
                alu::MOV => Effect { reads: operand, writes: dst },
                _ => Effect { reads: dst | operand, writes: dst },
            },
            class::JMP | class::JMP32 => match insn.op() {
                jmp::JA | jmp::JCOND => Effect { reads: 0, writes: 0 },
                jmp::EXIT => Effect { reads: bit(0), writes: 0 },
                jmp::CALL => {
                    let params = if insn.src == pseudo::CALL { None } else { self.call_param_count(insn) };
                    // r1 to rN; all five when the prototype is not known.
                    let reads = params.map_or(CALLER_SAVED & !bit(0), |n| (2u16 << n.min(5)) - 2);
                    Effect { reads, writes: CALLER_SAVED }
                }
                _ => Effect { reads: dst | operand, writes: 0 },
            },
            _ => unknown,
        }
    }

    fn log_live_regs(&mut self) {
        self.verbose(format_args!("Live regs before insn:\n"));
        let mut at = 0;
        while at < self.insns.len() {
            let (scc, live) = (self.aux[at].scc, self.aux[at].live_regs_before);
            if scc == 0 {
                self.verbose(format_args!("    "));
            } else {
                self.verbose(format_args!("{scc:>3} "));
            }
            self.verbose(format_args!("{at:>3}: "));
            for reg in 0..REG_COUNT - 1 {
                if live >> reg & 1 != 0 {
                    self.verbose(format_args!("{reg}"));
                } else {
                    self.verbose(format_args!("."));
                }
            }
            self.verbose(format_args!(" "));
            self.log_insn(at);
            at += if self.insns[at].is_ld_imm64() { 2 } else { 1 };
        }
    }
}
