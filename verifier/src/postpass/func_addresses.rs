//! Addresses of functions that no path enters.
//!
//! The kernel takes unreachable instructions out of an accepted program, run by run, and moves the targets of what is left.
//! The target of an address in a function that went stays where it was. When functions are compiled, each target has to
//! be the start of one; another function may by chance start there.

use crate::reason::{ProgramReason, reject};
use crate::{Env, Step};

impl Env<'_> {
    /// Fails as the kernel does when it compiles a program whose callback it has removed.
    pub(super) fn check_addresses_of_functions(&self) -> Step {
        let address = |at: usize| self.insns()[at].function(at).filter(|_| self.insns()[at].is_func_address());
        let mut targets: Vec<usize> = (0..self.insns().len())
            .filter(|at| self.aux[*at].seen)
            .filter_map(|at| Some(address(at)?.max(0) as usize))
            .collect();
        if targets.iter().all(|&t| self.aux.get(t).is_some_and(|t| t.seen)) {
            return Ok(());
        }
        let functions = self.subprogs[..self.subprogs.len() - 1].iter().map(|s| s.start);
        let mut starts: Vec<usize> = functions.filter(|&s| self.aux[s].seen).collect();
        if starts.len() == 1 {
            // A program of one function is compiled without a look at addresses.
            return Ok(());
        }
        let mut removed = 0;
        for (from, len) in self.unreachable_runs() {
            let from = from - removed;
            removed += len;
            let moved = |slot: usize| if slot >= from + len { slot - len } else { slot };
            targets.iter_mut().chain(&mut starts).for_each(|slot| *slot = moved(*slot));
        }
        match targets.into_iter().find(|t| !starts.contains(t)) {
            Some(target) => reject(ProgramReason::NoFunction { target }),
            None => Ok(()),
        }
    }

    /// Runs of instructions that no path reaches: first slot and length, in order.
    fn unreachable_runs(&self) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for at in (0..self.insns().len()).filter(|&at| !self.aux[at].seen) {
            match runs.last_mut() {
                Some((from, len)) if *from + *len == at => *len += 1,
                _ => runs.push((at, 1)),
            }
        }
        runs
    }
}
