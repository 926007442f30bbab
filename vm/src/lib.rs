//! Maps, helpers, contexts and an interpreter for eBPF programs.
//!
//! A [`Program`] is loaded once with its maps; a [`Run`] is a place to run it in, with a context, a packet and a
//! [`World`] around it; an engine such as [`interp`] runs it there, any number of times.
#![deny(missing_docs)]

mod budget;
mod calls;
pub mod capture;
pub mod context;
mod contract;
pub mod counts;
mod engine;
mod event;
mod fault;
mod flow;
mod generations;
pub mod helpers;
pub mod hex;
pub mod input;
mod instance;
pub mod interp;
mod limits;
pub mod maps;
pub mod memory;
pub mod native;
mod objects;
pub mod packet;
mod program;
mod receive;
pub mod regions;
pub mod replay;
mod run;
pub mod show;
mod spend;
mod typed;
mod user;
pub mod watch;
mod world;

pub use budget::{DEFAULT_BUDGET, StopHandle};
pub use calls::MAX_HOST_STACK;
pub use context::{CtxLayout, CtxMemory};
pub use contract::{Broken, Contract};
pub use ebpfkit_abi::Errno;
pub use engine::{Engine, Interpreter};
pub use event::{Event, Redirect};
pub use fault::{Fault, FaultKind};
pub use flow::flow_hash;
pub use instance::{Instance, LoadedWithTargets, TargetError};
pub use limits::{Limits, Lost};
pub use memory::MAX_DEPTH;
pub use packet::Packet;
pub use program::{Function, KfuncName, LoadError, Loader, Program};
pub use run::{CallbackFn, HelperFn, Run};
pub use user::{HelperCall, UserHelper};
pub use world::{Connection, Device, Image, Images, Neighbour, Route, Socket, Space, Sysctl, Task, World};
