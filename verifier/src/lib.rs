//! The Linux eBPF verifier's decisions, without a kernel.
//!
//! The walk mirrors the kernel's: depth first over paths, a stack of pending branches, lists of explored states,
//! pruning by liveness and precision, a budget of one million instructions. Only the same exploration gives the
//! same verdicts near the limits.
//!
//! Modules, in the order a program passes through them; `docs/architecture.md` has their arrows:
//!
//! | module | what it decides |
//! |---|---|
//! | `prepass` | functions, control flow, live registers, BTF records, maps, attach points: all that needs no walk |
//! | `explore` | the walk itself: branches, pending paths, exits |
//! | `prune` | saved states, their comparison, loops, widening |
//! | `precision` | which numbers of saved states must be compared: backtracking along the path |
//! | `liveness` | which stack slots may still be read |
//! | `scalar` | arithmetic, comparisons, pointer arithmetic |
//! | `memory` | loads, stores and atomics, one file a region kind |
//! | `call` | helpers, kernel functions, functions of the program, callbacks |
//! | `resource` | references, locks and regions that calls open and close |
//! | `postpass` | stack depth, once the walk has shown what functions use |
//! | `domain` | what is known of one value: known bits, bounds, kinds |
//! | [`state`] | the state of one path: frames, registers, stacks, resources |
//! | `program` | what is known of the program by instruction, function and map |
//! | `tables` | what all paths have shown: saved states, loops, kernel functions |
//! | `env` | all of this together; the rules are methods of it |
//! | [`log`] | the kernel's log text, as an observer |
//! | [`reason`] | every rejection, one variant each |
//!
//! What is not modelled ends in [`Verdict::Unsupported`], never in a guess.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod call;
mod domain;
mod env;
mod explore;
pub mod kernel_model;
mod liveness;
pub mod log;
mod memory;
pub mod observer;
mod options;
mod owners;
mod postpass;
mod precision;
mod prepass;
mod program;
mod prune;
pub mod reason;
mod resource;
mod scalar;
pub mod state;
mod tables;
mod verdict;
mod verify;

pub use domain::{DynptrKind, IterState, RegBase, RegExtra, RegState, RegType, Tnum};
pub(crate) use env::Env;
pub use kernel_model::KernelModel;
pub use observer::{Event, Observer};
pub use options::Options;
pub use owners::Owners;
pub(crate) use reason::Stop;
pub use reason::{Reason, Rejection};
pub use state::{FuncState, VerifierState};
pub use verdict::{AssumedMap, Assumptions, Facts, Report, Verdict, Verified};
pub use verify::{check_program, verify};

/// Result of a step of verification.
pub(crate) type Step<T = ()> = Result<T, Stop>;
