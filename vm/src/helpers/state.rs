//! What helpers keep between calls: memory of objects, the task, timers.

use crate::maps::mem::Region;
use std::collections::BTreeMap;

/// Memory of objects that helpers and kernel functions made, and memory of the kernel that the user has described.
#[derive(Debug, Default)]
pub struct Heap {
    /// By address; memory of freed objects stays until the heap is cleared, as programs may still look at it.
    objects: BTreeMap<u64, (Region, bool)>,
}

impl Heap {
    /// Zeroed memory; zero when there is none.
    pub fn alloc(&mut self, len: usize) -> u64 {
        let Ok(region) = Region::new(len.max(8), 1) else { return 0 };
        let address = region.base().as_ptr() as u64;
        self.objects.insert(address, (region, true));
        address
    }

    /// Marks an object free; false when it is none that lives.
    pub fn free(&mut self, address: u64) -> bool {
        match self.objects.get_mut(&address) {
            Some((_, live @ true)) => {
                *live = false;
                true
            }
            _ => false,
        }
    }

    /// Bytes of a living object.
    pub fn len_of(&self, address: u64) -> Option<usize> {
        self.objects.get(&address).filter(|(_, live)| *live).map(|(region, _)| region.len())
    }

    /// Whether bytes lie inside one object.
    pub fn contains(&self, address: u64, len: u64) -> bool {
        let Some((base, (region, _))) = self.objects.range(..=address).next_back() else { return false };
        let offset = address - base;
        offset < region.len() as u64 && len <= region.len() as u64 - offset
    }

    /// Objects that live.
    pub fn live(&self) -> usize {
        self.objects.values().filter(|(_, live)| *live).count()
    }

    /// Gives back the memory of freed objects. No program may be running.
    pub fn sweep(&mut self) {
        self.objects.retain(|_, (_, live)| *live);
    }
}

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

/// What helpers keep for a run.
#[derive(Debug, Default)]
pub struct State {
    /// Objects.
    pub heap: Heap,
    /// What the kernel knows of the packet besides its bytes.
    pub skb: crate::packet::Skb,
    /// Timers by address.
    pub timers: BTreeMap<u64, Timer>,
    /// Two words of the run's own: the dynptr that a callback gets.
    scratch: Box<[u64; 2]>,
    task: u64,
    registers: u64,
}

/// Bytes of a `task_struct`, more than any configuration has.
const TASK_SIZE: usize = 16384;
/// Bytes of `struct pt_regs`, on any machine.
const REGISTERS_SIZE: usize = 512;

impl State {
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

    /// Address of the running task's struct: zeros until someone writes to it.
    pub fn task(&mut self) -> u64 {
        if self.task == 0 {
            self.task = self.heap.alloc(TASK_SIZE);
        }
        self.task
    }

    /// Address of the running task's registers: zeros until someone writes to them.
    pub fn registers(&mut self) -> u64 {
        if self.registers == 0 {
            self.registers = self.heap.alloc(REGISTERS_SIZE);
        }
        self.registers
    }
}
