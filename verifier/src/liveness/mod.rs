//! Which stack slots may still be read: a data-flow analysis over the control-flow graph of each function, kept apart
//! for every chain of calls that leads there.
//!
//! The walk feeds it: each instruction it verifies adds the slots that it may read and narrows the slots that it
//! always writes. When a path ends, what has changed is propagated against the flow, and from a function to the call
//! that led there. Pruning asks which slots of a saved state are alive, and drops the others.
//!
//! A slot is alive before an instruction if it is alive after it and not always written by it, or if it may be read
//! by it. Marks are bit masks: bit n stands for slot n.
//!
//! Kernels from 7.1 on find it all before the walk: [`Ahead`].

mod ahead;
mod flow;
mod query;

pub(crate) use ahead::{Ahead, Halves, Instance as FollowedCall, Touch};

use crate::program::{InsnAux, SubprogInfo};
use crate::state::{Frame, VerifierState};
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::limits::MAX_LONG_CALL_FRAMES;
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{class, mode};

/// What one instruction does with the slots of one frame, and what follows from it.
#[derive(Clone, Copy, Debug, Default)]
struct Masks {
    may_read: u64,
    must_write: u64,
    /// Written by this instruction or later on every way to the function's end.
    written_later: u64,
    live_before: u64,
}

/// What an instruction has been seen to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    Never,
    WritesNothing,
    Writes,
}

/// A function as called by one chain of calls.
#[derive(Debug)]
struct Instance {
    /// The caller's instance and the slot of the call.
    outer: Option<(usize, usize)>,
    /// Frame number of this function.
    frame: usize,
    subprog: usize,
    start: usize,
    len: usize,
    seen: Vec<Seen>,
    /// By frame, then by instruction of this function.
    masks: [Option<Box<[Masks]>>; MAX_LONG_CALL_FRAMES],
    /// By frame: positions in the function's postorder that must be looked at again.
    dirty: [flow::Dirty; MAX_LONG_CALL_FRAMES],
    updated: bool,
    /// An instruction writes less than was known before, so what is written later must be found anew.
    writes_less: bool,
    /// Functions called from here: slot of the call, first slot of the function, instance.
    callees: Vec<(usize, usize, usize)>,
}

/// The analysis of one verification.
#[derive(Debug, Default)]
pub struct Liveness {
    instances: Vec<Instance>,
    /// Instances that no other one calls: first slot of the function, instance.
    roots: Vec<(usize, usize)>,
    /// Instance of the instruction being verified, while it is known.
    current: Option<usize>,
    /// Slots that the instruction being verified writes, by frame.
    writes: [u64; MAX_LONG_CALL_FRAMES],
    wrote: bool,
    graph: flow::Graph,
    /// What is known before the walk, in kernels that find it then; nothing is gathered there.
    ahead: Option<Box<Ahead>>,
}

impl Instance {
    fn masks_mut(&mut self, frame: usize) -> &mut [Masks] {
        let len = self.len;
        self.masks[frame].get_or_insert_with(|| vec![Masks::default(); len].into_boxed_slice())
    }
}

impl Liveness {
    /// The instance of frame number `depth` of a state.
    fn instance(&mut self, frames: &[Frame], depth: usize, subprogs: &[SubprogInfo]) -> usize {
        let mut at: Option<usize> = None;
        for frame in &frames[..=depth] {
            let subprog = frame.subprog as usize;
            let start = subprogs[subprog].start;
            let callsite = frame.callsite.max(0) as usize;
            let known = match at {
                None => self.roots.iter().find(|r| r.0 == start).map(|r| r.1),
                Some(outer) => {
                    let callees = &self.instances[outer].callees;
                    callees.iter().find(|c| c.0 == callsite && c.1 == start).map(|c| c.2)
                }
            };
            at = Some(known.unwrap_or_else(|| {
                let len = subprogs.get(subprog + 1).map_or(0, |s| s.start - start);
                let new = self.instances.len();
                self.instances.push(Instance {
                    outer: at.map(|o| (o, callsite)),
                    frame: at.map_or(0, |o| self.instances[o].frame + 1),
                    subprog,
                    start,
                    len,
                    seen: vec![Seen::Never; len],
                    masks: Default::default(),
                    dirty: Default::default(),
                    updated: false,
                    writes_less: false,
                    callees: Vec::new(),
                });
                match at {
                    None => self.roots.push((start, new)),
                    Some(outer) => self.instances[outer].callees.push((callsite, start, new)),
                }
                new
            }));
        }
        at.unwrap_or(0)
    }

    fn read(&mut self, instance: usize, frame: usize, insn: usize, slots: u64) {
        let i = &mut self.instances[instance];
        let at = insn - i.start;
        let masks = i.masks_mut(frame);
        let m = &mut masks[at];
        if slots & !m.may_read != 0 {
            m.may_read |= slots;
            // What is alive here anyway changes nothing.
            if m.may_read & !m.live_before != 0 {
                self.touch(instance, frame, insn);
            }
        }
    }

    /// Narrows what an instruction always writes to what it wrote this time.
    fn commit(&mut self, instance: usize, insn: usize) {
        let i = &mut self.instances[instance];
        let at = insn - i.start;
        let Some(&seen) = i.seen.get(at) else { return };
        if !self.wrote && seen == Seen::WritesNothing {
            return;
        }
        let mut any = false;
        for frame in 0..=i.frame {
            let mut writes = self.writes[frame];
            let i = &mut self.instances[instance];
            if writes == 0 && (seen == Seen::Never || i.masks[frame].is_none()) {
                continue;
            }
            let masks = &mut i.masks_mut(frame)[at];
            if seen != Seen::Never {
                writes &= masks.must_write;
            }
            any |= writes != 0;
            let old = std::mem::replace(&mut masks.must_write, writes);
            if old != writes {
                i.writes_less |= old & !writes != 0;
                self.touch(instance, frame, insn);
            }
        }
        self.instances[instance].seen[at] = if any { Seen::Writes } else { Seen::WritesNothing };
        self.forget_writes();
    }

    fn forget_writes(&mut self) {
        if self.wrote {
            self.writes = [0; MAX_LONG_CALL_FRAMES];
            self.wrote = false;
        }
    }
}

impl Liveness {
    /// Prepares the graph that the analysis runs on.
    pub(crate) fn prepare(&mut self, insns: &[Insn], postorder: &[usize]) {
        let leaves = |at: usize| {
            let i = insns[at];
            i.is_helper_call(id::TAIL_CALL) || i.class() == class::LD && matches!(i.mode(), mode::ABS | mode::IND)
        };
        self.graph = flow::Graph::new(insns, postorder, &leaves);
    }

    /// Starts the marks of the next instruction of a state.
    pub(crate) fn begin(&mut self, state: &VerifierState, subprogs: &[SubprogInfo]) {
        self.forget_writes();
        if self.current.is_none() && self.ahead.is_none() {
            self.current = Some(self.instance(&state.frames, state.curframe(), subprogs));
        }
    }

    /// Ends the marks of the instruction at `insn`.
    pub(crate) fn end(&mut self, insn: usize) {
        if let Some(instance) = self.current {
            self.commit(instance, insn);
        }
    }

    /// The chain of calls changes.
    pub(crate) fn leave_chain(&mut self) {
        self.current = None;
    }

    /// The instruction at `insn`, whose marks have been started, may read these slots of a frame.
    pub(crate) fn mark_read(&mut self, frame: usize, insn: usize, slots: u64) {
        if let Some(instance) = self.current {
            self.read(instance, frame, insn, slots);
        }
    }

    /// The instruction whose marks have been started writes these slots of a frame whole.
    pub(crate) fn mark_write(&mut self, frame: usize, slots: u64) {
        self.writes[frame] |= slots;
        self.wrote = true;
    }

    /// Propagates what has changed in the chain of calls of a state; with `meets`, which tells prune points, gives the
    /// lines that the log says of it.
    pub(crate) fn update(
        &mut self,
        state: &VerifierState,
        subprogs: &[SubprogInfo],
        postorder: &[usize],
        meets: Option<&dyn Fn(usize) -> bool>,
    ) -> String {
        self.current = None;
        if self.ahead.is_some() {
            return String::new();
        }
        let mut log = meets.map(|meets| flow::Log { lines: String::new(), meets });
        for depth in (0..state.frames.len()).rev() {
            let instance = self.instance(&state.frames, depth, subprogs);
            self.propagate(instance, subprogs, postorder, log.as_mut());
        }
        log.map_or_else(String::new, |log| log.lines)
    }

    /// Takes what is known before the walk.
    pub(crate) fn set_ahead(&mut self, ahead: Ahead) {
        self.ahead = Some(Box::new(ahead));
    }

    /// What is known before the walk.
    pub(crate) fn ahead(&self) -> Option<&Ahead> {
        self.ahead.as_deref()
    }

    /// Slots of a frame of a saved state that may still be read.
    pub(crate) fn live_slots(
        &mut self,
        state: &VerifierState,
        frame: usize,
        subprogs: &[SubprogInfo],
        aux: &[InsnAux],
    ) -> u64 {
        query::live_slots(self, state, frame, subprogs, aux)
    }
}
