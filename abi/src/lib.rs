//! What a Linux kernel offers to eBPF programs, as data that the verifier, the VM and the docs all read.
//!
//! Everything here is a table row or a lookup in a table; nothing decides anything by itself.
//! Sources: the uAPI header `linux/bpf.h`, the public eBPF documentation and observed kernels.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod numbered;

pub mod attach_type;
mod callers;
pub mod ctx;
pub mod ctx_types;
mod errno;
pub mod helpers;
pub mod iterators;
pub mod kernel;
pub mod kfuncs;
pub mod limits;
pub mod lsm;
pub mod map_flags;
pub mod map_type;
pub mod net;
pub mod prog_type;
pub mod proto;
pub mod releases;
mod retval;
pub mod syscalls;
pub mod test_run;
pub mod tracepoints;
pub mod trampolines;

pub use attach_type::AttachType;
pub use callers::Callers;
pub use errno::Errno;
pub use helpers::{helper_id, helper_name, helper_names};
pub use kernel::{Feature, KernelVersion};
pub use map_type::{MapTraits, MapType, MapTypes};
pub use prog_type::ProgType;
pub use proto::{ArgBase, ArgType, Helper, HelperFlags, Prototype, RetBase, RetType, TypeFlags};
pub use retval::{retval_name, retval_names, retval_of};
