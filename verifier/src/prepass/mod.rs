//! All that is decided before the walk: subprograms, control flow, liveness of registers, BTF records, maps, attach
//! points.
//!
//! [`Env::run_prepass`] keeps the kernel's order, because the first failure is the one that is reported.

use crate::{Env, Step};
use ebpfkit_abi::Feature;

pub mod attach;
mod btf_info;
pub(crate) mod call_effects;
mod capabilities;
mod cfg;
mod const_fold;
mod fastcall;
mod frame_pointers;
pub mod global_args;
pub mod graph;
mod live_regs;
mod map_fit;
mod maps;
mod stack_accesses;
pub(crate) mod subprogs;

impl Env<'_> {
    /// Runs every pass that comes before the walk, in the kernel's order.
    pub fn run_prepass(&mut self) -> Step {
        self.check_func_records()?;
        self.find_subprogs()?;
        self.check_subprogs()?;
        self.check_btf_info()?;
        self.check_line_records()?;
        if !self.has(Feature::AttachAfterFlow) {
            self.check_attach_point()?;
        }
        self.resolve_imm64()?;
        let has_loops = self.check_cfg()?;
        self.compute_postorder();
        if self.has(Feature::AttachAfterFlow) {
            self.check_attach_point()?;
        }
        let constants = self.fold_constants();
        let order = self.order_functions()?;
        if has_loops {
            self.compute_scc();
        }
        self.find_stack_accesses(&constants, &order)?;
        self.compute_live_regs();
        self.mark_fastcall_patterns();
        Ok(())
    }
}
