//! What a program acquires and must give back: counted references, locks, and the regions in which it may not sleep.

mod irq;
mod locks;
mod refs;
mod regions;

pub use locks::LockKind;
