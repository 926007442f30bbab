//! Calls that keep most registers: compilers spill what such a call might clobber, for kernels that do not know
//! better, and a kernel that does removes the spills, and the stack they needed.

use crate::Env;
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::kfuncs::KfuncFlags;
use ebpfkit_abi::{HelperFlags, RetBase};
use ebpfkit_isa::opcode::{self, class};
use ebpfkit_isa::{Insn, R10, RegSet};
use rustc_hash::FxHashSet;

/// `*(u64 *)(r10 + off) = rX`
const SPILL: u8 = class::STX | opcode::mode::MEM | opcode::size::DW;
/// `rX = *(u64 *)(r10 + off)`
const FILL: u8 = class::LDX | opcode::mode::MEM | opcode::size::DW;

fn is_spill(insn: Insn) -> bool {
    insn.code == SPILL && insn.dst == R10
}

fn is_fill(insn: Insn) -> bool {
    insn.code == FILL && insn.src == R10
}

impl Env<'_> {
    /// Finds calls that lie between spills and fills of the lowest stack slots of their function.
    pub(super) fn mark_fastcall_patterns(&mut self) {
        let targets = self.jump_targets();
        for s in 0..self.subprogs.len().saturating_sub(1) {
            let range = self.subprogs[s].start..self.subprog_end(s);
            let lowest = range.clone().map(|at| self.insns()[at]).filter(|&i| is_spill(i)).map(|i| i.off).min();
            let Some(lowest) = lowest.filter(|&l| l < 0) else { continue };
            for at in range {
                if self.insns()[at].code == opcode::CALL {
                    self.mark_fastcall(s, at, lowest, &targets);
                }
            }
        }
    }

    fn jump_targets(&self) -> FxHashSet<usize> {
        let jumps = self.insns().iter().enumerate().filter_map(|(at, i)| i.successors(at).jump);
        jumps.filter_map(|target| usize::try_from(target).ok()).collect()
    }

    /// Of a call that need not clobber all registers: how many arguments it takes, whether it returns something, and
    /// whether it is replaced by instructions that clobber no more than that.
    fn kept_by(&self, call: Insn) -> Option<(usize, bool, bool)> {
        if let Some(desc) = self.allowed_kfunc_of(call) {
            return Some((desc.params.len(), desc.ret != 0, desc.has(KfuncFlags::FASTCALL)));
        }
        let (_, proto) = self.helper_prototype(if call.src == 0 { call.imm } else { -1 }).ok()?;
        // The only helper that becomes a few instructions of its own on x86-64.
        let replaced = call.is_helper_call(id::GET_SMP_PROCESSOR_ID) && self.kernel().jit;
        let inlined = proto.flags.contains(HelperFlags::FASTCALL) && replaced;
        Some((proto.arg_count(), proto.ret.base != RetBase::Void, inlined))
    }

    fn mark_fastcall(&mut self, subprog: usize, at: usize, lowest: i16, targets: &FxHashSet<usize>) {
        let Some((args, returns, inlined)) = self.kept_by(self.insns()[at]) else { return };
        let result = if returns { RegSet::of(0) } else { RegSet::EMPTY };
        let mut kept = RegSet::CALLER_SAVED.difference(RegSet::args(args).union(result));
        let (mut pairs, mut off) = (0usize, lowest);
        while pairs < 6 {
            let n = pairs + 1;
            let (Some(spill_at), fill_at) = (at.checked_sub(n), at + n) else { break };
            let Some(&fill) = self.insns().get(fill_at) else { break };
            let spill = self.insns()[spill_at];
            let pair = is_spill(spill) && is_fill(fill) && spill.src == fill.dst;
            let same_slot = spill.off == off && fill.off == off;
            let entered = targets.contains(&(spill_at + 1)) || targets.contains(&fill_at);
            if !pair || !same_slot || entered || !kept.contains(spill.src) {
                break;
            }
            kept = kept.difference(RegSet::of(spill.src));
            self.aux[spill_at].fastcall_pattern = true;
            self.aux[fill_at].fastcall_pattern = true;
            pairs = n;
            off += 8;
        }
        if pairs == 0 {
            return;
        }
        let info = &mut self.subprogs[subprog];
        info.fastcall_stack_off = info.fastcall_stack_off.min(off);
        if inlined {
            self.aux[at].fastcall_spills = pairs as u8;
        } else {
            info.keep_fastcall_stack = true;
        }
    }

    /// Some other instruction touches the stack at `off`: where only spills around calls may, these stay.
    pub(crate) fn check_fastcall_contract(&mut self, subprog: usize, off: i64) {
        if i64::from(self.subprogs[subprog].fastcall_stack_off) <= off || self.aux[self.path.insn_idx].fastcall_pattern
        {
            return;
        }
        if self.subprogs[subprog].fastcall_stack_off == i16::MIN {
            return;
        }
        self.subprogs[subprog].fastcall_stack_off = i16::MIN;
        for at in self.subprogs[subprog].start..self.subprog_end(subprog) {
            self.aux[at].fastcall_spills = 0;
            self.aux[at].fastcall_pattern = false;
        }
    }
}
