//! Counting what interpreted programs execute, for coverage and profiles.

use crate::Run;
use crate::watch::Watcher;
use ebpfkit_isa::Insn;
use ebpfkit_object::counts::{Call, Counts, ProgramCounts};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Counts what is executed under its watchers.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<Mutex<Counting>>);

impl Counter {
    /// A watcher for one run: it adds to what the counter has.
    pub fn watcher(&self) -> Watcher {
        let counting = self.0.clone();
        Watcher::new(move |run, slot, _| {
            lock(&counting).step(run, slot);
            Ok(())
        })
    }

    /// What has been counted up to now.
    pub fn counts(&self) -> Counts {
        lock(&self.0).counts.clone()
    }
}

fn lock(counting: &Mutex<Counting>) -> MutexGuard<'_, Counting> {
    counting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program as far as counting needs it.
#[derive(Debug)]
struct Known {
    id: u32,
    insns: Vec<Insn>,
    /// First slot of the function that each instruction is in.
    function: Vec<usize>,
}

/// The instruction that was executed last.
#[derive(Debug)]
struct Last {
    program: usize,
    slot: usize,
    depth: usize,
    call: usize,
    at: Instant,
}

#[derive(Debug, Default)]
struct Counting {
    counts: Counts,
    known: Vec<Known>,
    /// The calls at this moment, by depth.
    stack: Vec<usize>,
    by_caller: HashMap<(Option<usize>, usize, usize), usize>,
    last: Option<Last>,
}

impl Counting {
    fn step(&mut self, run: &Run, slot: usize) {
        let (depth, program) = (run.depth(), self.program(run));
        let begins = depth == 0 && slot == 0;
        if let Some(last) = self.last.take() {
            // A program that begins has waited for the one who runs it.
            if !begins {
                let ns = u64::try_from(last.at.elapsed().as_nanos()).unwrap_or(u64::MAX);
                self.counts.programs[last.program].time_ns[last.slot] += ns;
                self.counts.calls[last.call].time_ns += ns;
            }
            if (last.program, last.depth) == (program, depth) {
                let jump = self.known[program].insns[last.slot].successors(last.slot);
                if jump.fallthrough.is_some() && jump.jump == Some(slot as i64) {
                    self.counts.programs[program].jumped[last.slot] += 1;
                }
            }
        }
        let call = self.call(depth, program, self.known[program].function[slot]);
        self.counts.programs[program].executed[slot] += 1;
        self.counts.calls[call].insns += 1;
        self.last = Some(Last { program, slot, depth, call, at: Instant::now() });
    }

    /// The index of the program that runs.
    fn program(&mut self, run: &Run) -> usize {
        let program = run.current();
        if let Some(last) = self.last.as_ref().map(|l| l.program).filter(|p| self.known[*p].id == program.id()) {
            return last;
        }
        if let Some(at) = self.known.iter().position(|k| k.id == program.id()) {
            return at;
        }
        let insns = program.insns().to_vec();
        let mut function = vec![0; insns.len()];
        for f in program.functions() {
            function[f.start..f.end].fill(f.start);
        }
        let zeros = vec![0; insns.len()];
        self.counts.programs.push(ProgramCounts {
            name: program.name().to_owned(),
            executed: zeros.clone(),
            jumped: zeros.clone(),
            time_ns: zeros,
        });
        self.known.push(Known { id: program.id(), insns, function });
        self.known.len() - 1
    }

    /// The call that runs now.
    fn call(&mut self, depth: usize, program: usize, function: usize) -> usize {
        self.stack.truncate(depth + 1);
        if self.stack.len() == depth + 1 {
            let call = &self.counts.calls[self.stack[depth]];
            if (call.program, call.function) == (program, function) {
                return self.stack[depth];
            }
            // Another function in the same frame: a tail call, or the next function that a helper calls.
            self.stack.pop();
        }
        let caller = self.stack.last().copied();
        let calls = &mut self.counts.calls;
        let call = *self.by_caller.entry((caller, program, function)).or_insert_with(|| {
            calls.push(Call { caller, program, function, insns: 0, time_ns: 0 });
            calls.len() - 1
        });
        self.stack.push(call);
        call
    }
}
