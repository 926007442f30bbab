//! Functions of the program that helpers call: what each is entered with.

use super::helper::CallMeta;
use crate::domain::{BtfRef, DynptrKind, RegBase, RegState, RegType};
use crate::memory::dynptr::dynptr_reg;
use crate::memory::types::btf_reg;
use crate::reason::{CallReason, ProgramReason, reject};
use crate::state::{Frame, FuncState, RetRange};
use crate::{Env, Step, Stop};
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::proto::HelperFlags;
use ebpfkit_abi::{Feature, MapTraits, TypeFlags, helpers};
use ebpfkit_isa::Insn;
use ebpfkit_object::btf::Kind;

/// A callback that helpers call returns 0 to go on and 1 to stop.
const RETURNS: RetRange = RetRange { min: 0, max: 1, return_32bit: false };

/// r1 to r5 of a callback.
pub(super) type Args = [RegState; 5];

impl Env<'_> {
    /// Whether a helper calls a function of the program: `Some(true)` when it does so before it returns.
    pub(crate) fn helper_callback(&self, insn: Insn) -> Option<bool> {
        let row = u32::try_from(insn.imm).ok().filter(|_| insn.src == 0).and_then(helpers::find)?;
        let flags = row.prototypes.iter().fold(HelperFlags::empty(), |all, p| all | p.flags);
        if flags.contains(HelperFlags::CALLS_BACK) {
            return Some(true);
        }
        flags.contains(HelperFlags::CALLS_BACK_LATER).then_some(false)
    }

    /// Verifies the callback of a helper, entered from the current frame.
    pub(super) fn call_back(&mut self, helper: u32, meta: &CallMeta) -> Step {
        let Some(subprog) = meta.callback else { return Err(Stop::unsupported("a callback without function")) };
        let args = self.callback_args(helper)?;
        if helper == id::TIMER_SET_CALLBACK {
            return self.push_async_callback(subprog, args, false);
        }
        self.push_sync_callback(subprog, args, RETURNS)
    }

    /// What a helper passes to its callback.
    fn callback_args(&mut self, helper: u32) -> Step<Args> {
        let of_map = |base, r: &RegState| RegState::pointer(RegType::of(base), r.extra);
        let mut args = [RegState::NOT_INIT; 5];
        let caller = |env: &Self, reg| *env.reg(reg);
        match helper {
            id::FOR_EACH_MAP_ELEM => {
                let map = caller(self, 1);
                let def = map.map().map(|m| self.maps[m as usize].def.map_type);
                if !def.is_some_and(|map_type| map_type.is(MapTraits::FOR_EACH)) {
                    return reject(CallReason::NoMapCallback {});
                }
                self.visits_one_map(&map)?;
                args[0] = map;
                args[1] = of_map(RegBase::MapKey, &map);
                args[2] = of_map(RegBase::MapValue, &map);
                if self.has(Feature::ElementIdentities) {
                    args[2].id = self.new_id();
                }
                args[3] = caller(self, 3);
            }
            id::TIMER_SET_CALLBACK => {
                let value = caller(self, 1);
                args[0] = of_map(RegBase::ConstMap, &value);
                args[1] = of_map(RegBase::MapKey, &value);
                args[2] = of_map(RegBase::MapValue, &value);
                if self.has(Feature::ElementIdentities) {
                    args[2].id = self.new_id();
                }
            }
            id::FIND_VMA => {
                let vma = self.types_of(BtfRef::Vmlinux)?.find("vm_area_struct", Kind::Struct);
                let Some(vma) = vma else { return Err(Stop::unsupported("a kernel without vm_area_struct")) };
                args[0] = caller(self, 1);
                args[1] = btf_reg(BtfRef::Vmlinux, vma, TypeFlags::empty());
                args[2] = caller(self, 4);
            }
            id::LOOP => {
                args[0] = self.unknown_scalar();
                args[1] = caller(self, 3);
            }
            id::USER_RINGBUF_DRAIN => {
                let id = self.new_id();
                args[0] = dynptr_reg(DynptrKind::Local, true, id);
                args[1] = caller(self, 3);
            }
            _ => return Err(Stop::unsupported("this callback")),
        }
        Ok(args)
    }

    /// Kernels that walk the elements of one map at each place want the same on all paths.
    fn visits_one_map(&mut self, r: &RegState) -> Step {
        let Some(map) = r.map().filter(|_| !self.has(Feature::VisitedMapsVary)) else { return Ok(()) };
        let seen = &mut self.aux[self.path.insn_idx].map_ptr;
        if *seen != 0 && *seen != map + 1 {
            return reject(ProgramReason::TailCallMaps {});
        }
        *seen = map + 1;
        Ok(())
    }

    /// Enqueues a callback that runs before the call returns, and goes on behind the call as if it never ran.
    pub fn push_sync_callback(&mut self, subprog: usize, args: Args, range: RetRange) -> Step {
        let at = self.path.insn_idx;
        let start = self.subprogs[subprog].start;
        self.subprogs[subprog].is_cb = true;
        let frames = self.path.state.frames.len();
        if frames >= self.max_call_frames() {
            return reject(CallReason::CallStackTooDeep { frames: frames + 1 });
        }
        if !self.has(Feature::RepeatedCallbacks) {
            let mut callee = FuncState::new(at as i32, frames as u32, subprog as u32);
            callee.regs[1..=5].copy_from_slice(&args);
            callee.in_callback = true;
            callee.callback_ret_range = range;
            self.path.entering = Some(Frame::new(callee));
            return Ok(());
        }
        self.push_branch(start, at, false, |_, state| {
            let mut callee = FuncState::new(at as i32, frames as u32, subprog as u32);
            callee.regs[1..=5].copy_from_slice(&args);
            callee.in_callback = true;
            callee.callback_ret_range = range;
            state.callback_unroll_depth += 1;
            state.cur_mut().callback_depth += 1;
            state.enter(Frame::new(callee));
        })?;
        self.path.state.cur_mut().callback_depth = 0;
        self.tables.trace.all();
        Ok(())
    }

    /// Enters the callback that the call just verified has prepared, in kernels that verify it once, as if it ran in the
    /// middle of the call.
    pub(super) fn enter_callback(&mut self) {
        let Some(callee) = self.path.entering.take() else { return };
        self.path.insn_idx = self.subprogs[callee.subprog as usize].start;
        self.leave_stack_chain();
        self.path.state.enter(callee);
        self.log_enter();
    }

    /// Enqueues a callback that runs later, on its own; it returns zero.
    pub fn push_async_callback(&mut self, subprog: usize, args: Args, sleepable: bool) -> Step {
        let at = self.path.insn_idx;
        let runs = self.path.state.cur().async_entry_count + 1;
        (self.subprogs[subprog].is_cb, self.subprogs[subprog].is_async_cb) = (true, true);
        self.tables.trace.all();
        self.push_async(subprog, at, sleepable, |_, callee| {
            callee.regs[1..=5].copy_from_slice(&args);
            callee.async_entry_count = runs;
            callee.in_async_callback = true;
            callee.callback_ret_range = RetRange { min: 0, max: 0, return_32bit: false };
        })
    }

    /// Leaves a synchronous callback at `exit`: back to the call, which may run it again.
    pub(super) fn leave_callback(&mut self) -> Step {
        let r0 = *self.reg(0);
        if !r0.is_scalar() {
            return reject(CallReason::CallbackReturnNoScalar {});
        }
        self.read_regs(1);
        let range = self.path.state.cur().callback_ret_range;
        if !self.has(Feature::ReturnRanges) {
            self.check_return_bits(0, "At callback return", range.min, range.max)?;
        } else {
            self.mark_chain_precision(0)?;
        }
        if self.has(Feature::ReturnRanges) && (r0.smin < range.min.into() || r0.smax > range.max.into()) {
            let facts = r0.known_bounds();
            return reject(CallReason::CallbackReturn { facts, min: range.min, max: range.max });
        }
        let callsite = usize::try_from(self.path.state.cur().callsite).unwrap_or(0);
        self.log_leave(callsite);
        self.path.state.leave(false);
        if !self.has(Feature::RepeatedCallbacks) {
            self.path.insn_idx = callsite + 1;
            return Ok(());
        }
        self.path.insn_idx = callsite;
        self.widen_callback(callsite);
        Ok(())
    }
}
