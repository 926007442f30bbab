//! What is decided once all paths have been walked: how much stack chains of calls need, and what the kernel cannot
//! translate.

mod func_addresses;
mod stack_depth;

use crate::program::SEVERAL_MAPS;
use crate::reason::{ProgramReason, reject};
use crate::{Env, Step};

impl Env<'_> {
    /// Runs every pass that comes after the walk and may still reject.
    pub fn run_postpass(&mut self) -> Step {
        self.remove_fastcall_spills();
        self.check_max_stack_depth()?;
        self.add_loop_stack();
        if self.aux.iter().any(|a| a.map_ptr == SEVERAL_MAPS) {
            return reject(ProgramReason::TailCallMaps {});
        }
        if self.untranslatable {
            return reject(ProgramReason::Untranslatable {});
        }
        self.check_addresses_of_functions()
    }

    /// Functions whose spills around calls are removed need less stack.
    pub(super) fn remove_fastcall_spills(&mut self) {
        for s in 0..self.subprogs.len().saturating_sub(1) {
            let range = self.subprogs[s].start..self.subprog_end(s);
            let removed = self.aux[range].iter().any(|a| a.fastcall_spills > 0);
            let info = &mut self.subprogs[s];
            if removed && !info.keep_fastcall_stack {
                info.stack_depth = u32::from(info.fastcall_stack_off.unsigned_abs());
            }
        }
    }
}
