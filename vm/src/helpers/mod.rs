//! Helpers and kernel functions, by number and by name.
//!
//! A helper is a [`HelperFn`]: it gets the run and the five argument registers and gives what goes into `r0`, or a fault
//! that ends the run. What the kernel answers with an error number is a normal result here too. Each module below lists
//! its helpers by the kernel's name; a name that is in no list is not simulated, and a program that calls it is refused
//! when it is loaded.

mod cx;
mod dynptr;
mod events;
mod format;
pub(crate) mod heap;
mod kfuncs;
mod kptr;
mod link;
mod map;
mod not_simulated;
mod probe;
mod route;
mod skb;
mod socket;
mod sockmap;
mod state;
mod sync;
mod tcp_option;
mod text;
mod time;
mod timers;
mod trace;
mod typed_text;
mod xdp;

pub use events::collect;
pub use format::format;
pub use socket::{Sockets, attach as attach_socket};
pub(crate) use socket::{add_all_regions as add_socket_regions, attach_dummy as attach_dummy_socket};
pub use state::{State, Timer};
pub use timers::run_timers;

/// What maps do with the objects that their values own.
pub(crate) mod objects {
    pub(crate) use super::heap::release_any as release;
    pub(crate) use super::kfuncs::{release_list, release_tree};
}

use crate::fault::{Fault, FaultKind};
use crate::run::{HelperFn, Run};
use std::collections::HashMap;
use std::sync::OnceLock;

/// Gives back what a run that ended with a fault still holds, so that others do not wait for it.
#[cold]
pub(crate) fn give_back(run: &mut Run) {
    events::discard_records(run);
    sync::unlock_all(run);
}

/// A helper by name.
pub(crate) type Row = (&'static str, HelperFn);

/// The lists of the modules.
const MODULES: &[&[Row]] = &[
    map::ROWS,
    time::ROWS,
    format::ROWS,
    probe::ROWS,
    text::ROWS,
    events::ROWS,
    dynptr::ROWS,
    sync::ROWS,
    kptr::ROWS,
    skb::ROWS,
    link::ROWS,
    xdp::ROWS,
    route::ROWS,
    socket::ROWS,
    sockmap::ROWS,
    tcp_option::ROWS,
    trace::ROWS,
    typed_text::ROWS,
];

fn table() -> &'static [Option<HelperFn>] {
    static TABLE: OnceLock<Vec<Option<HelperFn>>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = vec![None; ebpfkit_abi::helpers::LAST as usize + 1];
        for (name, function) in MODULES.iter().copied().flatten() {
            if let Some(slot) = ebpfkit_abi::helper_id(name).and_then(|id| table.get_mut(id as usize)) {
                *slot = Some(*function);
            }
        }
        table
    })
}

/// What stands in the place of a helper or kernel function that is not there. The end of the run says which one.
#[cold]
pub(crate) fn unavailable(_: &mut Run, _: [u64; 5]) -> Result<u64, Fault> {
    Err(FaultKind::Unavailable(String::new()).into())
}

/// A helper by number; `None` when it is not simulated.
pub fn find(id: u32) -> Option<HelperFn> {
    table().get(id as usize).copied().flatten()
}

/// What a helper needs that is not simulated, for helpers of the kernel that [`find`] does not know; the name is without
/// `bpf_`.
pub use not_simulated::missing;

/// A kernel function by name; `None` when it is not simulated.
pub fn kfunc(name: &str) -> Option<HelperFn> {
    static TABLE: OnceLock<HashMap<&'static str, HelperFn>> = OnceLock::new();
    TABLE.get_or_init(|| kfuncs::rows().copied().collect()).get(name).copied()
}

/// Names of the kernel functions that are simulated.
pub fn kfunc_names() -> impl Iterator<Item = &'static str> {
    kfuncs::rows().map(|(name, _)| *name)
}

/// Names of the helpers that are simulated.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODULES.iter().copied().flatten().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_name_is_the_kernels_and_stands_once() {
        let mut seen = std::collections::BTreeSet::new();
        for name in super::names() {
            let row = ebpfkit_abi::helper_id(name);
            assert!(row.is_some(), "vm simulates {name}, which has no row in abi/src/helpers: add one there");
            assert!(seen.insert(name), "{name} twice");
        }
        for name in super::kfunc_names() {
            let row = ebpfkit_abi::kfuncs::find(name);
            assert!(row.is_some(), "vm simulates {name}, which has no row in abi/src/kfuncs: add one there");
            assert!(seen.insert(name), "{name} twice");
        }
    }
}
