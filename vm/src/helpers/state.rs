//! What helpers keep between calls: the packet's marks, sockets, timers.

use super::heap;
use crate::Lost;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// A timer in a map value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer {
    /// Handle of the map.
    pub map: u64,
    /// Handle of the function to call; zero for none yet.
    pub callback: u64,
    /// When it fires, in nanoseconds of the monotonic clock; `None` while it is not started.
    pub due: Option<u64>,
    /// Its callback runs now.
    pub running: bool,
}

/// Events that wait in a run, as they were counted last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Emitted {
    /// How many there are.
    pub events: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// What helpers keep for a run.
#[derive(Debug, Default)]
pub struct State {
    /// What the kernel knows of the packet besides its bytes.
    pub skb: crate::packet::Skb,
    /// Sockets.
    pub sockets: super::Sockets,
    /// What a cgroup program has set as the result of the operation (`bpf_set_retval`).
    pub retval: i32,
    /// What the traced function shall return instead (`bpf_override_return`).
    pub override_return: Option<u64>,
    /// Timers by address.
    pub timers: BTreeMap<u64, Timer>,
    /// When timers fire, and their addresses.
    queue: BTreeSet<(u64, u64)>,
    /// What programs did not get because of the world's limits, in all runs so far.
    pub lost: Lost,
    /// The events that wait in the run.
    pub(super) emitted: Emitted,
    /// Addresses of the locks that the run has taken and not given back.
    pub(crate) locks: Vec<u64>,
    /// Addresses of the records of ring buffers that the run has reserved and not submitted.
    pub(crate) records: Vec<u64>,
    /// Connections that are tracked.
    pub(super) connections: super::kfuncs::Connections,
    /// Two words of the run's own: the dynptr that a callback gets.
    scratch: Box<[u64; 2]>,
}

/// Bytes of a `task_struct`, more than any configuration has.
const TASK_SIZE: usize = 16384;
/// Bytes of `struct pt_regs`, on any machine.
const REGISTERS_SIZE: usize = 512;

impl State {
    /// Sets or clears when a timer fires; whether it was set before.
    pub(super) fn set_due(&mut self, timer: u64, due: Option<u64>) -> bool {
        let Some(entry) = self.timers.get_mut(&timer) else { return false };
        let old = std::mem::replace(&mut entry.due, due);
        if let Some(old) = old {
            self.queue.remove(&(old, timer));
        }
        self.queue.extend(due.map(|due| (due, timer)));
        old.is_some()
    }

    /// Takes the timer that fires first, and no later than `until`, out of those that are set: when it fires, and its
    /// address.
    pub(super) fn next_due(&mut self, until: u64) -> Option<(u64, u64)> {
        let (due, timer) = *self.queue.first().filter(|(due, _)| *due <= until)?;
        self.set_due(timer, None);
        Some((due, timer))
    }

    /// Whether the run holds what a run gives back before it ends, unless a fault ends it.
    #[inline]
    pub(crate) fn holds_something(&self) -> bool {
        self.locks.len() | self.records.len() != 0
    }

    /// Address of the two words.
    pub(crate) fn scratch(&self) -> u64 {
        self.scratch.as_ptr() as u64
    }

    /// Sets the two words.
    pub(crate) fn set_scratch(&mut self, bytes: &[u8; 16]) {
        for (word, chunk) in self.scratch.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_ne_bytes(chunk.try_into().unwrap_or_default());
        }
    }

    /// Address of the running task's struct: zeros until someone writes to it. All runs share it.
    pub fn task(&mut self) -> u64 {
        static TASK: OnceLock<u64> = OnceLock::new();
        *TASK.get_or_init(|| heap::alloc(heap::Kind::Kernel, TASK_SIZE))
    }

    /// Address of the running task's registers: zeros until someone writes to them. All runs share them.
    pub fn registers(&mut self) -> u64 {
        static REGISTERS: OnceLock<u64> = OnceLock::new();
        *REGISTERS.get_or_init(|| heap::alloc(heap::Kind::Kernel, REGISTERS_SIZE))
    }
}
