//! The state of one path: frames, registers, stacks, and what the program has acquired.

mod frame;
mod parentage;
mod sets;
pub mod stack;

pub use frame::Frame;
pub use parentage::{Cell, Cells, Parentage};
pub(crate) use sets::{RegList, SlotList};
pub use stack::{SLOT_SIZE, SlotKind, Stack, StackSlot};

use crate::domain::{RegBase, RegExtra, RegState, RegType};
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
#[derive(Debug, PartialEq)]
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
    /// The reference that it rests on, which must be released later; zero for none.
    pub parent: u32,
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

impl Resources {
    /// Whether both are the same up to identity (`refsafe`); identities are compared through `same_id`.
    pub(crate) fn same(&self, cur: &Self, same_id: &mut dyn FnMut(u32, u32) -> bool) -> bool {
        let (o, c) = (self, cur);
        o.refs.len() == c.refs.len()
            && o.active_locks == c.active_locks
            && o.active_preempt_locks == c.active_preempt_locks
            && o.active_rcu_locks == c.active_rcu_locks
            && same_id(o.active_irq_id, c.active_irq_id)
            && same_id(o.active_lock_id, c.active_lock_id)
            && o.active_lock_owner == c.active_lock_owner
            && o.refs
                .iter()
                .zip(&c.refs)
                .all(|(a, b)| a.kind == b.kind && a.lock_owner == b.lock_owner && same_id(a.id, b.id))
    }
}

/// Index of a state in the arena of explored states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub u32);

/// What an instruction did with the stack, for following values backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StackUse(u16);

impl StackUse {
    const ACCESS: u16 = 1 << 10;
    const SRC_IS_STACK: u16 = 1 << 11;
    const DST_IS_STACK: u16 = 1 << 12;

    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Spilled a register to, or filled it from, a slot of a frame.
    pub const fn access(frame: usize, slot: usize) -> Self {
        Self(Self::ACCESS | (slot as u16 & 63) << 4 | frame as u16 & 15)
    }

    /// A comparison whose operands are stack pointers, which have no precision.
    pub const fn compared(dst_is_stack: bool, src_is_stack: bool) -> Self {
        Self(if dst_is_stack { Self::DST_IS_STACK } else { 0 } | if src_is_stack { Self::SRC_IS_STACK } else { 0 })
    }

    /// Frame and slot of a spill or fill.
    pub const fn slot(self) -> Option<(usize, usize)> {
        if self.0 & Self::ACCESS != 0 { Some(((self.0 & 15) as usize, (self.0 >> 4 & 63) as usize)) } else { None }
    }

    /// The source of the comparison is a stack pointer.
    pub const fn src_is_stack(self) -> bool {
        self.0 & Self::SRC_IS_STACK != 0
    }

    /// The destination of the comparison is a stack pointer.
    pub const fn dst_is_stack(self) -> bool {
        self.0 & Self::DST_IS_STACK != 0
    }

    /// Both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One step in the history of a state: an instruction that cannot be followed backwards by its number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Slot.
    pub insn: u32,
    /// Slot before it on the path; -1 at the start of a walk.
    pub prev: i32,
    /// What it did with the stack.
    pub stack: StackUse,
    /// Registers and slots of linked scalars whose bounds this comparison moved, packed by `scalar::linked`.
    pub linked_regs: u64,
}

/// The state of one path (`bpf_verifier_state`). Frames and resources are shared between states until written.
#[derive(Clone, Debug)]
pub struct VerifierState {
    /// Call frames; the last is the current one.
    pub frames: Vec<Frame>,
    /// What was acquired.
    pub res: Rc<Resources>,
    /// State that this one continues.
    pub parent: Option<StateId>,
    /// Slot being verified, or where the state was saved.
    pub insn_idx: usize,
    /// First slot after the parent.
    pub first_insn_idx: usize,
    /// Slot before [`VerifierState::insn_idx`] on the path; -1 at the start of a walk.
    pub last_insn_idx: i32,
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
    /// Where its values were when its last state was saved.
    pub parentage: Parentage,
}

impl VerifierState {
    /// Index of the current frame.
    pub fn curframe(&self) -> usize {
        self.frames.len() - 1
    }

    /// Slot that a frame is at: where the innermost one is, or where it called the next.
    pub fn frame_insn(&self, frame: usize) -> usize {
        match self.frames.get(frame + 1) {
            Some(callee) => callee.callsite.max(0) as usize,
            None => self.insn_idx,
        }
    }

    /// Whether both states got to where they are by the same calls.
    pub fn same_callsites(&self, other: &Self) -> bool {
        self.frames.len() == other.frames.len()
            && self.frames.iter().zip(&other.frames).all(|(a, b)| a.callsite == b.callsite)
    }

    /// The current frame.
    pub fn cur(&self) -> &FuncState {
        &self.frames[self.frames.len() - 1]
    }

    /// The current frame, unshared for writing.
    pub fn cur_mut(&mut self) -> &mut FuncState {
        let i = self.frames.len() - 1;
        self.frames[i].make_mut()
    }

    /// A frame.
    pub fn frame(&self, i: usize) -> &FuncState {
        &self.frames[i]
    }

    /// A frame, unshared for writing.
    pub fn frame_mut(&mut self, i: usize) -> &mut FuncState {
        self.frames[i].make_mut()
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
    /// which `predicate` finds nothing stay shared.
    pub fn for_each_reg(&mut self, predicate: impl Fn(&RegState) -> bool, mut f: impl FnMut(&mut RegState)) {
        for frame in &mut self.frames {
            let hit = frame.regs.iter().any(&predicate)
                || frame.stack.slots.iter().any(|s| s.is_spill() && predicate(&s.spilled));
            if !hit {
                continue;
            }
            let frame = frame.make_mut();
            for r in frame.regs.iter_mut().filter(|r| predicate(r)) {
                f(r);
            }
            for s in frame.stack.slots.iter_mut().filter(|s| s.is_spill() && predicate(&s.spilled)) {
                f(&mut s.spilled);
            }
        }
    }
}

impl Clone for FuncState {
    fn clone(&self) -> Self {
        let mut new = Self::new(self.callsite, self.frameno, self.subprog);
        new.clone_from(self);
        new
    }

    /// In place: a frame is large.
    fn clone_from(&mut self, source: &Self) {
        let Self {
            regs,
            stack,
            callsite,
            frameno,
            subprog,
            async_entry_count,
            callback_ret_range,
            in_callback,
            in_async_callback,
            in_exception_callback,
            callback_depth,
        } = source;
        self.regs = *regs;
        self.stack = stack.clone();
        (self.callsite, self.frameno, self.subprog) = (*callsite, *frameno, *subprog);
        self.async_entry_count = *async_entry_count;
        self.callback_ret_range = *callback_ret_range;
        (self.in_callback, self.in_async_callback) = (*in_callback, *in_async_callback);
        (self.in_exception_callback, self.callback_depth) = (*in_exception_callback, *callback_depth);
    }
}

impl FuncState {
    /// Registers (bit n for rn) and slots (bit n for slot n) that hold numbers.
    pub fn scalars(&self) -> (u16, u64) {
        let regs = self.regs.iter().enumerate().filter(|(_, r)| r.is_scalar()).fold(0, |m, (i, _)| m | 1 << i);
        let slots = self.stack.slots.iter().take(64).enumerate().filter(|(_, s)| s.is_scalar_spill());
        (regs, slots.fold(0, |m, (i, _)| m | 1 << i))
    }

    /// A fresh frame: everything unwritten but the frame pointer.
    pub fn new(callsite: i32, frameno: u32, subprog: u32) -> Self {
        let mut regs = [RegState::NOT_INIT; REG_COUNT];
        regs[R10 as usize] = RegState::pointer(RegType::of(RegBase::Stack), RegExtra::None);
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
    /// A state without frames, to stand where another has been taken away.
    pub(crate) fn empty() -> Self {
        Self::start_with(Vec::new(), false)
    }

    /// The state at the start of a function that is verified on its own.
    pub fn start(subprog: u32, sleepable: bool) -> Self {
        Self::start_with(vec![Frame::new(FuncState::new(-1, 0, subprog))], sleepable)
    }

    fn start_with(frames: Vec<Frame>, sleepable: bool) -> Self {
        Self {
            frames,
            res: Rc::default(),
            parent: None,
            insn_idx: 0,
            first_insn_idx: 0,
            last_insn_idx: -1,
            history: Vec::new(),
            dfs_depth: 0,
            callback_unroll_depth: 0,
            may_goto_depth: 0,
            speculative: false,
            in_sleepable: sleepable,
            parentage: Parentage::default(),
        }
    }

    /// Enters a callback.
    pub fn enter(&mut self, callee: Frame) {
        self.frames.push(callee);
        self.parentage.enter(false);
    }

    /// Leaves a function; with `result`, its r0 is its caller's.
    pub fn leave(&mut self, result: bool) {
        self.frames.pop();
        self.parentage.leave(result);
    }
}
