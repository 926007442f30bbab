//! All that is decided without a walk: subprograms, control flow, liveness of registers, BTF records, maps, attach
//! points, stack depth.
//!
//! [`Env::run_front`] keeps the kernel's order, because the first failure is the one that is reported.

use crate::reason::reject;
use crate::{Env, Step};

pub mod attach;
mod btf_info;
pub(crate) mod call_facts;
mod capabilities;
mod cfg;
mod dead_functions;
mod fastcall;
pub mod global_args;
pub mod graph;
mod live_regs;
mod map_fit;
mod maps;
mod stack_depth;
pub(crate) mod subprogs;

impl Env<'_> {
    /// Runs every pass that comes before the walk, in the kernel's order.
    pub fn run_front(&mut self) -> Step {
        self.check_func_records()?;
        self.find_subprogs()?;
        self.check_subprogs()?;
        self.check_btf_info()?;
        self.check_line_records()?;
        self.resolve_imm64()?;
        self.check_cfg()?;
        self.compute_postorder();
        self.check_attach_point()?;
        self.compute_scc();
        self.compute_live_regs();
        self.mark_fastcall_patterns();
        Ok(())
    }

    /// Runs every pass that comes after the walk and may still reject.
    pub fn run_back(&mut self) -> Step {
        self.remove_fastcall_spills();
        self.check_max_stack_depth()?;
        self.add_loop_stack();
        if self.aux.iter().any(|a| a.map_ptr == crate::program::SEVERAL_MAPS) {
            return reject(crate::reason::FrontReason::TailCallMaps {});
        }
        if self.untranslatable {
            return reject(crate::reason::FrontReason::Untranslatable {});
        }
        self.check_addresses_of_functions()
    }

    /// Subprogram that contains a slot.
    pub fn subprog_at(&self, insn: usize) -> usize {
        let n = self.subprogs.len().saturating_sub(1);
        self.subprogs[..n].partition_point(|s| s.start <= insn).saturating_sub(1)
    }

    /// Subprogram that starts at a slot.
    pub fn find_subprog(&self, insn: usize) -> Option<usize> {
        let n = self.subprogs.len().saturating_sub(1);
        self.subprogs[..n].binary_search_by_key(&insn, |s| s.start).ok()
    }

    /// One past the last slot of a subprogram.
    pub fn subprog_end(&self, subprog: usize) -> usize {
        self.subprogs.get(subprog + 1).map_or(self.insns.len(), |s| s.start)
    }
}
