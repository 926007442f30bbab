//! eBPF programs to native code, with Cranelift.
//!
//! [`Jit`] is an engine like the interpreter: it runs the program of a [`Run`] and compiles it before its first run, or
//! when [`compile`] is called. Each function of a program becomes one native function; BPF registers become values of
//! Cranelift's SSA form, so that its optimiser and register allocator see through the whole function.
//!
//! - A **verified** program runs without checks. What the verifier proved is used: dead code is dropped, accesses to
//!   the context go straight to its own memory, addresses of maps are constants.
//! - Any other program, or one that runs with checks, is **sandboxed**: each access has to lie in a region of the run,
//!   and a bad one, or a budget that is used up, leaves by an ordinary return. There are no traps.
//!
//! What is compiled can be kept for equal programs to come, in a [`CodeCache`].
#![deny(missing_docs)]

mod build;
mod cache;
mod compile;
mod engine;
mod flow;
mod index;
mod lower;
#[cfg(target_arch = "x86_64")]
mod memory;
mod opt;
mod runtime;
mod source;
mod target;
mod trampoline;

pub use cache::CodeCache;
pub use compile::{Options, compile, compile_with};
pub use engine::Jit;
pub use target::{CompileError, Tier};

#[cfg(doc)]
use ebpfkit_vm::Run;
