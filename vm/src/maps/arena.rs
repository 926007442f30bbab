//! Arenas: memory that programs and user space share, addressed with 32 bits.

use super::elements::Elements;
use super::mem::{self, Region};
use super::{Account, Info};
use crate::Errno;
use ebpfkit_abi::limits::PAGE_SIZE;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bytes on either side of an arena that a 16-bit offset can reach.
const GUARD: usize = 1 << 15;

/// `BPF_MAP_TYPE_ARENA`. Its addresses are reserved when it is made; memory is taken for the pages that programs ask for.
#[derive(Debug)]
pub struct Arena {
    memory: Region,
    pages: u32,
    user_start: u64,
    /// A bit for each page that is there.
    present: Box<[AtomicU64]>,
    /// Held by who changes which pages are there.
    taken: Mutex<Taken>,
}

/// Pages that were ever there: their memory is not given back before the map is.
#[derive(Debug)]
struct Taken {
    pages: Box<[u64]>,
    account: Account,
}

/// Where an arena without a fixed address stands for user space.
const DEFAULT_USER_START: u64 = 0x1_0000_0000_0000;

/// The word of a page's bit, and the bit.
fn bit_of(page: usize) -> (usize, u64) {
    (page / 64, 1 << (page % 64))
}

impl Arena {
    pub(super) fn new(info: &Info) -> Result<Self, Errno> {
        let pages = info.max_entries as usize;
        let memory = Region::new(pages * PAGE_SIZE as usize + 2 * GUARD, 1)?;
        let user_start = if info.extra == 0 { DEFAULT_USER_START } else { info.extra };
        let words = pages.div_ceil(64);
        let taken = Taken { pages: vec![0; words].into(), account: info.account.clone() };
        Ok(Self {
            memory,
            pages: info.max_entries,
            user_start,
            present: (0..words).map(|_| AtomicU64::new(0)).collect(),
            taken: Mutex::new(taken),
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

    /// Bytes of so many pages, at most those of the arena.
    pub(crate) fn bytes_of(&self, pages: u32) -> usize {
        pages.min(self.pages) as usize * PAGE_SIZE as usize
    }

    /// The page that a 32-bit address lies in.
    fn page_of(&self, low: u32) -> usize {
        (low.wrapping_sub(self.user_start as u32) / PAGE_SIZE) as usize
    }

    fn has_page(&self, page: usize) -> bool {
        let (word, bit) = bit_of(page);
        self.present.get(word).is_some_and(|w| w.load(Ordering::Acquire) & bit != 0)
    }

    /// Whether the page of a 32-bit address is there. Reads of others give zero, writes are lost.
    pub fn is_present(&self, low: u32) -> bool {
        self.has_page(self.page_of(low))
    }

    /// Host address of a 32-bit arena address, if its page is part of the arena.
    pub fn host(&self, low: u32) -> Option<u64> {
        let offset = u64::from(low.wrapping_sub(self.user_start as u32));
        (offset < self.len()).then(|| self.base() + offset)
    }

    /// The first of `count` pages in a row that are not there.
    fn free_pages(&self, count: usize) -> Option<usize> {
        let (mut first, mut page) = (0, 0);
        while page < self.pages as usize {
            let (word, bit) = bit_of(page);
            let present = self.present[word].load(Ordering::Acquire);
            if bit == 1 && present == u64::MAX {
                page += 64;
                first = page;
                continue;
            }
            page += 1;
            if present & bit != 0 {
                first = page;
            } else if page - first == count {
                return Some(first);
            }
        }
        None
    }

    /// `bpf_arena_alloc_pages`: the user-space address of `count` zeroed pages, at `address` or (zero) anywhere. `None`
    /// also when maps may not take so much more memory.
    pub fn alloc(&self, address: u64, count: u32) -> Option<u64> {
        if count == 0 || count > self.pages || !address.is_multiple_of(u64::from(PAGE_SIZE)) {
            return None;
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let n = count as usize;
        let first = if address == 0 {
            self.free_pages(n)?
        } else {
            let first = usize::try_from(address.checked_sub(self.user_start)? / u64::from(PAGE_SIZE)).ok()?;
            let end = first.checked_add(n).filter(|end| *end <= self.pages as usize)?;
            (!(first..end).any(|page| self.has_page(page))).then_some(first)?
        };
        let is_new = |taken: &Taken, page: usize| {
            let (word, bit) = bit_of(page);
            taken.pages[word] & bit == 0
        };
        let new = (first..first + n).filter(|page| is_new(&taken, *page)).count();
        taken.account.charge(new as u64 * u64::from(PAGE_SIZE)).ok()?;
        for page in first..first + n {
            let (word, bit) = bit_of(page);
            // Pages that were never there are zero already.
            if !is_new(&taken, page) {
                // SAFETY: the page lies inside the memory.
                unsafe { mem::zero(self.memory.at(GUARD + page * PAGE_SIZE as usize).as_ptr(), PAGE_SIZE as usize) };
            }
            taken.pages[word] |= bit;
            self.present[word].fetch_or(bit, Ordering::Release);
        }
        Some(self.user_start + (first * PAGE_SIZE as usize) as u64)
    }

    /// Puts global variables at the start of an arena in which no page is taken yet, as a loader does through its own
    /// mapping.
    pub(crate) fn load(&self, data: &[u8]) -> Result<(), Errno> {
        if data.is_empty() {
            return Ok(());
        }
        let pages = u32::try_from(data.len().div_ceil(PAGE_SIZE as usize)).map_err(|_| Errno::E2BIG)?;
        self.alloc(self.user_start, pages).ok_or(Errno::ENOMEM)?;
        for (at, byte) in data.iter().enumerate() {
            // SAFETY: the pages that were just taken hold all of the data.
            unsafe { self.memory.at(GUARD + at).as_ptr().write(*byte) };
        }
        Ok(())
    }

    /// `bpf_arena_free_pages`: pages that are not there are passed over.
    pub fn free(&self, address: u64, count: u32) {
        let first = self.page_of(address as u32);
        let _taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let end = first.saturating_add(count as usize).min(self.pages as usize);
        for page in first.min(end)..end {
            let (word, bit) = bit_of(page);
            if self.present[word].fetch_and(!bit, Ordering::AcqRel) & bit != 0 {
                // SAFETY: the page lies inside the memory.
                unsafe { mem::zero(self.memory.at(GUARD + page * PAGE_SIZE as usize).as_ptr(), PAGE_SIZE as usize) };
            }
        }
    }
}

impl Elements for Arena {
    fn delete(&self, _key: &[u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn next_key(&self, _key: Option<&[u8]>, _next: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn user_lookup(&self, _key: &[u8], _out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn user_update(&self, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn contains(&self, address: u64, len: u64) -> bool {
        self.contains(address, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arena(pages: u32, bytes: u64) -> Arena {
        Arena::new(&Info { max_entries: pages, account: Account::new(bytes), ..Info::default() }).unwrap()
    }

    #[test]
    fn pages_are_found_where_they_are_free() {
        let arena = arena(200, 1 << 30);
        let page = |n: u64| DEFAULT_USER_START + n * u64::from(PAGE_SIZE);
        assert_eq!(arena.alloc(0, 130), Some(page(0)));
        assert_eq!(arena.alloc(page(150), 10), Some(page(150)));
        assert_eq!(arena.alloc(page(145), 10), None, "some are there");
        assert_eq!(arena.alloc(0, 20), Some(page(130)));
        assert_eq!(arena.alloc(0, 41), None);
        assert_eq!(arena.alloc(0, 40), Some(page(160)));
        assert_eq!(arena.alloc(0, 1), None);
        arena.free(page(63), 2);
        assert_eq!(arena.alloc(0, 3), None);
        assert_eq!(arena.alloc(0, 2), Some(page(63)));
        arena.free(page(190), u32::MAX);
        assert!(!arena.is_present(page(199) as u32) && arena.is_present(page(189) as u32));
    }

    #[test]
    fn global_variables_lie_at_the_start() {
        let arena = arena(3, 1 << 30);
        let data: Vec<u8> = (0..5000).map(|n| n as u8).collect();
        arena.load(&data).unwrap();
        let low = DEFAULT_USER_START as u32;
        assert!(arena.is_present(low + 4096) && !arena.is_present(low + 8192));
        let at = arena.host(low + 4999).unwrap() as usize as *const u8;
        // SAFETY: an address inside the arena.
        assert_eq!(unsafe { at.read() }, 4999u32 as u8);
        assert_eq!(arena.load(&[1]), Err(Errno::ENOMEM), "the page is taken");
    }

    #[test]
    fn freed_pages_count_until_the_arena_is_gone() {
        let arena = arena(1 << 20, 3 * u64::from(PAGE_SIZE));
        let page = |n: u64| DEFAULT_USER_START + n * u64::from(PAGE_SIZE);
        assert_eq!(arena.alloc(page(9), 2), Some(page(9)));
        arena.free(page(0), u32::MAX);
        assert_eq!(arena.alloc(page(9), 2), Some(page(9)), "the same ones");
        assert_eq!(arena.alloc(page(100), 2), None, "one is left");
        assert_eq!(arena.alloc(page(100), 1), Some(page(100)));
    }
}
