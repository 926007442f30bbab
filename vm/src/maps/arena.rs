//! Arenas: memory that programs and user space share, addressed with 32 bits.

use super::Facts;
use super::mem::{self, Region};
use crate::Errno;
use ebpfkit_abi::limits::PAGE_SIZE;
use std::sync::{Mutex, PoisonError};

/// Bytes on either side of an arena that a 16-bit offset can reach.
const GUARD: usize = 1 << 15;

/// `BPF_MAP_TYPE_ARENA`.
#[derive(Debug)]
pub struct Arena {
    memory: Region,
    pages: u32,
    user_start: u64,
    present: Mutex<Vec<bool>>,
}

/// Where an arena without a fixed address stands for user space.
const DEFAULT_USER_START: u64 = 0x1_0000_0000_0000;

impl Arena {
    pub(super) fn new(facts: &Facts) -> Result<Self, Errno> {
        let bytes = facts.max_entries as usize * PAGE_SIZE as usize;
        let memory = Region::new(bytes + 2 * GUARD, 1)?;
        let user_start = if facts.extra == 0 { DEFAULT_USER_START } else { facts.extra };
        Ok(Self {
            memory,
            pages: facts.max_entries,
            user_start,
            present: Mutex::new(vec![false; facts.max_entries as usize]),
        })
    }

    /// Address of the first byte for programs (`addr_space_cast` to the kernel's space). The memory before and behind
    /// that an instruction's offset can reach exists too.
    pub fn base(&self) -> u64 {
        self.memory.base().as_ptr() as u64 + GUARD as u64
    }

    pub(super) fn contains(&self, address: u64, len: u64) -> bool {
        self.memory.contains(address, len)
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        u64::from(self.pages) * u64::from(PAGE_SIZE)
    }

    /// Whether there are no bytes; never.
    pub fn is_empty(&self) -> bool {
        self.pages == 0
    }

    /// Address of the first byte for user space.
    pub fn user_start(&self) -> u64 {
        self.user_start
    }

    /// The page that a 32-bit address lies in.
    fn page_of(&self, low: u32) -> usize {
        (low.wrapping_sub(self.user_start as u32) / PAGE_SIZE) as usize
    }

    /// Whether the page of a 32-bit address is there. Reads of others give zero, writes are lost.
    pub fn is_present(&self, low: u32) -> bool {
        let present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.get(self.page_of(low)).copied().unwrap_or(false)
    }

    /// Host address of a 32-bit arena address, if its page is part of the arena.
    pub fn host(&self, low: u32) -> Option<u64> {
        let offset = u64::from(low.wrapping_sub(self.user_start as u32));
        (offset < self.len()).then(|| self.base() + offset)
    }

    /// `bpf_arena_alloc_pages`: the user-space address of `count` zeroed pages, at `address` or (zero) anywhere.
    pub fn alloc(&self, address: u64, count: u32) -> Option<u64> {
        if count == 0 || count > self.pages || !address.is_multiple_of(u64::from(PAGE_SIZE)) {
            return None;
        }
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let n = count as usize;
        let first = if address == 0 {
            present.windows(n).position(|w| w.iter().all(|p| !p))?
        } else {
            let first = usize::try_from(address.checked_sub(self.user_start)? / u64::from(PAGE_SIZE)).ok()?;
            let free = present.get(first..first.checked_add(n)?)?.iter().all(|p| !p);
            free.then_some(first)?
        };
        present[first..first + n].fill(true);
        let offset = first * PAGE_SIZE as usize;
        // SAFETY: the pages lie inside the memory.
        unsafe { mem::zero(self.memory.at(GUARD + offset).as_ptr(), n * PAGE_SIZE as usize) };
        Some(self.user_start + offset as u64)
    }

    /// `bpf_arena_free_pages`: pages that are not there are passed over.
    pub fn free(&self, address: u64, count: u32) {
        let first = self.page_of(address as u32);
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let end = first.saturating_add(count as usize).min(present.len());
        for page in first.min(end)..end {
            present[page] = false;
            // SAFETY: the page lies inside the memory.
            unsafe { mem::zero(self.memory.at(GUARD + page * PAGE_SIZE as usize).as_ptr(), PAGE_SIZE as usize) };
        }
    }
}
