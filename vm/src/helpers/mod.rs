//! Helpers and kernel functions, by number and by name.

use crate::run::HelperFn;

/// A helper by number; `None` when it is not simulated.
pub fn find(id: u32) -> Option<HelperFn> {
    let _ = id;
    None
}

/// A kernel function by name; `None` when it is not simulated.
pub fn kfunc(name: &str) -> Option<HelperFn> {
    let _ = name;
    None
}
