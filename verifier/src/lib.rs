//! The Linux eBPF verifier's decisions, without a kernel.
//!
//! The walk mirrors the kernel's: depth first over paths, a stack of pending branches, lists of explored states,
//! pruning by liveness and precision, a budget of one million instructions. Only the same exploration gives the
//! same verdicts near the limits.
//!
//! Rooms, in the order a program passes through them:
//!
//! | room | what it decides |
//! |---|---|
//! | [`front`] | subprograms, control flow, liveness, BTF records, maps, attach points: all that needs no walk |
//! | [`explore`] | the walk itself: branches, pending paths, exits |
//! | [`prune`] | saved states, their comparison, loops and rounds of loops |
//! | [`precision`] | which numbers of saved states must be compared |
//! | [`liveness`] | which stack slots may still be read |
//! | [`scalar`] | numbers: tnums, bounds, arithmetic, comparisons, pointer arithmetic |
//! | [`memory`] | loads, stores and atomics, one file a region kind |
//! | [`call`] | helpers, kfuncs, subprograms, callbacks |
//! | [`resource`] | references, locks and regions that calls open and close |
//! | [`owners`] | which programs may share a map of programs |
//! | [`log`] | the kernel's log text, as an observer |
//! | [`reason`] | every rejection, one variant each |
//!
//! What is not modelled ends in [`Verdict::Unsupported`], never in a guess.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod call;
pub mod domain;
pub mod env;
pub mod explore;
pub mod kernel_model;
pub mod liveness;
pub mod log;
pub mod memory;
pub mod observer;
mod options;
pub mod owners;
pub mod postpass;
pub mod precision;
pub mod prepass;
pub mod program;
pub mod prune;
pub mod reason;
pub mod resource;
pub mod scalar;
pub mod state;
mod tables;
pub mod verdict;
pub mod verify;

pub use domain::{RegBase, RegExtra, RegState, RegType, Tnum};
pub use env::Env;
pub use kernel_model::KernelModel;
pub use observer::{Event, Observer};
pub use options::Options;
pub use owners::Owners;
pub use program::{InsnAux, SubprogInfo};
pub use reason::{Reason, Rejection, Stop};
pub use state::{FuncState, VerifierState};
pub use verdict::{AssumedMap, Assumptions, Facts, Report, Verdict, Verified};
pub use verify::verify;

/// Result of a step of verification.
pub type Step<T = ()> = Result<T, Stop>;
