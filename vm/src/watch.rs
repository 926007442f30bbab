//! Looking at a program while the interpreter runs it: for debuggers, and for tests of what the verifier claims.

use crate::fault::Fault;
use crate::run::Run;

/// Called before every instruction with its slot and the registers `r0` to `r10`; an error ends the run.
/// [`Run::depth`] says how many calls are nested.
pub struct Watcher(Box<WatchFn>);

type WatchFn = dyn FnMut(&Run, usize, &[u64]) -> Result<(), Fault> + Send;

impl Watcher {
    /// Watches with this function.
    pub fn new(watch: impl FnMut(&Run, usize, &[u64]) -> Result<(), Fault> + Send + 'static) -> Self {
        Self(Box::new(watch))
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watcher")
    }
}

impl Run {
    /// Tells the watcher, if there is one.
    pub(crate) fn tell_watcher(&mut self, slot: usize, regs: &[u64]) -> Result<(), Fault> {
        let Some(mut watcher) = self.watch.take() else { return Ok(()) };
        let result = (watcher.0)(self, slot, regs);
        self.watch = Some(watcher);
        result
    }

    /// Reads memory as the program would find it, without doing anything to the run; how many bytes there are until the
    /// first that the program may not read. Only runs with checks know of all their memory.
    pub fn peek(&self, address: u64, bytes: &mut [u8]) -> usize {
        for (n, byte) in bytes.iter_mut().enumerate() {
            match self.memory.peek(&self.native, &self.ctx, address.wrapping_add(n as u64)) {
                Some(found) => *byte = found,
                None => return n,
            }
        }
        bytes.len()
    }
}
