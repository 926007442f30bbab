//! How functions and programs nest: calls for helpers, tail calls, exceptions.
//!
//! A program may have [`MAX_CALL_FRAMES`] frames. One that another has called as its tail begins where the function
//! stands that called it and has as many again; [`MAX_TAIL_CALLS`] bound how often, for a whole run, as in the kernel.
//!
//! Engines call themselves for a callback and for a tail call of a function, so what they use of the thread's stack
//! follows the program. It is compared with [`MAX_HOST_STACK`] each time.

use crate::fault::{Fault, FaultKind};
use crate::maps::Map;
use crate::memory::MAX_DEPTH;
use crate::native::{EngineRun, stack_address};
use crate::program::Program;
use crate::regions::Window;
use crate::run::Run;
use ebpfkit_abi::limits::{MAX_CALL_FRAMES, MAX_TAIL_CALLS};
use ebpfkit_isa::STACK_SIZE;
use std::sync::Arc;

/// Bytes of the thread's stack that a run may have in use when an engine calls itself. The frames of one more program
/// come on top, so that a run fits into the two megabytes that threads have in Rust.
pub const MAX_HOST_STACK: u64 = 3 << 18;

impl Run {
    /// Says how many calls are nested. In checked mode a new frame starts with zeros where the program can touch it.
    #[inline]
    pub(crate) fn set_depth(&mut self, depth: usize) {
        let deeper = depth > self.depth;
        self.go_to_depth(depth);
        if deeper && self.memory.checked {
            self.clear_new_frame();
        }
    }

    /// Says how many calls are nested. A new frame's bytes stay: with checks [`Run::clear_new_frame`] has to follow.
    #[inline(always)]
    pub(crate) fn go_to_depth(&mut self, depth: usize) {
        debug_assert!(depth < MAX_DEPTH);
        let len = ((depth + 1) * STACK_SIZE) as u64;
        let base = self.stack_top() - len;
        self.depth = depth;
        self.memory.stack = Window { base, len };
    }

    /// Frames that the running program may have, as the depth of the first that it may not.
    #[inline]
    pub(crate) fn frame_limit(&self) -> usize {
        self.main_depth + MAX_CALL_FRAMES
    }

    /// Whether the running program may enter one more function.
    #[inline]
    pub(crate) fn check_depth(&self) -> Result<(), Fault> {
        if self.depth + 1 < self.frame_limit() {
            return Ok(());
        }
        Err(FaultKind::CallDepth(MAX_CALL_FRAMES).into())
    }

    /// Whether the engine may call itself once more.
    #[inline]
    pub(crate) fn check_host_stack(&self) -> Result<(), Fault> {
        // Without a run around it, as for a timer, there is little on the stack.
        let used = self.native.stack_top.wrapping_sub(stack_address()) as i64;
        if self.native.stack_top == 0 || used < MAX_HOST_STACK as i64 {
            return Ok(());
        }
        Err(FaultKind::HostStack(MAX_HOST_STACK).into())
    }

    /// Calls a function of the program for a helper such as `bpf_loop`; `handle` is what the program passed.
    pub(crate) fn call(&mut self, handle: u64, args: [u64; 5]) -> Result<u64, Fault> {
        let function = self.current().function_of_handle(handle).ok_or(FaultKind::BadCallTarget(handle))?;
        self.call_function(function, args)
    }

    /// Calls a function of the program by its number.
    fn call_function(&mut self, function: usize, args: [u64; 5]) -> Result<u64, Fault> {
        self.check_depth()?;
        self.check_host_stack()?;
        self.spend(self.current().function_cost(function))?;
        let depth = self.depth;
        self.set_depth(depth + 1);
        let callback = self.callback;
        // SAFETY: an engine has begun this run, and gets it back for a function of the program that it runs.
        let result = callback(unsafe { EngineRun::of(self) }, function, args);
        self.set_depth(depth);
        result
    }

    /// A tail call: the program that takes over, or `None` when the call fails and the old one goes on.
    pub(crate) fn tail_call(&mut self, map: u64, index: u64) -> Result<Option<Arc<Program>>, Fault> {
        let index = index as u32;
        let target = self.map(map)?.program(index);
        let Some(target) = target.filter(|_| self.tail_calls < MAX_TAIL_CALLS) else { return Ok(None) };
        if !self.memory.checked && !target.runs_unchecked() {
            return Err(Fault::helper(format!("tail call to {}, which runs with checks only", target.name())));
        }
        self.spend(target.function_cost(0))?;
        self.tail_calls += 1;
        self.enter(target.clone());
        Ok(Some(target))
    }

    /// Begins the program that a function's tail call has entered, in the function's frame. The answer is for
    /// [`Run::end_program`].
    pub(crate) fn begin_program(&mut self) -> Result<usize, Fault> {
        self.check_host_stack()?;
        Ok(std::mem::replace(&mut self.main_depth, self.depth))
    }

    /// Ends a program that [`Run::begin_program`] has begun: what its main function gave in, its result out.
    pub(crate) fn end_program(&mut self, outer: usize, result: Result<u64, Fault>) -> Result<u64, Fault> {
        let result = self.catch_exception(result);
        self.main_depth = outer;
        result
    }

    /// The end of a program's main function. An exception leaves all of the program's functions at once; its result is
    /// that of the program's exception callback, or the exception's number where there is none.
    pub(crate) fn catch_exception(&mut self, result: Result<u64, Fault>) -> Result<u64, Fault> {
        let Err(fault) = &result else { return result };
        if let (FaultKind::Unavailable(_), Some(at)) = (&fault.kind, fault.insn) {
            let what = self.current().unavailable_at(at).unwrap_or("a call of nothing");
            return Err(Fault::from(FaultKind::Unavailable(what.to_owned())).at(at));
        }
        let FaultKind::Thrown(cookie) = fault.kind else { return result };
        self.set_depth(self.main_depth);
        let Some(function) = self.current().exception_callback() else { return Ok(cookie) };
        match self.call_function(function, [cookie, 0, 0, 0, 0]) {
            Err(fault) if matches!(fault.kind, FaultKind::Thrown(_)) => {
                let again = Fault::helper("an exception in the exception callback");
                Err(fault.insn.map_or(again.clone(), |at| again.at(at)))
            }
            result => result,
        }
    }

    /// The map behind a handle that a program passed.
    pub fn map(&self, handle: u64) -> Result<&Arc<Map>, Fault> {
        self.maps().find(|m| crate::maps::address(m) == handle).ok_or_else(|| FaultKind::BadMap(handle).into())
    }

    /// The maps that the running program may use: those it names, and inner ones that it has looked up.
    pub(crate) fn maps(&self) -> impl Iterator<Item = &Arc<Map>> {
        self.current().maps().iter().chain(&self.held)
    }
}
