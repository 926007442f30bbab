//! The table under the hash maps: chains of nodes with a version and a lock for each bucket.
//!
//! Readers take no lock. A bucket's version is odd while it is being changed; a reader walks the chain and then looks
//! whether the version is still the even one that it started from, otherwise it starts over. Nodes are never given
//! back while the table lives, and every access to them is atomic, so a reader that was overtaken reads stale bytes at
//! worst, and then discards them.

use crate::Errno;
use crate::maps::mem::{self, Region};
use crate::maps::{Account, Info};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Mutex, PoisonError};

/// Head of an element; the key follows, padded to words, then the value.
#[repr(C, align(8))]
#[derive(Debug)]
pub struct Node {
    next: AtomicPtr<Node>,
    hash: AtomicU32,
    /// Number of the node among all of its table, in the order in which they were first used; and [`LIVE`].
    index: AtomicU32,
}

/// Set in a node's number while the node is in a chain.
const LIVE: u32 = 1 << 31;

/// The number of a node.
#[inline]
pub fn number_of(node: NonNull<Node>) -> u32 {
    // SAFETY: nodes live as long as the table.
    unsafe { node.as_ref() }.index.load(Ordering::Relaxed) & !LIVE
}

/// Gives a node that is in no chain its number.
pub fn set_number(node: NonNull<Node>, number: u32) {
    // SAFETY: as above.
    unsafe { node.as_ref() }.index.store(number, Ordering::Relaxed);
}

/// The node of a slab that an address lies in.
pub fn node_in(slab: &Region, stride: usize, address: u64) -> Option<NonNull<Node>> {
    let offset = address.wrapping_sub(slab.base().as_ptr() as u64);
    let inside = offset < slab.len() as u64;
    inside.then(|| slab.at(offset as usize / stride * stride).cast())
}

/// Whether a node is in a chain.
pub fn is_live(node: NonNull<Node>) -> bool {
    // SAFETY: as above.
    unsafe { node.as_ref() }.index.load(Ordering::Relaxed) & LIVE != 0
}

/// Bytes of the head.
pub const HEADER: usize = size_of::<Node>();

/// A bucket.
#[derive(Debug)]
struct Bucket {
    /// Odd while a writer is inside.
    version: AtomicU32,
    head: AtomicPtr<Node>,
}

/// A key as words, zero-padded, and its hash.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    words: &'a [u64],
    /// Hash of the words.
    pub hash: u32,
}

/// Words of a key that is not copied to the heap.
const SHORT: usize = 8;

/// Runs `f` with a key made from bytes, for a table with this seed.
#[inline]
pub fn with_key<T>(seed: u64, bytes: &[u8], f: impl FnOnce(Key<'_>) -> T) -> T {
    match bytes.len() {
        // The usual sizes are read in one go.
        4 => with_short_key::<4, 1, T>(seed, bytes.first_chunk().unwrap_or(&[0; _]), f),
        8 => with_short_key::<8, 1, T>(seed, bytes.first_chunk().unwrap_or(&[0; _]), f),
        16 => with_short_key::<16, 2, T>(seed, bytes.first_chunk().unwrap_or(&[0; _]), f),
        n if n <= SHORT * 8 => {
            let mut words = [0; SHORT];
            let words = fill(&mut words[..n.div_ceil(8)], bytes);
            f(Key { words, hash: hash(seed, words) })
        }
        n => {
            let mut words = vec![0; n.div_ceil(8)];
            let words = fill(&mut words, bytes);
            f(Key { words, hash: hash(seed, words) })
        }
    }
}

/// [`with_key`] for a size that is known where it is called.
#[inline(always)]
pub fn with_short_key<const BYTES: usize, const WORDS: usize, T>(
    seed: u64,
    bytes: &[u8; BYTES],
    f: impl FnOnce(Key<'_>) -> T,
) -> T {
    const { assert!(BYTES.div_ceil(8) == WORDS) };
    let words: [u64; WORDS] = std::array::from_fn(|n| {
        let rest = &bytes[n * 8..];
        rest.first_chunk().map_or_else(|| last_word(rest), |whole| u64::from_ne_bytes(*whole))
    });
    f(Key { words: &words, hash: hash(seed, &words) })
}

/// Up to seven bytes as a word, zero-padded. Where their number is known, it takes a load for each power of two in it.
#[inline(always)]
fn last_word(bytes: &[u8]) -> u64 {
    let (mut word, mut at) = (0, 0);
    if let (true, Some(b)) = (bytes.len() & 4 != 0, bytes.first_chunk()) {
        word = u64::from(u32::from_le_bytes(*b));
        at = 4;
    }
    if let (true, Some(b)) = (bytes.len() & 2 != 0, bytes[at..].first_chunk()) {
        word |= u64::from(u16::from_le_bytes(*b)) << (8 * at);
        at += 2;
    }
    if let (true, Some(b)) = (bytes.len() & 1 != 0, bytes.get(at)) {
        word |= u64::from(*b) << (8 * at);
    }
    u64::from_ne_bytes(word.to_le_bytes())
}

/// Copies bytes into words that are zero.
#[inline]
fn fill<'a>(words: &'a mut [u64], bytes: &[u8]) -> &'a [u64] {
    let mut chunks = bytes.chunks_exact(8);
    for (to, from) in words.iter_mut().zip(&mut chunks) {
        *to = u64::from_ne_bytes(from.try_into().unwrap_or_default());
    }
    let rest = chunks.remainder();
    if let Some(last) = words.last_mut().filter(|_| !rest.is_empty()) {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        *last = u64::from_ne_bytes(word);
    }
    words
}

/// Mixes words into 32 bits. Who does not know the seed cannot tell which keys meet in one chain.
#[inline]
fn hash(seed: u64, words: &[u64]) -> u32 {
    let mut h = seed;
    for w in words {
        let wide = u128::from(h ^ w) * 0xa076_1d64_78bd_642f_u128;
        h = (wide as u64) ^ (wide >> 64) as u64;
    }
    (h ^ (h >> 32)) as u32
}

/// Address of the key of a node.
#[inline]
pub fn key_of(node: NonNull<Node>) -> NonNull<u8> {
    // SAFETY: every node has its key behind the head, in the same allocation.
    unsafe { node.cast::<u8>().add(HEADER) }
}

/// Buckets and chains.
#[derive(Debug)]
pub struct Table {
    buckets: Region,
    mask: usize,
    key_words: usize,
    /// Key of the hash function.
    pub seed: u64,
}

/// Exclusive use of a bucket; readers start over when it ends.
pub struct Locked<'a> {
    bucket: &'a Bucket,
    version: u32,
    table: &'a Table,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.bucket.version.store(self.version.wrapping_add(2), Ordering::Release);
    }
}

/// A bucket as it was when a reader came.
#[derive(Clone, Copy)]
struct Glance<'a> {
    bucket: &'a Bucket,
    before: u32,
}

impl Glance<'_> {
    /// Whether nothing has changed since.
    #[inline]
    fn holds(self) -> bool {
        fence(Ordering::Acquire);
        self.bucket.version.load(Ordering::Relaxed) == self.before
    }
}

impl Table {
    /// For at least this many elements.
    pub fn new(info: &Info, entries: u32) -> Result<Self, Errno> {
        let count = (entries as usize).next_power_of_two();
        // Zero bytes are an even version and an empty chain.
        let buckets = info.account.region(count, size_of::<Bucket>())?;
        Ok(Self { buckets, mask: count - 1, key_words: (info.key_size as usize).div_ceil(8), seed: info.seed })
    }

    /// Bucket that a hash belongs to.
    #[inline]
    pub fn bucket_of(&self, hash: u32) -> usize {
        hash as usize & self.mask
    }

    #[inline]
    fn bucket(&self, i: usize) -> &Bucket {
        // SAFETY: `i` is masked; the region holds `mask + 1` buckets, zeroed, for as long as `self` lives.
        unsafe { self.buckets.base().cast::<Bucket>().add(i & self.mask).as_ref() }
    }

    #[inline]
    fn matches(&self, node: NonNull<Node>, key: Key<'_>) -> bool {
        // SAFETY: nodes live as long as the table and hold `key_words` aligned words behind the head; all keys of the
        // table have as many.
        unsafe {
            if node.as_ref().hash.load(Ordering::Relaxed) != key.hash {
                return false;
            }
            let stored = key_of(node).cast::<u64>();
            let same = |i: usize, w: u64| AtomicU64::from_ptr(stored.add(i).as_ptr()).load(Ordering::Relaxed) == w;
            key.words.iter().enumerate().all(|(i, w)| same(i, *w))
        }
    }

    /// Runs `read` on a bucket's chain without a lock; `None` when it is being changed.
    #[inline(always)]
    fn try_read<T>(&self, bucket: usize, read: impl FnOnce(Option<NonNull<Node>>, Glance<'_>) -> T) -> Option<T> {
        let bucket = self.bucket(bucket);
        let before = bucket.version.load(Ordering::Acquire);
        if before & 1 != 0 {
            return None;
        }
        let glance = Glance { bucket, before };
        let value = read(NonNull::new(bucket.head.load(Ordering::Acquire)), glance);
        glance.holds().then_some(value)
    }

    /// The node with a key, at the first attempt.
    #[inline(always)]
    fn try_find(&self, key: Key<'_>) -> Option<Option<NonNull<Node>>> {
        self.try_read(self.bucket_of(key.hash), |mut at, glance| {
            let mut steps = 0u32;
            while let Some(node) = at {
                if self.matches(node, key) {
                    return at;
                }
                at = next(node);
                steps += 1;
                // A chain that changes under the walk may lead anywhere; one that does not is finite.
                if steps.is_multiple_of(64) && !glance.holds() {
                    return None;
                }
            }
            None
        })
    }

    /// The node with a key.
    #[inline(always)]
    pub fn find(&self, key: Key<'_>) -> Option<NonNull<Node>> {
        assert!(key.words.len() == self.key_words);
        self.try_find(key).unwrap_or_else(|| self.find_again(key))
    }

    #[cold]
    #[inline(never)]
    fn find_again(&self, key: Key<'_>) -> Option<NonNull<Node>> {
        again(|| self.try_find(key))
    }

    /// Takes a bucket for writing.
    pub fn lock(&self, bucket: usize) -> Locked<'_> {
        let b = self.bucket(bucket);
        let mut spins = 0;
        loop {
            let version = b.version.load(Ordering::Relaxed);
            if version & 1 == 0
                && b.version.compare_exchange_weak(version, version + 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                fence(Ordering::Release);
                return Locked { bucket: b, version, table: self };
            }
            mem::pause(spins);
            spins += 1;
        }
    }
}

/// Tries until it succeeds.
fn again<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let mut spins = 0;
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        mem::pause(spins);
        spins += 1;
    }
}

#[inline(always)]
fn next(node: NonNull<Node>) -> Option<NonNull<Node>> {
    // SAFETY: nodes live as long as the table.
    NonNull::new(unsafe { node.as_ref() }.next.load(Ordering::Acquire))
}

impl Locked<'_> {
    /// The node with a key, and the one before it.
    pub fn find(&self, key: Key<'_>) -> Option<NonNull<Node>> {
        assert!(key.words.len() == self.table.key_words);
        let mut at = NonNull::new(self.bucket.head.load(Ordering::Relaxed));
        while let Some(node) = at {
            if self.table.matches(node, key) {
                return at;
            }
            at = next(node);
        }
        None
    }

    /// Puts a node that is in no chain first in this one, under a key.
    pub fn insert(&mut self, node: NonNull<Node>, key: Key<'_>) {
        assert!(key.words.len() == self.table.key_words);
        // SAFETY: nodes live as long as the table and hold `key_words` aligned words behind the head.
        unsafe {
            for (i, w) in key.words.iter().enumerate() {
                AtomicU64::from_ptr(key_of(node).cast::<u64>().add(i).as_ptr()).store(*w, Ordering::Relaxed);
            }
            let head = node.as_ref();
            head.hash.store(key.hash, Ordering::Relaxed);
            head.next.store(self.bucket.head.load(Ordering::Relaxed), Ordering::Relaxed);
            head.index.store(head.index.load(Ordering::Relaxed) | LIVE, Ordering::Relaxed);
        }
        self.bucket.head.store(node.as_ptr(), Ordering::Release);
    }

    /// Takes a node out of the chain; false when it is not in it.
    pub fn remove(&mut self, node: NonNull<Node>) -> bool {
        let mut link = &self.bucket.head;
        loop {
            let at = link.load(Ordering::Relaxed);
            let Some(found) = NonNull::new(at) else { return false };
            // SAFETY: nodes live as long as the table.
            let head = unsafe { &*at };
            if found == node {
                link.store(head.next.load(Ordering::Relaxed), Ordering::Release);
                head.index.store(head.index.load(Ordering::Relaxed) & !LIVE, Ordering::Relaxed);
                return true;
            }
            link = &head.next;
        }
    }
}

/// Nodes in slabs that double, with a list of those that are free. The last freed is used first, as in the kernel.
#[derive(Debug)]
pub struct Pool {
    /// The node that was freed last, so that replacing elements needs no lock.
    spare: AtomicPtr<Node>,
    state: Mutex<PoolState>,
    stride: usize,
    account: Account,
}

#[derive(Debug, Default)]
struct PoolState {
    slabs: Vec<Slab>,
    /// Nodes that were ever used: they have the numbers below.
    used: u32,
    free: Vec<NonNull<Node>>,
}

#[derive(Debug)]
struct Slab {
    memory: Region,
    /// Number of its first node.
    first: u32,
    /// Its nodes.
    count: u32,
}

// SAFETY: the free nodes are addresses into the slabs, which the state owns.
unsafe impl Send for PoolState {}

/// Nodes of the first slab.
const FIRST_SLAB: usize = 32;
/// Bytes that a slab does not pass, unless one node does.
const MAX_SLAB: usize = 64 << 20;

impl Pool {
    /// Nodes of `stride` bytes, head included; a multiple of 8.
    pub fn new(stride: usize, account: Account) -> Self {
        Self { spare: AtomicPtr::default(), state: Mutex::default(), stride, account }
    }

    /// Whether bytes lie inside a slab.
    pub fn contains(&self, address: u64, len: u64) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).slabs.iter().any(|s| s.memory.contains(address, len))
    }

    /// The node that an address lies in.
    pub fn node_around(&self, address: u64) -> Option<NonNull<Node>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.slabs.iter().find_map(|s| node_in(&s.memory, self.stride, address))
    }

    /// Nodes that were ever used.
    pub fn used(&self) -> u32 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).used
    }

    /// The first node with a number in a range that is in a chain.
    pub fn next_live(&self, numbers: std::ops::Range<u32>) -> Option<NonNull<Node>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut number = numbers.start;
        let end = numbers.end.min(state.used);
        let slab = state.slabs.partition_point(|s| s.first <= number).saturating_sub(1);
        for slab in &state.slabs[slab..] {
            while number < end && number - slab.first < slab.count {
                let node = slab.memory.at((number - slab.first) as usize * self.stride).cast();
                if is_live(node) {
                    return Some(node);
                }
                number += 1;
            }
        }
        None
    }

    /// A node that is in no chain.
    pub fn take(&self) -> Result<NonNull<Node>, Errno> {
        if let Some(node) = NonNull::new(self.spare.swap(std::ptr::null_mut(), Ordering::Acquire)) {
            return Ok(node);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = state.free.pop() {
            return Ok(node);
        }
        let number = state.used;
        if state.slabs.last().is_none_or(|s| number - s.first == s.count) {
            let count = (FIRST_SLAB << state.slabs.len().min(24)).min(MAX_SLAB / self.stride).max(1);
            let memory = self.account.region(count, self.stride)?;
            state.slabs.push(Slab { memory, first: number, count: count as u32 });
        }
        let slab = state.slabs.last().ok_or(Errno::ENOMEM)?;
        let node = slab.memory.at((number - slab.first) as usize * self.stride).cast();
        set_number(node, number);
        state.used += 1;
        Ok(node)
    }

    /// Gives a node back that is in no chain any more.
    pub fn give(&self, node: NonNull<Node>) {
        // Whoever takes the node next sees all that was done to it before.
        if let Some(older) = NonNull::new(self.spare.swap(node.as_ptr(), Ordering::AcqRel)) {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).free.push(older);
        }
    }
}
