//! How much memory programs may take from the process that runs them.

/// Bounds that the kernel gets from the machine it runs on. What is dropped or refused because of one is said: a map
/// with an error when it is made, the rest in [`Lost`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of events that wait in a run to be taken out: text, records, copies of packets. More are dropped, as the
    /// kernel drops records that a full buffer has no space for.
    pub emitted: u64,
    /// Bytes of all maps of an object together. Maps that grow (hash maps without preallocation, tries, storage, arenas)
    /// count with what they have taken; the others with all that they could hold.
    pub map_memory: u64,
    /// Bytes of the objects that programs of this process allocate: their own, sets of CPUs, copies of iterators. Beyond
    /// that an allocation gives NULL.
    pub objects: u64,
    /// Timers that a run keeps.
    pub timers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { emitted: 64 << 20, map_memory: 512 << 20, objects: 64 << 20, timers: 1 << 16 }
    }
}

/// What programs of a run did not get because of [`Limits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Events that were dropped.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Allocations of objects that gave NULL.
    pub objects: u64,
    /// Timers that were refused.
    pub timers: u64,
}

impl Lost {
    /// Whether nothing was lost.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl std::ops::AddAssign for Lost {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.bytes += other.bytes;
        self.objects += other.objects;
        self.timers += other.timers;
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            (self.events, format!("{} events of {} bytes dropped (limit `emitted`)", self.events, self.bytes)),
            (self.objects, format!("{} allocations of objects refused (limit `objects`)", self.objects)),
            (self.timers, format!("{} timers refused (limit `timers`)", self.timers)),
        ];
        let said: Vec<String> = parts.into_iter().filter(|(n, _)| *n != 0).map(|(_, text)| text).collect();
        f.write_str(&said.join("; "))
    }
}
