//! Queues, stacks and bloom filters: maps without keys.

use super::Info;
use super::check::flag;
use super::elements::Elements;
use super::mem::{self, Region};
use crate::Errno;
use ebpfkit_abi::MapType;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// `BPF_MAP_TYPE_QUEUE` and `BPF_MAP_TYPE_STACK`.
#[derive(Debug)]
pub struct Queue {
    values: Region,
    size: usize,
    capacity: usize,
    stack: bool,
    /// Slot of the oldest value, and how many there are.
    span: Mutex<(usize, usize)>,
}

impl Queue {
    pub(super) fn new(info: &Info) -> Result<Self, Errno> {
        let (size, capacity) = (info.value_size as usize, info.max_entries as usize);
        Ok(Self {
            values: info.account.region(capacity, size)?,
            size,
            capacity,
            stack: info.map_type == MapType::Stack,
            span: Mutex::default(),
        })
    }

    /// Values inside.
    pub fn len(&self) -> usize {
        self.span.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Address of the n-th value, counted from a slot.
    fn at(&self, first: usize, n: usize) -> *mut u8 {
        self.values.at((first + n) % self.capacity * self.size).as_ptr()
    }

    pub(super) fn push(&self, value: &[u8], flags: u64) -> Result<(), Errno> {
        if flags & flag::NOEXIST != 0 || flags > flag::EXIST {
            return Err(Errno::EINVAL);
        }
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        if span.1 == self.capacity {
            if flags & flag::EXIST == 0 {
                return Err(Errno::E2BIG);
            }
            // The oldest one makes room.
            *span = ((span.0 + 1) % self.capacity, span.1 - 1);
        }
        // SAFETY: the slot has `size` bytes, and so has `value`.
        unsafe { mem::store(self.at(span.0, span.1), value) };
        span.1 += 1;
        Ok(())
    }

    /// Copies the next value out; without one, zeros.
    pub(super) fn get(&self, out: &mut [u8], remove: bool) -> Result<(), Errno> {
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = span.1.checked_sub(1) else {
            out.fill(0);
            return Err(Errno::ENOENT);
        };
        let at = self.at(span.0, if self.stack { last } else { 0 });
        // SAFETY: the slot has `size` bytes, and so has `out`.
        unsafe { mem::load(at, out) };
        if remove {
            span.1 = last;
            if !self.stack {
                span.0 = (span.0 + 1) % self.capacity;
            }
        }
        Ok(())
    }

    /// The values, the next one to pop first.
    pub fn values(&self) -> Vec<Vec<u8>> {
        let span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        let order = (0..span.1).map(|n| if self.stack { span.1 - 1 - n } else { n });
        order
            .map(|n| {
                let mut value = vec![0; self.size];
                // SAFETY: the slot has `size` bytes.
                unsafe { mem::load(self.at(span.0, n), &mut value) };
                value
            })
            .collect()
    }
}

/// `BPF_MAP_TYPE_BLOOM_FILTER`. The hash is the kernel's with a seed of zero (`BPF_F_ZERO_SEED`), so false positives
/// agree with it as well.
#[derive(Debug)]
pub struct Bloom {
    bits: Region,
    mask: u32,
    hashes: u32,
}

/// Hash functions when `map_extra` does not say.
const DEFAULT_HASHES: u32 = 5;

impl Bloom {
    pub(super) fn new(info: &Info) -> Result<Self, Errno> {
        let hashes = match info.extra as u32 & 0xf {
            0 => DEFAULT_HASHES,
            n => n,
        };
        // Entries times hashes over ln 2, as 7/5, rounded up to a power of two.
        let bits = info.max_entries.checked_mul(hashes).and_then(|n| (n / 5).checked_mul(7));
        let mask = match bits {
            Some(n) if n <= 1 << 31 => n.max(64).next_power_of_two() - 1,
            _ => u32::MAX,
        };
        Ok(Self { bits: info.account.region((mask as usize + 1) / 64, 8)?, mask, hashes })
    }

    fn words<'a>(&'a self, value: &'a [u8]) -> impl Iterator<Item = (&'a AtomicU64, u64)> {
        (0..self.hashes).map(move |i| {
            let h = jhash(value, i) & self.mask;
            // SAFETY: the region has one word for each 64 of `mask + 1` bits.
            let word = unsafe { AtomicU64::from_ptr(self.bits.at(h as usize / 64 * 8).as_ptr().cast()) };
            (word, 1 << (h % 64))
        })
    }

    pub(super) fn push(&self, value: &[u8], flags: u64) -> Result<(), Errno> {
        if flags != flag::ANY {
            return Err(Errno::EINVAL);
        }
        for (word, bit) in self.words(value) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(super) fn peek(&self, value: &[u8]) -> Result<(), Errno> {
        let all = self.words(value).all(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0);
        if all { Ok(()) } else { Err(Errno::ENOENT) }
    }
}

/// Start value of [`jhash`].
const JHASH_INITVAL: u32 = 0xdead_beef;

/// Bob Jenkins' lookup3 over bytes, as the kernel's `jhash` computes it; `jhash2` gives the same for whole words.
pub(super) fn jhash(bytes: &[u8], seed: u32) -> u32 {
    let start = JHASH_INITVAL.wrapping_add(bytes.len() as u32).wrapping_add(seed);
    let (mut a, mut b, mut c) = (start, start, start);
    let word = |i: usize| {
        let mut w = [0; 4];
        let from = bytes.get(i..).unwrap_or(&[]);
        let n = from.len().min(4);
        w[..n].copy_from_slice(&from[..n]);
        u32::from_le_bytes(w)
    };
    let mut at = 0;
    while bytes.len() - at > 12 {
        a = a.wrapping_add(word(at));
        b = b.wrapping_add(word(at + 4));
        c = c.wrapping_add(word(at + 8));
        for (x, y, z, rot) in [(0, 2, 1, 4), (1, 0, 2, 6), (2, 1, 0, 8), (0, 2, 1, 16), (1, 0, 2, 19), (2, 1, 0, 4)] {
            let mut v = [a, b, c];
            v[x] = v[x].wrapping_sub(v[y]) ^ v[y].rotate_left(rot);
            v[y] = v[y].wrapping_add(v[z]);
            [a, b, c] = v;
        }
        at += 12;
    }
    if at == bytes.len() {
        return c;
    }
    a = a.wrapping_add(word(at));
    b = b.wrapping_add(word(at + 4));
    c = c.wrapping_add(word(at + 8));
    for (x, y, rot) in [(2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24)] {
        let mut v = [a, b, c];
        v[x] = (v[x] ^ v[y]).wrapping_sub(v[y].rotate_left(rot));
        [a, b, c] = v;
    }
    c
}

impl Elements for Queue {
    fn push(&self, value: &[u8], flags: u64) -> Result<(), Errno> {
        self.push(value, flags)
    }

    fn pop(&self, out: &mut [u8]) -> Result<(), Errno> {
        self.get(out, true)
    }

    fn peek(&self, out: &mut [u8]) -> Result<(), Errno> {
        self.get(out, false)
    }

    fn next_key(&self, _key: Option<&[u8]>, _next: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn user_lookup(&self, _key: &[u8], out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        self.get(out, false)
    }

    fn user_update(&self, _key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.push(value, flags)
    }

    fn user_take(&self, _key: &[u8], out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        self.get(out, true)
    }
}

impl Elements for Bloom {
    fn delete(&self, _key: &[u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn push(&self, value: &[u8], flags: u64) -> Result<(), Errno> {
        self.push(value, flags)
    }

    fn pop(&self, _out: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn peek(&self, out: &mut [u8]) -> Result<(), Errno> {
        self.peek(out)
    }

    fn next_key(&self, _key: Option<&[u8]>, _next: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn user_lookup(&self, _key: &[u8], out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        self.peek(out)
    }

    fn user_update(&self, _key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.push(value, flags)
    }
}
