//! How much stack the deepest chain of calls needs, once the walk knows each function's own need.

use crate::reason::{CallReason, KfuncReason, ProgramReason};
use crate::{Env, Step, reason::reject};
use ebpfkit_abi::Feature;
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::kfuncs::name;
use ebpfkit_abi::{AttachType, ProgType};
use ebpfkit_isa::STACK_SIZE;
use ebpfkit_isa::opcode::MAY_GOTO;

/// Stack that callers of a tail-calling function may use at most.
const TAIL_CALL_CALLER_STACK: u32 = 256;
/// Smaller frames are not worth a stack of their own (`BPF_PRIV_STACK_MIN_SIZE`).
const PRIVATE_STACK_MIN: u32 = 64;

/// Bytes that `may_goto` keeps on the stack.
const MAY_GOTO_STACK: u32 = 16;

/// Bytes that a `bpf_loop` without a call keeps on the stack.
const PLAIN_LOOP_STACK: u32 = 24;

/// One function on the chain that is being measured.
struct Frame {
    subprog: usize,
    /// Next slot to look at for calls.
    at: usize,
    /// Bytes that this frame adds to the shared stack.
    bytes: u32,
    /// How many calls lead here from the function whose walk reaches this one.
    calls: usize,
}

impl Env<'_> {
    /// Stack bytes as the machine reserves them: the JIT rounds to 16, the interpreter to 32 and at least that.
    fn rounded(&self, subprog: usize) -> u32 {
        let own = self.subprogs[subprog].stack_depth;
        if self.kernel().jit && self.has(Feature::StackBySixteen) {
            own.next_multiple_of(16)
        } else {
            own.max(1).next_multiple_of(32)
        }
    }

    /// Whether frames may lie on a stack of their own: kinds of programs that can nest within themselves.
    fn has_private_stacks(&self) -> bool {
        let functions = self.subprogs.len() - 1;
        if !self.kernel().jit
            || !self.has(Feature::PrivateStacks)
            || self.subprogs[..functions].iter().any(|s| s.has_tail_call)
        {
            return false;
        }
        match self.prog().prog_type {
            ProgType::Kprobe | ProgType::Tracepoint | ProgType::PerfEvent | ProgType::RawTracepoint => true,
            ProgType::Tracing => self.prog().attach_type != AttachType::TraceIter,
            ProgType::Lsm => self.prog().attach_type != AttachType::LsmCgroup,
            _ => false,
        }
    }

    /// Rejects when a chain of calls needs more than the stack holds or is too long.
    pub(super) fn check_max_stack_depth(&mut self) -> Step {
        let mut private = vec![None; self.subprogs.len()];
        let allowed = self.has_private_stacks();
        // Asynchronous callbacks run on the ordinary stack, and so does everything they share with the main program.
        for root in (0..self.subprogs.len() - 1).rev() {
            if root == 0 || self.subprogs[root].is_async_cb {
                self.measure_from(root, root == 0 && allowed, &mut private)?;
            }
        }
        Ok(())
    }

    /// Functions with `may_goto` keep a counter and a time stamp on their stack, those with a `bpf_loop` that is made
    /// a plain loop three registers. The kernel adds them once the stack has been checked.
    pub(super) fn add_loop_stack(&mut self) {
        for s in 0..self.subprogs.len() - 1 {
            let seen = |has: &dyn Fn(usize) -> bool| {
                (self.subprogs[s].start..self.subprog_end(s)).any(|at| self.aux[at].seen && has(at))
            };
            let may_goto = seen(&|at| self.insns()[at].code == MAY_GOTO);
            let plain_loop = seen(&|at| self.insns()[at].is_helper_call(id::LOOP) && !self.aux[at].loop_not_inline);
            let own = &mut self.subprogs[s].stack_depth;
            *own += if may_goto { MAY_GOTO_STACK } else { 0 } + if plain_loop { PLAIN_LOOP_STACK } else { 0 };
        }
    }

    fn enter(
        &self,
        subprog: usize,
        depth: u32,
        allowed: bool,
        private: &mut [Option<bool>],
        chain: &[Frame],
    ) -> Step<Frame> {
        if subprog != 0 && self.subprogs[subprog].has_tail_call && depth >= TAIL_CALL_CALLER_STACK {
            return reject(ProgramReason::TailCallStack { depth });
        }
        let own = self.rounded(subprog);
        if !allowed {
            private[subprog] = Some(false);
        } else if private[subprog].is_none() && own >= PRIVATE_STACK_MIN {
            private[subprog] = Some(true);
        }
        let bytes = if private[subprog] == Some(true) {
            if own > STACK_SIZE as u32 {
                return reject(ProgramReason::SubprogStackTooLarge { subprog, depth: own });
            }
            0
        } else {
            own
        };
        if depth + bytes > STACK_SIZE as u32 {
            return reject(ProgramReason::CombinedStackTooLarge { calls: chain.len() + 1, depth: depth + bytes });
        }
        Ok(Frame { subprog, at: self.subprogs[subprog].start, bytes, calls: 0 })
    }

    fn measure_from(&mut self, root: usize, allowed: bool, private: &mut [Option<bool>]) -> Step {
        let mut tail_call = false;
        let mut reaching = vec![false; self.subprogs.len()];
        let mut chain = Vec::with_capacity(self.max_call_frames());
        chain.push(self.enter(root, 0, allowed, private, &chain)?);
        let mut depth = chain[0].bytes;
        while let Some(frame) = chain.last_mut() {
            let (at, subprog) = (frame.at, frame.subprog);
            if at >= self.subprog_end(subprog) {
                if reaching[subprog] && self.has(Feature::TailCallsByFunction) {
                    self.check_callbacks(&chain)?;
                    for frame in &chain {
                        reaching[frame.subprog] = true;
                    }
                }
                if tail_call {
                    self.check_exception_callbacks(&chain)?;
                }
                if let Some(done) = chain.pop() {
                    depth -= done.bytes;
                }
                continue;
            }
            frame.at += 1;
            let insn = self.insns()[at];
            if insn.is_kfunc_call() && self.kfunc_of(insn).is_some_and(|d| d.is(&[name::THROW])) {
                let in_callback = chain.iter().any(|f| self.subprogs[f.subprog].is_cb);
                if in_callback {
                    return reject(KfuncReason::ThrowInCallback { insn: at, subprog });
                }
            }
            let Some(function) = insn.function(at) else { continue };
            let target = usize::try_from(function).ok().and_then(|t| self.find_subprog(t));
            let Some(callee) = target else { return reject(ProgramReason::InvalidCallTarget {}) };
            if self.subprogs[callee].is_async_cb && !insn.is_local_call() {
                continue;
            }
            if self.subprogs[callee].is_exception_cb && insn.is_local_call() {
                return reject(ProgramReason::DirectExceptionCall { insn: at });
            }
            tail_call |= self.subprogs[callee].has_tail_call;
            reaching[callee] |= self.subprogs[callee].has_tail_call;
            // Global functions are walked on their own.
            let starts_anew = self.subprogs[callee].global && self.has(Feature::ChainsByWalk);
            let calls = if starts_anew { 0 } else { chain.last().map_or(0, |f| f.calls) + 1 };
            if calls >= self.max_call_frames() {
                return reject(ProgramReason::CallChainTooDeep { frames: calls });
            }
            let entered = self.enter(callee, depth, allowed, private, &chain)?;
            depth += entered.bytes;
            chain.push(Frame { calls, ..entered });
        }
        Ok(())
    }

    /// Tail calls do not lie in callbacks, nor in what callbacks call.
    fn check_callbacks(&self, chain: &[Frame]) -> Step {
        if chain.iter().any(|f| self.subprogs[f.subprog].is_cb) {
            return reject(CallReason::TailCallInCallback {});
        }
        Ok(())
    }

    /// Nor in exception callbacks.
    fn check_exception_callbacks(&self, chain: &[Frame]) -> Step {
        if chain.iter().any(|f| self.subprogs[f.subprog].is_exception_cb) {
            return reject(ProgramReason::TailCallInExceptionCb {});
        }
        Ok(())
    }
}
