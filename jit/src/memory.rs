//! Pages for native code.
//!
//! Pages are handed out from larger mappings, so that a small program costs no mapping of its own. A program has whole
//! pages to itself. They are writable while its code is written, and not executable; then they are made executable and
//! read-only together, before anything runs there; and when the program is gone they are made writable again, before
//! anything else is written there. So no page is ever writable and executable at once, under any address, and no code
//! is written on the page of another program.

use cranelift_jit::{BranchProtection, JITMemoryKind, JITMemoryProvider};
use cranelift_module::{ModuleError, ModuleResult};
use region::{Allocation, Protection};
use std::io;
use std::sync::{Mutex, PoisonError};

/// Pages of a mapping, unless a program needs more than half of them.
const PAGES: usize = 256;

/// A mapping that is shared by programs.
struct Chunk {
    memory: Allocation,
    /// By page: a bit that is set while it belongs to a program.
    used: [u64; PAGES / 64],
    free: usize,
}

// SAFETY: the allocation is an address and a size, and belongs to nobody else.
unsafe impl Send for Chunk {}

impl Chunk {
    fn new() -> io::Result<Self> {
        let memory = map(PAGES * region::page::size())?;
        Ok(Self { memory, used: [0; PAGES / 64], free: PAGES })
    }

    /// Number of the first of so many free pages side by side.
    fn find(&self, pages: usize) -> Option<usize> {
        let mut run = 0;
        for page in 0..PAGES {
            run = if self.used[page / 64] >> (page % 64) & 1 == 0 { run + 1 } else { 0 };
            if run == pages {
                return Some(page + 1 - pages);
            }
        }
        None
    }

    /// Marks pages that are free as used, or the other way round.
    fn flip(&mut self, first: usize, pages: usize) {
        for page in first..first + pages {
            self.used[page / 64] ^= 1 << (page % 64);
        }
    }
}

/// The mappings of this process that are shared.
static CHUNKS: Mutex<Vec<Chunk>> = Mutex::new(Vec::new());

fn map(bytes: usize) -> io::Result<Allocation> {
    region::alloc(bytes, Protection::READ_WRITE).map_err(io::Error::other)
}

/// Pages of one program.
struct Pages {
    base: *mut u8,
    bytes: usize,
    /// Where there was more than a shared mapping has for one program.
    own: Option<Allocation>,
}

impl Pages {
    /// Writable pages for so many bytes.
    fn take(bytes: usize) -> io::Result<Self> {
        let size = region::page::size();
        let pages = bytes.div_ceil(size).max(1);
        let bytes = pages * size;
        if pages > PAGES / 2 {
            let mut own = map(bytes)?;
            return Ok(Self { base: own.as_mut_ptr(), bytes, own: Some(own) });
        }
        let mut chunks = CHUNKS.lock().unwrap_or_else(PoisonError::into_inner);
        let found = chunks.iter().enumerate().filter(|(_, c)| c.free >= pages);
        let found = found.filter_map(|(n, c)| Some((n, c.find(pages)?))).next();
        let (number, first) = match found {
            Some(found) => found,
            None => {
                chunks.push(Chunk::new()?);
                (chunks.len() - 1, 0)
            }
        };
        let chunk = &mut chunks[number];
        chunk.flip(first, pages);
        chunk.free -= pages;
        Ok(Self { base: chunk.memory.as_mut_ptr::<u8>().wrapping_add(first * size), bytes, own: None })
    }

    fn protect(&self, how: Protection) -> io::Result<()> {
        // SAFETY: the pages are this program's alone.
        unsafe { region::protect(self.base, self.bytes, how) }.map_err(io::Error::other)
    }
}

impl Drop for Pages {
    /// The next program that gets the pages finds them writable.
    fn drop(&mut self) {
        // Pages that cannot be made so stay out of use.
        if self.own.is_some() || self.protect(Protection::READ_WRITE).is_err() {
            return;
        }
        let mut chunks = CHUNKS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(number) = chunks.iter().position(|c| c.memory.as_range().contains(&self.base.addr())) else { return };
        let size = region::page::size();
        let chunk = &mut chunks[number];
        chunk.flip((self.base.addr() - chunk.memory.as_range().start) / size, self.bytes / size);
        chunk.free += self.bytes / size;
        // One empty mapping is kept for the next program.
        if chunk.free == PAGES && chunks.iter().filter(|c| c.free == PAGES).count() > 1 {
            chunks.swap_remove(number);
        }
    }
}

/// The memory of one program's code, whose size is known before.
pub(crate) struct CodePages {
    pages: Option<Pages>,
    /// Bytes that are taken.
    taken: usize,
}

// SAFETY: the pages belong to this alone.
unsafe impl Send for CodePages {}

impl CodePages {
    /// Room for so many bytes.
    pub(crate) fn new(bytes: usize) -> io::Result<Self> {
        Ok(Self { pages: Some(Pages::take(bytes)?), taken: 0 })
    }
}

impl JITMemoryProvider for CodePages {
    fn allocate(&mut self, size: usize, align: u64, kind: JITMemoryKind) -> io::Result<*mut u8> {
        let start = self.taken.next_multiple_of(align as usize);
        match &self.pages {
            Some(pages) if matches!(kind, JITMemoryKind::Executable) && start + size <= pages.bytes => {
                self.taken = start + size;
                Ok(pages.base.wrapping_add(start))
            }
            _ => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }

    unsafe fn free_memory(&mut self) {
        self.pages = None;
    }

    fn finalize(&mut self, _: BranchProtection) -> ModuleResult<()> {
        let Some(pages) = &self.pages else { return Ok(()) };
        pages.protect(Protection::READ_EXECUTE).map_err(|err| ModuleError::Allocation { err })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protection(address: *const u8) -> Protection {
        region::query(address).expect("mapped").protection()
    }

    #[test]
    fn pages_are_writable_or_executable_and_come_back() {
        let mut code = CodePages::new(100).expect("memory");
        let first = code.allocate(40, 16, JITMemoryKind::Executable).expect("scratch");
        let second = code.allocate(40, 16, JITMemoryKind::Executable).expect("scratch");
        assert_eq!(second.addr() - first.addr(), 48);
        assert!(code.allocate(5000, 16, JITMemoryKind::Executable).is_err());
        assert!(code.allocate(1, 1, JITMemoryKind::Writable).is_err());
        assert_eq!(protection(first), Protection::READ_WRITE);
        code.finalize(BranchProtection::None).expect("executable");
        assert_eq!(protection(first), Protection::READ_EXECUTE);
        // Another program's pages are its own.
        let mut other = CodePages::new(1).expect("memory");
        let theirs = other.allocate(1, 1, JITMemoryKind::Executable).expect("scratch");
        assert_ne!(theirs.addr() / region::page::size(), first.addr() / region::page::size());
        assert_eq!(protection(theirs), Protection::READ_WRITE);
        drop((code, other));
    }

    #[test]
    fn large_programs_have_mappings_of_their_own() {
        let bytes = region::page::size() * PAGES;
        let mut code = CodePages::new(bytes).expect("memory");
        let all = code.allocate(bytes, 64, JITMemoryKind::Executable).expect("scratch");
        code.finalize(BranchProtection::None).expect("executable");
        assert_eq!(protection(all.wrapping_add(bytes - 1)), Protection::READ_EXECUTE);
    }

    #[test]
    fn many_programs_from_many_threads() {
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                scope.spawn(move || {
                    let mut kept = Vec::new();
                    for n in 0..300usize {
                        let mut code = CodePages::new(n * 37).expect("memory");
                        let at = code.allocate(n * 37, 1, JITMemoryKind::Executable).expect("scratch");
                        // SAFETY: so many bytes were allocated there.
                        unsafe { at.write_bytes(thread, n * 37) };
                        code.finalize(BranchProtection::None).expect("executable");
                        kept.push((code, at, n * 37));
                        if n % 3 == 0 {
                            kept.swap_remove(n / 5);
                        }
                    }
                    for (_, at, bytes) in &kept {
                        // SAFETY: as above, and the memory is still there.
                        let bytes = unsafe { std::slice::from_raw_parts(*at, *bytes) };
                        assert!(bytes.iter().all(|b| *b == thread));
                    }
                });
            }
        });
    }
}
