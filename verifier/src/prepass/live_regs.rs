//! Which registers may be read before they are written, for each instruction: a backward data-flow analysis inside
//! each function (the kernel prints its result as `Live regs before insn:`).

use crate::Env;
use ebpfkit_isa::opcode::class;
use ebpfkit_isa::{Insn, REG_COUNT, RegSet};

impl Env<'_> {
    /// Fills `live_regs_before` of every instruction.
    pub(super) fn compute_live_regs(&mut self) {
        let sets: Vec<(u16, u16)> =
            self.insns().iter().map(|&i| (self.registers_read(i).bits(), i.writes().bits())).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for &at in &self.postorder {
                let after = self.successors(at).fold(0, |live, s| live | self.aux[s].live_regs_before);
                let (reads, writes) = sets[at];
                let before = reads | after & !writes;
                if before != self.aux[at].live_regs_before {
                    self.aux[at].live_regs_before = before;
                    changed = true;
                }
            }
        }
        if self.log_level() > 1 {
            self.log_live_regs();
        }
    }

    /// Registers that an instruction reads, as the kernel sees it: of the arguments of a call those that its prototype
    /// has, and before a legacy packet load all registers.
    fn registers_read(&self, insn: Insn) -> RegSet {
        let is_call = insn.is_call() && !insn.is_local_call();
        match is_call.then(|| self.call_param_count(insn)).flatten() {
            Some(count) => RegSet::args(count as usize),
            None if insn.class() == class::LD && !insn.is_ld_imm64() => RegSet::ALL,
            None => insn.reads(),
        }
    }

    fn log_live_regs(&mut self) {
        self.verbose(format_args!("Live regs before insn:\n"));
        let mut at = 0;
        while at < self.insns().len() {
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
            at += self.insns()[at].slots();
        }
    }
}
