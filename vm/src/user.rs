//! Helpers of the user's own.

use crate::event::Event;
use crate::fault::Fault;
use crate::run::{HelperFn, Run};
use crate::world::World;
use std::any::Any;
use std::ops::Deref;

/// A helper that a user registers: the call and `r1` to `r5` in, `r0` out. A fault ends the run.
pub type UserHelper = fn(HelperCall<'_>, [u64; 5]) -> Result<u64, Fault>;

/// A call of a user's helper: the run that it comes from, to look at, and what the helper may do in it. The run itself
/// stays the engine's, which is in the middle of it.
#[repr(transparent)]
#[derive(Debug)]
pub struct HelperCall<'r>(&'r mut Run);

impl Deref for HelperCall<'_> {
    type Target = Run;

    fn deref(&self) -> &Run {
        self.0
    }
}

impl HelperCall<'_> {
    /// Copies out of the program's memory.
    pub fn read(&mut self, address: u64, out: &mut [u8]) -> Result<(), Fault> {
        self.0.read(address, out)
    }

    /// Copies into the program's memory.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.0.write(address, bytes)
    }

    /// Calls a function of the program; `handle` is what the program passed.
    pub fn call(&mut self, handle: u64, args: [u64; 5]) -> Result<u64, Fault> {
        self.0.call(handle, args)
    }

    /// Takes `count` instructions from the budget.
    pub fn spend(&mut self, count: u64) -> Result<(), Fault> {
        self.0.spend(count)
    }

    /// Tells the outside something.
    pub fn emit(&mut self, event: Event) {
        self.0.events.push(event);
    }

    /// Does what the built-in helper of a number does; `None` where there is none. The program runs with checks, so that the
    /// helper takes no argument for true.
    pub fn builtin(&mut self, id: u32, args: [u64; 5]) -> Option<Result<u64, Fault>> {
        if !self.0.is_checked() {
            return None;
        }
        let helper = crate::helpers::find(id)?;
        // SAFETY: an engine that runs a program in this run has called the user's helper for a call of that program. With
        // checks any arguments will do.
        Some(unsafe { helper(self.0, args) })
    }

    /// Does what the built-in kernel function of a name does; see [`HelperCall::builtin`].
    pub fn builtin_kfunc(&mut self, name: &str, args: [u64; 5]) -> Option<Result<u64, Fault>> {
        if !self.0.is_checked() {
            return None;
        }
        let function = crate::helpers::kfunc(name)?;
        // SAFETY: as in `builtin`: a call of the program has led here, and with checks any arguments will do.
        Some(unsafe { function(self.0, args) })
    }

    /// The world.
    pub fn world_mut(&mut self) -> &mut World {
        self.0.world_mut()
    }

    /// What the helpers need.
    pub fn user_mut(&mut self) -> &mut Option<Box<dyn Any + Send>> {
        self.0.user_mut()
    }
}

/// The helper as engines call it.
pub(crate) fn as_helper(function: UserHelper) -> HelperFn {
    // SAFETY: `HelperCall` is a transparent wrapper of the reference, so that both take their arguments alike. A program
    // that calls the helper runs with checks (`Loader::load_with`), so that all the helper can do is checked too.
    unsafe { std::mem::transmute::<UserHelper, HelperFn>(function) }
}
