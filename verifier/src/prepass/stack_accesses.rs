//! What instructions read and write of stacks, before the walk: pointers into frames are followed through every function,
//! anew for each call that passes some on.

use super::const_fold::{Held, Regs};
use super::frame_pointers::{SlotTracks, Track, Tracks};
use crate::liveness::{Ahead, FollowedCall, Touch};
use crate::memory::types::pointee;
use crate::reason::{ExploreReason, reject};
use crate::tables::kfuncs::Param;
use crate::{Env, Step};
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::kfuncs::KfuncFlags;
use ebpfkit_abi::{ArgBase, Feature, TypeFlags};
use ebpfkit_isa::{Insn, STACK_SIZE, opcode};

/// Functions that are followed, counted anew for each call.
const MAX_CALLS: u32 = 10_000;

/// Bytes of a dynptr.
const DYNPTR_SIZE: i64 = 16;

/// A call that is followed.
struct Called {
    at: usize,
    subprog: usize,
    args: [Track; 5],
    /// What the caller's slots may point to.
    slots: Box<SlotTracks>,
}

/// The analysis at work.
struct Analysis {
    ahead: Ahead,
    /// By function: followed at least once.
    seen: Vec<bool>,
    calls: u32,
    /// Slots of the frames of the chain of calls that is followed.
    outer: Vec<SlotTracks>,
}

impl Env<'_> {
    /// Finds which stack slots are alive before each instruction, in kernels that do so before the walk. `order` lists
    /// functions behind those that they call.
    pub(super) fn find_stack_accesses(&mut self, constants: &[Regs], order: &[usize]) -> Step {
        if !self.has(Feature::StackLivenessFirst) {
            return Ok(());
        }
        let seen = vec![false; self.subprogs.len()];
        let mut analysis = Analysis { ahead: Ahead::default(), seen, calls: 0, outer: Vec::new() };
        for &subprog in order.iter().rev() {
            if !analysis.seen[subprog] || self.subprogs[subprog].global {
                let first = self.subprogs[subprog].start;
                self.follow_function(&mut analysis, constants, (subprog, first), None)?;
            }
        }
        self.tables.liveness.set_ahead(analysis.ahead);
        Ok(())
    }

    /// Follows a function that the instruction at `callsite` calls, and those that it calls with pointers into frames.
    fn follow_function(
        &self,
        analysis: &mut Analysis,
        constants: &[Regs],
        (subprog, callsite): (usize, usize),
        args: Option<&[Track; 5]>,
    ) -> Step {
        analysis.calls += 1;
        if analysis.calls > MAX_CALLS {
            return reject(ExploreReason::TooManyFollowed { calls: analysis.calls });
        }
        let depth = analysis.outer.len();
        let known = analysis.ahead.take(depth, callsite, subprog, &self.subprogs);
        let mut pass = known.fresh();
        analysis.seen[subprog] = true;
        let mut called = Vec::new();
        self.follow_frame_pointers(subprog, args, &analysis.outer, |at, tracks| {
            let insn = self.insns()[at];
            if let Some((track, bytes)) = Self::frame_access(insn, tracks) {
                record(&mut pass, at, track, if bytes < 0 { Touch::Writes(-bytes) } else { Touch::Reads(bytes) });
            } else if insn.code == opcode::CALL {
                self.record_call(&mut pass, at, tracks, constants.get(at));
                called.extend(self.followed_call(&mut pass, at, tracks, constants.get(at)));
            }
        });
        let (first, last) = self.subprogs[subprog].postorder;
        let postorder = &self.postorder[first..last];
        if depth + 1 < self.max_call_frames() {
            let mut in_order: Vec<(usize, Called)> =
                called.into_iter().filter_map(|c| Some((postorder.iter().position(|&at| at == c.at)?, c))).collect();
            in_order.sort_by_key(|c| c.0);
            for (_, call) in in_order {
                analysis.outer.push(*call.slots);
                self.follow_function(analysis, constants, (call.subprog, call.at), Some(&call.args))?;
                analysis.outer.pop();
                if let Some(callee) = analysis.ahead.get(depth + 1, call.at) {
                    pass.read_by_callee(callee, call.at);
                }
            }
        }
        analysis.ahead.put(known, pass, |at| self.successors(at), postorder);
        Ok(())
    }

    /// What a helper or kernel function touches through its arguments.
    fn record_call(&self, pass: &mut FollowedCall, at: usize, tracks: &Tracks, held: Option<&Regs>) {
        let insn = self.insns()[at];
        if insn.is_local_call() {
            return;
        }
        let count = self.call_param_count(insn).unwrap_or(5).min(5) as usize;
        for arg in 0..count {
            let track = tracks.regs[arg + 1];
            if !track.is_pointer() {
                continue;
            }
            let touch = match insn.src {
                0 => self.touched_by_helper(insn, arg, held),
                opcode::pseudo::KFUNC_CALL => self.touched_by_kfunc(insn, arg, held),
                _ => {
                    for frame in 0..=pass.depth {
                        pass.read_all(frame, at);
                    }
                    return;
                }
            };
            if let Some(touch) = touch {
                record(pass, at, track, touch);
            }
        }
    }

    /// What a helper touches through an argument that points into a frame; nothing where it takes no memory there.
    fn touched_by_helper(&self, insn: Insn, arg: usize, held: Option<&Regs>) -> Option<Touch> {
        let Ok((_, proto)) = self.helper_prototype(insn.imm) else { return Some(Touch::Unknown) };
        let want = proto.args[arg];
        let writes = want.flags.contains(TypeFlags::UNINIT);
        let bytes = match want.base {
            ArgBase::MapKey | ArgBase::MapValue => {
                let map = proto.args[..arg].iter().position(|a| a.base == ArgBase::ConstMapPtr);
                match map.and_then(|reg| held?.get(reg + 1)) {
                    Some(&Held::Map(map)) => self.map_bytes(map as usize, want.base),
                    _ => {
                        let largest = (0..self.maps.len()).map(|m| self.map_bytes(m, want.base)).max();
                        match largest {
                            Some(bytes) if bytes != 0 => bytes,
                            _ => return Some(Touch::Unknown),
                        }
                    }
                }
            }
            ArgBase::Mem if want.flags.contains(TypeFlags::FIXED_SIZE) => want.size.into(),
            ArgBase::Mem => {
                let next = proto.args.get(arg + 1).map(|a| a.base);
                if !matches!(next, Some(ArgBase::ConstSize | ArgBase::ConstSizeOrZero)) {
                    return Some(Touch::Unknown);
                }
                match small(held, arg + 2) {
                    Some(bytes) => bytes,
                    None if writes => return None,
                    None => return Some(Touch::Reads(STACK_SIZE as i64)),
                }
            }
            ArgBase::Dynptr => DYNPTR_SIZE,
            // The callback that the pointer is passed to is followed by itself.
            ArgBase::Stack => return None,
            _ => return Some(Touch::Unknown),
        };
        Some(if writes { Touch::Writes(bytes) } else { Touch::Reads(bytes) })
    }

    /// Bytes of a key or value of a map in use.
    fn map_bytes(&self, map: usize, which: ArgBase) -> i64 {
        let Some(map) = self.maps.get(map) else { return 0 };
        i64::from(if which == ArgBase::MapKey { map.def.key_size } else { map.def.value_size })
    }

    /// As [`Self::touched_by_helper`], of a kernel function.
    fn touched_by_kfunc(&self, insn: Insn, arg: usize, held: Option<&Regs>) -> Option<Touch> {
        let Some(desc) = self.allowed_kfunc_of(insn) else { return Some(Touch::Unknown) };
        let types = self.kernel().btf()?;
        let param = desc.params.get(arg)?;
        let target = pointee(types, param.ty)?;
        let is_sized = |p: &Param| p.has("__sz") || p.has("__szk");
        let bytes = if matches!(types.name(target), "bpf_dynptr" | "bpf_dynptr_kern") {
            DYNPTR_SIZE
        } else if desc.params.get(arg + 1).is_some_and(is_sized) {
            match small(held, arg + 2) {
                Some(bytes) => bytes,
                None => return Some(Touch::Reads(STACK_SIZE as i64)),
            }
        } else {
            match types.size_of(target) {
                Some(bytes) => bytes.into(),
                None => return Some(Touch::Unknown),
            }
        };
        let writes = arg == 0 && desc.has(KfuncFlags::ITER_NEW) || param.has("__uninit");
        Some(if writes { Touch::Writes(bytes) } else { Touch::Reads(bytes) })
    }

    /// The function that a call leads to, with what it is called with, where that is a pointer into a frame.
    fn followed_call(
        &self,
        pass: &mut FollowedCall,
        at: usize,
        tracks: &Tracks,
        held: Option<&Regs>,
    ) -> Option<Called> {
        let insn = self.insns()[at];
        let mut args = [Track::Nothing; 5];
        let subprog = if insn.is_local_call() {
            args.copy_from_slice(&tracks.regs[1..=5]);
            insn.function(at).and_then(|t| usize::try_from(t).ok()).and_then(|t| self.find_subprog(t))?
        } else if self.aux[at].calls_callback && insn.src == 0 {
            let (callback, passed, received) = passed_to_callback(insn.imm as u32)?;
            let track = tracks.regs[passed];
            args[received - 1] = track;
            match held.map(|h| h[callback]) {
                Some(Held::Func(subprog)) => subprog as usize,
                _ => {
                    // Any of several functions.
                    if track != Track::Nothing {
                        for frame in 0..=pass.depth {
                            pass.read_all(frame, at);
                        }
                    }
                    return None;
                }
            }
        } else {
            return None;
        };
        let passes = args.iter().any(|a| a.is_pointer());
        passes.then(|| Called { at, subprog, args, slots: Box::new(tracks.slots) })
    }
}

/// Of a helper that calls back: the registers of the function and of what is passed on to it, and the register in which
/// the function gets that.
fn passed_to_callback(helper: u32) -> Option<(usize, usize, usize)> {
    match helper {
        id::LOOP | id::USER_RINGBUF_DRAIN => Some((2, 3, 2)),
        id::FOR_EACH_MAP_ELEM => Some((2, 3, 4)),
        id::FIND_VMA => Some((3, 4, 3)),
        _ => None,
    }
}

/// A constant of 32 bits in a register.
fn small(held: Option<&Regs>, reg: usize) -> Option<i64> {
    match held?.get(reg)? {
        Held::Const(value) => u32::try_from(*value).ok().map(i64::from),
        _ => None,
    }
}

/// Adds to a pass what an instruction touches through a pointer.
fn record(pass: &mut FollowedCall, at: usize, track: Track, touch: Touch) {
    if matches!(touch, Touch::Reads(0) | Touch::Writes(0)) {
        return;
    }
    match track {
        Track::Frame { frame, offsets } => {
            let frame = usize::from(frame);
            match (offsets.list(), touch) {
                ([], Touch::Writes(_)) => {}
                ([], _) => pass.read_all(frame, at),
                // It writes one of these places; which one is not known.
                ([_, _, ..], Touch::Writes(_)) => {}
                (offsets, touch) => offsets.iter().for_each(|&off| pass.touch(frame, at, off.into(), touch)),
            }
        }
        Track::Frames(mask) => {
            for frame in (0..=pass.depth).filter(|f| mask >> f & 1 != 0) {
                pass.read_all(frame, at);
            }
        }
        Track::Unvisited | Track::Nothing => {}
    }
}
