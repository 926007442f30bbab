//! The state of one path: frames, registers, stacks, and what the program has acquired.

use crate::reg::RegState;
use crate::stack::Stack;
use ebpfkit_isa::{R10, REG_COUNT};
use std::rc::Rc;

/// A range that a return value must lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetRange {
    /// Least value.
    pub min: i32,
    /// Greatest value.
    pub max: i32,
    /// Judged by the low 32 bits rather than all 64.
    pub return_32bit: bool,
}

/// One call frame (`bpf_func_state`).
#[derive(Clone, Debug, PartialEq)]
pub struct FuncState {
    /// Registers r0 to r10.
    pub regs: [RegState; REG_COUNT],
    /// Stack.
    pub stack: Stack,
    /// Slot of the call instruction in the caller; -1 for the main program (`callsite`).
    pub callsite: i32,
    /// Depth, 0 for the main program.
    pub frameno: u32,
    /// Subprogram being executed.
    pub subprog: u32,
    /// Identity of the frame while an asynchronous callback is verified (`async_entry_cnt`).
    pub async_entry_count: u32,
    /// What a callback must return.
    pub callback_ret_range: RetRange,
    /// In a synchronous callback.
    pub in_callback: bool,
    /// In an asynchronous callback.
    pub in_async_callback: bool,
    /// In an exception callback.
    pub in_exception_callback: bool,
    /// How often the callback called from this frame has been entered (`callback_depth`).
    pub callback_depth: u32,
}

/// Kind of something acquired (`enum ref_state_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum RefKind {
    /// A counted object.
    Ptr,
    /// Saved interrupt flags.
    Irq,
    /// `bpf_spin_lock`.
    Lock,
    /// `bpf_res_spin_lock`.
    ResLock,
    /// `bpf_res_spin_lock_irqsave`.
    ResLockIrq,
}

/// Something acquired and not yet released (`bpf_reference_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Kind.
    pub kind: RefKind,
    /// Identity.
    pub id: u32,
    /// Slot of the instruction that acquired it.
    pub insn: usize,
    /// For locks: the map (index) or allocated object (identity) that holds it.
    pub lock_owner: u64,
}

/// Everything acquired on this path, and regions entered.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Resources {
    /// In order of acquisition.
    pub refs: Vec<Reference>,
    /// Locks among `refs`.
    pub active_locks: u32,
    /// `bpf_preempt_disable` depth.
    pub active_preempt_locks: u32,
    /// Identity of the innermost saved interrupt flags; zero when none.
    pub active_irq_id: u32,
    /// Identity of the innermost lock.
    pub active_lock_id: u32,
    /// Owner of the innermost lock.
    pub active_lock_owner: u64,
    /// RCU read-side nesting.
    pub active_rcu_locks: u32,
}

/// Index of a state in the arena of explored states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub u32);

/// One step in the history of a state: an instruction that cannot be followed backwards by its number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Slot.
    pub insn: u32,
    /// Slot before it on the path.
    pub prev: u32,
    /// Stack access of this instruction: frame and slot, when it touches the stack.
    pub stack_access: Option<(u8, u8)>,
    /// Registers and slots of linked scalars whose bounds this comparison moved, packed by `scalar::linked`.
    pub linked_regs: u64,
}

/// The state of one path (`bpf_verifier_state`). Frames and resources are shared between states until written.
#[derive(Clone, Debug)]
pub struct VerifierState {
    /// Call frames; the last is the current one.
    pub frames: Vec<Rc<FuncState>>,
    /// What was acquired.
    pub res: Rc<Resources>,
    /// State that this one continues.
    pub parent: Option<StateId>,
    /// Paths from here that are still open.
    pub branches: u32,
    /// Slot to go on from (for pending states) or where the state was saved.
    pub insn_idx: usize,
    /// First slot after the parent.
    pub first_insn_idx: usize,
    /// Last slot of this state.
    pub last_insn_idx: usize,
    /// Jumps and stack accesses since the parent.
    pub history: Vec<HistoryEntry>,
    /// Depth in the walk.
    pub dfs_depth: u32,
    /// How often callbacks were unrolled.
    pub callback_unroll_depth: u32,
    /// How often `may_goto` was taken.
    pub may_goto_depth: u32,
    /// Executed by speculation only.
    pub speculative: bool,
    /// May sleep here.
    pub in_sleepable: bool,
    /// Dead registers and slots were dropped.
    pub cleaned: bool,
    /// For a state inside a loop that was found equal: the explored state it met.
    pub equal_state: Option<StateId>,
}

impl VerifierState {
    /// Index of the current frame.
    pub fn curframe(&self) -> usize {
        self.frames.len() - 1
    }

    /// The current frame.
    pub fn cur(&self) -> &FuncState {
        &self.frames[self.frames.len() - 1]
    }

    /// The current frame, unshared for writing.
    pub fn cur_mut(&mut self) -> &mut FuncState {
        let i = self.frames.len() - 1;
        Rc::make_mut(&mut self.frames[i])
    }

    /// A frame.
    pub fn frame(&self, i: usize) -> &FuncState {
        &self.frames[i]
    }

    /// A frame, unshared for writing.
    pub fn frame_mut(&mut self, i: usize) -> &mut FuncState {
        Rc::make_mut(&mut self.frames[i])
    }

    /// A register of the current frame.
    pub fn reg(&self, r: u8) -> &RegState {
        &self.cur().regs[r as usize]
    }

    /// A register of the current frame, for writing.
    pub fn reg_mut(&mut self, r: u8) -> &mut RegState {
        &mut self.cur_mut().regs[r as usize]
    }

    /// Acquired resources, unshared for writing.
    pub fn res_mut(&mut self) -> &mut Resources {
        Rc::make_mut(&mut self.res)
    }

    /// Calls `f` for every register and spilled register of all frames (`bpf_for_each_reg_in_vstate`). Frames in
    /// which `wanted` finds nothing stay shared.
    pub fn for_each_reg(&mut self, wanted: impl Fn(&RegState) -> bool, mut f: impl FnMut(&mut RegState)) {
        for frame in &mut self.frames {
            let hit =
                frame.regs.iter().any(&wanted) || frame.stack.slots.iter().any(|s| s.is_spill() && wanted(&s.spilled));
            if !hit {
                continue;
            }
            let frame = Rc::make_mut(frame);
            for r in frame.regs.iter_mut().filter(|r| wanted(r)) {
                f(r);
            }
            for s in frame.stack.slots.iter_mut().filter(|s| s.is_spill() && wanted(&s.spilled)) {
                f(&mut s.spilled);
            }
        }
    }
}

impl FuncState {
    /// A fresh frame: everything unwritten but the frame pointer.
    pub fn new(callsite: i32, frameno: u32, subprog: u32) -> Self {
        let mut regs = [RegState::NOT_INIT; REG_COUNT];
        regs[R10 as usize] =
            RegState::pointer(crate::reg::RegType::of(crate::reg::RegBase::Stack), crate::reg::RegExtra::None);
        regs[R10 as usize].frameno = frameno;
        Self {
            regs,
            stack: Stack::default(),
            callsite,
            frameno,
            subprog,
            async_entry_count: 0,
            callback_ret_range: RetRange { min: 0, max: 0, return_32bit: false },
            in_callback: false,
            in_async_callback: false,
            in_exception_callback: false,
            callback_depth: 0,
        }
    }
}

impl VerifierState {
    /// The state at the start of a function that is verified on its own.
    pub fn start(subprog: u32, sleepable: bool) -> Self {
        Self {
            frames: vec![Rc::new(FuncState::new(-1, 0, subprog))],
            res: Rc::default(),
            parent: None,
            branches: 1,
            insn_idx: 0,
            first_insn_idx: 0,
            last_insn_idx: 0,
            history: Vec::new(),
            dfs_depth: 0,
            callback_unroll_depth: 0,
            may_goto_depth: 0,
            speculative: false,
            in_sleepable: sleepable,
            cleaned: false,
            equal_state: None,
        }
    }
}
