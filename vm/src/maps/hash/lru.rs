//! Which element an LRU map gives up when it is full.
//!
//! The order is the kernel's: an active and an inactive list that are rotated by a bounded number of elements, elements
//! that were used since get another round, and each CPU takes a batch of free elements and keeps those that it has just
//! filled pending. A map can therefore give up elements before it holds `max_entries`, as in the kernel.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::Errno;
use crate::maps::Info;
use crate::maps::mem::Region;

/// Elements that a rotation looks at, and that a CPU takes at once, when all CPUs share the lists.
const COMMON_SCANS: u32 = 128;
/// The same for lists of each CPU's own.
const PERCPU_SCANS: u32 = 4;

/// Number of an element or, below the number of lists, of a list's anchor.
type Id = u32;

#[derive(Clone, Copy, Debug)]
struct Link {
    prev: Id,
    next: Id,
    /// The list it is in.
    list: Id,
    hash: u32,
    cpu: u32,
}

/// Anchors of one set of lists.
#[derive(Debug)]
struct Lists {
    active: Id,
    inactive: Id,
    free: Id,
    active_len: u32,
    inactive_len: u32,
    /// Where the rotation of the inactive list goes on.
    hand: Id,
    /// Elements that were never used: next and end.
    fresh: (u32, u32),
}

/// Anchors of what a CPU keeps to itself.
#[derive(Debug)]
struct Local {
    free: Id,
    pending: Id,
    steal: usize,
}

#[derive(Debug)]
struct State {
    links: Vec<Link>,
    lists_of_cpus: Vec<Lists>,
    locals: Vec<Local>,
    lists: u32,
    scans: u32,
    batch: u32,
    refs: Region,
}

/// Takes an element out of the hash table; false when it is not in it. Arguments: element, hash.
pub type Evict<'a> = dyn FnMut(u32, u32) -> bool + 'a;

/// The lists.
#[derive(Debug)]
pub struct Lru {
    state: Mutex<State>,
    /// Address of one byte an element: used since the last look. Owned by the state.
    refs: usize,
    entries: u32,
}

impl Lru {
    /// For so many elements; `own_lists` gives each CPU lists of its own (`BPF_F_NO_COMMON_LRU`).
    pub fn new(info: &Info, entries: u32, own_lists: bool) -> Result<Self, Errno> {
        let cpus = info.cpus;
        let mut links = Vec::new();
        let mut anchor = || {
            let id = links.len() as Id;
            links.push(Link { prev: id, next: id, list: id, hash: 0, cpu: 0 });
            id
        };
        let mut lists_of_cpus = Vec::new();
        let mut locals = Vec::new();
        let share = if own_lists { entries / cpus } else { entries };
        for g in 0..if own_lists { cpus } else { 1 } {
            let (active, inactive, free) = (anchor(), anchor(), anchor());
            let fresh = (g * share, (g + 1) * share);
            lists_of_cpus.push(Lists { active, inactive, free, active_len: 0, inactive_len: 0, hand: inactive, fresh });
        }
        if !own_lists {
            for cpu in 0..cpus as usize {
                locals.push(Local { free: anchor(), pending: anchor(), steal: cpu });
            }
        }
        let refs = info.account.region(entries as usize, 1)?;
        info.account.charge(u64::from(entries) * size_of::<Link>() as u64)?;
        let address = refs.base().as_ptr() as usize;
        let lists = links.len() as u32;
        let scans = if own_lists { PERCPU_SCANS } else { COMMON_SCANS };
        let batch = if own_lists { PERCPU_SCANS } else { (entries / cpus / 2).clamp(1, COMMON_SCANS) };
        let state = Mutex::new(State { links, lists_of_cpus, locals, lists, scans, batch, refs });
        Ok(Self { state, refs: address, entries })
    }

    /// An element was used.
    #[inline]
    pub fn touch(&self, element: u32) {
        debug_assert!(element < self.entries);
        // SAFETY: the region has a byte for each element and lives as long as `self`.
        let used = unsafe { AtomicU8::from_ptr((self.refs + element as usize) as *mut u8) };
        if used.load(Ordering::Relaxed) == 0 {
            used.store(1, Ordering::Relaxed);
        }
    }

    /// An element for a new key with this hash, from what `cpu` may take; another one may have to go.
    pub fn take(&self, cpu: u32, hash: u32, evict: &mut Evict<'_>) -> Option<u32> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.locals.is_empty() {
            state.take_own(cpu as usize, hash, evict)
        } else {
            state.take_common(cpu, hash, evict)
        }
    }

    /// An element is free again.
    pub fn give(&self, element: u32) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).give(element);
    }
}

impl State {
    fn used(&self, id: Id) -> &AtomicU8 {
        // SAFETY: the region has a byte for each element.
        unsafe { AtomicU8::from_ptr(self.refs.at((id - self.lists) as usize).as_ptr()) }
    }

    fn is_used(&self, id: Id) -> bool {
        self.used(id).load(Ordering::Relaxed) != 0
    }

    fn link(&mut self, id: Id) -> &mut Link {
        &mut self.links[id as usize]
    }

    fn prev(&self, id: Id) -> Id {
        self.links[id as usize].prev
    }

    fn next(&self, id: Id) -> Id {
        self.links[id as usize].next
    }

    fn unlink(&mut self, id: Id) {
        let Link { prev, next, .. } = self.links[id as usize];
        self.link(prev).next = next;
        self.link(next).prev = prev;
    }

    /// Puts an element that is in no list first in one.
    fn push_front(&mut self, list: Id, id: Id) {
        let first = self.next(list);
        self.link(first).prev = id;
        self.link(list).next = id;
        let link = self.link(id);
        (link.prev, link.next, link.list) = (list, first, list);
    }

    fn count(&mut self, g: usize, list: Id, by: i32) {
        let group = &mut self.lists_of_cpus[g];
        if list == group.active {
            group.active_len = group.active_len.wrapping_add_signed(by);
        } else if list == group.inactive {
            group.inactive_len = group.inactive_len.wrapping_add_signed(by);
        }
    }

    /// Moves an element of a group's lists to the front of another list, or of its own.
    fn shift(&mut self, g: usize, id: Id, to: Id) {
        if self.lists_of_cpus[g].hand == id {
            self.lists_of_cpus[g].hand = self.prev(id);
        }
        let from = self.links[id as usize].list;
        self.count(g, from, -1);
        self.count(g, to, 1);
        self.unlink(id);
        self.push_front(to, id);
    }

    fn shift_unused(&mut self, g: usize, id: Id, to: Id) {
        self.used(id).store(0, Ordering::Relaxed);
        self.shift(g, id, to);
    }

    fn rotate(&mut self, g: usize) {
        let (active, inactive) = (self.lists_of_cpus[g].active, self.lists_of_cpus[g].inactive);
        if self.lists_of_cpus[g].inactive_len < self.lists_of_cpus[g].active_len {
            let first = self.next(active);
            let mut at = self.prev(active);
            for _ in 0..self.scans {
                if at == active {
                    break;
                }
                let before = self.prev(at);
                let to = if self.is_used(at) { active } else { inactive };
                self.shift_unused(g, at, to);
                if at == first {
                    break;
                }
                at = before;
            }
        }
        if self.next(inactive) == inactive {
            return;
        }
        let mut last = self.next(self.lists_of_cpus[g].hand);
        if last == inactive {
            last = self.next(last);
        }
        let mut at = self.lists_of_cpus[g].hand;
        let mut next = inactive;
        let mut seen = 0;
        while seen < self.scans {
            if at == inactive {
                at = self.prev(at);
                continue;
            }
            next = self.prev(at);
            if self.is_used(at) {
                self.shift_unused(g, at, active);
            }
            if at == last {
                break;
            }
            at = next;
            seen += 1;
        }
        self.lists_of_cpus[g].hand = next;
    }

    /// Frees up to `want` elements into a list.
    fn shrink(&mut self, g: usize, want: u32, free: Id, evict: &mut Evict<'_>) {
        let (active, inactive) = (self.lists_of_cpus[g].active, self.lists_of_cpus[g].inactive);
        let mut freed = 0;
        let mut at = self.prev(inactive);
        for _ in 0..self.scans {
            if at == inactive {
                break;
            }
            let before = self.prev(at);
            if self.is_used(at) {
                self.shift_unused(g, at, active);
            } else if evict(at - self.lists, self.links[at as usize].hash) {
                self.shift(g, at, free);
                freed += 1;
                if freed == want {
                    break;
                }
            }
            at = before;
        }
        if freed != 0 {
            return;
        }
        let list = if self.next(inactive) == inactive { active } else { inactive };
        let mut at = self.prev(list);
        while at != list {
            let before = self.prev(at);
            if evict(at - self.lists, self.links[at as usize].hash) {
                self.shift(g, at, free);
                return;
            }
            at = before;
        }
    }

    /// The first free element of a group, out of its list.
    fn pop_free(&mut self, g: usize) -> Option<Id> {
        let free = self.lists_of_cpus[g].free;
        let first = self.next(free);
        if first != free {
            self.unlink(first);
            return Some(first);
        }
        let (next, end) = &mut self.lists_of_cpus[g].fresh;
        if next == end {
            return None;
        }
        let element = *next;
        *next += 1;
        // The links of fresh elements are made when they are first used.
        let id = self.lists + element;
        if self.links.len() <= id as usize {
            let empty = Link { prev: 0, next: 0, list: 0, hash: 0, cpu: 0 };
            self.links.resize(id as usize + 1, empty);
        }
        Some(id)
    }

    fn take_own(&mut self, cpu: usize, hash: u32, evict: &mut Evict<'_>) -> Option<u32> {
        let g = cpu.min(self.lists_of_cpus.len() - 1);
        self.rotate(g);
        let (free, inactive) = (self.lists_of_cpus[g].free, self.lists_of_cpus[g].inactive);
        let mut id = self.pop_free(g);
        if id.is_none() {
            self.shrink(g, PERCPU_SCANS, free, evict);
            id = self.pop_free(g);
        }
        let id = id?;
        self.used(id).store(0, Ordering::Relaxed);
        let link = self.link(id);
        (link.hash, link.cpu) = (hash, g as u32);
        self.count(g, inactive, 1);
        self.push_front(inactive, id);
        Some(id - self.lists)
    }

    fn pop_front(&mut self, list: Id) -> Option<Id> {
        let first = self.next(list);
        if first == list {
            return None;
        }
        self.unlink(first);
        Some(first)
    }

    fn refill(&mut self, cpu: usize, evict: &mut Evict<'_>) {
        let (free, pending) = (self.locals[cpu].free, self.locals[cpu].pending);
        let (active, inactive) = (self.lists_of_cpus[0].active, self.lists_of_cpus[0].inactive);
        let mut at = self.prev(pending);
        while at != pending {
            let before = self.prev(at);
            let to = if self.is_used(at) { active } else { inactive };
            self.shift_unused(0, at, to);
            at = before;
        }
        self.rotate(0);
        let mut got = 0;
        while got < self.batch {
            let Some(id) = self.pop_free(0) else { break };
            self.push_front(free, id);
            got += 1;
        }
        if got < self.batch {
            self.shrink(0, self.batch - got, free, evict);
        }
    }

    fn take_common(&mut self, cpu: u32, hash: u32, evict: &mut Evict<'_>) -> Option<u32> {
        let this = (cpu as usize).min(self.locals.len() - 1);
        let free = self.locals[this].free;
        let mut id = self.pop_front(free);
        if id.is_none() {
            self.refill(this, evict);
            id = self.pop_front(free);
        }
        if id.is_none() {
            let first = self.locals[this].steal;
            let mut from = first;
            loop {
                id = self.pop_front(self.locals[from].free).or_else(|| self.pop_pending(from, evict));
                from = (from + 1) % self.locals.len();
                if id.is_some() || from == first {
                    break;
                }
            }
            self.locals[this].steal = from;
        }
        let id = id?;
        self.used(id).store(0, Ordering::Relaxed);
        let link = self.link(id);
        (link.hash, link.cpu) = (hash, this as u32);
        self.push_front(self.locals[this].pending, id);
        Some(id - self.lists)
    }

    /// The oldest pending element of a CPU; one that was used only when there is no other.
    fn pop_pending(&mut self, cpu: usize, evict: &mut Evict<'_>) -> Option<Id> {
        let pending = self.locals[cpu].pending;
        for force in [false, true] {
            let mut at = self.prev(pending);
            while at != pending {
                if (force || !self.is_used(at)) && evict(at - self.lists, self.links[at as usize].hash) {
                    self.unlink(at);
                    return Some(at);
                }
                at = self.prev(at);
            }
        }
        None
    }

    fn give(&mut self, element: u32) {
        let id = self.lists + element;
        let Link { list, cpu, .. } = self.links[id as usize];
        if let Some(local) = self.locals.get(cpu as usize).filter(|l| l.pending == list) {
            let free = local.free;
            self.used(id).store(0, Ordering::Relaxed);
            self.unlink(id);
            self.push_front(free, id);
            return;
        }
        let g = if self.locals.is_empty() { cpu as usize } else { 0 };
        self.shift_unused(g, id, self.lists_of_cpus[g].free);
    }
}
