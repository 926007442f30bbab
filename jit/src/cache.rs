//! Native code that is kept for programs to come.

use crate::build::build;
use crate::compile::{Options, tier_of};
use crate::source::{Key, Source};
use crate::target::CompileError;
use ebpfkit_vm::Program;
use ebpfkit_vm::native::NativeCode;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Native code by content: programs that are the same share what was compiled for the first of them.
///
/// The same are programs with equal instructions, program types and facts of the verifier, the same maps (not just
/// equal ones: their addresses stand in the code), the same helper functions, mode and [`Options`]. All of this is
/// compared, not just a hash of it. The cache holds no map: code for a map that is gone is dropped, and cannot be found
/// by a program with another map at the same address. Programs keep the code that they have, whatever the cache drops.
///
/// A cache can be shared between threads. Several that ask for the same code at once wait for the first.
///
/// ```
/// # use ebpfkit_isa::Insn;
/// # use ebpfkit_jit::{CodeCache, Jit};
/// # use ebpfkit_vm::{Engine, Loader, Run, World};
/// let cache = CodeCache::new(100);
/// for _ in 0..3 {
///     // r0 = 7; exit
///     let program = Loader::new(&[Insn::new(0xb7, 0, 0, 0, 7), Insn::new(0x95, 0, 0, 0, 0)]).load()?;
///     cache.compile(&program, true)?;
///     assert_eq!(Jit.run(&mut Run::new(&program, World::default())), Ok(7));
/// }
/// assert_eq!((cache.misses(), cache.hits()), (1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CodeCache {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    // The standard hasher has a secret of its own, so that nobody can make programs whose hashes are equal.
    entries: HashMap<Key, Entry>,
    /// Grows with each request.
    now: u64,
    hits: u64,
    misses: u64,
}

struct Entry {
    slot: Arc<Slot>,
    /// When it was last asked for.
    used: u64,
}

/// Code, once the first who asked for it has compiled it.
type Slot = Mutex<Option<NativeCode>>;

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("entries", &self.entries.len())
            .field("hits", &self.hits)
            .field("misses", &self.misses)
            .finish()
    }
}

impl CodeCache {
    /// A cache for the code of so many programs. One that is compiled with checks and without counts as two. Beyond that,
    /// what was not asked for the longest goes.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default() }
    }

    /// Gives a program native code for runs with or without checks, compiling it if no program with the same content has
    /// come before. Does nothing when the program has such code.
    pub fn compile(&self, program: &Arc<Program>, checked: bool) -> Result<(), CompileError> {
        self.compile_with(program, checked, Options::default())
    }

    /// [`CodeCache::compile`] with choices.
    pub fn compile_with(&self, program: &Arc<Program>, checked: bool, options: Options) -> Result<(), CompileError> {
        if program.native(checked).is_some() {
            return Ok(());
        }
        if !checked && !program.runs_unchecked() {
            return Err(CompileError::NotVerified);
        }
        let tier = tier_of(program, options);
        let slot = self.slot(Key::new(program, checked, tier, options.verify_ir));
        let mut code = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = code.is_none();
        let found = match &*code {
            Some(found) => found.clone(),
            // Where this fails, the next who asks is told the same in the same way.
            None => code.insert(build(Source::new(program, checked), tier, options.verify_ir)?).clone(),
        };
        drop(code);
        let mut state = self.state();
        *(if is_new { &mut state.misses } else { &mut state.hits }) += 1;
        drop(state);
        // SAFETY: the code was built for a program with an equal key, which covers all that code depends on.
        unsafe { program.set_native(checked, found) };
        Ok(())
    }

    /// The place for the code of a key.
    fn slot(&self, key: Key) -> Arc<Slot> {
        let mut state = self.state();
        state.now += 1;
        let now = state.now;
        if let Some(entry) = state.entries.get_mut(&key) {
            entry.used = now;
            return entry.slot.clone();
        }
        state.entries.retain(|key, _| key.can_come_back());
        let slot = Arc::new(Slot::default());
        if self.capacity == 0 {
            return slot;
        }
        if state.entries.len() >= self.capacity {
            // Compiling takes so much longer that looking at all of them does not matter.
            let oldest = state.entries.values().map(|e| e.used).min();
            state.entries.retain(|_, e| Some(e.used) != oldest);
        }
        state.entries.insert(key, Entry { slot: slot.clone(), used: now });
        slot
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Programs that code is kept for.
    pub fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often code was there.
    pub fn hits(&self) -> u64 {
        self.state().hits
    }

    /// How often it had to be compiled.
    pub fn misses(&self) -> u64 {
        self.state().misses
    }

    /// Drops all code. Programs keep what they have.
    pub fn clear(&self) {
        self.state().entries.clear();
    }
}
