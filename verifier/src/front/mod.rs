//! All that is decided before the walk: subprograms, control flow, liveness, BTF records, maps, attach points.

use crate::{Env, Step, Stop};

pub mod global_args;

/// Tables of the front passes.
#[derive(Clone, Debug, Default)]
pub struct Front {}

impl Env<'_> {
    /// Runs every pass that comes before the walk, in the kernel's order.
    pub fn run_front(&mut self) -> Step {
        Err(Stop::unsupported("front passes"))
    }

    /// Runs every pass that comes after the walk and may still reject (stack depth, context rewriting, fixups).
    pub fn run_back(&mut self) -> Step {
        Ok(())
    }

    /// Subprogram that contains a slot (`bpf_find_containing_subprog`).
    pub fn subprog_at(&self, insn: usize) -> usize {
        self.subprogs.partition_point(|s| s.start <= insn) - 1
    }

    /// Subprogram that starts at a slot (`find_subprog`).
    pub fn find_subprog(&self, insn: usize) -> Option<usize> {
        let n = self.subprogs.len().saturating_sub(1);
        self.subprogs[..n].iter().position(|s| s.start == insn)
    }
}
