//! How much memory the maps of an object have taken.

use super::mem::Region;
use crate::{Errno, Limits};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is left of the memory that maps may take. Clones count together.
#[derive(Clone, Debug)]
pub struct Account(Arc<State>);

#[derive(Debug)]
struct State {
    /// Bytes that are left.
    left: AtomicU64,
    /// Bytes that were asked for last and not there; zero for none.
    refused: AtomicU64,
}

impl Account {
    /// An account of so many bytes.
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(State { left: AtomicU64::new(bytes), refused: AtomicU64::new(0) }))
    }

    /// Takes bytes; [`Errno::ENOMEM`] when fewer are left.
    pub fn charge(&self, bytes: u64) -> Result<(), Errno> {
        let taken = self.0.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.map(drop).map_err(|_| {
            self.0.refused.store(bytes, Ordering::Relaxed);
            Errno::ENOMEM
        })
    }

    /// Zeroed memory that is charged.
    pub(super) fn region(&self, count: usize, stride: usize) -> Result<Region, Errno> {
        let bytes = count.checked_mul(stride).ok_or(Errno::ENOMEM)?;
        self.charge(bytes as u64)?;
        Region::new(count, stride)
    }

    /// Why a map could not be made for want of memory.
    pub(super) fn explain(&self) -> String {
        match self.0.refused.load(Ordering::Relaxed) {
            0 => "not enough memory".into(),
            bytes => format!(
                "{bytes} bytes more are needed, and maps may take no more than {} (limit `map_memory`)",
                self.0.left.load(Ordering::Relaxed)
            ),
        }
    }
}

impl Default for Account {
    fn default() -> Self {
        Self::new(Limits::default().map_memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_together() {
        let one = Account::new(100);
        let two = one.clone();
        assert_eq!((one.charge(60), two.charge(50), two.charge(40)), (Ok(()), Err(Errno::ENOMEM), Ok(())));
        assert_eq!(one.explain(), "50 bytes more are needed, and maps may take no more than 0 (limit `map_memory`)");
        assert_eq!(Account::new(0).region(usize::MAX, 2).unwrap_err(), Errno::ENOMEM);
    }
}
