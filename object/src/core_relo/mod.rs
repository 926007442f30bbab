//! CO-RE: relocations that adapt accesses to kernel types, fields and enumerators to the kernel at hand.
//!
//! A relocation names a local type and an access into it. Candidates are the kernel's types of the same name, flavours
//! (`___suffix`) aside. The access is followed by name in each of them; from where it ends, the kind of the
//! relocation makes a value, which replaces an immediate or offset. An instruction whose access exists in no
//! candidate is poisoned: a call of a helper that no kernel has, so that it is an error only where it can be reached.

mod access;
mod compat;
mod kind;
mod locate;
mod matches;
mod patch;
mod resolve;
mod value;

pub(crate) use compat::types_compatible;
pub(crate) use patch::{patch, poison};
pub(crate) use resolve::Resolver;

/// Types that one comparison may look at before it gives up.
const MAX_VISITS: u32 = 1 << 16;
/// Pointers, arrays and functions that one comparison follows.
const MAX_DEPTH: u32 = 32;
/// Components of one access.
const MAX_COMPONENTS: usize = 64;
/// `EINVAL`, as messages print it.
const INVALID: i32 = -22;
/// `E2BIG`, as messages print it.
const TOO_BIG: i32 = -7;
